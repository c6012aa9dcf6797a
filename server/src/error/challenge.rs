//! Why a bearer token does not do, and what to tell whoever sent it (RFC 6750, section 3).

use axum::http::{HeaderValue, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 401: there is no bearer token.
    Absent,
    /// 400: the `Authorization` header cannot be read, or occurs twice.
    Malformed,
    /// 401: the token is no access token for this API, and why.
    Invalid(String),
    /// 401: the provider wants to see the person before it lets this API act for them, with a claims challenge (a JSON
    /// object) for their next sign-in (Microsoft identity platform, "Claims challenges").
    Person {
        /// The challenge.
        claims: Option<String>,
    },
    /// 403: the token is good, but does not go as far as this.
    Insufficient,
}

/// A fault, and the scope or app role that would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// What is wrong.
    pub fault: Fault,
    /// What the token must allow.
    pub scope: String,
}

impl Challenge {
    /// The status of the response.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self.fault {
            Fault::Absent | Fault::Invalid(_) | Fault::Person { .. } => StatusCode::UNAUTHORIZED,
            Fault::Malformed => StatusCode::BAD_REQUEST,
            Fault::Insufficient => StatusCode::FORBIDDEN,
        }
    }

    /// What happened, for the developer who calls.
    #[must_use]
    pub fn description(&self) -> String {
        match &self.fault {
            Fault::Absent => "Send an access token in the Authorization header: Bearer <token>".to_owned(),
            Fault::Malformed => "Send one Authorization header: Bearer <token>".to_owned(),
            Fault::Invalid(why) => format!("The access token is not accepted: {why}"),
            Fault::Person { .. } => "The provider wants the person to sign in again, or to consent".to_owned(),
            Fault::Insufficient => format!("The access token lacks {}", self.scope),
        }
    }

    /// The value of `WWW-Authenticate`. Without a token it names no error (section 3.1).
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let error = match self.fault {
            Fault::Absent => None,
            Fault::Malformed => Some("invalid_request"),
            Fault::Invalid(_) => Some("invalid_token"),
            Fault::Person { .. } => Some("insufficient_claims"),
            Fault::Insufficient => Some("insufficient_scope"),
        };
        let claims = match &self.fault {
            Fault::Person { claims: Some(claims) } => Some(STANDARD.encode(claims)),
            _ => None,
        };
        let description = self.description();
        let parameters = [
            error.map(|error| ("error", error)),
            error.map(|_| ("error_description", description.as_str())),
            claims.as_deref().map(|claims| ("claims", claims)),
            Some(("scope", self.scope.as_str())),
        ];
        let parameters: Vec<String> =
            parameters.into_iter().flatten().map(|(name, value)| format!("{name}=\"{}\"", quotable(value))).collect();
        let value = format!("Bearer {}", parameters.join(", "));
        HeaderValue::try_from(value).unwrap_or(HeaderValue::from_static("Bearer"))
    }
}

/// `text` without what a quoted value must not hold (section 3: `error_description`).
fn quotable(text: &str) -> String {
    text.chars().filter(|character| matches!(character, ' '..='~') && !matches!(character, '"' | '\\')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(fault: Fault) -> (u16, String) {
        let challenge = Challenge { fault, scope: "access_as_user".to_owned() };
        (challenge.status().as_u16(), challenge.header().to_str().expect("text").to_owned())
    }

    #[test]
    fn v_10_3_each_fault_has_its_status_and_error() {
        assert_eq!(challenge(Fault::Absent), (401, "Bearer scope=\"access_as_user\"".to_owned()));
        for (fault, status, error) in [
            (Fault::Malformed, 400, "invalid_request"),
            (Fault::Invalid("expired".to_owned()), 401, "invalid_token"),
            (Fault::Insufficient, 403, "insufficient_scope"),
        ] {
            let (found, header) = challenge(fault);
            assert_eq!(found, status);
            assert!(header.starts_with(&format!("Bearer error=\"{error}\", error_description=\"")), "{header}");
            assert!(header.ends_with(", scope=\"access_as_user\""), "{header}");
        }
    }

    #[test]
    fn v_10_3_a_description_cannot_leave_its_quotes() {
        let (_, header) = challenge(Fault::Invalid("a\", error=\"none\r\nSet-Cookie: x\\é".to_owned()));
        assert_eq!(header.matches('"').count(), 6, "{header}");
        assert!(!header.contains('\\') && header.is_ascii(), "{header}");
    }
}
