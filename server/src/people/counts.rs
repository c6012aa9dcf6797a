//! Counts shown on pages, remembered for some seconds: counting every row at every view is what
//! makes user lists slow.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{NaiveDate, NaiveDateTime};
use store::models::UserFilter;

/// How old a count may be before it is taken anew.
const MAX_AGE: chrono::Duration = chrono::Duration::seconds(10);
/// How old a count may be that is shown while it is taken anew.
const SHOWN_FOR: chrono::Duration = chrono::Duration::minutes(10);
/// How many filters are remembered; beyond it the cache starts anew.
const MAX_ENTRIES: usize = 1000;

/// A count that is remembered; `None` within: too many to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remembered {
    /// At most ten seconds old.
    Fresh(Option<u64>),
    /// Older: the caller, and nobody else for the next ten seconds, takes it anew behind the page.
    Old(Option<u64>),
}

/// Remembers how many users fit a filter.
#[derive(Debug, Default)]
pub struct CountCache {
    entries: Mutex<HashMap<UserFilter, (NaiveDateTime, Option<u64>)>>,
    days: Mutex<HashMap<NaiveDate, (u64, u64)>>,
}

impl CountCache {
    /// The count for `filter` at `now`, if it is remembered and not too old to be shown.
    #[must_use]
    pub fn get(&self, filter: &UserFilter, now: NaiveDateTime) -> Option<Remembered> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, count) = entries.get_mut(filter)?;
        match now - *at {
            age if age <= MAX_AGE => Some(Remembered::Fresh(*count)),
            age if age <= SHOWN_FOR => {
                *at = now;
                Some(Remembered::Old(*count))
            }
            _ => None,
        }
    }

    /// Remembers a count taken at `now`.
    pub fn put(&self, filter: UserFilter, count: Option<u64>, now: NaiveDateTime) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= MAX_ENTRIES {
            entries.clear();
        }
        entries.insert(filter, (now, count));
    }

    /// Sign-ins of a day that is over, succeeded and failed, once they were counted.
    #[must_use]
    pub fn day(&self, day: NaiveDate) -> Option<(u64, u64)> {
        self.days.lock().unwrap_or_else(PoisonError::into_inner).get(&day).copied()
    }

    /// Remembers the sign-ins of a day that is over.
    pub fn put_day(&self, day: NaiveDate, counts: (u64, u64)) {
        let mut days = self.days.lock().unwrap_or_else(PoisonError::into_inner);
        if days.len() >= MAX_ENTRIES {
            days.clear();
        }
        days.insert(day, counts);
    }

    /// Forgets how many users there are: called when users changed here.
    pub fn clear(&self) {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_count_is_shown_while_one_caller_takes_it_anew() {
        let (cache, filter) = (CountCache::default(), UserFilter::default());
        let start = chrono::DateTime::UNIX_EPOCH.naive_utc();
        let at = |seconds| cache.get(&filter, start + chrono::Duration::seconds(seconds));
        assert_eq!(at(0), None);
        cache.put(filter.clone(), Some(7), start);
        assert_eq!(at(10), Some(Remembered::Fresh(Some(7))));
        assert_eq!(at(11), Some(Remembered::Old(Some(7))));
        assert_eq!(at(12), Some(Remembered::Fresh(Some(7))), "somebody is at it");
        assert_eq!(at(22), Some(Remembered::Old(Some(7))), "whoever was at it has failed");
        assert_eq!(at(22 + 601), None, "too old to be shown");
        cache.put(filter.clone(), None, start);
        assert_eq!(at(1), Some(Remembered::Fresh(None)));
        cache.clear();
        assert_eq!(at(1), None);
    }
}
