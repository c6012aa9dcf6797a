//! The user info response: it may add to a profile, and nothing else.

use entra_emulator::{Endpoint, Fault};
use serde_json::json;

use crate::case::{Case, case};
use crate::setup::{Setup, UPN, merge, signs_in};

pub(crate) fn all() -> Vec<Case> {
    let served = |id: &str, fault: Fault| {
        case(id, move || async move {
            let app = Setup::Generic.start().await;
            app.emulator.control().fault(Endpoint::Userinfo, fault);
            signs_in(&app).await;
            assert_eq!(app.db_user(UPN).await.display_name, "", "nothing of it is used");
            assert_eq!(app.emulator.control().count(Endpoint::ClaimSource), 0, "no redirect is followed");
        })
    };
    vec![
        served("userinfo-signed", signed()),
        served("userinfo-500", Fault::respond(500, "")),
        served("userinfo-html", Fault::html()),
        served("userinfo-redirect", Fault::redirect("/_claim-source/userinfo")),
        served("userinfo-50-mb", Fault::Huge { megabytes: 50 }),
        Setup::Generic.refuses_user_info("userinfo-without-sub", json!({"sub": null})),
        Setup::Generic.refuses_user_info("userinfo-sub-number", json!({"sub": 1})),
        case("userinfo-claims-about-the-token", claims_about_the_token),
        case("userinfo-never-with-entra", never_with_entra),
    ]
}

/// A response as a JWT, which nobody asked for.
fn signed() -> Fault {
    let headers = vec![("Content-Type".to_owned(), "application/jwt".to_owned())];
    Fault::Respond { status: 200, headers, body: "e30.e30.AAAA".to_owned() }
}

/// What the ID token says about itself stays what it was.
async fn claims_about_the_token() {
    let app = Setup::Generic.start().await;
    let edit = json!({"iss": "https://attacker.example", "sid": "another", "tid": "another", "auth_time": 1});
    merge(app.emulator.control(), Endpoint::Userinfo, edit);
    signs_in(&app).await;
    let user = app.db_user(UPN).await;
    assert_eq!(user.realm, app.emulator.issuer());
    assert!(!user.claims.contains("attacker"), "{}", user.claims);
}

async fn never_with_entra() {
    let app = Setup::Entra.start().await;
    let bare = json!({"name": null, "email": null});
    app.emulator.control().edit_id_token(None, entra_emulator::TokenEdit::claims(bare));
    signs_in(&app).await;
    assert_eq!(app.emulator.control().count(Endpoint::Userinfo), 0);
}
