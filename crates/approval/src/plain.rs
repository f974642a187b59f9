//! Text from plugins and agents made safe to show to people: it is data, never instructions to a terminal.

/// The most of one foreign text that a note or an error repeats, in characters.
const MAX_SHOWN: usize = 2000;

/// `text` with U+FFFD for what terminals obey and people cannot see: control characters but line feed and tab,
/// marks of writing direction, and invisible format and tag characters.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if is_plain(c) { c } else { '\u{fffd}' })
        .collect()
}

/// [`plain`] on one line, cut to a length that a person reads.
#[must_use]
pub fn line(text: &str) -> String {
    let mut short: String = text
        .chars()
        .take(MAX_SHOWN)
        .map(|c| match c {
            '\n' | '\t' => ' ',
            c if is_plain(c) => c,
            _ => '\u{fffd}',
        })
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        short.push('…');
    }
    short
}

/// `text` with a visible escape, such as `\u{202e}`, for what [`plain`] replaces: for questions, where what is hidden may
/// be what matters.
#[must_use]
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
        } else {
            shown.extend(c.escape_unicode());
        }
    }
    shown
}

fn is_plain(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator, Hangul fillers.
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => {
            false
        }
        // Zero widths, line and paragraph separators, embeddings, overrides, isolates, invisible operators.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => false,
        // Byte order mark, annotations, tags and variation selectors that carry hidden text.
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => false,
        c => !c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn l20_l35_nothing_that_a_terminal_obeys_or_an_eye_misses_is_left() {
        let hostile =
            "a\u{1b}]0;title\u{7}b\u{9b}31mc\u{202e}d\u{2066}e\u{200b}f\u{e0041}g\u{feff}h\r";
        let shown = plain(hostile);
        let left: String = shown.chars().filter(|c| *c != '\u{fffd}').collect();
        assert_eq!(left, "a]0;titleb31mcdefgh");
        assert_eq!(plain("Zürich 東京 \t ok\n"), "Zürich 東京 \t ok\n");
    }

    #[test]
    fn a_line_is_one_line_and_short() {
        assert_eq!(line("one\ntwo\tthree"), "one two three");
        let long = line(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), MAX_SHOWN + 1);
        assert!(long.ends_with('…'));
    }
}
