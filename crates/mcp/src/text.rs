//! Text of a peer, made safe to show: text from plugins is data.

/// How much of a peer's text an error or note repeats.
const SHOWN: usize = 80;

/// `text` in quotes with control and invisible characters escaped, cut to a short length.
#[must_use]
pub fn excerpt(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN)
        .flat_map(char::escape_debug)
        .collect();
    if text.chars().nth(SHOWN).is_some() {
        shown.push('…');
    }
    format!("\"{shown}\"")
}

#[cfg(test)]
mod tests {
    use super::excerpt;

    #[test]
    fn control_characters_are_escaped_and_length_is_bounded() {
        assert_eq!(excerpt("a\u{1b}[31m\n"), "\"a\\u{1b}[31m\\n\"");
        assert!(excerpt(&"x".repeat(10_000)).chars().count() < 100);
    }
}
