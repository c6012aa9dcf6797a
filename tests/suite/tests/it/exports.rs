//! Lists as files, read by a parser that nobody here wrote.

use futures_util::StreamExt as _;
use server::people::actor::By;
use server::people::acts::{Act, run};
use suite::{Browser, Page, TestApp, Wire, db_fill};

struct Table {
    header: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn column(&self, name: &str) -> Vec<&str> {
        let index = self.header.iter().position(|header| header == name).expect("the column");
        self.rows.iter().map(|row| row[index].as_str()).collect()
    }
}

fn parse(file: &Page) -> Table {
    let mut reader = csv::Reader::from_reader(file.body.as_bytes());
    let header = reader.headers().expect("a header").iter().map(str::to_owned).collect();
    let to_row = |record: Result<csv::StringRecord, csv::Error>| {
        record.expect("a record as long as the header").iter().map(str::to_owned).collect()
    };
    Table { header, rows: reader.records().map(to_row).collect() }
}

async fn download(admin: &Browser, path: &str) -> Table {
    let file = admin.get(path).await;
    file.assert_status(200);
    assert_eq!(file.header("content-type"), "text/csv; charset=utf-8");
    parse(&file)
}

#[tokio::test(flavor = "multi_thread")]
async fn users_are_exported_with_the_filters_and_order_of_the_list_and_it_is_recorded() {
    let app = TestApp::start().await;
    let admin = app.sign_in("admin").await;
    // More than one batch.
    db_fill(&app, 603).await;
    let all = download(&admin, "/admin/users.csv?per_page=10&sort=created&dir=desc").await;
    assert_eq!(all.rows.len(), 604, "pages do not bound a file");
    let mut ids = all.column("id");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 604, "nobody twice");
    let created = all.column("first_seen");
    assert!(created.is_sorted_by(|a, b| a >= b));

    let guests = download(&admin, "/admin/users.csv?type=guest&q=user01").await;
    assert_eq!(guests.rows.len(), 20);
    assert!(guests.column("type").iter().all(|kind| *kind == "guest"));

    let file = admin.get("/admin/users.csv?q=nobody-is-called-this").await;
    assert_eq!(file.body.matches("\r\n").count(), 1, "the header alone");
    let date = app.state.clock.now_utc().date();
    assert_eq!(file.header("content-disposition"), format!("attachment; filename=\"users-{date}.csv\""));
    let event = app.db_events("users.exported").await.remove(1);
    assert_eq!(event.actor_name, "admin@contoso.example");
    assert!(event.detail.contains("type=guest"), "{}", event.detail);
}

#[tokio::test(flavor = "multi_thread")]
async fn v_1_2_10_no_cell_begins_like_a_formula() {
    let app = TestApp::start().await;
    for (index, name) in ["=HYPERLINK(\"http://evil\")", "+1", "-1", "@SUM(A1)", "a\",\"b"].iter().enumerate() {
        let browser = app.browser();
        app.emulator.control().change_persona("member1", |persona| persona.name = (*name).to_owned());
        browser.sign_in("member1").await.assert_status(303);
        let admin = app.sign_in("admin").await;
        let table = download(&admin, "/admin/users.csv?q=member1").await;
        let expected = if index < 4 { format!("'{name}") } else { (*name).to_owned() };
        assert_eq!(table.column("name"), [expected]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_cell_of_any_export_begins_like_a_formula_whichever_separator_opens_it() {
    const FORMULA: [char; 11] = ['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠'];
    let app = TestApp::start().await;
    let name = "Megan;=HYPERLINK(\"http://evil\");\"\"\"=1\t@SUM(A1)\n+1;＝1";
    app.emulator.control().change_persona("member1", |persona| persona.name = name.to_owned());
    app.sign_in("member1").await;
    // The event of the change has the name in its details.
    app.emulator.control().change_persona("member1", |persona| persona.name = format!("{name} Bowen"));
    app.sign_in("member1").await;
    let admin = app.sign_in("admin").await;
    for path in ["/admin/users.csv", "/admin/audit.csv"] {
        let file = admin.get(path).await.assert_status(200).body.clone();
        assert!(file.contains("HYPERLINK"), "{path} has the name: {file}");
        assert!(file.starts_with("\"id\",\""), "every field is quoted: {file}");
        for separator in [b',', b';', b'\t'] {
            let mut reader = csv::ReaderBuilder::new();
            let reader = reader.delimiter(separator).flexible(true).has_headers(false);
            for row in reader.from_reader(file.as_bytes()).records() {
                let row = row.expect("a record");
                let bad = row.iter().find(|cell| cell.starts_with(FORMULA));
                assert_eq!(bad, None, "{path} opened with {:?}", char::from(separator));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn v_8_2_1_exports_are_for_administrators_and_are_never_cached() {
    let app = TestApp::start().await;
    let member = app.sign_in("member1").await;
    member.get("/admin/users.csv").await.assert_status(403);
    app.browser().get("/admin/users.csv").await.assert_status(303);
    let admin = app.sign_in("admin").await;
    assert!(admin.get("/admin/users.csv").await.header("cache-control").contains("no-store"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_breaks_off_when_its_reader_is_disabled_or_loses_the_role() {
    use diesel::prelude::*;
    use store::RunQueryDsl;
    use store::schema::users;

    const PEOPLE: usize = 1_600;
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    db_fill(&app, PEOPLE).await;
    // Wider than all that the network keeps on the way, so that the rest is not read before it is asked for.
    let wide = "x".repeat(4_000);
    let mut conn = app.state.db.conn().await.expect("a connection");
    diesel::update(users::table).set(users::display_name.eq(wide)).execute(&mut conn).await.expect("wide rows");
    drop(conn);
    let by = async |act| run(&app.state, act, By::command_line()).await.expect("done");
    for is_disabled in [false, true] {
        let reader = app.sign_in("member1").await;
        let user_id = app.db_user("member1@contoso.example").await.id;
        let (whose, role) = (user_id.clone(), "admin".to_owned());
        by(Act::GrantRole { user_id: whose, role: role.clone() }).await;
        let mut wire = Wire::open(&app, &reader).await;
        wire.get("/admin/users.csv").await;
        assert!(wire.read_to("\r\n\r\n").await.starts_with("HTTP/1.1 200 "));
        by(if is_disabled { Act::Disable { user_id } } else { Act::RevokeRole { user_id, role } }).await;
        let rest = wire.rest().await;
        let rows = rest.matches("subject").count();
        assert!(rows < PEOPLE, "{rows} rows");
        assert!(!rest.ends_with("0\r\n\r\n"), "a transfer that looks complete");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn not_even_the_end_of_an_export_is_for_who_may_no_longer_read_it() {
    let app = TestApp::start().await;
    app.sign_in("admin").await;
    let by = async |act| run(&app.state, act, By::command_line()).await.expect("done");
    for path in ["/admin/users.csv", "/admin/audit.csv"] {
        let reader = app.sign_in("member1").await;
        let user_id = app.db_user("member1@contoso.example").await.id;
        by(Act::GrantRole { user_id: user_id.clone(), role: "admin".to_owned() }).await;
        let mut file = app.stream(path, &reader).await;
        // The header, and all the rows there are.
        for _ in 0..2 {
            file.next().await.expect("a part").expect("a good one");
        }
        by(Act::SignOut { user_id }).await;
        assert!(file.next().await.expect("no end").is_err(), "{path}");
    }
}
