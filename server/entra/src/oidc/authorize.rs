//! The authorization request that the browser carries to the provider (OpenID Connect Core 1.0,
//! section 3.1.2.1; RFC 7636; Microsoft identity platform, "OAuth 2.0 authorization code flow").

use std::borrow::Cow;
use std::fmt;

use openidconnect::core::{CoreAuthPrompt, CoreResponseType};
use openidconnect::{
    AuthenticationContextClass, AuthenticationFlow, CsrfToken, LoginHint, Nonce, PkceCodeChallenge, PkceCodeVerifier,
    RedirectUrl, Scope,
};
use serde::{Deserialize, Serialize};
use url::Url;

use super::OidcClient;
use super::claims_request::claims_request;
use super::error::{OidcError, RequestFault};
use super::metadata::{Metadata, provider_key};
use super::token_endpoint::relying_party;
use super::transaction::Transaction;
use crate::config::{ProviderKind, ResponseMode, Tenant};

/// The longest authorization URL that Entra takes (AADSTS90015).
const MAX_URL: usize = 2048;

/// The longest hint that is passed on.
const MAX_HINT: usize = 512;

/// What a sign-in is to be like.
#[derive(Clone, Debug, Default)]
pub struct BeginOptions {
    /// Where the provider sends the browser back to: absolute, as registered.
    pub redirect_uri: String,
    /// Whether and how the provider asks the person.
    pub prompt: Option<Prompt>,
    /// Who is likely to sign in.
    pub login_hint: Option<String>,
    /// Which organisation they are likely to belong to (Entra only).
    pub domain_hint: Option<String>,
    /// How long ago they may have signed in at the provider.
    pub max_age: Option<std::time::Duration>,
    /// A step-up that the answer must prove: an Entra authentication context such as `c1`, or with
    /// another provider an `acr` value.
    pub auth_context: Option<String>,
    /// A claims challenge to pass on: a JSON object.
    pub claims: Option<String>,
    /// Scopes beyond the settings' (incremental consent).
    pub further_scopes: Vec<String>,
    /// Whether no refresh token is stored for this person: other providers than Entra then have
    /// to ask for consent to give one (OpenID Connect Core 1.0, section 11).
    pub no_grant_stored: bool,
}

impl BeginOptions {
    /// An ordinary sign-in that comes back to `redirect_uri`.
    #[must_use]
    pub fn new(redirect_uri: impl Into<String>) -> Self {
        Self { redirect_uri: redirect_uri.into(), ..Self::default() }
    }
}

/// `prompt` (OpenID Connect Core 1.0, section 3.1.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Prompt {
    /// Sign in anew.
    Login,
    /// Ask nothing; answer with an error instead.
    None,
    /// Ask for consent.
    Consent,
    /// Choose an account.
    SelectAccount,
}

impl Prompt {
    /// Reads the parameter's value; `None` for any other text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Login, Self::None, Self::Consent, Self::SelectAccount].into_iter().find(|prompt| prompt.as_str() == text)
    }

    /// The parameter's value.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login",
            Self::None => "none",
            Self::Consent => "consent",
            Self::SelectAccount => "select_account",
        }
    }

    fn to_core(self) -> CoreAuthPrompt {
        match self {
            Self::Login => CoreAuthPrompt::Login,
            Self::None => CoreAuthPrompt::None,
            Self::Consent => CoreAuthPrompt::Consent,
            Self::SelectAccount => CoreAuthPrompt::SelectAccount,
        }
    }
}

/// A sign-in that was begun. Its `Debug` shows no secret: the URL holds state and nonce.
pub struct Begun {
    /// Where to send the browser.
    pub url: Url,
    /// What to seal into the browser's cookie and give to [`OidcClient::finish`].
    pub transaction: Transaction,
}

impl fmt::Debug for Begun {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Begun").field("transaction", &self.transaction).finish_non_exhaustive()
    }
}

impl OidcClient {
    /// Begins a sign-in. A `login_hint` is not sent along with the wish to choose an account, as it
    /// would choose for the person.
    ///
    /// # Errors
    /// [`OidcError::Unavailable`] or [`OidcError::Metadata`] if the provider is not to be had,
    /// [`OidcError::Request`] if the request would be refused there.
    pub async fn begin(&self, options: BeginOptions) -> Result<Begun, OidcError> {
        let metadata = self.metadata().await?;
        let provider = provider_key(&self.config().kind);
        let transaction = Transaction::new(&options, provider, &self.config().scopes, self.clock().now())?;
        let url = self.authorization_url(&metadata, &transaction, &options)?;
        match url.as_str().len() <= MAX_URL {
            true => Ok(Begun { url, transaction }),
            false => Err(RequestFault::TooLong.into()),
        }
    }

    /// Where an administrator of the organisation approves the settings' scopes and `further_scopes` for everybody;
    /// the browser comes back to `redirect_uri` without a code. `None` unless the provider is Entra (Microsoft identity
    /// platform, "Admin consent on the Microsoft identity platform").
    #[must_use]
    pub fn admin_consent_url<'a>(
        &self,
        redirect_uri: &str,
        further_scopes: impl IntoIterator<Item = &'a str>,
    ) -> Option<Url> {
        let ProviderKind::Entra { authority, tenant } = &self.config().kind else {
            return None;
        };
        let tenant = match tenant {
            Tenant::Single(tenant) => tenant,
            Tenant::Multi { .. } => "organizations",
        };
        let mut url = Url::parse(authority).ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().extend([tenant, "v2.0", "adminconsent"]);
        let scopes: Vec<&str> = further_scopes.into_iter().collect();
        let scopes = [self.config().scopes.join(" "), scopes.join(" ")].join(" ");
        url.query_pairs_mut()
            .append_pair("client_id", &self.config().client_id)
            .append_pair("scope", scopes.trim_end())
            .append_pair("redirect_uri", redirect_uri);
        Some(url)
    }

    fn authorization_url(
        &self,
        metadata: &Metadata,
        transaction: &Transaction,
        options: &BeginOptions,
    ) -> Result<Url, OidcError> {
        let client = relying_party(&self.config().client_id, metadata)?;
        let (state, nonce) = (transaction.state().to_owned(), transaction.nonce.clone());
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let verifier = PkceCodeVerifier::new(transaction.pkce_verifier.clone());
        let mut request = client
            .authorize_url(flow, move || CsrfToken::new(state), move || Nonce::new(nonce))
            .set_redirect_uri(Cow::Owned(redirect_url(&transaction.redirect_uri)?))
            .set_pkce_challenge(PkceCodeChallenge::from_code_verifier_sha256(&verifier))
            .add_scopes(extra_scopes(&transaction.scopes));
        for prompt in self.prompts(transaction, options.no_grant_stored) {
            request = request.add_prompt(prompt.to_core());
        }
        if let Some(age) = options.max_age {
            request = request.set_max_age(age);
        }
        if let Some(hint) =
            hint(options.login_hint.as_deref()).filter(|_| options.prompt != Some(Prompt::SelectAccount))
        {
            request = request.set_login_hint(LoginHint::new(hint.to_owned()));
        }
        if self.config().response_mode == ResponseMode::FormPost {
            request = request.add_extra_param("response_mode", "form_post");
        }
        let own = self.own_parameters(options)?;
        if let Some(context) = own.auth_context_value {
            request = request.add_auth_context_value(AuthenticationContextClass::new(context));
        }
        for (name, value) in own.parameters {
            request = request.add_extra_param(name, value);
        }
        Ok(request.url().0)
    }

    /// The prompts to send: the one asked for, and consent where offline access depends on it.
    fn prompts(&self, transaction: &Transaction, no_grant_stored: bool) -> Vec<Prompt> {
        let is_offline = transaction.scopes.iter().any(|scope| scope == "offline_access");
        let needs_consent = no_grant_stored
            && is_offline
            && !self.is_entra()
            && !matches!(transaction.prompt, Some(Prompt::None | Prompt::Consent));
        let consent = needs_consent.then_some(Prompt::Consent);
        transaction.prompt.into_iter().chain(consent).collect()
    }

    /// Parameters whose form depends on the provider.
    fn own_parameters(&self, options: &BeginOptions) -> Result<OwnParameters, OidcError> {
        let kind = &self.config().kind;
        let claims = claims_request(kind, options.claims.as_deref(), options.auth_context.as_deref())?;
        let mut own = OwnParameters::default();
        match kind {
            ProviderKind::Generic { .. } => own.auth_context_value = options.auth_context.clone(),
            ProviderKind::Entra { .. } => {
                let domain = hint(options.domain_hint.as_deref()).map(str::to_owned);
                own.parameters.extend(domain.map(|domain| ("domain_hint", domain)));
            }
        }
        own.parameters.extend(claims.map(|claims| ("claims", claims)));
        Ok(own)
    }
}

/// Parameters whose form depends on the provider.
#[derive(Default)]
struct OwnParameters {
    auth_context_value: Option<String>,
    parameters: Vec<(&'static str, String)>,
}

/// A redirect URI as the library takes it.
pub(super) fn redirect_url(text: &str) -> Result<RedirectUrl, OidcError> {
    RedirectUrl::new(text.to_owned()).map_err(|_| RequestFault::RedirectUri.into())
}

/// The scopes besides `openid`, which the library adds.
fn extra_scopes(scopes: &[String]) -> Vec<Scope> {
    scopes.iter().filter(|scope| *scope != "openid").cloned().map(Scope::new).collect()
}

/// A hint worth sending: not empty, not too long.
fn hint(text: Option<&str>) -> Option<&str> {
    text.map(str::trim).filter(|hint| (1..=MAX_HINT).contains(&hint.len()))
}
