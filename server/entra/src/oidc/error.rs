//! What can go wrong between this application and the provider, and a stable code for each.

use std::time::Duration;

use super::provider_error::{ProviderError, plain_text};
use crate::crypto::CryptoError;
use crate::http::HttpError;

/// Why signing in, or another exchange with the provider, failed.
///
/// `Display` is for logs: it holds no secret, and what others wrote is bounded and free of control
/// characters. People see [`OidcError::advice`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum OidcError {
    /// The provider did not answer, or answered that it cannot.
    #[error("{endpoint} does not answer: {detail}")]
    Unavailable {
        /// Which part of the provider.
        endpoint: Endpoint,
        /// What was seen.
        detail: String,
        /// How long the provider asked to wait.
        retry_after: Option<Duration>,
        /// Its own words, if it had any: for those who ask, and never what decisions rest on.
        said: Option<Box<ProviderError>>,
    },
    /// The provider's metadata cannot be used (OpenID Connect Discovery 1.0, section 4.3).
    #[error("provider metadata: {0}")]
    Metadata(MetadataFault),
    /// The provider's key set cannot be used.
    #[error("provider keys: {0}")]
    Keys(KeysFault),
    /// This application cannot prove who it is.
    #[error("client credential: {0}")]
    Credential(CredentialFault),
    /// The authorization request would be one that providers refuse.
    #[error("authorization request: {0}")]
    Request(RequestFault),
    /// The authorization response is not an answer to the request that was made.
    #[error("authorization response: {0}")]
    Callback(CallbackFault),
    /// The provider answered with an OAuth error.
    #[error("{endpoint} refused: {error}")]
    Provider {
        /// Which part of the provider.
        endpoint: Endpoint,
        /// Its words.
        error: Box<ProviderError>,
    },
    /// The token endpoint's answer is not a token response (RFC 6749, section 5.1).
    #[error("token response: {0}")]
    TokenResponse(String),
    /// The ID token, or another token of the provider, was refused.
    #[error("token: {0}")]
    Token(TokenFault),
    /// The user info response was refused (OpenID Connect Core 1.0, section 5.3.4).
    #[error("user info: `sub` is not that of the ID token")]
    UserInfoSubject,
    /// The operating system gave no random bytes.
    #[error("{0}")]
    Randomness(#[from] CryptoError),
}

/// A part of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// Where the browser is sent.
    Authorization,
    /// Where codes and refresh tokens are redeemed.
    Token,
    /// The discovery document.
    Metadata,
    /// The key set.
    Keys,
    /// The user info endpoint.
    UserInfo,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Authorization => "the provider's authorization endpoint",
            Self::Token => "the provider's token endpoint",
            Self::Metadata => "the provider's metadata",
            Self::Keys => "the provider's key set",
            Self::UserInfo => "the provider's user info endpoint",
        })
    }
}

/// What is wrong with the metadata.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MetadataFault {
    /// Not a JSON object.
    #[error("not a JSON object")]
    Malformed,
    /// A required member is missing or of another type.
    #[error("`{0}` is missing or not a string")]
    Missing(&'static str),
    /// An endpoint that must not be called.
    #[error("`{field}` is refused: {why}")]
    Endpoint {
        /// The member.
        field: &'static str,
        /// Why.
        why: &'static str,
    },
    /// The issuer is not the one that was asked for.
    #[error("`issuer` is `{found}` and must be `{expected}`")]
    Issuer {
        /// By the settings.
        expected: String,
        /// By the document, shortened.
        found: String,
    },
}

/// What is wrong with the key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeysFault {
    /// Not a JSON object with a list `keys`.
    #[error("not a JSON Web Key Set")]
    Malformed,
    /// No key in it can verify RS256.
    #[error("no usable key in it")]
    Empty,
}

/// What is wrong with this application's own credential.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialFault {
    /// A file cannot be read, or is empty.
    #[error("cannot read the file that `{0}` names")]
    Unreadable(&'static str),
    /// A file holds something else.
    #[error("`{setting}` must name {expected}")]
    Unusable {
        /// The setting.
        setting: &'static str,
        /// What must be in the file.
        expected: &'static str,
    },
    /// The assertion could not be signed.
    #[error("the client assertion could not be signed")]
    Signing,
}

/// What is wrong with an authorization request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestFault {
    /// Longer than providers take (AADSTS90015).
    #[error("the authorization URL would be longer than 2,048 characters")]
    TooLong,
    /// The redirect URI is not a URL.
    #[error("the redirect URI is not a URL")]
    RedirectUri,
    /// The claims request is not a JSON object.
    #[error("the claims request is not a JSON object")]
    Claims,
}

/// What is wrong with an authorization response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackFault {
    /// Too long, or not form-encoded.
    #[error("malformed or too long")]
    Malformed,
    /// A parameter came twice (RFC 6749, section 3.1).
    #[error("a parameter came twice")]
    DuplicateParameter,
    /// No `state`.
    #[error("no `state`")]
    MissingState,
    /// Another `state` than the browser's transaction has.
    #[error("`state` does not fit this browser's transaction")]
    State,
    /// Neither a code nor an error.
    #[error("neither `code` nor `error`")]
    MissingCode,
    /// Both a code and an error.
    #[error("both `code` and `error`")]
    CodeAndError,
    /// `iss` is not the provider's (RFC 9207, section 2.4).
    #[error("`iss` is not the provider's")]
    Issuer,
    /// No `iss`, though the provider says that it always sends one (RFC 9207, section 2.4).
    #[error("no `iss`, though the provider always sends one")]
    MissingIssuer,
    /// The transaction took too long.
    #[error("the transaction has expired")]
    Expired,
    /// The transaction was begun with another provider.
    #[error("the transaction was begun with another provider")]
    OtherProvider,
}

/// What is wrong with a token (OpenID Connect Core 1.0, section 3.1.3.7; RFC 8725).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// The token response has no ID token.
    #[error("no ID token in the response")]
    Absent,
    /// Longer than 64 KiB.
    #[error("too long")]
    TooLong,
    /// Not a JWS in compact serialization.
    #[error("not a signed token")]
    Malformed,
    /// Encrypted (JWE).
    #[error("encrypted tokens are not accepted")]
    Encrypted,
    /// Signed in another way than agreed.
    #[error("the algorithm must be RS256")]
    Algorithm,
    /// Another kind of token.
    #[error("another kind of token (`typ`)")]
    Kind,
    /// Has critical extensions.
    #[error("`crit` is not supported")]
    Critical,
    /// A JSON member occurs twice.
    #[error("a member occurs twice")]
    DuplicateMember,
    /// A required claim is missing.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// A claim has another type than it must.
    #[error("`{0}` has the wrong type")]
    WrongType(&'static str),
    /// No key of the provider has this id.
    #[error("signed with a key that the provider does not publish")]
    UnknownKey,
    /// More than one key of the provider fits.
    #[error("more than one key fits")]
    AmbiguousKey,
    /// The key belongs to another issuer.
    #[error("signed with the key of another issuer")]
    KeyIssuer,
    /// The signature does not verify.
    #[error("the signature does not verify")]
    Signature,
    /// Another issuer.
    #[error("`iss` is not the provider's")]
    Issuer,
    /// Not for this application, or not for it alone.
    #[error("`aud` is not this application alone")]
    Audience,
    /// Issued to another application.
    #[error("`azp` is not this application")]
    AuthorizedParty,
    /// Expired.
    #[error("expired")]
    Expired,
    /// Not valid yet.
    #[error("`nbf` is in the future")]
    NotYetValid,
    /// Issued in the future, or more than an hour ago.
    #[error("`iat` is in the future or too long ago")]
    IssuedAt,
    /// Belongs to another transaction.
    #[error("`nonce` does not fit")]
    Nonce,
    /// Belongs to another access token.
    #[error("`at_hash` does not fit the access token")]
    AccessTokenHash,
    /// The tenant id is no GUID.
    #[error("`tid` is not a lower-case GUID")]
    TenantId,
    /// The tenant is not one of those allowed.
    #[error("tenant `{0}` is not allowed")]
    TenantNotAllowed(String),
    /// A personal Microsoft account.
    #[error("personal Microsoft accounts are not allowed")]
    PersonalAccount,
    /// The object id is no GUID.
    #[error("`oid` is not a GUID")]
    ObjectId,
    /// The step-up that was asked for is not proven.
    #[error("the authentication context asked for is not in the token")]
    AuthContext,
    /// The sign-in is older than asked for.
    #[error("`auth_time` is missing or older than asked for")]
    AuthTime,
    /// Another person than the one expected.
    #[error("the token is about another person")]
    Subject,
    /// The logout token has no logout event (OpenID Connect Back-Channel Logout 1.0, section 2.4).
    #[error("no logout event")]
    Event,
    /// The logout token has a nonce.
    #[error("a logout token must not have a nonce")]
    UnwantedNonce,
    /// The access token is neither a person's nor an application's own.
    #[error("it has neither scopes nor the `idtyp` of an application's own token")]
    NoPermissions,
    /// The access token lacks the scope.
    #[error("the scope asked for is not in the token")]
    Scope,
}

impl OidcError {
    /// A stable code for logs and for the audit table: `group.fault`.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "provider.unavailable",
            Self::Metadata(fault) => fault.reason(),
            Self::Keys(KeysFault::Malformed) => "keys.malformed",
            Self::Keys(KeysFault::Empty) => "keys.empty",
            Self::Credential(fault) => fault.reason(),
            Self::Request(fault) => fault.reason(),
            Self::Callback(fault) => fault.reason(),
            Self::Provider { error, .. } => error.reason(),
            Self::TokenResponse(_) => "token_response.malformed",
            Self::Token(fault) => fault.reason(),
            Self::UserInfoSubject => "user_info.bad_sub",
            Self::Randomness(_) => "server.no_randomness",
        }
    }

    /// The provider's own words, when it answered with an error.
    #[must_use]
    pub fn provider_error(&self) -> Option<&ProviderError> {
        match self {
            Self::Provider { error, .. } => Some(error),
            Self::Unavailable { said, .. } => said.as_deref(),
            _ => None,
        }
    }

    /// Whether the person was turned away, rather than something having gone wrong.
    #[must_use]
    pub fn is_denied(&self) -> bool {
        match self {
            Self::Provider { error, .. } => error.error == "access_denied",
            Self::Token(fault) => matches!(fault, TokenFault::TenantNotAllowed(_) | TokenFault::PersonalAccount),
            _ => false,
        }
    }

    /// Whether the provider asks for the person: an interactive sign-in can bring what this one did not (OpenID
    /// Connect Core 1.0, section 3.1.2.6; Microsoft identity platform, "Handle errors").
    #[must_use]
    pub fn asks_for_the_person(&self) -> bool {
        matches!(self, Self::Provider { error, .. } if error.asks_for_the_person())
    }

    /// Whether the provider sent a claims challenge along, which the next sign-in is to meet.
    #[must_use]
    pub fn has_challenge(&self) -> bool {
        matches!(self, Self::Provider { error, .. } if error.claims.is_some())
    }

    /// Whether the provider is down, so that trying again later helps.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Keys(_) => true,
            Self::Provider { error, .. } => error.is_outage(),
            _ => false,
        }
    }

    /// Whether this application is refused, by its credential or registration, whoever signs in; or has no credential
    /// to show.
    #[must_use]
    pub fn refuses_the_client(&self) -> bool {
        match self {
            Self::Provider { error, endpoint: Endpoint::Token } => {
                matches!(error.error.as_str(), "invalid_client" | "unauthorized_client")
            }
            Self::Credential(_) => true,
            _ => false,
        }
    }

    /// A call that brought no complete response.
    pub(crate) fn no_response(endpoint: Endpoint, error: &HttpError) -> Self {
        let detail = plain_text(&error.to_string());
        Self::Unavailable { endpoint, detail, retry_after: None, said: None }
    }
}

impl MetadataFault {
    fn reason(&self) -> &'static str {
        match self {
            Self::Malformed => "metadata.malformed",
            Self::Missing(_) => "metadata.missing_field",
            Self::Endpoint { .. } => "metadata.bad_endpoint",
            Self::Issuer { .. } => "metadata.bad_issuer",
        }
    }
}

impl CredentialFault {
    fn reason(&self) -> &'static str {
        match self {
            Self::Unreadable(_) => "credential.unreadable",
            Self::Unusable { .. } => "credential.unusable",
            Self::Signing => "credential.signing",
        }
    }
}

impl RequestFault {
    fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "request.too_long",
            Self::RedirectUri => "request.bad_redirect_uri",
            Self::Claims => "request.bad_claims",
        }
    }
}

impl CallbackFault {
    fn reason(self) -> &'static str {
        match self {
            Self::Malformed => "callback.malformed",
            Self::DuplicateParameter => "callback.duplicate_parameter",
            Self::MissingState => "callback.missing_state",
            Self::State => "callback.bad_state",
            Self::MissingCode => "callback.missing_code",
            Self::CodeAndError => "callback.code_and_error",
            Self::Issuer => "callback.bad_iss",
            Self::MissingIssuer => "callback.missing_iss",
            Self::Expired => "callback.expired",
            Self::OtherProvider => "callback.other_provider",
        }
    }
}

impl TokenFault {
    fn reason(&self) -> &'static str {
        match self {
            Self::Absent => "id_token.absent",
            Self::TooLong => "id_token.too_long",
            Self::Malformed => "id_token.malformed",
            Self::Encrypted => "id_token.encrypted",
            Self::Algorithm => "id_token.bad_alg",
            Self::Kind => "id_token.bad_typ",
            Self::Critical => "id_token.crit",
            Self::DuplicateMember => "id_token.duplicate_member",
            Self::Missing("oid") => "id_token.missing_oid",
            Self::Missing("tid") => "id_token.missing_tid",
            Self::Missing("nonce") => "id_token.missing_nonce",
            Self::Missing(_) => "id_token.missing_claim",
            Self::WrongType(_) => "id_token.wrong_type",
            Self::UnknownKey => "id_token.unknown_key",
            Self::AmbiguousKey => "id_token.ambiguous_key",
            Self::KeyIssuer => "id_token.bad_key_issuer",
            Self::Signature => "id_token.bad_signature",
            Self::Issuer => "id_token.bad_iss",
            Self::Audience => "id_token.bad_aud",
            Self::AuthorizedParty => "id_token.bad_azp",
            Self::Expired => "id_token.expired",
            Self::NotYetValid => "id_token.not_yet_valid",
            Self::IssuedAt => "id_token.bad_iat",
            Self::Nonce => "id_token.bad_nonce",
            Self::AccessTokenHash => "id_token.bad_at_hash",
            Self::TenantId => "id_token.bad_tid",
            Self::TenantNotAllowed(_) => "id_token.tenant_not_allowed",
            Self::PersonalAccount => "id_token.personal_account",
            Self::ObjectId => "id_token.bad_oid",
            Self::AuthContext => "id_token.bad_auth_context",
            Self::AuthTime => "id_token.bad_auth_time",
            Self::Subject => "id_token.bad_sub",
            Self::Event => "logout_token.no_event",
            Self::UnwantedNonce => "logout_token.nonce",
            Self::NoPermissions => "access_token.no_permissions",
            Self::Scope => "access_token.missing_scope",
        }
    }
}

impl From<TokenFault> for OidcError {
    fn from(fault: TokenFault) -> Self {
        Self::Token(fault)
    }
}

impl From<CallbackFault> for OidcError {
    fn from(fault: CallbackFault) -> Self {
        Self::Callback(fault)
    }
}

impl From<CredentialFault> for OidcError {
    fn from(fault: CredentialFault) -> Self {
        Self::Credential(fault)
    }
}

impl From<RequestFault> for OidcError {
    fn from(fault: RequestFault) -> Self {
        Self::Request(fault)
    }
}

impl From<MetadataFault> for OidcError {
    fn from(fault: MetadataFault) -> Self {
        Self::Metadata(fault)
    }
}

impl From<KeysFault> for OidcError {
    fn from(fault: KeysFault) -> Self {
        Self::Keys(fault)
    }
}
