//! Counts shown on pages, remembered for some seconds: counting every row at every view is what
//! makes user lists slow.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use chrono::{NaiveDate, NaiveDateTime};

use crate::models::UserFilter;

/// How old a count may be.
const MAX_AGE: chrono::Duration = chrono::Duration::seconds(10);
/// How many filters are remembered; beyond it the cache starts anew.
const MAX_ENTRIES: usize = 1000;

/// Remembers how many users fit a filter.
#[derive(Debug, Default)]
pub struct CountCache {
    entries: Mutex<HashMap<UserFilter, (NaiveDateTime, Option<u64>)>>,
    days: Mutex<HashMap<NaiveDate, (u64, u64)>>,
}

impl CountCache {
    /// The count for `filter` (`None` within: too many to count), if it is at most ten seconds old at `now`.
    #[must_use]
    pub fn get(&self, filter: &UserFilter, now: NaiveDateTime) -> Option<Option<u64>> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, count) = entries.get(filter)?;
        (now - *at <= MAX_AGE).then_some(*count)
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
