//! Text of a request, cut and escaped for log lines and audit records: a request must not choose their size or lines.

use std::fmt::{self, Write as _};

/// The most characters of a request's text that a log line or a record repeats.
pub const MAX_CHARACTERS: usize = 128;

/// Shows at most [`MAX_CHARACTERS`] of a text, everything but printable ASCII escaped.
#[derive(Clone, Copy, Debug)]
pub struct RequestText<'a>(pub &'a str);

impl fmt::Display for RequestText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = MAX_CHARACTERS;
        for character in self.0.chars() {
            let shown = character.escape_default();
            // Quotes are no danger here, and `\'` would be hard to read.
            let is_plain = character == '\'' || character == '"';
            let length = if is_plain { 1 } else { shown.len() };
            let Some(rest) = left.checked_sub(length) else { return f.write_char('…') };
            left = rest;
            if is_plain { f.write_char(character)? } else { write!(f, "{shown}")? }
        }
        Ok(())
    }
}

/// Whether a reader sees the character, and sees it where it is: no control, no change of direction, no zero width.
pub fn is_visible(character: char) -> bool {
    use icu_properties::props::{DefaultIgnorableCodePoint, GeneralCategory, GeneralCategoryGroup};
    let hidden = GeneralCategoryGroup::Other
        .union(GeneralCategoryGroup::LineSeparator)
        .union(GeneralCategoryGroup::ParagraphSeparator);
    let category = icu_properties::CodePointMapData::<GeneralCategory>::new().get(character);
    let ignorable = icu_properties::CodePointSetData::new::<DefaultIgnorableCodePoint>();
    !hidden.contains(category) && !ignorable.contains(character)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_request_says_is_cut_and_cannot_begin_a_line_or_reverse_one() {
        let shown = |text: &str| RequestText(text).to_string();
        assert_eq!(shown("/v1/keys?a=\"b'c\""), "/v1/keys?a=\"b'c\"");
        assert_eq!(shown("a\r\n2026 ERROR b\u{1b}[31m"), "a\\r\\n2026 ERROR b\\u{1b}[31m");
        assert_eq!(shown("\u{202e}x\u{200b}ä"), "\\u{202e}x\\u{200b}\\u{e4}");
        let long = shown(&"x".repeat(15_000));
        assert_eq!(long, format!("{}…", "x".repeat(MAX_CHARACTERS)));
        assert!(shown(&"\u{202e}".repeat(15_000)).chars().count() <= MAX_CHARACTERS + 1);
        assert_eq!(shown(&"y".repeat(MAX_CHARACTERS)), "y".repeat(MAX_CHARACTERS));
    }

    #[test]
    fn a_reason_shows_what_it_holds() {
        assert!("quarterly – Schlüssel 鍵 №1 ✓".chars().all(is_visible));
        for hidden in [
            '\0',
            '\n',
            '\u{7f}',
            '\u{85}',
            '\u{ad}',
            '\u{34f}',
            '\u{61c}',
            '\u{115f}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{200f}',
            '\u{2028}',
            '\u{2029}',
            '\u{202a}',
            '\u{202e}',
            '\u{2060}',
            '\u{2066}',
            '\u{2069}',
            '\u{3164}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{e0041}',
            '\u{e000}',
            '\u{378}',
        ] {
            assert!(!is_visible(hidden), "{:x}", u32::from(hidden));
        }
    }
}
