//! The pages that people see: account picker, second factor, consent, errors, signed out, form post.
//!
//! Plain HTML with a little inline CSS; everything works without JavaScript.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse as _, Response};

use crate::personas::Persona;

/// Parameters as they go from page to page.
pub(crate) type Parameters = [(String, String)];

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1b1f;--dim:#5c5f66;--line:#d9dbe0;--card:#fff;--ground:#f4f5f7;--accent:#0b5cad}
@media(prefers-color-scheme:dark){:root{--ink:#ececf0;--dim:#a3a7b0;--line:#3a3d45;--card:#222429;--ground:#17181b;--accent:#7db7f5}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--ground);color:var(--ink);font:1rem/1.5 system-ui,sans-serif}
main{width:100%;max-width:30rem;background:var(--card);border:1px solid var(--line);border-radius:12px;padding:1.5rem}
.banner{margin:0 0 1rem;color:var(--dim);font-size:.8125rem}
h1{margin:0 0 .5rem;font-size:1.25rem;line-height:1.3}
p{margin:0 0 1rem}
ul{list-style:none;margin:0 0 1rem;padding:0}
li+li{border-top:1px solid var(--line)}
button{font:inherit;color:inherit;cursor:pointer;border-radius:6px}
.account{width:100%;padding:.625rem .5rem;text-align:left;background:none;border:0}
.account:hover{background:var(--ground)}
button:focus-visible,input:focus-visible,a:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.account span{display:block;color:var(--dim);font-size:.8125rem;overflow-wrap:anywhere}
.action{padding:.5rem 1rem;border:1px solid var(--line);background:none}
.primary{background:var(--accent);border-color:var(--accent);color:var(--card)}
label{display:block;margin-bottom:.25rem;font-size:.875rem}
input[type=text]{width:100%;padding:.5rem;margin-bottom:.75rem;font:inherit;color:inherit;background:none;border:1px solid var(--line);border-radius:6px}
code,dd{overflow-wrap:anywhere}
dl{margin:0 0 1rem;font-size:.875rem}dt{color:var(--dim)}dd{margin:0 0 .5rem}
a{color:var(--accent)}
iframe{display:none}";

/// Text made safe for HTML content and quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            _ => out.push(character),
        }
    }
    out
}

fn page(status: StatusCode, title: &str, head: &str, body: &str) -> Response {
    let title = escape(title);
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n\
         <title>{title} – Entra emulator</title>\n{head}<style>{STYLE}</style>\n</head>\n<body>\n<main>\n\
         <p class=\"banner\">Entra emulator — development only</p>\n<h1>{title}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    );
    let mut response = (status, Html(html)).into_response();
    let no_store = HeaderValue::from_static("no-store, no-cache");
    response.headers_mut().insert(header::CACHE_CONTROL, no_store);
    response
}

fn hidden_inputs(parameters: &Parameters) -> String {
    let input = |(name, value): &(String, String)| {
        let (name, value) = (escape(name), escape(value));
        format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">\n")
    };
    parameters.iter().map(input).collect()
}

fn form(action: &str, parameters: &Parameters, content: &str) -> String {
    let (action, hidden) = (escape(action), hidden_inputs(parameters));
    format!("<form method=\"post\" action=\"{action}\">\n{hidden}{content}</form>\n")
}

/// What the account picker shows.
pub(crate) struct Picker<'a> {
    pub(crate) action: &'a str,
    pub(crate) parameters: &'a Parameters,
    pub(crate) personas: &'a [std::sync::Arc<Persona>],
    /// Object ids of the accounts that are signed in in this browser.
    pub(crate) signed_in: &'a [uuid::Uuid],
    pub(crate) username: &'a str,
}

/// The account picker: one button per persona, and a field for those that are not listed.
pub(crate) fn picker(picker: &Picker<'_>) -> Response {
    let items: String = picker.personas.iter().map(|persona| account_item(picker, persona)).collect();
    let accounts = form(picker.action, picker.parameters, &format!("<ul>\n{items}</ul>\n"));
    let username = escape(picker.username);
    let other = form(
        picker.action,
        picker.parameters,
        &format!(
            "<label for=\"username\">Another user name</label>\n\
             <input type=\"text\" id=\"username\" name=\"username\" value=\"{username}\" autocomplete=\"off\" spellcheck=\"false\">\n\
             <button class=\"action\">Next</button>\n"
        ),
    );
    page(StatusCode::OK, "Pick an account", "", &format!("{accounts}{other}"))
}

fn account_item(picker: &Picker<'_>, persona: &Persona) -> String {
    let (id, name, upn, remark) =
        (escape(&persona.id), escape(&persona.name), escape(&persona.upn), escape(&persona.remark()));
    let state = if picker.signed_in.contains(&persona.oid) { "<span>Signed in</span>" } else { "" };
    let remark = if remark.is_empty() { String::new() } else { format!("<span>{remark}</span>") };
    format!(
        "<li><button class=\"account\" name=\"persona\" value=\"{id}\">{name}<span>{upn}</span>{remark}{state}</button></li>\n"
    )
}

/// The second factor's page.
pub(crate) fn second_factor(action: &str, parameters: &Parameters, persona: &Persona) -> Response {
    let buttons = "<button class=\"action primary\" name=\"mfa\" value=\"approve\">Approve</button>\n\
                   <button class=\"action\" name=\"mfa\" value=\"deny\">Deny</button>\n";
    let name = escape(&persona.upn);
    let body = format!("<p>Approve the sign-in request of {name}.</p>\n{}", form(action, parameters, buttons));
    page(StatusCode::OK, "Approve sign-in request", "", &body)
}

/// The consent page (`prompt=consent`).
pub(crate) fn consent(action: &str, parameters: &Parameters, scopes: &str) -> Response {
    let items: String =
        scopes.split_ascii_whitespace().map(|scope| format!("<li><code>{}</code></li>\n", escape(scope))).collect();
    let buttons = "<button class=\"action primary\" name=\"consent\" value=\"accept\">Accept</button>\n\
                   <button class=\"action\" name=\"consent\" value=\"decline\">Cancel</button>\n";
    let body =
        format!("<p>This application would like to:</p>\n<ul>\n{items}</ul>\n{}", form(action, parameters, buttons));
    page(StatusCode::OK, "Permissions requested", "", &body)
}

/// An error that Entra shows itself instead of sending the browser back.
///
/// Entra's own error pages come with status 200; 400 is easier to tell apart and to test.
pub(crate) fn error(description: &str) -> Response {
    error_page(description, "")
}

/// An error that concerns the account: another one may be picked.
pub(crate) fn account_error(description: &str, action: &str, parameters: &Parameters) -> Response {
    error_page(description, &form(action, parameters, "<button class=\"action\">Pick another account</button>\n"))
}

fn error_page(description: &str, way_out: &str) -> Response {
    let description = escape(description);
    let body = format!(
        "<p>Sorry, but we’re having trouble signing you in.</p>\n<p><code>{description}</code></p>\n\
         <p>This page stands for the one that Entra would show; the application is not called.</p>\n{way_out}"
    );
    page(StatusCode::BAD_REQUEST, "Sign in", "", &body)
}

/// A form that sends itself to the redirect URI (OAuth 2.0 Form Post Response Mode).
pub(crate) fn form_post(redirect_uri: &str, parameters: &Parameters) -> Response {
    let content = "<p>Script is off. Press the button to go on.</p>\n<button class=\"action primary\">Continue</button>\n\
                   <script>document.forms[0].submit()</script>\n";
    page(StatusCode::OK, "Working…", "", &form(redirect_uri, parameters, content))
}

/// The page after signing out, with a hidden frame for each application that is told of it.
pub(crate) fn signed_out(frames: &[String], next: Option<&str>) -> Response {
    let frames: String =
        frames.iter().map(|url| format!("<iframe title=\"sign-out\" src=\"{}\"></iframe>\n", escape(url))).collect();
    let (head, link) = match next.map(escape) {
        Some(next) => (
            format!("<meta http-equiv=\"refresh\" content=\"1;url={next}\">\n"),
            format!("<p><a href=\"{next}\">Back to the application</a></p>"),
        ),
        None => (String::new(), String::new()),
    };
    let body = format!("<p>It’s a good idea to close all browser windows.</p>\n{link}\n{frames}");
    page(StatusCode::OK, "You signed out of your account", &head, &body)
}

/// The picker of the account to sign out, when there are several.
pub(crate) fn sign_out_picker(action: &str, parameters: &Parameters, personas: &[std::sync::Arc<Persona>]) -> Response {
    let item = |persona: &std::sync::Arc<Persona>| {
        let (id, name, upn) = (escape(&persona.id), escape(&persona.name), escape(&persona.upn));
        format!(
            "<li><button class=\"account\" name=\"persona\" value=\"{id}\">{name}<span>{upn}</span></button></li>\n"
        )
    };
    let items: String = personas.iter().map(item).collect();
    let body = form(action, parameters, &format!("<ul>\n{items}</ul>\n"));
    page(StatusCode::OK, "Which account do you want to sign out of?", "", &body)
}

/// The start page: what this is and who can sign in.
pub(crate) fn start(facts: &[(&str, String)], personas: &[std::sync::Arc<Persona>]) -> Response {
    let facts: String = facts
        .iter()
        .map(|(name, value)| format!("<dt>{}</dt><dd><code>{}</code></dd>\n", escape(name), escape(value)))
        .collect();
    let item = |persona: &std::sync::Arc<Persona>| {
        let (upn, remark) = (escape(&persona.upn), escape(&persona.remark()));
        format!("<li>{upn}<br><small>{remark}</small></li>\n")
    };
    let items: String = personas.iter().map(item).collect();
    page(StatusCode::OK, "Who can sign in", "", &format!("<dl>\n{facts}</dl>\n<ul>\n{items}</ul>"))
}
