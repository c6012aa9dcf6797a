//! How many rows strangers may cause.
//!
//! Whoever is not signed in can make requests that are refused, as many as they like, and the audit log is kept for a year.
//! So an hour has room for some of these rows; of what does not fit the log's line and the metric remain, and the next
//! row says how many there were.

use std::sync::{Mutex, PoisonError};

use chrono::{Duration, NaiveDateTime};
use store::models::NewAuditEvent;

/// Refused sign-ins of an hour that are recorded one by one: an outage fills it, so that it is seen in the log.
const SIGN_INS: u32 = 300;
/// Refused logout tokens: the first one of an hour stands for the others. A provider does not send bad ones.
const LOGOUT_TOKENS: u32 = 1;

/// The budgets of this instance.
#[derive(Debug)]
pub struct RowBudgets {
    /// `sign_in.failed` of browsers that nobody is signed in with.
    pub sign_ins: RowBudget,
    /// `sign_out.refused`.
    pub logout_tokens: RowBudget,
}

impl Default for RowBudgets {
    fn default() -> Self {
        Self { sign_ins: RowBudget::new(SIGN_INS), logout_tokens: RowBudget::new(LOGOUT_TOKENS) }
    }
}

/// Rows of one kind.
#[derive(Debug)]
pub struct RowBudget {
    an_hour: u32,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    since: NaiveDateTime,
    rows: u32,
    not_recorded: u64,
}

impl RowBudget {
    /// So many rows an hour.
    #[must_use]
    pub fn new(an_hour: u32) -> Self {
        Self { an_hour, spent: Mutex::default() }
    }

    /// `event`, if there is room for it now; with the number of those for which there was none before.
    #[must_use]
    pub fn admit(&self, mut event: NewAuditEvent, now: NaiveDateTime) -> Option<NewAuditEvent> {
        let mut spent = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        if now - spent.since >= Duration::hours(1) || now < spent.since {
            (spent.since, spent.rows) = (now, 0);
        }
        if spent.rows >= self.an_hour {
            spent.not_recorded += 1;
            return None;
        }
        spent.rows += 1;
        let not_recorded = std::mem::take(&mut spent.not_recorded);
        if not_recorded > 0 {
            event.detail.push(("not_recorded_before", not_recorded.to_string()));
        }
        Some(event)
    }
}
