//! Entra's errors: the table of AADSTS codes, and the texts and JSON that they come in.
//!
//! Which OAuth `error` Entra pairs with a code differs between the authorization endpoint and
//! the token endpoint; the table has both. Source: Microsoft's reference-error-codes page and the
//! recorded answers in this project's design notes. Clients must act on `error` (and `suberror`)
//! alone: Microsoft says that numbers and texts change.

use axum::Json;
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

use crate::random;

/// One AADSTS code and how Entra tells of it.
#[derive(Debug)]
pub(crate) struct Known {
    pub(crate) code: u32,
    /// `error` at the authorization endpoint.
    authorize: &'static str,
    /// `error` at the token endpoint.
    token: &'static str,
    /// `suberror` at the token endpoint.
    suberror: Option<&'static str>,
    /// Status of the token endpoint's answer.
    status: u16,
    /// Whether the authorization endpoint shows a page and does not redirect.
    page: bool,
    text: &'static str,
}

const fn row(
    code: u32,
    (authorize, token): (&'static str, &'static str),
    suberror: Option<&'static str>,
    (status, page): (u16, bool),
    text: &'static str,
) -> Known {
    Known { code, authorize, token, suberror, status, page, text }
}

const fn same(error: &'static str) -> (&'static str, &'static str) {
    (error, error)
}

const PAGE: (u16, bool) = (400, true);
const REDIRECT: (u16, bool) = (400, false);
const UNAUTHORIZED: (u16, bool) = (401, true);
const INTERACTION: (&str, &str) = ("interaction_required", "invalid_grant");
const BASIC: Option<&str> = Some("basic_action");
const MESSAGE: Option<&str> = Some("message_only");
const BAD_TOKEN: Option<&str> = Some("bad_token");
const CONSENT: Option<&str> = Some("consent_required");

/// The codes that the emulator knows, by kind.
#[rustfmt::skip]
const TABLE: &[Known] = &[
    // The registration or the request is wrong.
    row(50011, same("invalid_request"), None, PAGE, "The redirect URI specified in the request does not match the redirect URIs configured for the application. Make sure the redirect URI sent in the request matches one added to your application in the Azure portal."),
    row(700016, same("unauthorized_client"), None, PAGE, "Application was not found in the directory. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant."),
    row(90002, same("invalid_request"), None, PAGE, "Tenant not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud."),
    row(50194, same("invalid_request"), None, PAGE, "The application is not configured as a multi-tenant application. Usage of the /common endpoint is not supported for such apps created after '10/15/2018'. Use a tenant-specific endpoint or configure the application to be multi-tenant."),
    row(70011, same("invalid_scope"), None, REDIRECT, "The provided request must include a 'scope' input parameter that is valid."),
    row(28002, same("invalid_scope"), None, REDIRECT, "Provided value for the input parameter scope is not valid when requesting an access token. Please specify a valid scope."),
    row(28000, same("invalid_request"), None, REDIRECT, "Provided value for the input parameter scope is not valid because it contains more than one resource."),
    row(650056, same("invalid_request"), None, PAGE, "Misconfigured application. This could be due to one of the following: the client has not listed any permissions for the requested resource in its application registration, or the admin has not consented in the tenant."),
    row(65005, same("invalid_request"), None, PAGE, "The application required resource access list does not contain applications discoverable by the resource."),
    row(500011, same("invalid_resource"), None, REDIRECT, "The resource principal was not found in the tenant. This can happen if the application has not been installed by the administrator of the tenant."),
    row(900144, same("invalid_request"), None, PAGE, "The request body must contain a required parameter."),
    row(90014, same("invalid_request"), None, REDIRECT, "The required field is missing from the request."),
    row(90015, same("invalid_request"), None, PAGE, "The query string is too long."),
    row(90023, same("invalid_request"), None, REDIRECT, "Invalid authentication request."),
    row(9002313, same("invalid_request"), None, REDIRECT, "Invalid request. Request is malformed or invalid."),
    row(50147, same("invalid_request"), None, REDIRECT, "Missing code challenge parameter."),
    row(501491, same("invalid_request"), None, REDIRECT, "Invalid size of Code_Challenge parameter."),
    row(70003, same("unsupported_grant_type"), None, REDIRECT, "The app requested an unsupported grant type."),
    row(700054, same("unsupported_response_type"), None, REDIRECT, "The requested 'response_type' is not enabled for the application."),
    // The application's credential is wrong.
    row(7000215, same("invalid_client"), None, UNAUTHORIZED, "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID."),
    row(7000222, same("invalid_client"), None, UNAUTHORIZED, "The provided client secret keys are expired. Create new keys for your app, or consider using certificate credentials for added security."),
    row(7000218, same("invalid_client"), None, UNAUTHORIZED, "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."),
    row(700025, same("invalid_client"), None, UNAUTHORIZED, "Client is public so neither 'client_assertion' nor 'client_secret' should be presented."),
    row(700027, same("invalid_client"), None, UNAUTHORIZED, "The certificate with identifier used to sign the client assertion is not registered on application, or the assertion failed signature validation."),
    row(700021, same("invalid_client"), None, UNAUTHORIZED, "Client assertion application identifier doesn't match 'client_id' parameter."),
    row(700023, same("invalid_client"), None, UNAUTHORIZED, "Client assertion audience claim does not match Realm issuer."),
    row(700024, same("invalid_client"), None, UNAUTHORIZED, "Client assertion is not within its valid time range."),
    row(700211, same("invalid_client"), None, UNAUTHORIZED, "No matching federated identity record found for presented assertion issuer."),
    // Consent.
    row(65001, ("consent_required", "invalid_grant"), CONSENT, REDIRECT, "The user or administrator has not consented to use the application. Send an interactive authorization request for this user and resource."),
    row(65004, same("access_denied"), None, REDIRECT, "User declined to consent to access the app."),
    row(90094, same("access_denied"), None, REDIRECT, "An administrator of the tenant has set a policy that requires an admin to consent to this application."),
    row(90095, same("access_denied"), None, REDIRECT, "Admin consent is required. The request for admin consent has been sent."),
    // A second factor, Conditional Access.
    row(50076, INTERACTION, BASIC, REDIRECT, "Due to a configuration change made by your administrator, or because you moved to a new location, you must use multi-factor authentication to access the resource."),
    row(50079, INTERACTION, BASIC, REDIRECT, "Due to a configuration change made by your administrator, or because you moved to a new location, you must enroll in multi-factor authentication to access the resource."),
    row(50074, INTERACTION, BASIC, REDIRECT, "Strong Authentication is required."),
    row(50078, INTERACTION, BASIC, REDIRECT, "Presented multi-factor authentication has expired due to policies configured by your administrator, you must refresh your multi-factor authentication to access the resource."),
    row(50072, INTERACTION, BASIC, REDIRECT, "User account needs to be enrolled for multi-factor authentication."),
    row(50158, INTERACTION, BASIC, REDIRECT, "External security challenge not satisfied. User will be redirected to another page or authentication provider to satisfy additional authentication challenges."),
    row(53000, INTERACTION, MESSAGE, REDIRECT, "Your device is required to be compliant to access this resource."),
    row(53001, INTERACTION, MESSAGE, REDIRECT, "Your device is required to be joined to a domain to access this resource."),
    row(53002, INTERACTION, MESSAGE, REDIRECT, "The application used is not an approved application for Conditional Access."),
    row(53003, INTERACTION, MESSAGE, REDIRECT, "Access has been blocked by Conditional Access policies. The access policy does not allow token issuance."),
    row(53004, INTERACTION, MESSAGE, REDIRECT, "User needs to complete the multi-factor authentication registration process before accessing this content."),
    row(530032, INTERACTION, MESSAGE, REDIRECT, "Access has been blocked by security policy."),
    row(50131, INTERACTION, MESSAGE, REDIRECT, "Access has been blocked by Conditional Access policies: the device, location or risk does not meet the criteria."),
    row(50097, INTERACTION, BASIC, REDIRECT, "Device authentication is required."),
    // The grant is no longer good.
    row(50173, same("invalid_grant"), BAD_TOKEN, REDIRECT, "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password."),
    row(70008, same("invalid_grant"), None, REDIRECT, "The provided authorization code or refresh token has expired due to inactivity. Send a new interactive authorization request for this user and resource."),
    row(700082, same("invalid_grant"), BAD_TOKEN, REDIRECT, "The refresh token has expired due to inactivity."),
    row(70043, same("invalid_grant"), BAD_TOKEN, REDIRECT, "The refresh token has expired or is invalid due to sign-in frequency checks by Conditional Access."),
    row(70000, same("invalid_grant"), None, REDIRECT, "Provided grant is invalid or malformed."),
    row(50089, same("invalid_grant"), None, REDIRECT, "Authentication failed due to flow token expired."),
    row(54005, same("invalid_grant"), None, REDIRECT, "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token."),
    row(501481, same("invalid_grant"), None, REDIRECT, "The Code_Verifier does not match the code_challenge supplied in the authorization request."),
    row(700005, same("invalid_grant"), None, REDIRECT, "Provided Authorization Code is intended to use against other tenant, thus rejected."),
    row(500112, same("invalid_grant"), None, REDIRECT, "The reply address specified when redeeming the authorization code does not match the reply address provided when requesting it."),
    // The account may not sign in.
    row(50057, ("access_denied", "invalid_grant"), None, PAGE, "The user account is disabled."),
    row(50034, ("access_denied", "invalid_grant"), None, PAGE, "The user account does not exist in the directory. To sign into this application, the account must be added to the directory."),
    row(51004, ("access_denied", "invalid_grant"), None, PAGE, "The user account does not exist in the directory. To sign into this application, the account must be added to the directory."),
    row(50020, ("access_denied", "invalid_grant"), None, PAGE, "User account from identity provider does not exist in tenant and cannot access the application in that tenant. The account needs to be added as an external user in the tenant first."),
    row(50014, ("access_denied", "invalid_grant"), None, PAGE, "The user's redemption is in a pending state. The guest user account is not fully created yet."),
    row(16000, ("interaction_required", "invalid_grant"), None, REDIRECT, "Either multiple user identities are available for the current request or selected account is not supported for the scenario."),
    row(90072, ("access_denied", "invalid_grant"), None, PAGE, "User account from external identity provider does not exist in tenant and cannot access the application in that tenant."),
    row(50105, ("access_denied", "invalid_grant"), None, PAGE, "Your administrator has configured the application to block users unless they are specifically granted ('assigned') access to the application."),
    row(50058, ("login_required", "invalid_grant"), None, REDIRECT, "A silent sign-in request was sent but no user is signed in."),
    // Entra itself is in trouble.
    row(90033, same("temporarily_unavailable"), None, (503, false), "A transient error has occurred. Please try again."),
    row(90006, same("server_error"), None, (500, false), "External server retryable error."),
    row(90090, same("server_error"), None, (500, false), "Token issuance failed because of an unexpected directory error."),
    row(90024, same("temporarily_unavailable"), None, (503, false), "A transient error has occurred, the request budget was exceeded. Please try again."),
    row(50033, same("temporarily_unavailable"), None, (503, false), "Unrelated sign-in error occurred, retry."),
    row(50087, same("temporarily_unavailable"), None, (503, false), "A transient error has occurred during strong authentication. Please try again."),
    row(90012, same("temporarily_unavailable"), None, (503, false), "The request has timed out."),
    row(50196, same("invalid_grant"), None, REDIRECT, "The server terminated an operation because it encountered a client request loop. Please contact your app vendor."),
    row(90055, same("temporarily_unavailable"), None, (429, false), "The request has been throttled: too many requests in this tenant."),
];

/// What Entra says of a code that the table does not have.
const UNKNOWN: Known = row(0, same("server_error"), None, (500, false), "The operation failed.");

/// The row of `code`, or a general one.
fn known(code: u32) -> &'static Known {
    TABLE.iter().find(|known| known.code == code).unwrap_or(&UNKNOWN)
}

/// Whether the emulator has a text and pairs for `code`.
pub(crate) fn is_known(code: u32) -> bool {
    TABLE.iter().any(|known| known.code == code)
}

/// One occurrence of an error.
#[derive(Debug)]
pub(crate) struct EntraError {
    code: u32,
    known: &'static Known,
    detail: Option<String>,
    claims: Option<String>,
    subcode: Option<&'static str>,
}

impl EntraError {
    pub(crate) fn new(code: u32) -> Self {
        Self { code, known: known(code), detail: None, claims: None, subcode: None }
    }

    /// Replaces the table's text by one that names the culprit.
    pub(crate) fn detail(mut self, text: impl Into<String>) -> Self {
        self.detail = Some(text.into());
        self
    }

    /// Adds a claims challenge, which the client passes on to its next authorization request.
    pub(crate) fn claims(mut self, claims: impl Into<String>) -> Self {
        self.claims = Some(claims.into());
        self
    }

    /// Adds `error_subcode` to a redirect, e.g. `cancel`.
    pub(crate) fn subcode(mut self, subcode: &'static str) -> Self {
        self.subcode = Some(subcode);
        self
    }

    /// AADSTS50076 with the claims challenge that steps up.
    pub(crate) fn second_factor() -> Self {
        Self::new(50076).claims(STEP_UP_CLAIMS)
    }

    /// Whether the authorization endpoint shows a page instead of redirecting.
    pub(crate) fn is_page(&self) -> bool {
        self.known.page
    }

    /// `AADSTS…: … Trace ID: … Correlation ID: … Timestamp: …`.
    pub(crate) fn description(&self, ids: &Ids) -> String {
        let text = self.detail.as_deref().unwrap_or(self.known.text);
        let Ids { trace, correlation, timestamp } = ids;
        let code = self.code;
        format!("AADSTS{code}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {timestamp}")
    }

    /// The parameters of an error response at the redirect URI (RFC 6749 section 4.1.2.1).
    pub(crate) fn redirect_parameters(&self, ids: &Ids) -> Vec<(String, String)> {
        let mut parameters = vec![
            ("error".to_owned(), self.known.authorize.to_owned()),
            ("error_description".to_owned(), self.description(ids)),
        ];
        if let Some(subcode) = self.subcode {
            parameters.push(("error_subcode".to_owned(), subcode.to_owned()));
        }
        if let Some(claims) = &self.claims {
            parameters.push(("claims".to_owned(), claims.clone()));
        }
        parameters
    }

    /// The token endpoint's answer (RFC 6749 section 5.2, with Entra's further members).
    pub(crate) fn token_response(&self, ids: &Ids) -> Response {
        let status = StatusCode::from_u16(self.known.status).unwrap_or(StatusCode::BAD_REQUEST);
        let mut response = (status, Json(Value::Object(self.token_body(ids)))).into_response();
        ids.apply(&mut response);
        let no_store = HeaderValue::from_static("no-store, no-cache");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        if status == StatusCode::TOO_MANY_REQUESTS {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
        }
        response
    }

    fn token_body(&self, ids: &Ids) -> Map<String, Value> {
        let mut body = Map::new();
        body.insert("error".to_owned(), self.known.token.into());
        body.insert("error_description".to_owned(), self.description(ids).into());
        body.insert("error_codes".to_owned(), json!([self.code]));
        body.insert("timestamp".to_owned(), ids.timestamp.clone().into());
        body.insert("trace_id".to_owned(), ids.trace.clone().into());
        body.insert("correlation_id".to_owned(), ids.correlation.clone().into());
        if let Some(suberror) = self.known.suberror {
            body.insert("suberror".to_owned(), suberror.into());
        }
        if let Some(claims) = &self.claims {
            body.insert("claims".to_owned(), claims.clone().into());
        }
        body
    }
}

/// The challenge that comes with AADSTS50076: an authorization request that carries it steps up.
const STEP_UP_CLAIMS: &str =
    r#"{"access_token":{"capolids":{"essential":true,"values":["7a1b6d1c-0f0d-4c0e-9d0b-5c2f1f3b9a11"]}}}"#;

/// The ids that tie an answer to Entra's logs.
#[derive(Clone, Debug)]
pub(crate) struct Ids {
    pub(crate) trace: String,
    pub(crate) correlation: String,
    pub(crate) timestamp: String,
}

impl Ids {
    /// Fresh ids; the correlation id is the client's `client-request-id` if it sent a UUID.
    pub(crate) fn new(now: DateTime<Utc>, client_request_id: Option<&str>) -> Self {
        let sent = client_request_id.and_then(|id| uuid::Uuid::parse_str(id).ok());
        Self {
            trace: random::uuid().to_string(),
            correlation: sent.unwrap_or_else(random::uuid).to_string(),
            timestamp: now.format("%Y-%m-%d %H:%M:%SZ").to_string(),
        }
    }

    /// Adds the headers that Entra's answers carry.
    pub(crate) fn apply(&self, response: &mut Response) {
        let pairs = [("x-ms-request-id", &self.trace), ("client-request-id", &self.correlation)];
        for (name, value) in pairs {
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(HeaderName::from_static(name), value);
            }
        }
    }
}
