//! Tokens of the application's own, with each kind of credential, at a provider that checks what it is shown: for
//! certificates `x5t#S256`, signature, `iss`, `sub`, `aud`, times, and that no `jti` comes twice.

use std::sync::Arc;

use entra_emulator::{Emulator, Endpoint, Options};
use suite::{TestApp, TestAppBuilder};

const GRAPH: &str = "https://graph.microsoft.com/.default";

struct Files(tempfile::TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).expect("written");
        path.display().to_string()
    }
}

fn without_secret(emulator: &Arc<Emulator>) -> TestAppBuilder {
    TestApp::builder().emulator(emulator.clone()).setting("ENTRA_CLIENT_SECRET", "")
}

fn emulator() -> Arc<Emulator> {
    Arc::new(Emulator::start(Options::default()).expect("an emulator"))
}

/// A new token; `Err` has the reason.
async fn token(app: &TestApp) -> Result<(), &'static str> {
    let tenant = app.emulator.tenant_id().to_string();
    app.state.oidc.forget_app_tokens(&tenant);
    app.state.oidc.app_token(&tenant, GRAPH).await.map(drop).map_err(|error| error.reason())
}

fn assert_shown_as_assertion(app: &TestApp) {
    for request in app.emulator.control().requests_of(Endpoint::Token) {
        assert_eq!(request.parameter("grant_type"), Some("client_credentials"));
        let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
        assert_eq!(request.parameter("client_assertion_type"), Some(kind));
        assert_eq!((request.parameter("client_secret"), request.header("authorization")), (None, None));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn e_35_a_certificate_signs_for_tokens_of_the_applications_own() {
    let (emulator, files) = (emulator(), Files::new());
    let issue = || {
        let issued = emulator.control().issue_client_certificate().expect("a certificate");
        let certificate = files.write("client.crt", &issued.certificate);
        (certificate, files.write("client.key", &issued.key))
    };
    let (certificate, key) = issue();
    let builder = without_secret(&emulator);
    let builder = builder.setting("ENTRA_CLIENT_CERTIFICATE_FILE", certificate).setting("ENTRA_CLIENT_KEY_FILE", key);
    let app = builder.start().await;
    // Twice: an assertion that comes again is refused.
    assert_eq!((token(&app).await, token(&app).await), (Ok(()), Ok(())));
    emulator.control().clear_certificates();
    assert!(token(&app).await.is_err(), "known by its thumbprint alone");
    issue();
    assert_eq!(token(&app).await, Ok(()), "a new certificate serves without a restart");
    assert_shown_as_assertion(&app);
}

#[tokio::test(flavor = "multi_thread")]
async fn e_35_a_federated_token_stands_for_tokens_of_the_applications_own() {
    let (emulator, files) = (emulator(), Files::new());
    emulator.control().accept_federated_token("header.claims.one");
    let file = files.write("token", "header.claims.one\n");
    let app = without_secret(&emulator).setting("ENTRA_FEDERATED_TOKEN_FILE", file).start().await;
    assert_eq!(token(&app).await, Ok(()));
    emulator.control().clear_federated_tokens();
    emulator.control().accept_federated_token("header.claims.two");
    assert!(token(&app).await.is_err());
    files.write("token", "header.claims.two");
    assert_eq!(token(&app).await, Ok(()), "read on each use");
    assert_shown_as_assertion(&app);
}
