//! What a project does after a sync: called in time, and harmless when it fails.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use server::people::hooks::{HookContext, HookError, SyncHooks};
use store::models::{GroupChanges, User};
use suite::TestApp;

#[derive(Default)]
struct Notes(Mutex<Vec<String>>);

impl Notes {
    fn add(&self, note: String) {
        self.0.lock().expect("the notes").push(note);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("the notes"))
    }
}

#[async_trait]
impl SyncHooks for Notes {
    async fn user_created(&self, context: &HookContext, user: &User) -> Result<(), HookError> {
        let mut conn = context.db.conn().await?;
        let is_committed = User::find(&mut conn, &user.id).await?.is_some();
        self.add(format!("created {} {is_committed}", user.upn));
        Err("a hook that fails".into())
    }

    async fn groups_changed(&self, _: &HookContext, user: &User, changes: &GroupChanges) -> Result<(), HookError> {
        self.add(format!("groups {} -{} +{}", user.upn, changes.removed.len(), changes.added.len()));
        panic!("a hook that panics");
    }

    async fn signed_in(&self, _: &HookContext, user: &User) -> Result<(), HookError> {
        self.add(format!("signed in {}", user.upn));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_after_the_commit_and_never_break_a_sign_in() {
    let notes = Arc::new(Notes::default());
    let app = TestApp::builder().hooks(notes.clone()).start().await;
    app.sign_in("member1").await.get("/profile").await.assert_status(200);
    app.settle().await;
    assert_eq!(notes.take(), ["created member1@contoso.example true", "signed in member1@contoso.example"]);
    app.emulator.control().change_persona("member1", |persona| persona.groups.truncate(1));
    app.sign_in("member1").await.get("/profile").await.assert_status(200);
    app.settle().await;
    assert_eq!(notes.take(), ["groups member1@contoso.example -1 +0", "signed in member1@contoso.example"]);
    app.sign_in("member1").await;
    app.settle().await;
    assert_eq!(notes.take(), ["signed in member1@contoso.example"]);
}
