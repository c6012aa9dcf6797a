//! The guard against disabling many people by mistake: a directory that was emptied, an answer that lacks most of it.

use store::models::{DirectorySync, NewAuditEvent};

use super::outcome;

/// So few may always be disabled: in a small application each person is many percent.
const HANDFUL: i64 = 5;

/// More than one in so many is too many: 20 %.
const ONE_IN: i64 = 5;

/// Whether a round that would disable `disables` of `active` users must wait for an administrator, who has allowed
/// `allowed`. A whole directory with nobody in it is never believed.
pub(super) fn is_too_many(disables: i64, active: i64, allowed: i64, is_directory_empty: bool) -> bool {
    let is_many = disables > HANDFUL && disables.saturating_mul(ONE_IN) > active;
    disables > allowed && (is_many || (is_directory_empty && disables > 0))
}

/// The event that tells of it.
pub(super) fn event(sync: &DirectorySync, held: i64, held_of: i64) -> NewAuditEvent {
    let detail = vec![
        ("tenant", sync.tenant_id.clone()),
        ("would_disable", held.to_string()),
        ("of_active_users", held_of.to_string()),
    ];
    outcome::event("directory.held", detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g_07_more_than_a_fifth_and_more_than_a_handful_is_too_many() {
        for (disables, active, allowed, is_empty, expected) in [
            (5, 5, 0, false, false),
            (6, 30, 0, false, false),
            (7, 30, 0, false, true),
            (7, 30, 7, false, false),
            (8, 30, 7, false, true),
            (1, 1, 0, true, true),
            (0, 1, 0, true, false),
            (200_001, 1_000_000, 0, false, true),
            (200_000, 1_000_000, 0, false, false),
        ] {
            let found = is_too_many(disables, active, allowed, is_empty);
            assert_eq!(found, expected, "{disables} of {active}, {allowed} allowed, empty: {is_empty}");
        }
    }
}
