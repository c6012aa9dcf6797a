//! What most cases have in common: an application, a provider that is made to misbehave, a judgement.

use entra_emulator::{Control, Endpoint, JsonEdit, KeySetShape, Options, Rotation, TokenEdit};
use serde_json::{Value, json};
use suite::{Browser, Refusal, TestApp};

use crate::case::{Case, case};

/// Who signs in.
pub(crate) const PERSON: &str = "member1";

/// Their user principal name.
pub(crate) const UPN: &str = "member1@contoso.example";

/// How the application is set up.
#[derive(Clone, Copy)]
pub(crate) enum Setup {
    /// With Entra ID.
    Entra,
    /// With another provider, whose ID tokens say nothing about the person: userinfo does.
    Generic,
    /// The same with `response_mode=form_post`.
    GenericFormPost,
}

impl Setup {
    /// Starts the application and its provider.
    pub(crate) async fn start(self) -> TestApp {
        self.start_with(Options::default()).await
    }

    /// The same, with the emulator's options.
    pub(crate) async fn start_with(self, options: Options) -> TestApp {
        let builder = TestApp::builder().emulator_options(options);
        let app = match self {
            Self::Entra => builder.start().await,
            Self::Generic => builder.generic().start().await,
            Self::GenericFormPost => builder.generic().setting("ENTRA_RESPONSE_MODE", "form_post").start().await,
        };
        if !matches!(self, Self::Entra) {
            let bare = json!({"name": null, "given_name": null, "family_name": null, "email": null});
            app.emulator.control().change_persona(PERSON, |persona| {
                persona.extra_claims = bare.as_object().cloned().unwrap_or_default();
            });
        }
        app
    }

    /// A case in which the provider does `misbehave` at one sign-in, which must be refused for `reason`.
    pub(crate) fn refuses(
        self,
        id: &str,
        misbehave: impl FnOnce(&TestApp) + Send + 'static,
        reason: &'static str,
    ) -> Case {
        case(id, move || async move {
            let app = self.start().await;
            misbehave(&app);
            let refusal = Refusal::watch(&app).await;
            let answer = refusal.browser.sign_in(PERSON).await;
            refusal.assert(&answer, reason).await;
        })
    }

    /// A case with an ID token that must be refused.
    pub(crate) fn refuses_token(self, id: &str, edit: TokenEdit, reason: &'static str) -> Case {
        self.refuses(id, |app| app.emulator.control().edit_id_token(None, edit), reason)
    }

    /// A case with a user info response (a merge patch of the genuine one) that must be refused.
    pub(crate) fn refuses_user_info(self, id: &str, edit: Value) -> Case {
        case(id, move || async move {
            let app = self.start().await;
            merge(app.emulator.control(), Endpoint::Userinfo, edit);
            let refusal = Refusal::watch(&app).await.after_user_info();
            let answer = refusal.browser.sign_in(PERSON).await;
            refusal.assert(&answer, "user_info.bad_sub").await;
        })
    }

    /// A case in which what `oddity` does is no reason to refuse.
    pub(crate) fn accepts(self, id: &str, oddity: impl FnOnce(&TestApp) + Send + 'static) -> Case {
        case(id, move || async move {
            let app = self.start().await;
            oddity(&app);
            signs_in(&app).await;
        })
    }

    /// A case in which a sign-in is not begun at all.
    pub(crate) fn does_not_begin(
        self,
        id: &str,
        misbehave: impl FnOnce(&TestApp) + Send + 'static,
        reason: &'static str,
    ) -> Case {
        case(id, move || async move {
            let app = self.start().await;
            misbehave(&app);
            let refusal = Refusal::watch(&app).await;
            let page = refusal.browser.get("/auth/sign-in").await;
            let answer = refusal.browser.submit(&page.form("/auth/sign-in")).await;
            refusal.assert_not_begun(&answer, reason).await;
        })
    }
}

/// Signs in for real: a session, a page with the person's name on it, a row and a grant.
pub(crate) async fn signs_in(app: &TestApp) -> Browser {
    let browser = app.sign_in(PERSON).await;
    browser.get("/profile").await.assert_status(200).assert_text(UPN);
    let user = app.db_user(UPN).await;
    assert_eq!(app.db_grants(&user).await.len(), 1, "one grant");
    browser
}

/// A sign-in with a key set that must be refused. It is kept for an hour, so that the good sign-in
/// afterwards needs a key of another name.
pub(crate) async fn refuses_keys(app: TestApp, shape: KeySetShape, reason: &str) {
    app.emulator.control().set_key_set_shape(shape);
    let refusal = Refusal::watch(&app).await;
    let answer = refusal.browser.sign_in(PERSON).await;
    app.emulator.control().rotate_keys(Rotation::default());
    refusal.assert(&answer, reason).await;
}

/// An edit that appends `text` to a claim.
pub(crate) fn appended(claim: &str, text: &str) -> TokenEdit {
    let add = serde_json::Map::from_iter([(claim.to_owned(), text.into())]);
    TokenEdit { add, ..TokenEdit::default() }
}

/// An edit that leaves a claim out.
pub(crate) fn without(claim: &str) -> TokenEdit {
    TokenEdit::claims(Value::Object([(claim.to_owned(), Value::Null)].into_iter().collect()))
}

/// An edit that leaves `kid` out of the header.
pub(crate) fn without_kid() -> TokenEdit {
    TokenEdit { without_header: vec!["kid".to_owned()], ..TokenEdit::default() }
}

/// Edits each JSON answer of `endpoint` by a merge patch.
pub(crate) fn merge(control: &Control, endpoint: Endpoint, patch: Value) {
    control.edit_json(endpoint, None, JsonEdit::Merge(patch));
}
