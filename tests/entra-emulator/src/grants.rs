//! What has been issued: authorization codes, refresh tokens, access tokens, and what becomes of them.

use std::collections::{HashMap, HashSet, VecDeque};

use uuid::Uuid;

use crate::random;
use crate::scopes::{Resource, Scopes};

/// How long an authorization code is good, in seconds.
const CODE_LIFETIME: i64 = 600;
/// How long an unused refresh token is good, in seconds: 90 days.
const REFRESH_LIFETIME: i64 = 90 * 24 * 3600;
/// How many tokens of one family are remembered. Entra keeps them all; here a day of refreshing
/// every few seconds must not fill the memory.
const FAMILY_SIZE: usize = 16;
/// The stores are swept of what has expired each time they have grown by this many entries.
const SWEEP_EVERY: usize = 10_000;

/// Who signed in, when and how; shared by everything that one sign-in yields.
#[derive(Clone, Debug)]
pub(crate) struct SignIn {
    pub(crate) persona: Uuid,
    pub(crate) sid: Uuid,
    /// Seconds since the epoch.
    pub(crate) auth_time: i64,
    /// Whether a claims challenge or a second factor was met.
    pub(crate) stepped_up: bool,
    /// The `claims` parameter of the request, if any.
    pub(crate) claims: Option<String>,
}

/// An authorization code's meaning.
#[derive(Clone, Debug)]
pub(crate) struct Code {
    pub(crate) sign_in: SignIn,
    /// The tenant segment of the URL at which it was asked for.
    pub(crate) tenant: String,
    pub(crate) redirect_uri: String,
    /// S256 challenge or plain one, with the method.
    pub(crate) challenge: Option<(String, ChallengeMethod)>,
    pub(crate) nonce: Option<String>,
    pub(crate) scopes: Scopes,
    expires: i64,
    redeemed: bool,
}

/// How a PKCE challenge is derived (RFC 7636 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChallengeMethod {
    S256,
    Plain,
}

/// A refresh token's meaning.
#[derive(Clone, Debug)]
pub(crate) struct Refresh {
    pub(crate) sign_in: SignIn,
    pub(crate) scopes: Scopes,
    /// All refresh tokens that descend from one code.
    pub(crate) family: u64,
    issued: i64,
    used: bool,
}

/// An access token's meaning.
#[derive(Clone, Debug)]
pub(crate) struct Access {
    /// `None` for a token of the application itself (client credentials).
    pub(crate) sign_in: Option<SignIn>,
    pub(crate) tenant_id: Uuid,
    pub(crate) resource: Resource,
    /// Delegated permissions, or app roles for client credentials.
    pub(crate) permissions: Vec<String>,
    pub(crate) expires: i64,
}

/// Whether a refresh token survives its use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefreshRotation {
    /// As at Entra: a new token with each use, the old one stays good.
    #[default]
    Entra,
    /// The old one is dead, and its reuse kills the whole family (RFC 9700 section 4.14.2).
    Strict,
}

/// All grants of one emulator.
#[derive(Debug, Default)]
pub(crate) struct Grants {
    codes: HashMap<String, Code>,
    refresh: HashMap<String, Refresh>,
    access: HashMap<String, Access>,
    /// Number of the latest family of refresh tokens; each sign-in begins one.
    latest_family: u64,
    /// The tokens of each family, oldest first.
    families: HashMap<u64, VecDeque<String>>,
    /// Per persona, the latest family that was revoked.
    revoked_up_to: HashMap<Uuid, u64>,
    dead_families: HashSet<u64>,
    swept_size: usize,
}

/// A new code's contents.
pub(crate) struct NewCode {
    pub(crate) sign_in: SignIn,
    pub(crate) tenant: String,
    pub(crate) redirect_uri: String,
    pub(crate) challenge: Option<(String, ChallengeMethod)>,
    pub(crate) nonce: Option<String>,
    pub(crate) scopes: Scopes,
}

impl Grants {
    /// Keeps a code; returns it.
    pub(crate) fn issue_code(&mut self, new: NewCode, now: i64) -> String {
        self.sweep(now);
        let code = format!("1.AXoA{}", random::url_safe::<64>());
        let meaning = Code {
            sign_in: new.sign_in,
            tenant: new.tenant,
            redirect_uri: new.redirect_uri,
            challenge: new.challenge,
            nonce: new.nonce,
            scopes: new.scopes,
            expires: now + CODE_LIFETIME,
            redeemed: false,
        };
        self.codes.insert(code.clone(), meaning);
        code
    }

    /// Looks a code up without using it.
    ///
    /// # Errors
    /// The AADSTS code: 70000 unknown, 54005 redeemed before, 70008 expired.
    pub(crate) fn code(&self, code: &str, now: i64) -> Result<Code, u32> {
        match self.codes.get(code) {
            None => Err(70000),
            Some(meaning) if meaning.redeemed => Err(54005),
            Some(meaning) if meaning.expires <= now => Err(70008),
            Some(meaning) => Ok(meaning.clone()),
        }
    }

    /// Marks a code as used; `false` if someone else was faster.
    pub(crate) fn redeem(&mut self, code: &str) -> bool {
        let meaning = self.codes.get_mut(code);
        meaning.is_some_and(|meaning| !std::mem::replace(&mut meaning.redeemed, true))
    }

    /// Begins a family of refresh tokens.
    pub(crate) fn new_family(&mut self) -> u64 {
        self.latest_family += 1;
        self.latest_family
    }

    /// Keeps a refresh token; returns it.
    pub(crate) fn issue_refresh(&mut self, sign_in: SignIn, scopes: Scopes, family: u64, now: i64) -> String {
        let token = format!("1.AXoA{}", random::url_safe::<96>());
        let meaning = Refresh { sign_in, scopes, family, issued: now, used: false };
        self.refresh.insert(token.clone(), meaning);
        let tokens = self.families.entry(family).or_default();
        tokens.push_back(token.clone());
        if tokens.len() > FAMILY_SIZE {
            let oldest = tokens.pop_front();
            oldest.and_then(|oldest| self.refresh.remove(&oldest));
        }
        token
    }

    /// What a refresh token stands for, if it is good. Under strict rotation a used one kills its family.
    ///
    /// # Errors
    /// The AADSTS code: 70000 unknown, used or of a dead family, 700082 idle for 90 days,
    /// 50173 revoked.
    pub(crate) fn refresh(&mut self, token: &str, rotation: RefreshRotation, now: i64) -> Result<Refresh, u32> {
        let meaning = self.refresh.get(token).ok_or(70000_u32)?;
        if rotation == RefreshRotation::Strict && meaning.used {
            self.dead_families.insert(meaning.family);
        }
        if self.dead_families.contains(&meaning.family) {
            return Err(70000);
        }
        if meaning.issued + REFRESH_LIFETIME <= now {
            return Err(700082);
        }
        let revoked = self.revoked_up_to.get(&meaning.sign_in.persona);
        if revoked.is_some_and(|latest| meaning.family <= *latest) {
            return Err(50173);
        }
        Ok(meaning.clone())
    }

    /// Marks a refresh token as used. Under strict rotation only the first use counts; the second
    /// kills the family.
    ///
    /// # Errors
    /// AADSTS70000 for such a second use.
    pub(crate) fn use_refresh(&mut self, token: &str, rotation: RefreshRotation) -> Result<(), u32> {
        let meaning = self.refresh.get_mut(token).ok_or(70000_u32)?;
        let used_before = std::mem::replace(&mut meaning.used, true);
        if rotation == RefreshRotation::Strict && used_before {
            self.dead_families.insert(meaning.family);
            return Err(70000);
        }
        Ok(())
    }

    /// Revokes the refresh tokens of all of a persona's sign-ins so far.
    pub(crate) fn revoke(&mut self, persona: Uuid) {
        self.revoked_up_to.insert(persona, self.latest_family);
    }

    /// Takes a persona's access tokens back; Graph answers 401 from now on.
    pub(crate) fn revoke_access(&mut self, persona: Uuid) {
        self.access.retain(|_, access| access.sign_in.as_ref().is_none_or(|sign_in| sign_in.persona != persona));
    }

    /// Keeps an access token's meaning.
    pub(crate) fn keep_access(&mut self, token: String, access: Access, now: i64) {
        self.sweep(now);
        self.access.insert(token, access);
    }

    /// An access token's meaning, also after it expired.
    pub(crate) fn access(&self, token: &str) -> Option<Access> {
        self.access.get(token).cloned()
    }

    /// How many codes, refresh tokens and access tokens are kept.
    pub(crate) fn sizes(&self) -> (usize, usize, usize) {
        (self.codes.len(), self.refresh.len(), self.access.len())
    }

    /// Forgets what has expired, so that a load test of a day does not fill the memory.
    fn sweep(&mut self, now: i64) {
        let size = self.codes.len() + self.refresh.len() + self.access.len();
        if size < self.swept_size + SWEEP_EVERY {
            return;
        }
        self.codes.retain(|_, code| code.expires > now);
        self.access.retain(|_, access| access.expires > now);
        self.refresh.retain(|_, refresh| refresh.issued + REFRESH_LIFETIME > now);
        self.families.retain(|_, tokens| tokens.iter().any(|token| self.refresh.contains_key(token)));
        self.swept_size = self.codes.len() + self.refresh.len() + self.access.len();
    }
}
