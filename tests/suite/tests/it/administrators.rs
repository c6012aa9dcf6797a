//! Administrators who act on each other at the same moment: one is left.

use std::sync::Arc;

use server::people::actor::By;
use server::people::acts::{Act, run};
use store::models::User;
use suite::{Browser, Page, TestApp};
use tokio::sync::Barrier;

/// Two people, who are administrators by a role from here.
struct Pair {
    app: TestApp,
    users: [User; 2],
}

impl Pair {
    async fn start() -> Self {
        let app = TestApp::start().await;
        app.sign_in("member1").await;
        app.sign_in("member2").await;
        let users = [app.db_user("member1@contoso.example").await, app.db_user("member2@contoso.example").await];
        Self { app, users }
    }

    /// Both are active administrators again.
    async fn reset(&self) {
        for user in &self.users {
            let user_id = user.id.clone();
            self.by_command_line(Act::Enable { user_id: user_id.clone() }).await;
            self.by_command_line(Act::GrantRole { user_id, role: "admin".to_owned() }).await;
        }
    }

    async fn by_command_line(&self, act: Act) {
        run(&self.app.state, act, By::command_line()).await.expect("done");
    }

    async fn signed_in(&self) -> [Browser; 2] {
        [self.app.sign_in("member1").await, self.app.sign_in("member2").await]
    }

    async fn administrators(&self) -> Vec<String> {
        let is_left = |user: &User| user.is_active() && user.has_role("admin");
        self.app.db_users("").await.into_iter().filter(is_left).map(|user| user.upn).collect()
    }
}

async fn csrf(browser: &Browser) -> String {
    browser.get("/profile").await.form("/auth/sign-out").fields.remove(0).1
}

/// By whom, to where, with which fields.
type Post<'a> = (&'a Browser, String, Vec<(&'static str, String)>);

/// Posts both at the same moment.
async fn at_once(posts: [Post<'_>; 2]) -> [Page; 2] {
    let barrier = Arc::new(Barrier::new(2));
    let tasks = posts.map(|(browser, path, fields)| {
        let (browser, barrier) = (browser.clone(), barrier.clone());
        tokio::spawn(async move {
            let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            barrier.wait().await;
            browser.post(&path, &fields).await
        })
    });
    let [one, other] = tasks;
    [one.await.expect("an answer"), other.await.expect("an answer")]
}

fn confirmed(csrf: &str, fields: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
    let all = [("csrf", csrf), ("confirm", "yes")].into_iter().chain(fields.iter().copied());
    all.map(|(name, value)| (name, value.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_administrators_who_demote_each_other_at_once_leave_one() {
    let pair = Pair::start().await;
    pair.reset().await;
    let [one, other] = pair.signed_in().await;
    let tokens = [csrf(&one).await, csrf(&other).await];
    for round in 0..40 {
        pair.reset().await;
        let post = |browser, token, whom: &User| {
            let fields = confirmed(token, &[("role", "admin"), ("action", "revoke")]);
            (browser, format!("/admin/users/{}/roles", whom.id), fields)
        };
        let answers = at_once([post(&one, &tokens[0], &pair.users[1]), post(&other, &tokens[1], &pair.users[0])]).await;
        assert_eq!(pair.administrators().await.len(), 1, "round {round}: {answers:?}");
        let revoked = pair.app.db_events("role.revoked").await.len();
        assert_eq!(revoked, round + 1, "one event a round");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_administrators_who_disable_each_other_at_once_leave_one() {
    let pair = Pair::start().await;
    for round in 0..12 {
        pair.reset().await;
        let [one, other] = pair.signed_in().await;
        let tokens = [csrf(&one).await, csrf(&other).await];
        // One of them by the list, as one of many.
        let disable = format!("/admin/users/{}/disable", pair.users[1].id);
        let bulk = confirmed(&tokens[1], &[("action", "disable"), ("id", &pair.users[0].id)]);
        let answers =
            at_once([(&one, disable, confirmed(&tokens[0], &[])), (&other, "/admin/users/bulk".to_owned(), bulk)])
                .await;
        assert_eq!(pair.administrators().await.len(), 1, "round {round}: {answers:?}");
        assert_eq!(pair.app.db_events("user.disabled").await.len(), round + 1, "one event a round");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_mapping_and_a_demotion_at_once_leave_one_administrator() {
    let pair = Pair::start().await;
    let app = &pair.app;
    // The first one is an administrator by a mapping alone, the second one by a role from here.
    app.emulator.control().change_persona("member1", |persona| persona.roles = vec!["Chief".into()]);
    let [one, other] = pair.signed_in().await;
    let second = pair.users[1].id.clone();
    let grant = || Act::GrantRole { user_id: second.clone(), role: "admin".to_owned() };
    pair.by_command_line(grant()).await;
    let tokens = [csrf(&one).await, csrf(&other).await];
    let mapping =
        |action: &'static str| confirmed(&tokens[1], &[("value", "chief"), ("role", "admin"), ("action", action)]);
    for round in 0..15 {
        pair.by_command_line(grant()).await;
        let fields = mapping("add");
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        other.post("/admin/groups/mappings", &fields).await.assert_status(303);
        assert_eq!(pair.administrators().await.len(), 2, "round {round}");
        let demote = confirmed(&tokens[0], &[("role", "admin"), ("action", "revoke")]);
        let answers = at_once([
            (&one, format!("/admin/users/{second}/roles"), demote),
            (&other, "/admin/groups/mappings".to_owned(), mapping("remove")),
        ])
        .await;
        assert_eq!(pair.administrators().await.len(), 1, "round {round}: {answers:?}");
    }
}
