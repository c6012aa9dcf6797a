//! Who signs people in: Entra ID, or any other OpenID Provider.

use entra::config::{IdentityKey, ProviderConfig, ProviderKind, ResponseMode, Tenant};
use entra::http::is_loopback;

use super::build::Build;
use super::defaults::Tenancy;
use super::parse::{self, Parsed, SECOND};
use super::reader::Reader;
use super::types::Accounts;
use super::{credential, urls};

const ISSUER: &str = "OIDC_ISSUER";
const TENANT: &str = "ENTRA_TENANT_ID";
const ALLOWED: &str = "ENTRA_ALLOWED_TENANTS";
const CLIENT: &str = "ENTRA_CLIENT_ID";
const SCOPES: &str = "ENTRA_SCOPES";

const GRAPH_SCOPES: &str = "openid profile email offline_access User.Read";
const PLAIN_SCOPES: &str = "openid profile email offline_access";

/// Whether another provider than Entra signs people in.
pub(super) fn is_generic(reader: &Reader<'_>) -> bool {
    reader.given(ISSUER).is_some()
}

/// The provider and this application's registration with it.
pub(super) fn read(reader: &mut Reader<'_>, build: &Build) -> Option<ProviderConfig> {
    let kind = if is_generic(reader) { generic(reader) } else { entra(reader, build) };
    let client_id = client_id(reader);
    let credential = credential::read(reader);
    let scopes = scopes(reader, build);
    let response_mode =
        reader.choice("ENTRA_RESPONSE_MODE", &[("query", ResponseMode::Query), ("form_post", ResponseMode::FormPost)]);
    let clock_leeway = reader.duration("CLOCK_LEEWAY", SECOND..=SECOND * 300);
    Some(ProviderConfig {
        kind: kind?,
        client_id: client_id?,
        credential: credential?,
        scopes: scopes?,
        response_mode: response_mode?,
        clock_leeway: clock_leeway?,
    })
}

fn generic(reader: &mut Reader<'_>) -> Option<ProviderKind> {
    for name in [TENANT, ALLOWED] {
        if reader.given(name).is_some() {
            reader.refuse::<()>([ISSUER, name], "do not go together; keep one: Entra ID, or another provider");
        }
    }
    let issuer = reader.parse(ISSUER, urls::issuer)?;
    Some(ProviderKind::Generic { issuer })
}

fn entra(reader: &mut Reader<'_>, build: &Build) -> Option<ProviderKind> {
    let authority = reader.parse("ENTRA_AUTHORITY", urls::authority);
    let tenant = tenant(reader, build);
    Some(ProviderKind::Entra { authority: authority?, tenant: tenant? })
}

fn tenant(reader: &mut Reader<'_>, build: &Build) -> Option<Tenant> {
    let shared = (build.tenancy == Tenancy::Multi).then_some("organizations");
    match reader.given(TENANT).or(shared).map(str::to_ascii_lowercase).as_deref() {
        None => reader.refuse([TENANT], "missing; it is the Directory (tenant) ID, a GUID"),
        Some(endpoint @ ("organizations" | "common")) => several_tenants(reader, endpoint),
        Some("consumers") => reader.refuse([TENANT], "personal accounts alone are not supported; write common"),
        Some(text) => single_tenant(reader, text),
    }
}

fn several_tenants(reader: &mut Reader<'_>, endpoint: &str) -> Option<Tenant> {
    let allowed = reader.list(ALLOWED, parse::guids)?;
    if allowed.is_empty() {
        let text =
            format!("missing; with several tenants ({TENANT} is {endpoint}) list the GUIDs of those that may sign in");
        return reader.refuse([ALLOWED], text);
    }
    Some(Tenant::Multi { endpoint: endpoint.to_owned(), allowed })
}

fn single_tenant(reader: &mut Reader<'_>, text: &str) -> Option<Tenant> {
    if reader.given(ALLOWED).is_some() {
        let advice =
            "do not go together: a tenant's own GUID lets in that tenant alone; write organizations, or drop the list";
        reader.refuse::<()>([TENANT, ALLOWED], advice);
    }
    match parse::guid(text) {
        Some(tenant) => Some(Tenant::Single(tenant)),
        None => reader.refuse(
            [TENANT],
            "must be the Directory (tenant) ID, a GUID, not a domain name; or organizations or common",
        ),
    }
}

fn client_id(reader: &mut Reader<'_>) -> Option<String> {
    if reader.given(CLIENT).is_none() {
        return reader.refuse([CLIENT], "missing; it is the Application (client) ID of the registration");
    }
    let is_free_form = is_generic(reader) || has_local_authority(reader);
    reader.parse(CLIENT, |text| if is_free_form { parse::claim_name(text) } else { entra_client_id(text) })
}

fn entra_client_id(text: &str) -> Parsed<String> {
    parse::guid(text).ok_or_else(|| "must be the Application (client) ID, a GUID".to_owned())
}

/// Whether the authority is on this machine: an emulator, whose client ids need not be GUIDs.
fn has_local_authority(reader: &Reader<'_>) -> bool {
    let authority = reader.text("ENTRA_AUTHORITY").and_then(|text| urls::web_url(&text).ok());
    authority.is_some_and(|url| is_loopback(url.host()))
}

fn scopes(reader: &mut Reader<'_>, build: &Build) -> Option<Vec<String>> {
    if reader.given(SCOPES).is_some() {
        return reader.parse(SCOPES, parse::scopes);
    }
    let default = if build.graph && !is_generic(reader) { GRAPH_SCOPES } else { PLAIN_SCOPES };
    parse::scopes(default).ok()
}

/// Whose accounts a registration of this application is for, and the scopes that it asks for.
pub(super) fn registration(reader: &mut Reader<'_>, build: &Build) -> Option<(Accounts, Vec<String>)> {
    if is_generic(reader) {
        return reader.refuse([ISSUER], "names another provider than Entra; register there, with /auth/callback");
    }
    let shared = build.tenancy == Tenancy::Multi;
    let accounts = match reader.given(TENANT) {
        Some("common") => Accounts::WithPersonal,
        Some("organizations") => Accounts::SeveralTenants,
        None if shared => Accounts::SeveralTenants,
        _ => Accounts::OneTenant,
    };
    Some((accounts, scopes(reader, build)?))
}

/// `ADMIN_USERS`: `tid/oid,…`, or `issuer#sub,…` with another provider.
pub(super) fn admin_users(reader: &mut Reader<'_>) -> Option<Vec<IdentityKey>> {
    match reader.given(ISSUER) {
        Some(issuer) => {
            reader.list("ADMIN_USERS", |text| parse::entries(text, |entry| generic_identity(entry, issuer)))
        }
        None => reader.list("ADMIN_USERS", |text| parse::entries(text, entra_identity)),
    }
}

fn entra_identity(text: &str) -> Parsed<IdentityKey> {
    let (tenant, object) = text.split_once('/').ok_or("is not tenant ID/object ID")?;
    let key = parse::guid(tenant.trim())
        .zip(parse::guid(object.trim()))
        .map(|(realm, subject)| IdentityKey { realm, subject });
    key.ok_or_else(|| "must be two GUIDs: tenant ID/object ID".to_owned())
}

fn generic_identity(text: &str, issuer: &str) -> Parsed<IdentityKey> {
    let (realm, subject) = text.split_once('#').ok_or("is not issuer#subject")?;
    if realm != issuer || subject.is_empty() {
        return Err("must be the value of OIDC_ISSUER, then #, then the person's subject".to_owned());
    }
    Ok(IdentityKey { realm: realm.to_owned(), subject: subject.to_owned() })
}
