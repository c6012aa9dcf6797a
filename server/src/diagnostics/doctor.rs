//! `server doctor`: looks at the settings, the database, the provider and this application's
//! registration with it, and says of each what is wrong and what to do about it.
//!
//! It signs nobody in and stores nothing. Calls go out, so `/admin/health` runs it only when told to
//! ([`crate::diagnostics::examination`]) and shows the cheap checks of `/readyz` meanwhile.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use entra::graph::GraphError;
use entra::oidc::RedirectUriAnswer;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use store::migrate;
use store::models::Group;
use x509_cert::der::Decode as _;

use crate::config::{ClientCredential, ProviderKind, Tenant};
use crate::diagnostics::findings::{Finding, Level};
use crate::paths::CALLBACK;
use crate::people::role_mappings;
use crate::state::AppState;

/// A clock that differs by more than this is worth a word, long before it refuses anybody.
const NOTICEABLE: TimeDelta = TimeDelta::seconds(30);
/// A credential that ends sooner than this wants to be replaced.
const SOON: TimeDelta = TimeDelta::days(30);

/// Checks everything. Where one check needs what another found missing, it is left out.
pub async fn examine(state: &AppState) -> Vec<Finding> {
    let mut findings = vec![database(state).await, cookies(state), proxies(state), scopes(state)];
    findings.extend(groups(state).await);
    match state.oidc.examine_metadata().await {
        Ok(issuer) => {
            findings.push(Finding::ok("discovery", format!("metadata and keys of {issuer}")));
            findings.push(clock(state).await);
            findings.push(redirect_uri(state).await);
            findings.push(credential(state).await);
            findings.extend(directory_sync(state).await);
        }
        Err(error) => findings.push(Finding::refused("discovery", &error)),
    }
    findings.extend(credential_expiry(state));
    findings
}

async fn database(state: &AppState) -> Finding {
    match migrate::pending(&state.db).await {
        Ok(pending) if pending.is_empty() => Finding::ok("database", "answers, and its schema is up to date"),
        Ok(pending) => Finding::warning(
            "database",
            format!("lacks the migrations {}", pending.join(", ")),
            "`server migrate` runs them, and so does the next start.",
        ),
        Err(error) => Finding::failure("database", error.to_string(), "Check DATABASE_URL and that it is running."),
    }
}

fn cookies(state: &AppState) -> Finding {
    let url = &state.config.public_url;
    if url.is_https() {
        return Finding::ok("cookies", "__Host-id, Secure, HttpOnly, SameSite=Lax");
    }
    let detail = format!("id without Secure, as PUBLIC_URL is {}", url.origin());
    Finding::warning("cookies", detail, "Fine on one's own machine; anywhere else PUBLIC_URL must be https.")
}

/// Whose address people have here.
fn proxies(state: &AppState) -> Finding {
    const CHECK: &str = "client addresses";
    let proxies = &state.config.trusted_proxies;
    if state.config.is_behind_unnamed_proxy() {
        return Finding::warning(
            CHECK,
            "TRUSTED_PROXIES is empty while TLS ends in front: everybody has the address of that proxy and shares one \
             rate limit",
            "Set TRUSTED_PROXIES to the networks of your proxies, as narrow as they are.",
        );
    }
    match proxies.is_empty() {
        true => Finding::ok(CHECK, "those of the connections"),
        false => {
            let named: Vec<String> = proxies.iter().map(ToString::to_string).collect();
            Finding::ok(CHECK, format!("what {} forward", named.join(", ")))
        }
    }
}

fn scopes(state: &AppState) -> Finding {
    let asked = &state.config.provider.scopes;
    let wanted = [
        ("profile", "names and, with Entra, the object id come with it"),
        ("offline_access", "tokens cannot be refreshed without it"),
    ];
    let graph = state.graph.is_some().then_some(("User.Read", "the profile reads Microsoft Graph with it"));
    let has = |scope: &str| asked.iter().any(|asked| asked.rsplit('/').next() == Some(scope));
    let missing: Vec<String> = wanted
        .into_iter()
        .chain(graph)
        .filter(|(scope, _)| !has(scope))
        .map(|(scope, why)| format!("{scope} ({why})"))
        .collect();
    match missing.is_empty() {
        true => Finding::ok("scopes", asked.join(" ")),
        false => Finding::warning("scopes", format!("without {}", missing.join(", ")), "Add them to ENTRA_SCOPES."),
    }
}

/// Where groups come from, and rules that cannot give anybody a role; `None` when the database does not answer the rules.
async fn groups(state: &AppState) -> Option<Finding> {
    const CHECK: &str = "groups";
    let mut conn = state.db.conn().await.ok()?;
    let rules = role_mappings::rules(state, &mut conn).await.ok()?;
    let (by_group, by_app_role): (Vec<_>, Vec<_>) = rules.iter().partition(|rule| rule.condition.is_group());
    let values = by_app_role.iter().map(|rule| rule.condition.value()).collect();
    if let Some(name) = Group::first_known(&mut conn, values).await.ok()? {
        let detail = format!("a rule is about the app role {name}, and a group of that name is known");
        return Some(Finding::warning(CHECK, detail, format!("If the group is meant, write group:{name}.")));
    }
    let sync = &state.config.sync;
    let claim = &sync.groups_claim;
    if claim.is_empty() {
        return Some(match by_group.first() {
            Some(rule) => {
                let detail = format!("GROUPS_CLAIM is off, so that {rule} gives nobody a role");
                Finding::warning(CHECK, detail, "Set GROUPS_CLAIM to the claim that lists groups, or drop the rule.")
            }
            None => Finding::ok(CHECK, "none are read"),
        });
    }
    let without = match (state.graph.is_some(), sync.groups_claim_emitted) {
        (true, _) => "without it Microsoft Graph is asked",
        (false, true) => "without it somebody is in no group (GROUPS_CLAIM_EMITTED)",
        (false, false) => "without it they stay as they were for GROUPS_KEEP_FOR",
    };
    let detail = format!("from the claim {claim}; {without}");
    if by_group.is_empty() || state.graph.is_some() || sync.groups_claim_emitted {
        return Some(Finding::ok(CHECK, detail));
    }
    let advice = "Let the registration emit the claim in every token and set GROUPS_CLAIM_EMITTED=true: until then \
        somebody who has left their last group keeps its roles for a while.";
    Some(Finding::warning(CHECK, detail, advice))
}

async fn clock(state: &AppState) -> Finding {
    let leeway = TimeDelta::from_std(state.config.provider.clock_leeway).unwrap_or_default();
    match state.oidc.examine_clock().await {
        Err(error) => Finding::refused("clock", &error),
        Ok(None) => Finding::ok("clock", "the provider does not tell the time"),
        Ok(Some(ahead)) => {
            let detail = format!("{} s apart from the provider's", ahead.num_seconds().abs());
            let advice = "Keep this machine's clock by NTP: tokens are judged by it.";
            match ahead.abs() {
                apart if apart > leeway => Finding::failure("clock", detail, advice),
                apart if apart > NOTICEABLE => Finding::warning("clock", detail, advice),
                _ => Finding::ok("clock", detail),
            }
        }
    }
}

async fn redirect_uri(state: &AppState) -> Finding {
    let uri = state.config.public_url.with_path(CALLBACK);
    match state.oidc.examine_redirect_uri(&uri).await {
        Ok(RedirectUriAnswer::Registered) => Finding::ok("redirect URI", format!("{uri} is registered")),
        Ok(RedirectUriAnswer::NotRegistered) => Finding::failure(
            "redirect URI",
            format!("{uri} is not registered"),
            "Add it to the registration, platform Web (`server entra-setup` has the steps).",
        ),
        Ok(RedirectUriAnswer::Unclear) => Finding::warning(
            "redirect URI",
            format!("whether {uri} is registered cannot be told"),
            "The provider showed a page of its own. Sign in once to see.",
        ),
        Err(error) => Finding::refused("redirect URI", &error),
    }
}

async fn credential(state: &AppState) -> Finding {
    let kind = credential_kind(&state.config.provider.credential);
    let scope = match &state.config.provider.kind {
        ProviderKind::Entra { tenant: Tenant::Multi { .. }, .. } => {
            let advice = "Tokens of the application's own exist in one tenant. Sign in once to see.";
            return Finding::warning("credential", format!("{kind}: not tried at a shared endpoint"), advice);
        }
        ProviderKind::Entra { .. } => Some(default_scope(state)),
        ProviderKind::Generic { .. } => None,
    };
    match state.oidc.examine_credential(scope.as_deref()).await {
        Ok(()) => Finding::ok("credential", format!("{kind}: accepted")),
        Err(error) => Finding::refused("credential", &error),
    }
}

/// The permission of the directory sync, in each tenant; nothing while the sync is off.
async fn directory_sync(state: &AppState) -> Option<Finding> {
    const CHECK: &str = "directory sync";
    state.config.directory_sync_interval?;
    let (graph, scope) = (state.graph.as_ref()?, state.config.graph_scope()?);
    let tenants = state.oidc.tenants();
    for tenant in &tenants {
        let token = match state.oidc.app_token(tenant, &scope).await {
            Ok(token) => token,
            Err(error) => return Some(Finding::refused(CHECK, &error)),
        };
        if let Err(error) = graph.examine_users_delta(&token).await {
            let advice = match error {
                GraphError::Forbidden => {
                    "Add the application permission User.Read.All of Microsoft Graph and grant admin consent \
                     (`server entra-setup` has the steps)."
                }
                _ => "Check GRAPH_URL and that Microsoft Graph can be reached.",
            };
            return Some(Finding::failure(CHECK, format!("{error} in tenant {tenant}"), advice));
        }
    }
    let detail = format!("User.Read.All is granted in {} tenant(s)", tenants.len());
    Some(Finding::ok(CHECK, detail))
}

/// What the application may have in its own name at Graph, or without Graph at itself.
fn default_scope(state: &AppState) -> String {
    let of_itself = || format!("{}/.default", state.config.provider.client_id);
    state.config.graph_scope().unwrap_or_else(of_itself)
}

fn credential_kind(credential: &ClientCredential) -> &'static str {
    match credential {
        ClientCredential::Secret(_) => "secret",
        ClientCredential::SecretFile(_) => "secret from a file",
        ClientCredential::Certificate { .. } => "certificate",
        ClientCredential::FederatedTokenFile(_) => "federated token",
    }
}

/// When the credential ends, where that can be known: a secret does not tell.
fn credential_expiry(state: &AppState) -> Option<Finding> {
    let (end, setting) = match &state.config.provider.credential {
        ClientCredential::Secret(_) | ClientCredential::SecretFile(_) => return None,
        ClientCredential::Certificate { certificate_file, .. } => {
            (certificate_end(certificate_file), "ENTRA_CLIENT_CERTIFICATE_FILE")
        }
        ClientCredential::FederatedTokenFile(file) => (token_end(file), "ENTRA_FEDERATED_TOKEN_FILE"),
    };
    let Some(end) = end else {
        let advice = format!("Check the file that {setting} names.");
        return Some(Finding::failure("credential expiry", "cannot be read", advice));
    };
    let now = state.clock.now();
    let detail = format!("{setting} ends {}", end.format("%Y-%m-%d %H:%M UTC"));
    // A federated token is written anew every hour or so by whoever issues it.
    let is_short_lived = setting == "ENTRA_FEDERATED_TOKEN_FILE";
    Some(match end - now {
        left if left <= TimeDelta::zero() => {
            Finding::failure("credential expiry", detail, "Replace it; no restart is needed.")
        }
        left if left < SOON && !is_short_lived => {
            Finding::warning("credential expiry", detail, "Replace it in time; no restart is needed.")
        }
        _ => Finding::ok("credential expiry", detail),
    })
}

fn certificate_end(file: &Path) -> Option<DateTime<Utc>> {
    let pem = std::fs::read(file).ok()?;
    let der = CertificateDer::from_pem_slice(&pem).ok()?;
    let certificate = x509_cert::Certificate::from_der(der.as_ref()).ok()?;
    let end: Duration = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    DateTime::from_timestamp(i64::try_from(end.as_secs()).ok()?, 0)
}

/// `exp` of a federated token. Not verified here: that is the provider's part.
fn token_end(file: &Path) -> Option<DateTime<Utc>> {
    let token = std::fs::read_to_string(file).ok()?;
    let claims = URL_SAFE_NO_PAD.decode(token.trim().split('.').nth(1)?).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    DateTime::from_timestamp(claims.get("exp")?.as_i64()?, 0)
}

/// The findings as lines of text, each with its advice below it.
#[must_use]
pub fn in_words(findings: &[Finding]) -> String {
    let line = |finding: &Finding| {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Warning => "warning",
            Level::Failure => "FAILED",
        };
        let advice = if finding.advice.is_empty() { String::new() } else { format!("\n{:28}{}", "", finding.advice) };
        format!("{level:8} {:18} {}{advice}", finding.check, finding.detail)
    };
    findings.iter().map(line).collect::<Vec<_>>().join("\n")
}
