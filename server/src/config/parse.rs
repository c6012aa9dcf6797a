//! From text to typed values. Every refusal says what is expected and never repeats the text.

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use entra::crypto::KeyRing;
use ipnet::IpNet;
pub(super) use store::rule::guid;
use store::rule::{RoleRule, RuleError};
use zeroize::Zeroizing;

use super::types::{BooleanColumn, RateLimit, TextColumn};

/// A value, or what is wrong with the text and what to write instead.
pub(super) type Parsed<T> = Result<T, String>;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(60 * 60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Units of time with their names, largest first.
const UNITS: [(char, Duration); 4] = [('d', DAY), ('h', HOUR), ('m', MINUTE), ('s', SECOND)];

/// A whole number with a unit, such as `30m`, within `range`.
pub(super) fn duration(text: &str, range: RangeInclusive<Duration>) -> Parsed<Duration> {
    let duration = any_duration(text)?;
    if range.contains(&duration) {
        return Ok(duration);
    }
    let (least, most) = (duration_text(*range.start()), duration_text(*range.end()));
    Err(format!("must be from {least} to {most}"))
}

/// As [`duration`], or `off`.
pub(super) fn duration_or_off(text: &str, range: RangeInclusive<Duration>) -> Parsed<Option<Duration>> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    duration(text, range).map(Some).map_err(|refusal| format!("{refusal}; or off"))
}

/// An authentication context of Entra's Conditional Access, or a value of `acr` elsewhere.
pub(super) fn auth_context(text: &str, is_generic: bool) -> Parsed<String> {
    let is_acr = text.len() <= 200 && text.bytes().all(|byte| byte.is_ascii_graphic());
    let number = text.strip_prefix('c').filter(|digits| !digits.starts_with(['0', '+']));
    let is_context = number.and_then(|digits| digits.parse().ok()).is_some_and(|number: u8| number <= 99);
    match (is_generic, is_acr, is_context) {
        (true, true, _) | (false, _, true) => Ok(text.to_owned()),
        (true, false, _) => Err("must be a value of acr: letters, digits and signs without blanks".to_owned()),
        (false, _, false) => Err("must be an authentication context from c1 to c99".to_owned()),
    }
}

fn any_duration(text: &str) -> Parsed<Duration> {
    if text.parse::<f64>().is_ok() {
        return Err("has no unit; write a number with s, m, h or d, such as 30m".to_owned());
    }
    let parsed = UNITS.iter().find_map(|(letter, unit)| {
        let number = text.strip_suffix(*letter)?;
        let digits_only = number.bytes().all(|byte| byte.is_ascii_digit());
        let seconds = number.parse::<u64>().ok().filter(|_| digits_only)?.checked_mul(unit.as_secs())?;
        Some(Duration::from_secs(seconds))
    });
    parsed.ok_or_else(|| "is not a time; write a whole number with s, m, h or d, such as 30m".to_owned())
}

/// `duration` in its largest whole unit.
fn duration_text(duration: Duration) -> String {
    let whole = UNITS.iter().find(|(_, unit)| duration >= *unit && duration.as_secs().is_multiple_of(unit.as_secs()));
    whole.map_or_else(|| "0s".to_owned(), |(letter, unit)| format!("{}{letter}", duration.as_secs() / unit.as_secs()))
}

/// `count/time`, such as `60/1m`, or `off`.
pub(super) fn rate_limit(text: &str) -> Parsed<Option<RateLimit>> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(None);
    }
    let shape = "is not a rate; write a count and a time such as 60/1m, or off";
    let (count, per) = text.split_once('/').ok_or(shape)?;
    let count: u32 = count.trim().parse().map_err(|_| shape)?;
    if count == 0 {
        return Err("must allow at least one request; write off to switch it off".to_owned());
    }
    let per = duration(per.trim(), SECOND..=DAY).map_err(|refusal| format!("the time {refusal}"))?;
    Ok(Some(RateLimit { count, per }))
}

/// One of the words in `choices`, in any case.
pub(super) fn choice<T: Copy>(text: &str, choices: &[(&str, T)]) -> Parsed<T> {
    let chosen = choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text));
    chosen.map(|(_, value)| *value).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
        format!("must be {}", words.join(" or "))
    })
}

/// A whole number within `range`.
pub(super) fn number(text: &str, range: RangeInclusive<u32>) -> Parsed<u32> {
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("must be a whole number from {} to {}", range.start(), range.end()))
}

/// An address with a port.
pub(super) fn socket_address(text: &str) -> Parsed<SocketAddr> {
    text.parse()
        .map_err(|_| "must be an IP address with a port, such as 127.0.0.1:3000, 0.0.0.0:3000 or [::]:3000".to_owned())
}

/// Comma-separated GUIDs, in lower case, without repetition.
pub(super) fn guids(text: &str) -> Parsed<Vec<String>> {
    entries(text, |entry| guid(entry).ok_or_else(|| "is not a GUID".to_owned())).map(without_repetition)
}

/// Comma-separated CIDRs; a bare address stands for itself alone.
pub(super) fn networks(text: &str) -> Parsed<Vec<IpNet>> {
    entries(text, |entry| {
        let network = entry.parse::<IpNet>().or_else(|_| entry.parse::<IpAddr>().map(IpNet::from));
        network
            .map(|network| network.trunc())
            .map_err(|_| "is neither a CIDR such as 10.0.0.0/8 nor an address".to_owned())
    })
}

/// Scopes separated by blanks (RFC 6749, section 3.3), with `openid` among them (OpenID Connect Core, section
/// 3.1.2.1).
pub(super) fn scopes(text: &str) -> Parsed<Vec<String>> {
    let scopes: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    if !scopes.iter().all(|scope| is_scope(scope)) {
        return Err(
            "holds a character that no scope has; separate scopes by blanks, without commas or quotes".to_owned()
        );
    }
    if !scopes.iter().any(|scope| scope == "openid") {
        return Err("lacks openid, without which nobody can sign in".to_owned());
    }
    Ok(without_repetition(scopes))
}

/// One scope.
pub(super) fn scope(text: &str) -> Parsed<String> {
    if is_scope(text) {
        Ok(text.to_owned())
    } else {
        Err("must be one scope, without blanks, commas and quotes".to_owned())
    }
}

/// One audience of an access token: a client ID, or an Application ID URI.
pub(super) fn audience(text: &str) -> Parsed<String> {
    if is_scope(text) {
        Ok(text.to_owned())
    } else {
        Err("is neither a client ID nor an Application ID URI".to_owned())
    }
}

fn is_scope(text: &str) -> bool {
    let fits = |byte: u8| matches!(byte, 0x21 | 0x23..=0x5b | 0x5d..=0x7e) && byte != b',';
    !text.is_empty() && text.bytes().all(fits)
}

/// `column=claim,…` for text columns.
pub(super) fn claim_mapping(text: &str) -> Parsed<Vec<(TextColumn, String)>> {
    mapping(
        text,
        &[
            ("display_name", TextColumn::DisplayName),
            ("given_name", TextColumn::GivenName),
            ("family_name", TextColumn::FamilyName),
            ("email", TextColumn::Email),
            ("job_title", TextColumn::JobTitle),
            ("department", TextColumn::Department),
        ],
    )
}

/// `column=claim,…` for yes/no columns.
pub(super) fn boolean_claim_mapping(text: &str) -> Parsed<Vec<(BooleanColumn, String)>> {
    mapping(text, &[("is_external", BooleanColumn::IsExternal)])
}

fn mapping<C: Copy + PartialEq>(text: &str, columns: &[(&str, C)]) -> Parsed<Vec<(C, String)>> {
    let pairs = entries(text, |entry| {
        let (column, claim) = entry.split_once('=').ok_or("is not column=claim")?;
        let column =
            choice(column.trim(), columns).map_err(|refusal| format!("has an unknown column; it {refusal}"))?;
        Ok((column, claim_name(claim.trim())?))
    })?;
    let repeated = pairs
        .iter()
        .enumerate()
        .any(|(index, (column, _))| pairs.iter().skip(index + 1).any(|(other, _)| other == column));
    if repeated { Err("maps a column twice".to_owned()) } else { Ok(pairs) }
}

/// A claim's name: visible characters.
pub(super) fn claim_name(text: &str) -> Parsed<String> {
    let fits =
        !text.is_empty() && !text.contains(|character: char| character.is_whitespace() || character.is_control());
    if fits { Ok(text.to_owned()) } else { Err("needs the name of a claim, without blanks".to_owned()) }
}

/// The claim that lists groups; `off` is an empty name.
pub(super) fn groups_claim(text: &str) -> Parsed<String> {
    if text.eq_ignore_ascii_case("off") { Ok(String::new()) } else { claim_name(text) }
}

/// [`RoleRule`]s, comma-separated.
pub(super) fn role_mapping(text: &str) -> Parsed<Vec<RoleRule>> {
    entries(text, |entry| entry.parse().map_err(|error: RuleError| error.to_string())).map(without_repetition)
}

/// `tenant ID/client ID,…`, in lower case.
pub(super) fn tenant_apps(text: &str) -> Parsed<Vec<(String, String)>> {
    entries(text, |entry| {
        let parts = entry.split_once('/').and_then(|(tenant, app)| guid(tenant.trim()).zip(guid(app.trim())));
        parts.ok_or_else(|| "must be two GUIDs: tenant ID/client ID".to_owned())
    })
    .map(without_repetition)
}

/// A key ring whose keys are not examples.
pub(super) fn keys(text: &str) -> Parsed<KeyRing> {
    let ring = KeyRing::parse(text).map_err(|error| error.to_string())?;
    if text.split(',').any(is_example_key) {
        return Err("holds an example, not a random key; `server keys new` prints one".to_owned());
    }
    Ok(ring)
}

/// Whether a well-formed entry's key is one byte over and over.
fn is_example_key(entry: &str) -> bool {
    let encoded = entry.split_once(':').map(|(_, encoded)| encoded.trim()).unwrap_or_default();
    let key = Zeroizing::new(STANDARD.decode(encoded).unwrap_or_default());
    key.windows(2).all(|pair| pair.first() == pair.last()) && !key.is_empty()
}

/// Comma-separated paths, without trailing slash or repetition.
pub(super) fn exempt_paths(text: &str) -> Parsed<Vec<String>> {
    entries(text, exempt_path).map(without_repetition)
}

/// Paths that cannot do without knowing who asks.
const NEVER_EXEMPT: [&str; 3] = ["/admin", "/profile", "/api/v1"];

fn exempt_path(text: &str) -> Parsed<String> {
    let path = text.trim_end_matches('/');
    let segments = path.strip_prefix('/').ok_or("is not a path below /, such as /docs")?.split('/');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    if !path.bytes().all(plain) {
        return Err("holds more than letters, digits, -, ., _ and ~; a query, a pattern or an escape cannot be exempt"
            .to_owned());
    }
    if segments.into_iter().any(|segment| matches!(segment, "" | "." | "..")) {
        return Err("has an empty segment, . or ..".to_owned());
    }
    let below = |base: &str| path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    match NEVER_EXEMPT.iter().find(|base| below(base)) {
        Some(base) => Err(format!("is or lies below {base}, which always needs to know who asks")),
        None => Ok(path.to_owned()),
    }
}

/// Each entry of a comma-separated list; a refusal says which one it is about.
pub(super) fn entries<T>(text: &str, parse: impl Fn(&str) -> Parsed<T>) -> Parsed<Vec<T>> {
    let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    entries
        .enumerate()
        .map(|(index, entry)| parse(entry).map_err(|refusal| format!("entry {} {refusal}", index + 1)))
        .collect()
}

fn without_repetition<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    list.into_iter().fold(Vec::new(), |mut kept, entry| {
        if !kept.contains(&entry) {
            kept.push(entry);
        }
        kept
    })
}
