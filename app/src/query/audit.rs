//! `/admin/audit?…`: from the query string to [`AuditQuery`] and back, by the rules of its parent.

use super::{address, pairs};
use crate::model::AuditQuery;

/// Longest text in characters: a name, an id or a kind.
const MAX_TEXT: usize = 200;
/// Longest cursor in bytes.
const MAX_CURSOR: usize = 1024;

impl AuditQuery {
    /// Reads a query string (without `?`). What makes no sense is ignored, with a text in `notices`.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let mut parsed = Self::default();
        for (name, value) in pairs(query) {
            let value = value.trim();
            if !value.is_empty() {
                parsed.apply(&name, value);
            }
        }
        parsed
    }

    fn apply(&mut self, name: &str, value: &str) {
        let is_text = value.chars().count() <= MAX_TEXT && !value.chars().any(char::is_control);
        let is_cursor = value.len() <= MAX_CURSOR && value.chars().all(|c| c.is_ascii_graphic());
        let field = match name {
            "actor" if is_text => &mut self.actor,
            "action" if is_text => &mut self.action,
            "target" if is_text => &mut self.target,
            "from" if is_day(value) => &mut self.from,
            "to" if is_day(value) => &mut self.to,
            "after" if is_cursor => return self.after = Some(value.to_owned()),
            "actor" | "action" | "target" | "from" | "to" | "after" => {
                return self.notices.push(format!("“{name}” was not understood and is ignored."));
            }
            _ => return,
        };
        if field.is_empty() {
            value.clone_into(field);
        }
    }

    /// Name, label and value of each active filter.
    pub(crate) fn filters(&self) -> Vec<(&'static str, &'static str, &str)> {
        let all = [
            ("actor", "By", self.actor.as_str()),
            ("action", "What", self.action.as_str()),
            ("target", "On", self.target.as_str()),
            ("from", "From", self.from.as_str()),
            ("to", "To", self.to.as_str()),
        ];
        all.into_iter().filter(|(_, _, value)| !value.is_empty()).collect()
    }

    /// The filters as a query string, without `?`.
    #[must_use]
    pub fn to_query_string(&self) -> String {
        let pairs: Vec<_> = self.filters().into_iter().map(|(name, _, value)| (name, value)).collect();
        serde_urlencoded::to_string(pairs).unwrap_or_default()
    }

    /// The address of the log without the filter `name`.
    pub(crate) fn href_without(&self, name: &str) -> String {
        let pairs: Vec<_> = self.filters().into_iter().map(|(name, _, value)| (name, value)).collect();
        let pairs: Vec<_> = pairs.into_iter().filter(|(other, _)| *other != name).collect();
        address("/admin/audit", &serde_urlencoded::to_string(pairs).unwrap_or_default())
    }
}

/// `2026-11-24`, and a day that exists.
fn is_day(text: &str) -> bool {
    text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read_and_written_back() {
        for query in ["", "actor=a%40b&action=sign_in.failed&target=x+y&from=2026-11-01&to=2026-11-30"] {
            let parsed = AuditQuery::parse(query);
            assert_eq!((parsed.to_query_string().as_str(), parsed.notices.len()), (query, 0));
        }
        let parsed = AuditQuery::parse("actor=a&target=b&after=c");
        assert_eq!(parsed.href_without("actor"), "/admin/audit?target=b", "and from the first page on");
    }

    #[test]
    fn values_that_make_no_sense_are_ignored_with_a_notice_each() {
        let long = format!("actor={}", "a".repeat(201));
        for query in ["from=yesterday", "to=2026-02-30", "from=2026-1-1", "actor=a%00", "after=%C3%A4", long.as_str()] {
            let parsed = AuditQuery::parse(query);
            assert_eq!(parsed.notices.len(), 1, "{query}");
            assert_eq!(AuditQuery { notices: Vec::new(), ..parsed }, AuditQuery::default(), "{query}");
        }
    }
}
