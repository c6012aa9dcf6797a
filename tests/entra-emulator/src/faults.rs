//! Faults and edits: how the emulator misbehaves on demand.
//!
//! A [`Fault`] changes how an endpoint answers (status, silence, half a body); an edit changes
//! what a genuine answer says: [`JsonEdit`] for any JSON answer, [`TokenEdit`] for a token before
//! it is signed, [`AuthorizationEdit`] for the parameters of an authorization response. Each is
//! either standing or for the next few times. Of faults the first rule that fits is used; of edits
//! all are, in the order in which they were set.

use std::fmt;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::endpoint::Endpoint;
use crate::jwt::{Draft, Signing};
use crate::sync::lock;

/// How an endpoint answers instead of, or on top of, its genuine answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fault {
    /// This answer in place of the genuine one.
    Respond {
        /// HTTP status.
        status: u16,
        /// Headers, e.g. `Retry-After`, `Content-Type`, `Location`, `WWW-Authenticate`.
        #[serde(default)]
        headers: Vec<(String, String)>,
        /// Body text.
        #[serde(default)]
        body: String,
    },
    /// The error that Entra answers for this AADSTS code: a page, a redirect or JSON by endpoint.
    Aadsts {
        /// The number after `AADSTS`.
        code: u32,
        /// A claims challenge to send along.
        #[serde(default)]
        claims: Option<String>,
    },
    /// An endless body of spaces, cut at `megabytes`, under `application/json`.
    Huge {
        /// Size of the body.
        megabytes: usize,
    },
    /// A small `Content-Encoding: gzip` body that unpacks to `megabytes` of spaces.
    GzipBomb {
        /// Unpacked size.
        megabytes: usize,
    },
    /// No answer until [`crate::Control::release`], then the genuine one.
    Hang,
    /// The genuine answer, late.
    Delay {
        /// By how much.
        milliseconds: u64,
    },
    /// The genuine body byte by byte.
    Drip {
        /// Pause before each byte.
        milliseconds: u64,
    },
    /// Half of the genuine body, framed as if it were whole.
    Truncate,
    /// Half of the genuine body, then the connection is closed.
    ResetMidBody,
    /// The connection is closed without an answer; nothing is done.
    Close,
    /// The work is done, but the connection is closed without an answer.
    LoseAnswer,
    /// The genuine answer with these headers replaced (an empty value removes one).
    Headers {
        /// Names and values.
        headers: Vec<(String, String)>,
    },
}

impl Fault {
    /// Status and body without further headers.
    #[must_use]
    pub fn respond(status: u16, body: &str) -> Self {
        Self::Respond { status, headers: Vec::new(), body: body.to_owned() }
    }

    /// A status with `Retry-After` (seconds or an HTTP date).
    #[must_use]
    pub fn retry_after(status: u16, value: &str) -> Self {
        Self::Respond { status, headers: vec![("Retry-After".to_owned(), value.to_owned())], body: String::new() }
    }

    /// 200 with an HTML page, as a captive portal would answer.
    #[must_use]
    pub fn html() -> Self {
        Self::Respond {
            status: 200,
            headers: vec![("Content-Type".to_owned(), "text/html; charset=utf-8".to_owned())],
            body: "<!doctype html><title>Sign in to the network</title>".to_owned(),
        }
    }

    /// 302 to `location`.
    #[must_use]
    pub fn redirect(location: &str) -> Self {
        Self::Respond { status: 302, headers: vec![("Location".to_owned(), location.to_owned())], body: String::new() }
    }

    /// Entra's error for an AADSTS code.
    #[must_use]
    pub fn aadsts(code: u32) -> Self {
        Self::Aadsts { code, claims: None }
    }
}

/// How often a rule applies: `None` until it is cleared, else that many times.
pub type Times = Option<u32>;

/// Something that applies to the next few occasions or to all.
#[derive(Clone)]
struct Rule<K, T> {
    key: K,
    what: T,
    left: Times,
}

/// Takes the first rule that fits `key`, counting it down.
fn take_first<K: PartialEq, T: Clone>(rules: &mut Vec<Rule<K, T>>, key: &K) -> Option<T> {
    let position = rules.iter().position(|rule| rule.key == *key)?;
    let rule = rules.get_mut(position)?;
    let what = rule.what.clone();
    rule.left = rule.left.map(|left| left.saturating_sub(1));
    if rule.left == Some(0) {
        rules.remove(position);
    }
    Some(what)
}

/// Takes all rules that fit `key`, counting each down.
fn take_all<K: PartialEq, T: Clone>(rules: &mut Vec<Rule<K, T>>, key: &K) -> Vec<T> {
    let mut taken = Vec::new();
    rules.retain_mut(|rule| {
        if rule.key != *key {
            return true;
        }
        taken.push(rule.what.clone());
        rule.left = rule.left.map(|left| left.saturating_sub(1));
        rule.left != Some(0)
    });
    taken
}

/// An edit of a JSON answer.
#[derive(Clone)]
pub enum JsonEdit {
    /// RFC 7396: members replace, objects merge, `null` removes.
    Merge(Value),
    /// Anything else.
    With(Arc<dyn Fn(&mut Value) + Send + Sync>),
}

impl JsonEdit {
    pub(crate) fn apply(&self, value: &mut Value) {
        match self {
            Self::Merge(patch) => merge(value, patch),
            Self::With(edit) => edit(value),
        }
    }
}

/// RFC 7396 JSON Merge Patch: members replace, objects merge, `null` removes.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Some(members) = target.as_object_mut() {
        for (name, value) in patch {
            if value.is_null() {
                members.remove(name);
            } else {
                merge(members.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Which tokens an edit is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenKind {
    /// ID tokens.
    #[default]
    Id,
    /// Access tokens for the application's own API.
    Access,
}

/// The type of [`TokenEdit::with`]: header and claims, to be changed in place.
pub type TokenEditor = Arc<dyn Fn(&mut Value, &mut Value) + Send + Sync>;

/// An edit of a token before it is signed.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TokenEdit {
    /// Merged into the header (RFC 7396); set `kid` or `alg` here to replace what signing puts in.
    pub header: Map<String, Value>,
    /// Header members to leave out, also `kid`.
    pub without_header: Vec<String>,
    /// Merged into the claims (RFC 7396): `null` removes a claim.
    pub claims: Map<String, Value>,
    /// Set as they are, `null` included, and not merged.
    pub set_claims: Map<String, Value>,
    /// Appended to claims that are text, e.g. `{"iss": "1"}`; added to claims that are numbers.
    pub add: Map<String, Value>,
    /// JSON text in place of the claims, e.g. with a name twice.
    pub raw_claims: Option<String>,
    /// How the token is signed.
    pub signing: Option<Signing>,
    /// Text after the signature.
    pub suffix: String,
    /// The token as a JWS in the flattened JSON serialisation (RFC 7515 section 7.2.2).
    pub json_serialisation: bool,
    /// This text in place of the token, e.g. a JWE.
    pub replace: Option<String>,
    /// In-process only: any other change.
    #[serde(skip)]
    pub with: Option<TokenEditor>,
}

impl TokenEdit {
    /// An edit of the claims by merge patch.
    #[must_use]
    pub fn claims(patch: Value) -> Self {
        Self { claims: members(patch), ..Self::default() }
    }

    /// An edit of the header by merge patch.
    #[must_use]
    pub fn header(patch: Value) -> Self {
        Self { header: members(patch), ..Self::default() }
    }

    /// Another signature.
    #[must_use]
    pub fn signing(signing: Signing) -> Self {
        Self { signing: Some(signing), ..Self::default() }
    }

    /// Any change of header and claims.
    #[must_use]
    pub fn with(edit: impl Fn(&mut Value, &mut Value) + Send + Sync + 'static) -> Self {
        Self { with: Some(Arc::new(edit)), ..Self::default() }
    }

    pub(crate) fn apply(&self, draft: &mut Draft) {
        merge(&mut draft.header, &Value::Object(self.header.clone()));
        if let Some(header) = draft.header.as_object_mut() {
            header.extend(self.without_header.iter().map(|name| (name.clone(), Value::Null)));
        }
        merge(&mut draft.claims, &Value::Object(self.claims.clone()));
        if let Some(claims) = draft.claims.as_object_mut() {
            claims.extend(self.set_claims.clone());
            add_to_claims(claims, &self.add);
        }
        if let Some(edit) = &self.with {
            edit(&mut draft.header, &mut draft.claims);
        }
        draft.raw_claims.clone_from(&self.raw_claims);
        draft.signing = self.signing.unwrap_or(draft.signing);
    }

    /// Changes the finished compact token.
    pub(crate) fn finish(&self, token: String) -> String {
        if let Some(replacement) = &self.replace {
            return replacement.clone();
        }
        let token = if self.json_serialisation { flattened(&token) } else { token };
        token + &self.suffix
    }
}

impl fmt::Debug for TokenEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEdit")
            .field("header", &self.header)
            .field("claims", &self.claims)
            .field("set_claims", &self.set_claims)
            .field("signing", &self.signing)
            .finish_non_exhaustive()
    }
}

fn members(patch: Value) -> Map<String, Value> {
    match patch {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

fn add_to_claims(claims: &mut Map<String, Value>, additions: &Map<String, Value>) {
    for (name, addition) in additions {
        let Some(claim) = claims.get_mut(name) else { continue };
        if let (Some(text), Some(more)) = (claim.as_str(), addition.as_str()) {
            *claim = format!("{text}{more}").into();
        } else if let (Some(number), Some(more)) = (claim.as_i64(), addition.as_i64()) {
            *claim = number.saturating_add(more).into();
        }
    }
}

fn flattened(token: &str) -> String {
    let mut parts = token.split('.');
    let mut next = || parts.next().unwrap_or_default();
    serde_json::json!({ "protected": next(), "payload": next(), "signature": next() }).to_string()
}

/// The type of [`AuthorizationEdit::with`]: the parameters, to be changed in place.
pub type ParameterEditor = Arc<dyn Fn(&mut Vec<(String, String)>) + Send + Sync>;

/// An edit of the parameters that go back to the redirect URI.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AuthorizationEdit {
    /// Parameters to leave out.
    pub remove: Vec<String>,
    /// Parameters to replace, or to add where absent.
    pub set: Map<String, Value>,
    /// Parameters to add at the end, also a second time.
    pub append: Vec<(String, String)>,
    /// In-process only: any other change.
    #[serde(skip)]
    pub with: Option<ParameterEditor>,
}

impl AuthorizationEdit {
    /// Replaces one parameter, or adds it.
    #[must_use]
    pub fn set(name: &str, value: &str) -> Self {
        Self { set: Map::from_iter([(name.to_owned(), value.into())]), ..Self::default() }
    }

    /// An error in place of a code.
    #[must_use]
    pub fn error(error: &str, description: &str) -> Self {
        let pairs = [("error", error), ("error_description", description)];
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self::with(move |parameters| {
            parameters.retain(|(name, _)| name != "code");
            parameters.extend(pairs.clone());
        })
    }

    /// Leaves one parameter out.
    #[must_use]
    pub fn remove(name: &str) -> Self {
        Self { remove: vec![name.to_owned()], ..Self::default() }
    }

    /// Adds one parameter at the end, also a second time.
    #[must_use]
    pub fn append(name: &str, value: &str) -> Self {
        Self { append: vec![(name.to_owned(), value.to_owned())], ..Self::default() }
    }

    /// Any change of the parameters.
    #[must_use]
    pub fn with(edit: impl Fn(&mut Vec<(String, String)>) + Send + Sync + 'static) -> Self {
        Self { with: Some(Arc::new(edit)), ..Self::default() }
    }

    fn apply(&self, parameters: &mut Vec<(String, String)>) {
        parameters.retain(|(name, _)| !self.remove.contains(name) && !self.set.contains_key(name));
        let set = self.set.iter().map(|(name, value)| (name.clone(), text_of(value)));
        parameters.extend(set);
        parameters.extend(self.append.iter().cloned());
        if let Some(edit) = &self.with {
            edit(parameters);
        }
    }
}

impl fmt::Debug for AuthorizationEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationEdit")
            .field("remove", &self.remove)
            .field("set", &self.set)
            .field("append", &self.append)
            .finish_non_exhaustive()
    }
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// All rules of one emulator.
pub(crate) struct Faults {
    rules: Mutex<Rules>,
    released: watch::Sender<u64>,
}

#[derive(Default)]
struct Rules {
    faults: Vec<Rule<Endpoint, Fault>>,
    json: Vec<Rule<Endpoint, JsonEdit>>,
    tokens: Vec<Rule<TokenKind, TokenEdit>>,
    authorization: Vec<Rule<(), AuthorizationEdit>>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { rules: Mutex::default(), released: watch::Sender::new(0) }
    }
}

/// The releases since some moment.
pub(crate) struct Releases(watch::Receiver<u64>);

impl Releases {
    /// Waits for the first one, which may have been already.
    pub(crate) async fn first(mut self) {
        // An error means that the emulator is gone, and with it the reason to wait.
        let _ = self.0.changed().await;
    }
}

impl Faults {
    pub(crate) fn add_fault(&self, key: Endpoint, what: Fault, left: Times) {
        lock(&self.rules).faults.push(Rule { key, what, left });
    }

    pub(crate) fn add_json_edit(&self, key: Endpoint, what: JsonEdit, left: Times) {
        lock(&self.rules).json.push(Rule { key, what, left });
    }

    pub(crate) fn add_token_edit(&self, key: TokenKind, what: TokenEdit, left: Times) {
        lock(&self.rules).tokens.push(Rule { key, what, left });
    }

    pub(crate) fn add_authorization_edit(&self, what: AuthorizationEdit, left: Times) {
        lock(&self.rules).authorization.push(Rule { key: (), what, left });
    }

    /// Drops all rules and lets go what hangs.
    pub(crate) fn clear(&self) {
        *lock(&self.rules) = Rules::default();
        self.release();
    }

    /// Lets go what hangs now.
    pub(crate) fn release(&self) {
        self.released.send_modify(|count| *count += 1);
    }

    /// What knows of every [`Faults::release`] from now on.
    pub(crate) fn releases(&self) -> Releases {
        Releases(self.released.subscribe())
    }

    /// The fault that is due at `endpoint`: the first rule that fits.
    pub(crate) fn take_fault(&self, endpoint: Endpoint) -> Option<Fault> {
        take_first(&mut lock(&self.rules).faults, &endpoint)
    }

    /// The edits that are due to a JSON answer of `endpoint`: all rules that fit.
    pub(crate) fn take_json_edits(&self, endpoint: Endpoint) -> Vec<JsonEdit> {
        take_all(&mut lock(&self.rules).json, &endpoint)
    }

    /// The edits that are due to a token: all rules that fit.
    pub(crate) fn take_token_edits(&self, kind: TokenKind) -> Vec<TokenEdit> {
        take_all(&mut lock(&self.rules).tokens, &kind)
    }

    /// Applies the edits that are due to an authorization response.
    pub(crate) fn edit_authorization(&self, parameters: &mut Vec<(String, String)>) {
        let edits = take_all(&mut lock(&self.rules).authorization, &());
        for edit in edits {
            edit.apply(parameters);
        }
    }
}
