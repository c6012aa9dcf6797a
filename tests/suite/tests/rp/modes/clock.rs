//! L-06: clocks that differ, by a little and by too much.

use suite::{Refusal, TestApp};

use crate::case::{Case, case};
use crate::setup::{PERSON, Setup, signs_in};

pub(crate) fn all() -> Vec<Case> {
    vec![
        // Seconds pass while the case runs, and the application's clock stands still.
        case("clock-ahead-within-leeway", || signs_in_with(90)),
        case("clock-behind-within-leeway", || signs_in_with(-110)),
        case("clock-ahead-by-five-minutes", || refused_with(301, "id_token.not_yet_valid")),
        case("clock-behind-by-five-minutes", || refused_with(-301, "id_token.expired")),
    ]
}

/// Tokens live for a minute, so that a clock that is behind shows.
async fn with_clock(offset: i64) -> TestApp {
    let app = Setup::Entra.start().await;
    app.emulator.control().set_id_token_lifetime(60);
    app.emulator.control().set_clock_offset(offset);
    app
}

async fn signs_in_with(offset: i64) {
    signs_in(&with_clock(offset).await).await;
}

async fn refused_with(offset: i64, reason: &str) {
    let app = with_clock(offset).await;
    let refusal = Refusal::watch(&app).await;
    let answer = refusal.browser.sign_in(PERSON).await;
    refusal.assert(&answer, reason).await;
}
