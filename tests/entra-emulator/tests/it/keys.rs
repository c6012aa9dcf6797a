//! Signing keys: how they are published, rotated, and published wrongly.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use entra_emulator::{KeySetShape, PERSONAL_TENANT_ID, Rotation, Signing, TokenEdit};
use serde_json::{Value, json};

use crate::kit::{Kit, decode, is_signed_by, text};

async fn id_token(kit: &Kit) -> String {
    text(&kit.sign_in("member1").await, "id_token").to_owned()
}

fn kids(key_set: &Value) -> Vec<&str> {
    key_set["keys"].as_array().expect("keys").iter().filter_map(|key| key["kid"].as_str()).collect()
}

#[tokio::test]
async fn l_05_keys_have_no_alg() {
    let kit = Kit::new();
    let key_set = kit.key_set().await;
    let key = &key_set["keys"][0];
    assert!(key.get("alg").is_none());
    assert_eq!(key["use"], "sig");
    assert_eq!(key["kty"], "RSA");
    let certificate = STANDARD.decode(key["x5c"][0].as_str().expect("a certificate")).expect("base64");
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &certificate);
    assert_eq!(text(key, "x5t"), URL_SAFE_NO_PAD.encode(digest));
    assert!(is_signed_by(&id_token(&kit).await, &key_set));
}

#[tokio::test]
async fn e_11_keys_name_their_issuer() {
    let kit = Kit::new();
    let base = kit.emulator.base_url();
    assert_eq!(kit.key_set().await["keys"][0]["issuer"], kit.emulator.issuer());
    let shared = kit.get_json(&format!("{base}/common/discovery/v2.0/keys")).await;
    assert_eq!(shared["keys"][0]["issuer"], format!("{base}/{{tenantid}}/v2.0"));
    let personal = &shared["keys"][1];
    assert_eq!(personal["issuer"], format!("{base}/{PERSONAL_TENANT_ID}/v2.0"));

    kit.emulator.control().edit_id_token(Some(1), TokenEdit::signing(Signing::PersonalAccountsKey));
    let token = id_token(&kit).await;
    assert_eq!(decode(&token).0["kid"], personal["kid"]);
    assert!(is_signed_by(&token, &shared));
    assert!(!is_signed_by(&token, &kit.key_set().await));
}

#[tokio::test]
async fn e_20_rotation_replaces_or_adds() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let first = kit.key_set().await;
    control.rotate_keys(Rotation { keep_old: true });
    let second = kit.key_set().await;
    assert_eq!(kids(&second).len(), 2);
    assert!(kids(&second).contains(&kids(&first)[0]));
    let token = id_token(&kit).await;
    assert!(!is_signed_by(&token, &first));
    assert!(is_signed_by(&token, &second));

    control.rotate_keys(Rotation::default());
    let third = kit.key_set().await;
    assert_eq!(kids(&third), [control.current_kid()]);
    assert!(!kids(&second).contains(&kids(&third)[0]));
}

#[tokio::test]
async fn l_02_rotation_just_before_signing() {
    let kit = Kit::new();
    let before = kit.key_set().await;
    kit.emulator.control().rotate_keys_before_next_signing(Rotation::default());
    assert_eq!(kit.key_set().await, before, "nothing is rotated before something is signed");
    let token = id_token(&kit).await;
    assert!(!is_signed_by(&token, &before));
    assert!(is_signed_by(&token, &kit.key_set().await));
}

#[tokio::test]
async fn l_08_a_kid_may_be_published_twice_or_not_at_all() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    control.set_key_set_shape(KeySetShape { duplicate_kid: true, ..KeySetShape::default() });
    let key_set = kit.key_set().await;
    let [first, second] = kids(&key_set)[..] else { panic!("two keys in {key_set}") };
    assert_eq!(first, second);
    assert_ne!(key_set["keys"][0]["n"], key_set["keys"][1]["n"]);

    control.set_key_set_shape(KeySetShape { without_kid: true, ..KeySetShape::default() });
    assert!(kids(&kit.key_set().await).is_empty());
    let header = TokenEdit { without_header: vec!["kid".to_owned()], ..TokenEdit::default() };
    control.edit_id_token(Some(1), header);
    assert!(decode(&id_token(&kit).await).0.get("kid").is_none());
    assert!(decode(&id_token(&kit).await).0.get("kid").is_some(), "the edit was for one token");
}

#[tokio::test]
async fn l_04_broken_keys_stand_among_good_ones() {
    let kit = Kit::new();
    kit.emulator.control().set_key_set_shape(KeySetShape {
        unknown_kty: true,
        decoys: 1_000,
        use_enc: true,
        ..KeySetShape::default()
    });
    let key_set = kit.key_set().await;
    let keys = key_set["keys"].as_array().expect("keys");
    assert_eq!(keys.len(), 1_004);
    assert!(keys.iter().all(|key| key["use"] == "enc"));
    assert!(keys.iter().any(|key| key.get("kty").is_none()));
    assert!(is_signed_by(&id_token(&kit).await, &key_set));
}

#[tokio::test]
async fn a_weak_key_signs_with_1024_bits() {
    let kit = Kit::new();
    kit.emulator.control().set_key_set_shape(KeySetShape {
        weak: true,
        without_issuer: true,
        ..KeySetShape::default()
    });
    let key_set = kit.key_set().await;
    let key = &key_set["keys"][0];
    assert_eq!(URL_SAFE_NO_PAD.decode(text(key, "n")).expect("base64url").len(), 128);
    assert!(key.get("issuer").is_none());
    let token = id_token(&kit).await;
    assert_eq!(decode(&token).0["kid"], key["kid"]);
    let signature = token.rsplit('.').next().expect("a signature");
    assert_eq!(URL_SAFE_NO_PAD.decode(signature).expect("base64url").len(), 128);
}

#[tokio::test]
async fn further_keys_can_be_published() {
    let kit = Kit::new();
    kit.emulator.control().add_keys(1);
    let key_set = kit.key_set().await;
    assert_eq!(kids(&key_set).len(), 2);
    assert!(is_signed_by(&id_token(&kit).await, &key_set));
}

#[tokio::test]
async fn any_token_can_be_signed() {
    let kit = Kit::new();
    let control = kit.emulator.control();
    let header = json!({ "typ": "logout+jwt" });
    let token = control.sign_jwt(header, json!({ "iss": kit.emulator.issuer(), "sid": "s" }), Signing::Current);
    assert!(is_signed_by(&token, &kit.key_set().await));
    let (header, claims) = decode(&token);
    assert_eq!(header["typ"], "logout+jwt");
    assert_eq!(header["alg"], "RS256");
    assert_eq!(claims["sid"], "s");
}
