//! The parameters of an authorization response, as a browser brings them: hostile until proven
//! (RFC 6749, section 4.1.2; RFC 9207; OAuth 2.0 Form Post Response Mode).

use std::collections::HashMap;
use std::fmt;

use url::form_urlencoded;

use super::error::{CallbackFault, OidcError};
use super::provider_error::{ProviderError, claims_challenge};

/// The longest query or body that is read.
pub const MAX_CALLBACK_LENGTH: usize = 32 * 1024;

/// The most parameters that are read.
const MAX_PARAMETERS: usize = 32;

/// An authorization response. Its `Debug` shows no value.
#[derive(Clone, Default)]
pub struct CallbackParams {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) iss: Option<String>,
    error: Option<String>,
    suberror: Option<String>,
    error_description: Option<String>,
    claims: Option<String>,
    admin_consent: Option<String>,
}

impl fmt::Debug for CallbackParams {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("CallbackParams")
            .field("code", &self.code.is_some())
            .field("state", &self.state.is_some())
            .field("error", &self.error.is_some())
            .finish_non_exhaustive()
    }
}

impl CallbackParams {
    /// Reads a query without its `?`, or a form-encoded body. Parameters without a value count as
    /// absent; unknown ones are ignored.
    ///
    /// # Errors
    /// [`OidcError::Callback`] if it is too long or a parameter comes twice, which RFC 6749, section
    /// 3.1, forbids: two readers could take different ones.
    pub fn parse(form: &str) -> Result<Self, OidcError> {
        if form.len() > MAX_CALLBACK_LENGTH {
            return Err(CallbackFault::Malformed.into());
        }
        let mut parameters = HashMap::new();
        for (name, value) in form_urlencoded::parse(form.as_bytes()) {
            if parameters.insert(name, value).is_some() {
                return Err(CallbackFault::DuplicateParameter.into());
            }
            if parameters.len() > MAX_PARAMETERS {
                return Err(CallbackFault::Malformed.into());
            }
        }
        let mut take = |name: &str| parameters.remove(name).map(String::from).filter(|value| !value.is_empty());
        Ok(Self {
            code: take("code"),
            state: take("state"),
            iss: take("iss"),
            error: take("error"),
            suberror: take("suberror").or_else(|| take("error_subcode")),
            error_description: take("error_description"),
            claims: take("claims"),
            admin_consent: take("admin_consent"),
        })
    }

    /// `state`, to find the transaction by.
    #[must_use]
    pub fn state(&self) -> Option<&str> {
        self.state.as_deref()
    }

    /// Whether it is Entra's answer to an administrator who approved the permissions, and so no authorization response
    /// (Microsoft identity platform, "Admin consent on the Microsoft identity platform"). It proves nothing.
    #[must_use]
    pub fn is_admin_consent(&self) -> bool {
        let says_so = self.admin_consent.as_deref().is_some_and(|value| value.eq_ignore_ascii_case("true"));
        says_so && self.state.is_none() && self.code.is_none() && !self.has_error()
    }

    /// Whether the provider reports an error.
    #[must_use]
    pub fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// The error that the provider reports. Anybody can write such a response: without a
    /// transaction that fits it is for the log alone.
    #[must_use]
    pub fn provider_error(&self) -> Option<ProviderError> {
        let error = self.error.as_deref()?;
        let (suberror, description) = (self.suberror.as_deref(), self.error_description.as_deref());
        let claims = self.claims.as_deref().and_then(claims_challenge);
        Some(ProviderError { claims, ..ProviderError::from_callback(error, suberror, description) })
    }
}
