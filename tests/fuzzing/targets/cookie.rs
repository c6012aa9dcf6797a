//! The `Cookie` header: whatever it says, it opens nothing, is never an error of the server, and
//! never comes back in a page.
#![no_main]

use std::sync::LazyLock;

use fuzzing::Site;
use http::StatusCode;
use libfuzzer_sys::fuzz_target;

static SITE: LazyLock<Site> = LazyLock::new(Site::default);

fuzz_target!(|data: &[u8]| {
    let Some((page, cookies)) = data.split_first() else { return };
    let (target, expected) = match page % 4 {
        0 => ("/profile", StatusCode::SEE_OTHER),
        1 => ("/admin/users", StatusCode::SEE_OTHER),
        2 => ("/auth/sign-in", StatusCode::OK),
        _ => ("/auth/callback?code=c&state=s", StatusCode::BAD_REQUEST),
    };
    let Some(answer) = SITE.send("GET", target, cookies, "") else { return };
    assert_eq!(answer.status, expected, "{target}");
    assert!(!String::from_utf8_lossy(&answer.body).contains("<script>"), "text became markup");
});
