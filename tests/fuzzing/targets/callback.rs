//! Parameters of the callback: whatever they are, nobody is signed in who did not come back with
//! the state of their own browser, and no answer is an error of the server.
#![no_main]

use std::sync::LazyLock;

use fuzzing::{Answer, Site};
use libfuzzer_sys::fuzz_target;

static SITE: LazyLock<Site> = LazyLock::new(Site::default);

/// Stands in the input for the state of a sign-in that this browser has begun.
const STATE: &str = "STATE";

fuzz_target!(|data: &[u8]| {
    let Some((way, data)) = data.split_first() else { return };
    let Ok(parameters) = std::str::from_utf8(data) else { return };
    let begun = SITE.send("POST", "/auth/sign-in", b"", "next=%2Fprofile").expect("begins");
    let state = state_of(&begun);
    let parameters = parameters.replace(STATE, &state);
    let cookie = cookie_of(&begun);
    let answer = if way % 2 == 0 {
        SITE.send("GET", &format!("/auth/callback?{parameters}"), cookie.as_bytes(), "")
    } else {
        SITE.send("POST", "/auth/callback", cookie.as_bytes(), &parameters)
    };
    let Some(answer) = answer else { return };
    assert!(answer.status.is_client_error(), "{} to {parameters:?}", answer.status);
    let cookies = answer.headers.get_all("set-cookie").iter().filter_map(|value| value.to_str().ok());
    assert!(cookies.filter(|cookie| cookie.starts_with("id=")).all(|cookie| cookie.contains("Max-Age=0")));
    assert!(answer.headers.contains_key("content-security-policy"));
    assert!(!String::from_utf8_lossy(&answer.body).contains("<script>"), "text became markup");
});

fn state_of(begun: &Answer) -> String {
    let location = begun.headers["location"].to_str().expect("text");
    let url = url::Url::parse(location).expect("a URL");
    url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned()
}

fn cookie_of(begun: &Answer) -> String {
    let cookie = begun.headers["set-cookie"].to_str().expect("text");
    cookie.split(';').next().unwrap_or_default().to_owned()
}
