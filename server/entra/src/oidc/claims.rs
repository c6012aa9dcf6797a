//! The claims of a person, read from a verified ID token: typed where the server relies on them.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::plain::{is_plain, plain_json};

/// What the provider says about a person. Every value is from a verified token, and still only
/// for display and search: who somebody is stands in the identity, never in a name or an address.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims {
    raw: Map<String, Value>,
    /// Claims whose one text was made plain: what it names is not what was sent.
    altered: BTreeSet<String>,
    /// Whether the rest of the profile was asked for and did not come.
    is_partial: bool,
}

/// The groups of a person.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GroupsClaim {
    /// The token says nothing about groups, or nothing that can be understood.
    Absent,
    /// These, and no others.
    Listed(Vec<String>),
    /// Too many for the token: ask Microsoft Graph. The address that such a token brings along is
    /// never used (Microsoft identity platform, "Groups overage claim").
    Overage,
}

impl Claims {
    /// The claims with their texts made [`plain`](crate::plain). In a list, what is not plain goes altogether: lists hold
    /// names of groups and app roles, and none may become the name of another by being tidied up.
    pub(crate) fn new(raw: Map<String, Value>) -> Self {
        Self::plain(raw, false)
    }

    pub(super) fn partial(raw: Map<String, Value>) -> Self {
        Self::plain(raw, true)
    }

    fn plain(mut raw: Map<String, Value>, is_partial: bool) -> Self {
        let is_altered = |value: &Value| value.as_str().is_some_and(|text| !is_plain(text));
        let altered = raw.iter().filter(|(_, value)| is_altered(value)).map(|(claim, _)| claim.clone()).collect();
        for value in raw.values_mut() {
            if let Value::Array(values) = value {
                values.retain(|value| !is_altered(value));
            }
            plain_json(value);
        }
        Self { raw, altered, is_partial }
    }

    /// Whether the provider may say more about the person than what is here: the user info endpoint did not answer.
    #[must_use]
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Whether there is anything here about the person, beside who they are: a refreshed ID token may hold nothing else
    /// (OpenID Connect Core 1.0, section 12.2).
    #[must_use]
    pub fn tell_of_the_person(&self, groups_claim: &str) -> bool {
        const ABOUT: [&str; 7] = ["upn", "preferred_username", "name", "given_name", "family_name", "email", "roles"];
        ABOUT.into_iter().any(|claim| self.raw.contains_key(claim)) || self.groups(groups_claim) != GroupsClaim::Absent
    }

    /// The name to sign in with: `upn`, else `preferred_username`.
    #[must_use]
    pub fn upn(&self) -> Option<&str> {
        self.str("upn").or_else(|| self.str("preferred_username"))
    }

    /// The display name.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.str("name")
    }

    /// The given name.
    #[must_use]
    pub fn given_name(&self) -> Option<&str> {
        self.str("given_name")
    }

    /// The family name.
    #[must_use]
    pub fn family_name(&self) -> Option<&str> {
        self.str("family_name")
    }

    /// The address, which nobody may have verified.
    #[must_use]
    pub fn email(&self) -> Option<&str> {
        self.str("email")
    }

    /// Whether the person is a guest in the tenant: `acct`, else `idp` compared with `iss`; `None`
    /// if the token has neither (Microsoft identity platform, "Optional claims reference").
    #[must_use]
    pub fn is_guest(&self) -> Option<bool> {
        match self.text("acct").as_deref() {
            Some("0") => return Some(false),
            Some("1") => return Some(true),
            _ => {}
        }
        let provider = self.str("idp")?;
        Some(!self.is_home(provider))
    }

    /// Whether `provider`, from `idp`, is the tenant itself: the issuer, or its older spelling.
    fn is_home(&self, provider: &str) -> bool {
        let is_issuer = self.str("iss") == Some(provider);
        let older = self.str("tid").map(|tenant| format!("https://sts.windows.net/{tenant}/"));
        is_issuer || older.as_deref() == Some(provider)
    }

    /// The groups in the claim `name`; an empty `name` reads none.
    #[must_use]
    pub fn groups(&self, name: &str) -> GroupsClaim {
        match self.raw.get(name) {
            Some(groups @ (Value::Array(_) | Value::String(_))) if !name.is_empty() => {
                GroupsClaim::Listed(self.names(name, groups))
            }
            _ if !name.is_empty() && self.has_overage(name) => GroupsClaim::Overage,
            _ => GroupsClaim::Absent,
        }
    }

    /// Whether the token says that the groups are elsewhere, in either of its two forms.
    fn has_overage(&self, name: &str) -> bool {
        let elsewhere = self.raw.get("_claim_names").and_then(Value::as_object);
        let is_elsewhere = elsewhere.is_some_and(|names| names.contains_key(name) || names.contains_key("groups"));
        is_elsewhere || self.boolean("hasgroups") == Some(true)
    }

    /// The app roles: a list of texts, or one text.
    #[must_use]
    pub fn roles(&self) -> Vec<String> {
        self.raw.get("roles").map(|roles| self.names("roles", roles)).unwrap_or_default()
    }

    /// The names in a list of groups or app roles.
    fn names(&self, claim: &str, value: &Value) -> Vec<String> {
        if self.altered.contains(claim) { Vec::new() } else { texts(value) }
    }

    /// A claim as text: numbers and booleans are written out; lists and objects are not text.
    #[must_use]
    pub fn text(&self, claim: &str) -> Option<String> {
        match self.raw.get(claim)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// A claim as yes or no: a boolean, or `true`, `false`, `1`, `0` as text or number.
    #[must_use]
    pub fn boolean(&self, claim: &str) -> Option<bool> {
        match self.text(claim)?.to_ascii_lowercase().as_str() {
            "true" | "1" => Some(true),
            "false" | "0" => Some(false),
            _ => None,
        }
    }

    pub(super) fn into_raw(self) -> Map<String, Value> {
        self.raw
    }

    /// All claims.
    #[must_use]
    pub fn raw(&self) -> &Map<String, Value> {
        &self.raw
    }

    fn str(&self, claim: &str) -> Option<&str> {
        self.raw.get(claim).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
    }
}

/// The texts in a list, or the one text that stands for a list; nothing of anything else.
pub(super) fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Value::String(text) => vec![text.clone()],
        _ => Vec::new(),
    }
}
