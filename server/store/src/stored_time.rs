//! Timestamps as they are read. Diesel tries formats that chrono interprets, at some thousand instructions each; a list
//! has hundreds. What SQLite holds is always written by Diesel in one format, which is read by hand.

use chrono::NaiveDateTime;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::sql_types::{Nullable, Timestamp};

use super::Backend;

/// A timestamp of a row, for `#[diesel(deserialize_as = StoredTime)]`.
#[derive(Clone, Copy, Debug, FromSqlRow)]
pub struct StoredTime(NaiveDateTime);

impl From<StoredTime> for NaiveDateTime {
    fn from(time: StoredTime) -> Self {
        time.0
    }
}

impl FromSql<Timestamp, Backend> for StoredTime {
    #[cfg(feature = "sqlite")]
    fn from_sql(mut value: diesel::sqlite::SqliteValue<'_, '_, '_>) -> deserialize::Result<Self> {
        match text::read(value.read_text()) {
            Some(time) => Ok(Self(time)),
            None => FromSql::<Timestamp, Backend>::from_sql(value).map(Self),
        }
    }

    #[cfg(feature = "postgres")]
    fn from_sql(value: diesel::pg::PgValue<'_>) -> deserialize::Result<Self> {
        FromSql::<Timestamp, Backend>::from_sql(value).map(Self)
    }
}

/// As [`StoredTime`], for a column that may be empty.
#[derive(Clone, Copy, Debug, FromSqlRow)]
pub struct StoredTimeOrNull(Option<NaiveDateTime>);

impl From<StoredTimeOrNull> for Option<NaiveDateTime> {
    fn from(time: StoredTimeOrNull) -> Self {
        time.0
    }
}

impl FromSql<Nullable<Timestamp>, Backend> for StoredTimeOrNull {
    fn from_sql(value: <Backend as diesel::backend::Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        StoredTime::from_sql(value).map(|time| Self(Some(time.0)))
    }

    fn from_nullable_sql(
        value: Option<<Backend as diesel::backend::Backend>::RawValue<'_>>,
    ) -> deserialize::Result<Self> {
        value.map_or(Ok(Self(None)), Self::from_sql)
    }
}

#[cfg(feature = "sqlite")]
mod text {
    use chrono::{NaiveDate, NaiveDateTime};

    /// Reads `2026-11-24 22:48:38`, with up to nine digits of a fraction; `None` for any other format.
    pub(super) fn read(text: &str) -> Option<NaiveDateTime> {
        let (whole, fraction) = text.split_at_checked(19)?;
        let &[y3, y2, y1, y0, b'-', m1, m0, b'-', d1, d0, b' ', h1, h0, b':', i1, i0, b':', s1, s0] = whole.as_bytes()
        else {
            return None;
        };
        let year = i32::try_from(number(&[y3, y2, y1, y0])?).ok()?;
        let day = NaiveDate::from_ymd_opt(year, number(&[m1, m0])?, number(&[d1, d0])?)?;
        day.and_hms_nano_opt(number(&[h1, h0])?, number(&[i1, i0])?, number(&[s1, s0])?, nanoseconds(fraction)?)
    }

    /// Of `.123`, or of nothing.
    fn nanoseconds(fraction: &str) -> Option<u32> {
        let Some(digits) = fraction.strip_prefix('.') else {
            return fraction.is_empty().then_some(0);
        };
        let missing = 9_u32.checked_sub(u32::try_from(digits.len()).ok()?)?;
        (missing < 9).then_some(())?;
        Some(number(digits.as_bytes())? * 10_u32.pow(missing))
    }

    /// Of at most nine digits.
    fn number(digits: &[u8]) -> Option<u32> {
        digits.iter().try_fold(0, |number, digit| {
            let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
            Some(number * 10 + digit)
        })
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn what_diesel_writes_is_read() {
            for text in [
                "2026-11-24 22:48:38",
                "2026-11-24 22:48:38.5",
                "2026-11-24 22:48:38.123456",
                "1970-01-01 00:00:00.000000001",
                "9999-12-31 23:59:59.999999999",
            ] {
                let expected = NaiveDateTime::parse_from_str(text, "%F %T%.f").expect("a time");
                assert_eq!(read(text), Some(expected), "{text}");
            }
        }

        #[test]
        fn everything_else_is_left_to_diesel() {
            for text in [
                "",
                "2026-11-24",
                "2026-11-24T22:48:38",
                "2026-11-24 22:48:38Z",
                "2026-11-24 22:48:38.",
                "2026-11-24 22:48:38.1234567890",
                "2026-11-24 22:48:38.12a",
                "2026-13-24 22:48:38",
                "2026-11-24 24:48:38",
                "+026-11-24 22:48:38",
                "2026-11-24 22:48:3é",
            ] {
                assert_eq!(read(text), None, "{text}");
            }
        }
    }
}
