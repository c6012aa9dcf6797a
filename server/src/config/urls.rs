//! The rules for addresses: `https`, or `http` on a loopback host; and those of Entra for redirect URIs.

use entra::http::is_loopback;
use url::{Host, Url};

use super::parse::Parsed;
use super::types::PublicUrl;
use crate::paths::CALLBACK;

/// An absolute URL that may be called or served: no user information, no query, no fragment.
pub(super) fn web_url(text: &str) -> Parsed<Url> {
    let url = Url::parse(text).map_err(|_| "is not a URL; write it in full, such as https://example.com".to_owned())?;
    match url.scheme() {
        "https" => {}
        "http" if is_loopback(url.host()) => {}
        "http" => return Err("must be https; http is accepted for localhost, 127.0.0.1 and [::1] only".to_owned()),
        _ => return Err("must start with https://".to_owned()),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not have a query (?) or fragment (#)".to_owned());
    }
    Ok(url)
}

/// `PUBLIC_URL`: an origin.
pub(super) fn public_url(text: &str) -> Parsed<PublicUrl> {
    let url = web_url(text)?;
    if url.path() != "/" {
        return Err("must be an origin without a path, such as https://app.example.com".to_owned());
    }
    Ok(PublicUrl::new(url))
}

/// `OIDC_ISSUER`, spelled as it was given (OpenID Connect Discovery 1.0, section 3).
pub(super) fn issuer(text: &str) -> Parsed<String> {
    web_url(text).map(|_| text.to_owned())
}

/// `ENTRA_AUTHORITY`, without a trailing slash.
pub(super) fn authority(text: &str) -> Parsed<String> {
    let url = without_trailing_slash(web_url(text)?);
    let tenant = |segment: &str| {
        matches!(segment, "v2.0" | "organizations" | "common" | "consumers") || super::parse::guid(segment).is_some()
    };
    if url.path().split('/').any(tenant) {
        return Err(
            "must not hold the tenant or v2.0; write the base alone and put the tenant into ENTRA_TENANT_ID".to_owned()
        );
    }
    Ok(url.as_str().trim_end_matches('/').to_owned())
}

/// The Entra admin center of the cloud whose `ENTRA_AUTHORITY` this is
/// (<https://learn.microsoft.com/entra/identity-platform/authentication-national-cloud>).
pub(crate) fn admin_center(authority: &str) -> &'static str {
    match authority.trim_end_matches('/') {
        "https://login.microsoftonline.us" => "https://entra.microsoft.us",
        "https://login.partner.microsoftonline.cn" => "https://entra.microsoftonline.cn",
        _ => "https://entra.microsoft.com",
    }
}

/// `GRAPH_URL`, without a trailing slash behind a path.
pub(super) fn graph_url(text: &str) -> Parsed<Url> {
    let url = without_trailing_slash(web_url(text)?);
    if url.path().ends_with("/v1.0") || url.path().ends_with("/beta") {
        return Err("must not hold the version; write the base alone, such as https://graph.microsoft.com".to_owned());
    }
    Ok(url)
}

fn without_trailing_slash(mut url: Url) -> Url {
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    url
}

/// The rules of Entra for redirect URIs, as far as `PUBLIC_URL` can break them
/// (<https://learn.microsoft.com/entra/identity-platform/reply-url>).
pub(super) fn check_redirect_uri(public_url: &PublicUrl) -> Parsed<()> {
    if matches!(public_url.url().host(), Some(Host::Ipv6(address)) if address.is_loopback()) {
        return Err("Entra accepts no redirect URI on [::1]; write http://localhost with the port".to_owned());
    }
    let redirect_uri = public_url.with_path(CALLBACK);
    if redirect_uri.len() > 256 {
        return Err(format!(
            "Entra accepts redirect URIs of at most 256 characters; this one and {CALLBACK} are longer"
        ));
    }
    if redirect_uri.contains(['!', '$', '\'', '(', ')', ',', ';', '*']) {
        return Err("Entra accepts none of ! $ ' ( ) , ; * in a redirect URI".to_owned());
    }
    Ok(())
}
