//! Claims of a provider gone mad: any JSON under a true signature either is refused, or makes the
//! person that `tid` and `oid` name, in the database too, and nobody else.
#![no_main]

use std::collections::BTreeSet;
use std::sync::LazyLock;

use entra::oidc::{GroupsClaim, SignIn};
use fuzzing::{Provider, Site, TENANT};
use libfuzzer_sys::{Corpus, fuzz_target};
use serde_json::{Map, Value};
use server::observe::client::ClientInfo;
use server::people::sync::{self, Groups, SyncInput, SyncOutcome};

static PROVIDER: LazyLock<Provider> = LazyLock::new(Provider::default);
static SITE: LazyLock<Site> = LazyLock::new(Site::default);

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(edits) = serde_json::from_slice::<Map<String, Value>>(data) else { return Corpus::Reject };
    let begun = PROVIDER.begin();
    let good = PROVIDER.good_claims(&begun);
    let mut claims = good.clone();
    claims.extend(edits);
    claims.retain(|_, value| !value.is_null());
    let Ok(sign_in) = PROVIDER.finish(begun, &PROVIDER.sign(&claims)) else { return Corpus::Keep };
    for claim in ["iss", "aud", "nonce", "tid"] {
        let is_listed = claims[claim] == Value::Array(vec![good[claim].clone()]);
        assert!(claims[claim] == good[claim] || is_listed, "{claim} was not looked at");
    }
    assert_eq!(sign_in.identity.realm, TENANT);
    assert_eq!(Some(sign_in.identity.subject.as_str()), claims["oid"].as_str().map(str::to_ascii_lowercase).as_deref());
    synced(sign_in);
    Corpus::Keep
});

fn synced(sign_in: SignIn) {
    let identity = sign_in.identity.clone();
    let groups = match sign_in.claims.groups("groups") {
        GroupsClaim::Listed(groups) => Groups::Told(BTreeSet::from_iter(groups)),
        GroupsClaim::Absent | GroupsClaim::Overage => Groups::Unreadable("fuzzing"),
    };
    let client = ClientInfo { address: [127, 0, 0, 1].into(), user_agent: String::new() };
    let input = SyncInput { sign_in, groups, client, request_id: "fuzzing".to_owned() };
    let outcome = SITE.runtime.block_on(sync::sync(&SITE.app.state, input));
    if let SyncOutcome::SignedIn { user, .. } = outcome.expect("synced or refused") {
        assert_eq!((&user.realm, &user.subject), (&identity.realm, &identity.subject));
    }
}
