//! Refreshing: what the answer may bring, and what must be dropped with everything that came along
//! (OpenID Connect Core 1.0, section 12.2).

use entra_emulator::{Endpoint, RefreshRotation, TokenEdit};
use server::tokens::{RefreshOutcome, refresh_grant};
use store::models::Grant;
use suite::TestApp;

use crate::case::{Case, case};
use crate::setup::{Setup, UPN, appended, signs_in};

pub(crate) fn all() -> Vec<Case> {
    vec![
        case("oidcc-client-test-refresh-token", || refreshes(Setup::Generic)),
        case("oidcc-client-test-refresh-token-invalid-issuer", || drops(appended("iss", "1"))),
        case("oidcc-client-test-refresh-token-invalid-sub", || drops(appended("sub", "1"))),
    ]
}

async fn grant(app: &TestApp) -> Grant {
    app.db_grants(&app.db_user(UPN).await).await.remove(0)
}

/// Each refresh brings a new refresh token, and the old one is dead: only who keeps the new one
/// can refresh again.
pub(crate) async fn refreshes(setup: Setup) {
    let app = setup.start().await;
    app.emulator.control().set_refresh_rotation(RefreshRotation::Strict);
    signs_in(&app).await;
    for _ in 0..2 {
        let before = grant(&app).await;
        let outcome = refresh_grant(&app.state, before.clone()).await.expect("no error");
        assert_eq!(outcome, RefreshOutcome::Refreshed);
        assert_ne!(grant(&app).await.sealed, before.sealed, "the new tokens are kept");
    }
    assert_eq!(app.emulator.control().count(Endpoint::Token), 3);
}

async fn drops(edit: TokenEdit) {
    let app = Setup::Generic.start().await;
    signs_in(&app).await;
    let before = grant(&app).await;
    app.emulator.control().edit_id_token(Some(1), edit);
    let outcome = refresh_grant(&app.state, before.clone()).await.expect("no error");
    assert_ne!(outcome, RefreshOutcome::Refreshed);
    assert_eq!(grant(&app).await.sealed, before.sealed, "nothing of the answer is kept");
}
