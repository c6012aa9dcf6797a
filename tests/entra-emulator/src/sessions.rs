//! Who is signed in at the emulator itself, per browser.

use std::collections::HashMap;

use uuid::Uuid;

use crate::random;

/// The cookie's name. Ports do not separate cookies, so it must not clash with an application's.
pub(crate) const COOKIE: &str = "emulator-session";
/// More sessions than this are forgotten at once: load tests sign in without cookies.
const LIMIT: usize = 50_000;

/// One account that is signed in within a browser.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) persona: Uuid,
    /// Session id, as it stands in the `sid` claim.
    pub(crate) sid: Uuid,
    /// Seconds since the epoch.
    pub(crate) auth_time: i64,
    pub(crate) stepped_up: bool,
}

/// All browsers' sessions.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    by_cookie: HashMap<String, Vec<Account>>,
}

impl Sessions {
    /// The accounts of the browser that sent `cookie`.
    pub(crate) fn accounts(&self, cookie: Option<&str>) -> Vec<Account> {
        cookie.and_then(|cookie| self.by_cookie.get(cookie)).cloned().unwrap_or_default()
    }

    /// Adds or renews an account; returns the cookie, a new one unless the browser had one.
    pub(crate) fn sign_in(&mut self, cookie: Option<&str>, account: Account) -> String {
        if self.by_cookie.len() >= LIMIT {
            self.by_cookie.clear();
        }
        let known = cookie.filter(|cookie| self.by_cookie.contains_key(*cookie));
        let cookie = known.map_or_else(random::url_safe::<24>, str::to_owned);
        let accounts = self.by_cookie.entry(cookie.clone()).or_default();
        accounts.retain(|known| known.persona != account.persona);
        accounts.push(account);
        cookie
    }

    /// Takes out of a browser's session the accounts that `which` names; returns them.
    pub(crate) fn sign_out(&mut self, cookie: &str, which: impl Fn(&Account) -> bool) -> Vec<Account> {
        let Some(accounts) = self.by_cookie.get_mut(cookie) else { return Vec::new() };
        let (gone, kept): (Vec<Account>, Vec<Account>) = accounts.drain(..).partition(which);
        if kept.is_empty() {
            self.by_cookie.remove(cookie);
        } else {
            *accounts = kept;
        }
        gone
    }

    /// Ends a persona's sessions in all browsers.
    pub(crate) fn end_all(&mut self, persona: Uuid) {
        for accounts in self.by_cookie.values_mut() {
            accounts.retain(|account| account.persona != persona);
        }
    }
}
