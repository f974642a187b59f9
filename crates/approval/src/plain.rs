//! Text from plugins and agents made safe to show to people: it is data, never instructions to a terminal.

use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory};
use icu_properties::{CodePointMapData, CodePointSetData};

/// The most of one foreign text that a note or an error repeats, in characters.
const MAX_SHOWN: usize = 2000;

/// `text` with U+FFFD for what terminals obey and people cannot see: control characters but line feed and tab, and what
/// Unicode calls format characters, ignorable by default (variation selectors and tags among them) or separators other
/// than the space.
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
        .map(|c| if is_plain(c) { flat(c) } else { '\u{fffd}' })
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

/// [`visible`] on one line, cut to a length that a person reads; and whether anything in all of it was replaced.
#[must_use]
pub fn evident(text: &str) -> (String, bool) {
    let mut short: String = text.chars().take(MAX_SHOWN).map(flat).collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        short.push('…');
    }
    (visible(&short), !text.chars().all(is_plain))
}

/// What would begin another line, or look like it, is a space.
const fn flat(c: char) -> char {
    match c {
        '\n' | '\t' => ' ',
        c => c,
    }
}

fn is_plain(c: char) -> bool {
    match c {
        '\n' | '\t' => true,
        ' '..='~' => true,
        // An empty pattern of dots is a symbol to Unicode, and a blank to whoever looks.
        '\u{2800}' => false,
        c => {
            use GeneralCategory as Category;
            let nothing = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
            let category = CodePointMapData::<Category>::new().get(c);
            let unseen = matches!(
                category,
                Category::Control
                    | Category::Format
                    | Category::LineSeparator
                    | Category::ParagraphSeparator
                    | Category::SpaceSeparator
            );
            !nothing && !unseen
        }
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
    fn l20_l35_unicode_itself_says_what_an_eye_misses() {
        // Other tables of the same standard than those that are used above.
        let unseen = r"[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Zs}\p{Default_Ignorable_Code_Point}\p{Variation_Selector}\u2800--[\n\t ]]";
        let parsed = regex_syntax::parse(unseen).unwrap();
        let regex_syntax::hir::HirKind::Class(regex_syntax::hir::Class::Unicode(class)) =
            parsed.kind()
        else {
            panic!("{parsed:?}");
        };
        let unseen = |c: char| {
            class
                .iter()
                .any(|range| (range.start()..=range.end()).contains(&c))
        };
        for c in '\0'..=char::MAX {
            assert_eq!(is_plain(c), !unseen(c), "U+{:04X}", u32::from(c));
        }
        for c in [
            '\u{fe0f}',
            '\u{34f}',
            '\u{17b4}',
            '\u{180b}',
            '\u{1d173}',
            '\u{2800}',
        ] {
            assert_eq!(
                evident(&format!("a{c}b")),
                (format!("a{}b", c.escape_unicode()), true)
            );
        }
        assert_eq!(evident("a\nb"), ("a b".to_owned(), false));
        let late = evident(&format!("{}\u{200b}", "x".repeat(MAX_SHOWN)));
        assert!(late.1, "also what is cut off is told");
    }

    #[test]
    fn a_line_is_one_line_and_short() {
        assert_eq!(line("one\ntwo\tthree"), "one two three");
        let long = line(&"x".repeat(10_000));
        assert_eq!(long.chars().count(), MAX_SHOWN + 1);
        assert!(long.ends_with('…'));
    }
}
