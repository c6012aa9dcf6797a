//! Values as words: instants, counts, initials.

use chrono::{DateTime, Timelike as _, Utc};

pub(crate) use crate::distance::{date, relative};

/// Reads an RFC 3339 instant; `None` for an empty or malformed one.
pub(crate) fn instant(text: &str) -> Option<DateTime<Utc>> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc())
}

/// The exact instant for people: `24 Nov 2026, 22:48:38 UTC`.
pub(crate) fn exact(at: DateTime<Utc>) -> String {
    let mut text = date(at);
    for (separator, number) in [(", ", at.hour()), (":", at.minute()), (":", at.second())] {
        text.push_str(separator);
        text.extend([number / 10, number % 10].into_iter().filter_map(|digit| char::from_digit(digit, 10)));
    }
    text.push_str(" UTC");
    text
}

/// A number with its noun: `1 user`, `1,234 users`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(number), if number == 1 { one } else { many })
}

/// A number with separators: `1,234,567`.
pub(crate) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Up to two letters that stand for a person without a photo: `Ada Lovelace` and
/// `ada.lovelace@contoso.example` are `AL`; `?` when there is no letter at all.
pub(crate) fn initials(name: &str) -> String {
    let local_part = name.split('@').next().unwrap_or(name);
    let mut letters = local_part
        .split(|c: char| c.is_whitespace() || matches!(c, '.' | '_' | '-' | ','))
        .filter_map(|word| word.chars().next().filter(|c| c.is_alphanumeric()));
    let first = letters.next();
    let text: String = first.into_iter().chain(letters.next_back()).flat_map(char::to_uppercase).collect();
    if text.is_empty() { "?".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        instant(text).unwrap()
    }

    #[test]
    fn instants_are_rfc_3339_in_any_zone() {
        assert_eq!(exact(at("2026-11-24T22:48:38Z")), "24 Nov 2026, 22:48:38 UTC");
        assert_eq!(exact(at("2026-01-01T00:30:00.123+02:00")), "31 Dec 2025, 22:30:00 UTC");
        for malformed in ["", "yesterday", "2026-11-24", "2026-13-01T00:00:00Z"] {
            assert_eq!(instant(malformed), None, "{malformed}");
        }
    }

    #[test]
    fn counts_have_separators_and_the_right_noun() {
        assert_eq!(count(0, "user", "users"), "0 users");
        assert_eq!(count(1, "user", "users"), "1 user");
        assert_eq!(count(999, "user", "users"), "999 users");
        assert_eq!(count(1_000, "user", "users"), "1,000 users");
        assert_eq!(thousands(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn initials_come_from_names_and_upns_in_any_script() {
        for (name, letters) in [
            ("Ada Lovelace", "AL"),
            ("Ada King Noel Lovelace", "AL"),
            ("ada.lovelace@contoso.example", "AL"),
            ("ada", "A"),
            ("Lovelace, Ada", "LA"),
            ("Łukasz Żak", "ŁŻ"),
            ("山田 太郎", "山太"),
            ("ßeta", "SS"),
            ("Ada (HR)", "A"),
            ("  ", "?"),
            ("", "?"),
            ("@contoso.example", "?"),
            ("<b>", "?"),
        ] {
            assert_eq!(initials(name), letters, "{name}");
        }
    }
}
