//! OAuth error responses: the provider's own words, which are untrusted text.

use serde_json::{Map, Value};

/// The most characters of the provider's own words that are kept.
const MAX_TEXT: usize = 500;

/// The most bytes of a claims challenge that are kept: Microsoft's have some hundreds.
const MAX_CLAIMS: usize = 4 * 1024;

/// An OAuth error response in the provider's own words (RFC 6749, sections 4.1.2.1 and 5.2; Microsoft
/// identity platform, "Handle errors"): untrusted text, bounded, without control characters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError {
    /// The OAuth error code: what decisions rest on.
    pub error: String,
    /// Microsoft's sub-code.
    pub suberror: Option<String>,
    /// Text for developers.
    pub description: Option<String>,
    /// The number after `AADSTS`. For help texts alone: Microsoft changes these.
    pub aadsts: Option<u32>,
    /// Microsoft's trace id, for their support.
    pub trace_id: Option<String>,
    /// Microsoft's correlation id, for their support.
    pub correlation_id: Option<String>,
    /// When it happened, by the provider's clock.
    pub timestamp: Option<String>,
    /// The claims challenge to send along with the next sign-in: a JSON object.
    pub claims: Option<String>,
}

impl std::fmt::Display for ProviderError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.error)?;
        for extra in [&self.suberror, &self.description].into_iter().flatten() {
            write!(formatter, ", {extra}")?;
        }
        Ok(())
    }
}

impl ProviderError {
    /// Reads the parameters of an authorization error response.
    #[must_use]
    pub fn from_callback(error: &str, suberror: Option<&str>, description: Option<&str>) -> Self {
        let mut read = Self { error: plain_text(error), suberror: suberror.map(plain_text), ..Self::default() };
        read.read_description(description.unwrap_or_default());
        read
    }

    /// Reads the body of a token endpoint's error response; `None` if it is no such body.
    #[must_use]
    pub fn from_body(body: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let mut read = Self {
            error: plain_text(text("error")?),
            suberror: text("suberror").filter(|code| !code.is_empty()).map(plain_text),
            claims: text("claims").and_then(claims_challenge),
            ..Self::default()
        };
        read.read_description(text("error_description").unwrap_or_default());
        read.aadsts = read.aadsts.or_else(|| first_error_code(body));
        read.trace_id = text("trace_id").map(plain_text).or(read.trace_id);
        read.correlation_id = text("correlation_id").map(plain_text).or(read.correlation_id);
        read.timestamp = text("timestamp").map(plain_text).or(read.timestamp);
        Some(read)
    }

    /// A stable code: `provider.` and the OAuth error when it is a registered one.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self.error.as_str() {
            "access_denied" => "provider.access_denied",
            "account_selection_required" => "provider.account_selection_required",
            "consent_required" => "provider.consent_required",
            "interaction_required" => "provider.interaction_required",
            "invalid_client" => "provider.invalid_client",
            "invalid_grant" => "provider.invalid_grant",
            "invalid_request" => "provider.invalid_request",
            "invalid_resource" => "provider.invalid_resource",
            "invalid_scope" => "provider.invalid_scope",
            "login_required" => "provider.login_required",
            "server_error" => "provider.server_error",
            "temporarily_unavailable" => "provider.temporarily_unavailable",
            "unauthorized_client" => "provider.unauthorized_client",
            "unsupported_response_type" => "provider.unsupported_response_type",
            _ => "provider.error",
        }
    }

    /// Whether only the person can help, by signing in interactively. `error` and `suberror` decide, and whether there
    /// is a claims challenge; never Microsoft's numbers or texts, which change.
    #[must_use]
    pub fn asks_for_the_person(&self) -> bool {
        match self.error.as_str() {
            "interaction_required" | "login_required" | "consent_required" | "account_selection_required" => true,
            "invalid_grant" => self.claims.is_some() || self.suberror.as_deref().is_some_and(asks_for_action),
            _ => false,
        }
    }

    /// Whether the provider says that it cannot answer now.
    #[must_use]
    pub fn is_outage(&self) -> bool {
        matches!(self.error.as_str(), "server_error" | "temporarily_unavailable")
    }

    /// Takes the description, and what Microsoft writes into it.
    fn read_description(&mut self, description: &str) {
        self.aadsts = aadsts_number(description);
        self.trace_id = labelled(description, "Trace ID:");
        self.correlation_id = labelled(description, "Correlation ID:");
        self.timestamp = labelled(description, "Timestamp:");
        self.description = Some(plain_text(description)).filter(|text| !text.is_empty());
    }
}

/// Sub-codes of `invalid_grant` that ask for the person rather than taking the grant away (MSAL, "interaction
/// required" sub-codes).
fn asks_for_action(suberror: &str) -> bool {
    matches!(
        suberror,
        "basic_action" | "additional_action" | "message_only" | "consent_required" | "user_password_expired"
    )
}

/// A claims challenge, if it is a JSON object of a sane size.
pub(crate) fn claims_challenge(text: &str) -> Option<String> {
    let is_object = text.len() <= MAX_CLAIMS && serde_json::from_str::<Map<String, Value>>(text).is_ok();
    is_object.then(|| text.to_owned())
}

/// The number in `AADSTS50076: …`.
fn aadsts_number(text: &str) -> Option<u32> {
    let (_, after) = text.split_once("AADSTS")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).take(9).collect();
    digits.parse().ok()
}

/// The first of Microsoft's `error_codes`.
fn first_error_code(body: &Map<String, Value>) -> Option<u32> {
    let code = body.get("error_codes")?.as_array()?.first()?.as_u64()?;
    u32::try_from(code).ok()
}

/// The word or the date after `label`, up to where Microsoft begins the next label.
fn labelled(text: &str, label: &str) -> Option<String> {
    let (_, after) = text.split_once(label)?;
    let end = ["\r", "\n", "Trace ID:", "Correlation ID:", "Timestamp:"]
        .iter()
        .filter_map(|next| after.find(next))
        .min()
        .unwrap_or(after.len());
    let value: String = after.get(..end)?.trim().chars().take(64).collect();
    Some(plain_text(&value)).filter(|value| !value.is_empty())
}

/// Untrusted text made fit for a log line or a page: no control characters, bounded length.
pub(crate) fn plain_text(text: &str) -> String {
    let spaced = text.chars().map(|character| match character.is_control() || is_invisible(character) {
        true => ' ',
        false => character,
    });
    let cleaned: String = spaced.take(MAX_TEXT).collect();
    cleaned.trim().to_owned()
}

/// Characters that turn the reading direction around or hide (Unicode bidirectional controls).
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
