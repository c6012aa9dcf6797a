//! The key cache: docs/requirements.tsv E-20, E-20a, and the certification suite's key tests.

use std::sync::Arc;

use chrono::Duration;
use serde_json::json;

use crate::oidc::testing::{Answer, Bench, Key, Token};

fn signed_by(key: Key) -> impl Fn(&mut Token) {
    move |token: &mut Token| {
        token.key = key;
        token.header.insert("kid".to_owned(), json!(key.id()));
    }
}

fn named(id: &str) -> impl Fn(&mut Token) {
    move |token: &mut Token| {
        token.header.insert("kid".to_owned(), json!(id));
    }
}

fn without_id(token: &mut Token) {
    token.header.remove("kid");
}

#[tokio::test]
async fn l_02_keys_that_roll_between_two_sign_ins_are_followed_seconds_apart() {
    let bench = Bench::entra();
    bench.sign_in(|_| ()).await.expect("signs in");
    bench.set_keys(&[Key::B.jwk()]);
    bench.sign_in(signed_by(Key::B)).await.expect("signs in with the new key at once");
    assert_eq!(bench.refusal(|_| ()).await, "id_token.unknown_key", "the old key is gone");
}

#[tokio::test]
async fn l_02_keys_that_roll_just_before_signing_are_followed_in_the_same_sign_in() {
    let bench = Bench::entra();
    bench.client.warm_up().await.expect("warm");
    bench.set_keys(&[Key::B.jwk()]);
    bench.sign_in(signed_by(Key::B)).await.expect("signs in");
    assert_eq!(bench.script.count("/keys"), 2);
}

#[tokio::test]
async fn e_20a_a_flood_of_unknown_names_costs_five_fetches_and_then_one_in_five_minutes() {
    let bench = Bench::entra();
    bench.client.warm_up().await.expect("warm");
    for number in 0..1000 {
        assert_eq!(bench.refusal(named(&format!("random-{number}"))).await, "id_token.unknown_key");
    }
    assert_eq!(bench.script.count("/keys"), 1 + 5);
    bench.clock.advance(Duration::minutes(5));
    for number in 0..100 {
        bench.refusal(named(&format!("later-{number}"))).await;
    }
    assert_eq!(bench.script.count("/keys"), 1 + 5 + 1);
    assert!(bench.sign_in(|_| ()).await.is_ok(), "known keys work all the while");
}

#[tokio::test]
async fn e_20a_a_name_that_was_not_found_is_not_looked_for_again_for_a_minute() {
    let bench = Bench::entra();
    bench.client.warm_up().await.expect("warm");
    for _ in 0..10 {
        assert_eq!(bench.refusal(named("missing")).await, "id_token.unknown_key");
    }
    assert_eq!(bench.script.count("/keys"), 2);
    bench.clock.advance(Duration::seconds(61));
    bench.refusal(named("missing")).await;
    assert_eq!(bench.script.count("/keys"), 3);
}

#[tokio::test]
async fn e_20_fifty_parallel_sign_ins_on_a_new_key_make_one_fetch() {
    let bench = Arc::new(Bench::entra());
    bench.client.warm_up().await.expect("warm");
    bench.set_keys(&[Key::B.jwk()]);
    // One answer of the token endpoint serves all: they share the nonce by sharing the transaction.
    let begun = bench.begin().await;
    let mut token = bench.token();
    token.set("nonce", crate::oidc::testing::query(&begun.url)["nonce"].clone());
    signed_by(Key::B)(&mut token);
    bench.script.answer("/token", Answer::json(200, &bench.token_response(&token.sign())));
    let crowd: Vec<_> = (0..50)
        .map(|_| {
            let (bench, transaction) = (Arc::clone(&bench), begun.transaction.clone());
            let callback = crate::oidc::testing::good_callback(&begun);
            tokio::spawn(async move { bench.client.finish(transaction, callback).await })
        })
        .collect();
    for one in crowd {
        one.await.expect("no panic").expect("signs in");
    }
    assert_eq!(bench.script.count("/keys"), 2);
}

#[tokio::test]
async fn e_20_a_withdrawn_key_is_refused_at_the_hourly_refresh() {
    let bench = Bench::entra();
    bench.set_keys(&[Key::A.jwk(), Key::B.jwk()]);
    bench.sign_in(|_| ()).await.expect("signs in");
    bench.set_keys(&[Key::B.jwk()]);
    bench.clock.advance(Duration::minutes(59));
    assert!(bench.sign_in(|_| ()).await.is_ok(), "not looked at yet");
    bench.clock.advance(Duration::minutes(2));
    assert_eq!(bench.refusal(|_| ()).await, "id_token.unknown_key");
}

#[tokio::test]
async fn e_20_keys_that_cannot_be_fetched_serve_for_a_day() {
    let bench = Bench::entra();
    bench.sign_in(|_| ()).await.expect("signs in");
    bench.script.answer("/keys", Answer::bytes(500, "text/plain", "x"));
    bench.clock.advance(Duration::hours(23));
    assert!(bench.sign_in(|_| ()).await.is_ok());
    bench.clock.advance(Duration::hours(2));
    assert_eq!(bench.refusal(|_| ()).await, "provider.unavailable");
    bench.set_keys(&[Key::A.jwk()]);
    bench.clock.advance(Duration::seconds(6));
    assert!(bench.sign_in(|_| ()).await.is_ok(), "recovers alone");
}

#[tokio::test]
async fn f_07_nothing_that_is_no_key_set_wipes_the_last_good_one() {
    let bad = [
        Answer::json(200, &json!({ "keys": [] })),
        Answer::json(200, &json!({ "keys": "none" })),
        Answer::json(200, &json!([])),
        Answer::bytes(200, "text/html", "<html>"),
        Answer::bytes(200, "application/json", "{\"keys\":[{"),
        Answer::bytes(500, "text/plain", ""),
        Answer::bytes(200, "application/json", "x".repeat(2 * 1024 * 1024)),
        Answer::lost(),
    ];
    for answer in bad {
        let bench = Bench::entra();
        bench.sign_in(|_| ()).await.expect("signs in");
        bench.script.answer("/keys", answer.clone());
        bench.clock.advance(Duration::minutes(61));
        assert!(bench.sign_in(|_| ()).await.is_ok(), "{answer:?}");
        assert!(bench.client.status().keys.is_failing, "{answer:?}");
        let error = bench.sign_in(named("new")).await.expect_err("cannot be told");
        assert!(error.is_outage(), "an outage is no bad token: {error}");
    }
}

#[tokio::test]
async fn an_outage_while_looking_for_a_new_key_does_not_make_the_key_unknown() {
    let bench = Bench::entra();
    bench.client.warm_up().await.expect("warm");
    bench.script.answer("/keys", Answer::lost());
    assert_eq!(bench.refusal(signed_by(Key::B)).await, "provider.unavailable");
    bench.set_keys(&[Key::A.jwk(), Key::B.jwk()]);
    bench.clock.advance(Duration::seconds(6));
    assert!(bench.sign_in(signed_by(Key::B)).await.is_ok());
}

#[tokio::test]
async fn l_04_and_l_05_broken_and_foreign_keys_do_not_hide_the_good_one() {
    let bench = Bench::entra();
    let mut encryption = Key::B.jwk();
    encryption["use"] = json!("enc");
    let mut other_algorithm = Key::B.jwk();
    other_algorithm["alg"] = json!("PS256");
    let broken = [
        json!({ "kty": "RSA", "kid": "no modulus" }),
        json!({ "kty": "RSA", "kid": "bad modulus", "n": "!!!", "e": "AQAB" }),
        json!({ "kty": "EC", "crv": "P-256", "kid": "ec", "x": "AA", "y": "AA" }),
        json!({ "kty": "future", "kid": 7 }),
        json!("text"),
        json!(null),
        encryption,
        other_algorithm,
        Key::A.jwk(),
    ];
    bench.script.answer("/keys", Answer::json(200, &json!({ "keys": broken })));
    assert!(bench.sign_in(|_| ()).await.is_ok());
    assert_eq!(bench.refusal(signed_by(Key::B)).await, "id_token.unknown_key", "not for signing, or not RS256");
}

#[tokio::test]
async fn small_keys_are_ignored() {
    let bench = Bench::entra();
    bench.set_keys(&[Key::A.jwk(), Key::Small.jwk()]);
    assert_eq!(bench.refusal(signed_by(Key::Small)).await, "id_token.unknown_key");
    let alone = Bench::entra();
    alone.set_keys(&[Key::Small.jwk()]);
    assert_eq!(alone.refusal(signed_by(Key::Small)).await, "keys.empty");
}

#[tokio::test]
async fn l_08_without_a_name_only_a_single_key_fits() {
    let single = Bench::entra();
    assert!(single.sign_in(without_id).await.is_ok());
    let several = Bench::entra();
    several.set_keys(&[Key::A.jwk(), Key::B.jwk()]);
    assert_eq!(several.refusal(without_id).await, "id_token.ambiguous_key");
    let mut double = Key::B.jwk();
    double["kid"] = json!(Key::A.id());
    let same_name = Bench::entra();
    same_name.set_keys(&[Key::A.jwk(), double]);
    assert_eq!(same_name.refusal(|_| ()).await, "id_token.ambiguous_key");
    let twice = Bench::entra();
    twice.set_keys(&[Key::A.jwk(), Key::A.jwk()]);
    assert!(twice.sign_in(|_| ()).await.is_ok(), "the same key twice is one key");
}

#[tokio::test]
async fn t_13_keys_without_use_and_with_alg_are_taken() {
    let bench = Bench::entra();
    let mut key = Key::A.jwk();
    key.as_object_mut().expect("an object").remove("use");
    key["alg"] = json!("RS256");
    bench.set_keys(&[key]);
    assert!(bench.sign_in(|_| ()).await.is_ok());
}

#[tokio::test]
async fn e_20_a_thousand_keys_are_no_trouble() {
    let bench = Bench::entra();
    let mut keys: Vec<_> = (0..1000)
        .map(|number| {
            let mut key = Key::B.jwk();
            key["kid"] = json!(format!("other-{number}"));
            key
        })
        .collect();
    keys.push(Key::A.jwk());
    bench.set_keys(&keys);
    assert!(bench.sign_in(|_| ()).await.is_ok());
}
