//! Texts from elsewhere as they are kept and shown: without characters that nobody sees but that change what is seen.
//!
//! A name with a right-to-left override shows another name than it is, and takes the rest of its line along. What
//! scripts need stays, joiners above all, and nothing is normalised: names are compared as the directory writes them.

use serde_json::Value;

/// Control characters (among them NUL, which PostgreSQL refuses), what ends a line, and the characters with Unicode's
/// property `Bidi_Control` (UAX #9, section 2).
fn is_control(character: char) -> bool {
    let turns =
        matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character.is_control() || turns || matches!(character, '\u{2028}' | '\u{2029}')
}

/// `text` without these.
#[must_use]
pub fn plain(text: &str) -> String {
    text.chars().filter(|character| !is_control(*character)).collect()
}

/// Whether `text` is as [`plain`] leaves it.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.contains(is_control)
}

/// Every text in `value` without these; names of members stay.
pub(crate) fn plain_json(value: &mut Value) {
    match value {
        Value::String(text) if text.contains(is_control) => *text = plain(text),
        Value::Array(values) => values.iter_mut().for_each(plain_json),
        Value::Object(members) => members.values_mut().for_each(plain_json),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_turns_the_direction_or_ends_a_line_goes_and_what_scripts_need_stays() {
        for (given, kept) in [
            ("Megan\u{202e}nimda", "Megannimda"),
            ("\u{200f}a\u{200e}b\u{61c}c\u{2066}d\u{2069}e\u{202a}\u{202b}\u{202c}\u{202d}", "abcde"),
            ("a\0b\tc\r\nd\u{7f}\u{85}e\u{2028}\u{2029}f", "abcdef"),
            ("نوید\u{200c}الله", "نوید\u{200c}الله"),
            ("क्\u{200d}ष 👩\u{200d}💻", "क्\u{200d}ष 👩\u{200d}💻"),
            ("e\u{301}\u{e9} \u{fb01}\u{a0}İ", "e\u{301}\u{e9} \u{fb01}\u{a0}İ"),
        ] {
            assert_eq!(plain(given), kept);
            let mut value = serde_json::json!({ "list": [given, 1, { "in": given }] });
            plain_json(&mut value);
            assert_eq!(value, serde_json::json!({ "list": [kept, 1, { "in": kept }] }));
        }
    }
}
