//! Opaque cursors of paged lists: the sort key and id of the row where a page ends.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

/// Longest cursor that is looked at; a sort key is a name or an address.
const MAX_LENGTH: usize = 4096;

/// Where a page ends: the value of the sort column and the id that breaks ties.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Name of the order that the cursor belongs to: with another it means nothing.
    #[serde(rename = "o")]
    pub order: String,
    /// The sort key as text; times in microseconds since the epoch.
    #[serde(rename = "k")]
    pub key: String,
    /// The row's id.
    #[serde(rename = "i")]
    pub id: String,
}

impl Cursor {
    /// The text for a URL.
    #[must_use]
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(self).unwrap_or_default())
    }

    /// Reads the text from a URL; `None` for anything that is not a cursor of `order`.
    #[must_use]
    pub fn decode(text: &str, order: &str) -> Option<Self> {
        if text.len() > MAX_LENGTH {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let cursor: Self = serde_json::from_slice(&bytes).ok()?;
        // PostgreSQL refuses NUL in text; a cursor of ours never has one.
        let clean = !cursor.key.contains('\0') && !cursor.id.contains('\0');
        (cursor.order == order && clean).then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_url_and_fits_its_order_only() {
        let cursor = Cursor { order: "upn".into(), key: "zoë@contoso.example".into(), id: "7".into() };
        assert_eq!(Cursor::decode(&cursor.encode(), "upn"), Some(cursor.clone()));
        assert_eq!(Cursor::decode(&cursor.encode(), "name"), None);
    }

    #[test]
    fn anything_else_is_no_cursor() {
        for text in ["", "%", "AAAA", &"A".repeat(5000), &URL_SAFE_NO_PAD.encode(r#"{"o":"upn","k":"\u0000","i":""}"#)]
        {
            assert_eq!(Cursor::decode(text, "upn"), None, "{text}");
        }
    }
}
