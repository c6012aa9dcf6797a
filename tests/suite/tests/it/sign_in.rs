//! Signing in and out, from the sign-in page to the profile.

use suite::TestApp;

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_sees_their_profile_and_signs_out() {
    let app = TestApp::start().await;
    let browser = app.browser();

    let page = browser.get("/profile").await;
    page.assert_status(303);
    assert_eq!(page.location_path(), "/auth/sign-in?next=%2Fprofile");

    let answer = browser.sign_in_at(&page.location_path(), "member1").await;
    answer.assert_status(303);
    assert_eq!(answer.location_path(), "/profile");
    let profile = browser.get("/profile").await;
    profile.assert_status(200).assert_text("member1@contoso.example");

    let signed_out = browser.submit(&profile.form("/auth/sign-out")).await;
    signed_out.assert_status(303);
    let page = browser.follow(signed_out).await;
    page.assert_status(200);
    browser.get("/profile").await.assert_status(303);
    let user = app.db_user("member1@contoso.example").await;
    assert!(app.db_grants(&user).await.is_empty());
}
