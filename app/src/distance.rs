//! The distance between two instants as words, for pages and for islands.

use chrono::{DateTime, Datelike as _, Utc};

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// The day for people: `24 Nov 2026`. Put together by hand: a list has hundreds of instants, and
/// the formatting machinery costs more than all else about them.
pub(crate) fn date(at: DateTime<Utc>) -> String {
    let month = MONTHS.get(at.month0() as usize).copied().unwrap_or_default();
    let mut text = String::with_capacity(32);
    text.push_str(&at.day().to_string());
    text.extend([" ", month, " "]);
    text.push_str(&at.year().to_string());
    text
}

/// The distance between two instants in words: `just now`, `5 minutes ago`, `in 2 hours`; a date
/// when it is more than 30 days.
pub(crate) fn relative(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = now.timestamp() - at.timestamp();
    match seconds.abs() {
        0..MINUTE if seconds >= 0 => "just now".to_owned(),
        0..MINUTE => "in a moment".to_owned(),
        distance if distance > 30 * DAY => date(at),
        distance => directed(&span(distance), seconds),
    }
}

fn directed(span: &str, seconds_ago: i64) -> String {
    if seconds_ago > 0 { format!("{span} ago") } else { format!("in {span}") }
}

fn span(seconds: i64) -> String {
    let (amount, unit) = match seconds {
        ..HOUR => (seconds / MINUTE, "minute"),
        HOUR..DAY => (seconds / HOUR, "hour"),
        _ => (seconds / DAY, "day"),
    };
    let plural = if amount == 1 { "" } else { "s" };
    format!("{amount} {unit}{plural}")
}

/// The same to the second when it is less than an hour to go: `in 12 min 05 s`.
pub(crate) fn countdown(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let seconds = at.timestamp() - now.timestamp();
    match seconds {
        1..MINUTE => format!("in {seconds} s"),
        MINUTE..HOUR => format!("in {} min {:02} s", seconds / MINUTE, seconds % MINUTE),
        _ => relative(at, now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        DateTime::parse_from_rfc3339(text).unwrap().to_utc()
    }

    #[test]
    fn relative_times_round_down_and_know_both_directions() {
        let now = at("2026-11-24T12:00:00Z");
        for (instant, words) in [
            ("2026-11-24T12:00:00Z", "just now"),
            ("2026-11-24T11:59:01Z", "just now"),
            ("2026-11-24T11:59:00Z", "1 minute ago"),
            ("2026-11-24T11:00:01Z", "59 minutes ago"),
            ("2026-11-24T11:00:00Z", "1 hour ago"),
            ("2026-11-23T12:00:01Z", "23 hours ago"),
            ("2026-11-23T12:00:00Z", "1 day ago"),
            ("2026-10-25T12:00:00Z", "30 days ago"),
            ("2026-10-24T12:00:00Z", "24 Oct 2026"),
            ("2026-11-24T12:00:30Z", "in a moment"),
            ("2026-11-24T12:05:00Z", "in 5 minutes"),
            ("2027-11-24T12:00:00Z", "24 Nov 2027"),
        ] {
            assert_eq!(relative(at(instant), now), words, "{instant}");
        }
    }

    #[test]
    fn the_last_hour_is_counted_down_by_the_second() {
        let now = at("2026-11-24T12:00:00Z");
        for (instant, words) in [
            ("2026-11-24T13:00:00Z", "in 1 hour"),
            ("2026-11-24T12:59:59Z", "in 59 min 59 s"),
            ("2026-11-24T12:01:05Z", "in 1 min 05 s"),
            ("2026-11-24T12:00:59Z", "in 59 s"),
            ("2026-11-24T12:00:01Z", "in 1 s"),
            ("2026-11-24T12:00:00Z", "just now"),
            ("2026-11-24T11:58:00Z", "2 minutes ago"),
        ] {
            assert_eq!(countdown(at(instant), now), words, "{instant}");
        }
    }
}
