//! Rules about groups and app roles: one grammar for `ROLE_MAPPING`, for `/admin/groups`, and for every setting that
//! asks the same question.
//!
//! | written | holds for whom the provider says |
//! |---|---|
//! | `<GUID>` | that they are in the group with this object id, in their own tenant |
//! | `<name>` | that they have this app role |
//! | `group:<value>` | that they are in this group; for providers whose groups are names |
//! | `approle:<value>` | that they have this app role, also one that looks like something else |
//!
//! `<tenant GUID>/` in front narrows each of them to people of one tenant. A name never means a group: whoever may name
//! groups could otherwise give themselves the app role `admin` by a group of that name.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// The longest group or app role, in characters; Entra allows app roles of 120.
const MAX_VALUE: usize = 200;

const GROUP: &str = "group:";
const APP_ROLE: &str = "approle:";

/// What is wrong with a rule. The texts go on after "entry 2 " or "The rule ".
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// No `=`.
    #[error("is not a rule; write a group's object ID or an app role, then = and a role, such as Admin=admin")]
    Shape,
    /// Nothing in front of the `=`, or behind a prefix.
    #[error("names no group and no app role")]
    Empty,
    /// A GUID in one of its other spellings, which no group id is compared with.
    #[error("holds a GUID without its dashes; write it as Entra shows it, or approle: in front of an app role")]
    Guid,
    /// `<GUID>/<GUID>/…`
    #[error("names two tenants; write one tenant ID and / in front, or none")]
    Tenants,
    /// Not fit to be stored or shown.
    #[error("is longer than 200 characters or holds a character that is not seen")]
    Text,
    /// Nothing that a role can be called.
    #[error("has no valid role; a role is lower-case letters, digits, - and _, such as admin")]
    Role,
}

/// What a rule asks of a person.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Condition {
    /// The tenant whose people alone it is about, a lower-case GUID.
    tenant: Option<String>,
    holds: Holds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Holds {
    /// Object id in lower case, or a name.
    Group(String),
    AppRole(String),
}

/// What the provider says that a person holds; values as [`fold`] leaves them.
#[derive(Clone, Copy, Debug)]
pub struct Holdings<'a> {
    /// Their tenant, or the issuer.
    pub realm: &'a str,
    /// App roles.
    pub app_roles: &'a BTreeSet<String>,
    /// Groups of that tenant.
    pub groups: &'a BTreeSet<String>,
}

/// How groups and app roles are compared: without ASCII case, as both databases do it. Letters that merely look like
/// others stay what they are.
#[must_use]
pub fn fold(value: &str) -> String {
    value.to_ascii_lowercase()
}

impl Condition {
    /// Whether it is about a group, and not about an app role.
    #[must_use]
    pub fn is_group(&self) -> bool {
        matches!(self.holds, Holds::Group(_))
    }

    /// The tenant whose people alone it is about.
    #[must_use]
    pub fn tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    /// The group or app role, as [`Holdings`] has it.
    #[must_use]
    pub fn value(&self) -> String {
        fold(self.written_value())
    }

    /// The group or app role as it was written.
    #[must_use]
    pub fn written_value(&self) -> &str {
        match &self.holds {
            Holds::Group(value) | Holds::AppRole(value) => value,
        }
    }

    /// The one spelling of everything that means the same: what is stored and compared.
    #[must_use]
    pub fn key(&self) -> String {
        fold(&self.to_string())
    }

    /// Whether a person with these holdings fits.
    #[must_use]
    pub fn fits(&self, person: Holdings<'_>) -> bool {
        let held = if self.is_group() { person.groups } else { person.app_roles };
        self.tenant().is_none_or(|tenant| tenant == person.realm) && held.contains(&self.value())
    }
}

impl FromStr for Condition {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let text = text.trim();
        if text.chars().count() > MAX_VALUE || text.chars().any(is_invisible) {
            return Err(RuleError::Text);
        }
        let (tenant, rest) = match bound(text) {
            Some((tenant, rest)) => (Some(tenant), rest.trim()),
            None => (None, text),
        };
        if bound(rest).is_some() {
            return Err(RuleError::Tenants);
        }
        Ok(Self { tenant, holds: holds(rest)? })
    }
}

/// A tenant's GUID and what stands behind its `/`.
fn bound(text: &str) -> Option<(String, &str)> {
    let (tenant, rest) = text.split_once('/')?;
    Some((guid(tenant.trim())?, rest))
}

fn holds(text: &str) -> Result<Holds, RuleError> {
    let named = |value: &str, holds: fn(String) -> Holds| match value.trim() {
        "" => Err(RuleError::Empty),
        value => Ok(holds(value.to_owned())),
    };
    if let Some(value) = without_prefix(text, GROUP) {
        return named(guid(value.trim()).as_deref().unwrap_or(value), Holds::Group);
    }
    if let Some(value) = without_prefix(text, APP_ROLE) {
        return named(value, Holds::AppRole);
    }
    match guid(text) {
        Some(object_id) => Ok(Holds::Group(object_id)),
        None if Uuid::try_parse(text).is_ok() => Err(RuleError::Guid),
        None => named(text, Holds::AppRole),
    }
}

/// In any case, as names are compared.
fn without_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (start, rest) = text.split_at_checked(prefix.len())?;
    start.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// The shortest text that reads as the same condition.
impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tenant) = &self.tenant {
            write!(formatter, "{tenant}/")?;
        }
        let (prefix, value) = match &self.holds {
            Holds::Group(value) => (GROUP, value),
            Holds::AppRole(value) => (APP_ROLE, value),
        };
        let is_plain = bound(value).is_none() && holds(value).as_ref() == Ok(&self.holds);
        if is_plain { formatter.write_str(value) } else { write!(formatter, "{prefix}{value}") }
    }
}

/// Who fits the condition holds the role here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RoleRule {
    /// Who.
    pub condition: Condition,
    /// Which role, lower case: `admin`.
    pub role: String,
}

impl RoleRule {
    /// From its two parts.
    ///
    /// # Errors
    /// [`RuleError`].
    pub fn parse(condition: &str, role: &str) -> Result<Self, RuleError> {
        let condition = condition.parse()?;
        let role = role.trim();
        is_role_name(role).then(|| Self { condition, role: role.to_owned() }).ok_or(RuleError::Role)
    }
}

/// `condition=role`. The last `=` separates: values of app roles may hold others.
impl FromStr for RoleRule {
    type Err = RuleError;

    fn from_str(text: &str) -> Result<Self, RuleError> {
        let (condition, role) = text.rsplit_once('=').ok_or(RuleError::Shape)?;
        Self::parse(condition, role)
    }
}

impl fmt::Display for RoleRule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}={}", self.condition, self.role)
    }
}

/// Control characters, and those that end a line or turn the direction of a text (UAX #9, section 2): no name that a
/// token brings holds one, and a page would show another rule than it is.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// A GUID with dashes, in lower case; `None` for its other spellings and for anything else.
#[must_use]
pub fn guid(text: &str) -> Option<String> {
    let parsed = Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
    Some(parsed.hyphenated().to_string())
}

fn is_role_name(text: &str) -> bool {
    let starts = text.starts_with(|first: char| first.is_ascii_lowercase());
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    starts && text.len() <= 64 && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP_ID: &str = "0a0b0c0d-0000-4000-8000-000000000001";
    const TENANT: &str = "1a1b1c1d-0000-4000-8000-000000000002";
    const OTHER: &str = "2a2b2c2d-0000-4000-8000-000000000003";

    fn fits(rule: &str, realm: &str, app_roles: &[&str], groups: &[&str]) -> bool {
        let set = |values: &[&str]| values.iter().map(|value| fold(value)).collect::<BTreeSet<_>>();
        let (app_roles, groups) = (set(app_roles), set(groups));
        let rule: RoleRule = rule.parse().expect("a rule");
        rule.condition.fits(Holdings { realm, app_roles: &app_roles, groups: &groups })
    }

    #[test]
    fn a_guid_is_a_group_and_a_name_is_an_app_role_and_neither_is_the_other() {
        let by_id = format!("{GROUP_ID}=admin");
        for (rule, app_roles, groups, expected) in [
            ("Admin=admin", &["admin"][..], &[][..], true),
            ("Admin=admin", &[], &["admin"], false),
            (by_id.as_str(), &[], &[GROUP_ID], true),
            (&by_id, &[GROUP_ID], &[], false),
            ("group:Admin=admin", &[], &["ADMIN"], true),
            ("group:Admin=admin", &["Admin"], &[], false),
            ("approle:group:x=admin", &["group:x"], &[], true),
            ("Task=Write=editor", &["task=write"], &[], true),
            ("group:book=admin", &[], &["boo\u{212a}"], false),
        ] {
            assert_eq!(fits(rule, TENANT, app_roles, groups), expected, "{rule}");
        }
        assert!(fits(&format!("approle:{GROUP_ID}=admin"), TENANT, &[GROUP_ID], &[]));
        assert!(fits(&format!("{}=admin", GROUP_ID.to_uppercase()), TENANT, &[], &[GROUP_ID]));
        assert!(fits(&format!("group:{GROUP_ID}=admin"), TENANT, &[], &[GROUP_ID]));
    }

    #[test]
    fn a_tenant_in_front_is_the_only_one_whose_people_it_is_about() {
        for rule in ["Admin", "approle:Admin", "group:staff", GROUP_ID] {
            let bound = format!("{}/{rule}=admin", TENANT.to_uppercase());
            for (realm, expected) in [(TENANT, true), (OTHER, false)] {
                assert_eq!(fits(&bound, realm, &["Admin"], &["staff", GROUP_ID]), expected, "{bound} {realm}");
            }
        }
    }

    #[test]
    fn what_is_written_out_reads_as_the_same_rule() {
        let bound = [TENANT, "/"].concat();
        for value in [
            "Admin",
            "a/b",
            "Task=Write",
            "group:staff",
            "GROUP:Staff",
            "group:group:x",
            "approle:group:x",
            "approle:Admin",
            "approle:approle:x",
            GROUP_ID,
            &format!("group:{GROUP_ID}"),
            &format!("approle:{GROUP_ID}"),
            &format!("approle:{GROUP_ID}/x"),
            &format!("group:{GROUP_ID}/x"),
            "approle:0a0b0c0d000040008000000000000001",
        ] {
            for front in ["", &bound] {
                let rule: RoleRule = format!("{front}{value}=admin").parse().expect(value);
                assert_eq!(rule.to_string().parse(), Ok(rule.clone()), "{rule}");
                let key: Condition = rule.condition.key().parse().expect("a key");
                assert_eq!(key.key(), rule.condition.key());
                assert_eq!((key.is_group(), key.value()), (rule.condition.is_group(), rule.condition.value()));
            }
        }
        let written = |text: &str| text.parse::<Condition>().expect("a condition").to_string();
        assert_eq!(written("approle:Admin"), "Admin");
        assert_eq!(written(&format!("Group: {}", GROUP_ID.to_uppercase())), GROUP_ID);
    }

    #[test]
    fn a_bad_rule_says_what_is_wrong_with_it() {
        let long = "x".repeat(201);
        for (text, error) in [
            ("Admin", RuleError::Shape),
            ("", RuleError::Shape),
            ("=admin", RuleError::Empty),
            ("group:=admin", RuleError::Empty),
            ("approle: =admin", RuleError::Empty),
            (&format!("{TENANT}/=admin"), RuleError::Empty),
            (&format!("{TENANT}/{OTHER}/Admin=admin"), RuleError::Tenants),
            ("0a0b0c0d000040008000000000000001=admin", RuleError::Guid),
            (&format!("{{{GROUP_ID}}}=admin"), RuleError::Guid),
            ("Ad\u{7}min=admin", RuleError::Text),
            ("\u{202e}Admin=admin", RuleError::Text),
            ("Ad\u{200f}min=admin", RuleError::Text),
            (&format!("{long}=admin"), RuleError::Text),
            ("Admin=", RuleError::Role),
            ("Admin=No Role", RuleError::Role),
        ] {
            assert_eq!(text.parse::<RoleRule>(), Err(error), "{text}");
        }
    }
}
