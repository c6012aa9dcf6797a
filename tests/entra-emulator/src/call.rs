//! What the handlers need of a request: parameters, cookie, correlation id.

use axum::body::Bytes;
use axum::http::{HeaderMap, Uri, header};

use crate::recorder::is_form;
use crate::sessions;

/// A request's parameters, from the query and from the form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) parameters: Vec<(String, String)>,
    headers: HeaderMap,
}

impl Call {
    pub(crate) fn new(uri: &Uri, headers: HeaderMap, body: &Bytes) -> Self {
        let mut parameters: Vec<(String, String)> =
            serde_urlencoded::from_str(uri.query().unwrap_or_default()).unwrap_or_default();
        if is_form(&headers) {
            parameters.extend(serde_urlencoded::from_bytes::<Vec<(String, String)>>(body).unwrap_or_default());
        }
        Self { parameters, headers }
    }

    /// The first value of a parameter; an empty one counts as absent (RFC 6749 section 3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The name of a parameter that is there more than once, if any.
    pub(crate) fn repeated(&self) -> Option<&str> {
        let mut names: Vec<&str> = self.parameters.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        names.windows(2).find_map(|pair| match pair {
            [one, other] if one == other => Some(*one),
            _ => None,
        })
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(crate) fn client_request_id(&self) -> Option<&str> {
        self.header("client-request-id")
    }

    /// The emulator's own session cookie.
    pub(crate) fn session_cookie(&self) -> Option<&str> {
        let pairs = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut pairs = pairs.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, _)| *name == sessions::COOKIE).map(|(_, value)| value)
    }
}
