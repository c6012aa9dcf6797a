//! The small cookies besides the session's: flash message, theme, and the sign-in transaction.

use app::model::{Flash, FlashKind, Theme};
use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};

/// The value of the first cookie called `name`.
#[must_use]
pub fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    all(headers).find(|(found, _)| *found == name).map(|(_, value)| value)
}

/// Name and value of every cookie of the request.
pub fn all(headers: &HeaderMap) -> impl Iterator<Item = (&str, &str)> {
    pairs(headers.get_all(header::COOKIE))
}

fn pairs<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> impl Iterator<Item = (&'a str, &'a str)> {
    values
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
}

/// Adds a `Set-Cookie` header.
pub fn set(headers: &mut HeaderMap, cookie: &Cookie<'_>) {
    if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
        headers.append(header::SET_COOKIE, value);
    }
}

/// A cookie of this host, for every path, out of reach of scripts.
#[must_use]
pub fn build(
    name: String,
    value: String,
    secure: bool,
    same_site: SameSite,
    max_age: time::Duration,
) -> Cookie<'static> {
    Cookie::build((name, value)).path("/").http_only(true).secure(secure).same_site(same_site).max_age(max_age).build()
}

/// `name` with the prefix `__Host-` where the scheme allows it (RFC 6265bis, section 4.1.3.2).
#[must_use]
pub fn host_name(name: &str, https: bool) -> String {
    if https { format!("__Host-{name}") } else { name.to_owned() }
}

/// The reader's choice of colours, from the cookie `theme`.
#[must_use]
pub fn theme(headers: &HeaderMap) -> Theme {
    theme_in(headers.get_all(header::COOKIE))
}

/// As [`theme`], from the values of `Cookie` headers.
#[must_use]
pub fn theme_in<'a>(values: impl IntoIterator<Item = &'a HeaderValue>) -> Theme {
    let mut themes = pairs(values).filter(|(name, _)| matches!(*name, "theme" | "__Host-theme"));
    match themes.next().map(|(_, theme)| theme) {
        Some("light") => Theme::Light,
        Some("dark") => Theme::Dark,
        _ => Theme::System,
    }
}

macro_rules! notices {
    ($($(#[doc = $doc:literal])+ $name:ident = $code:literal, $kind:ident, $text:literal;)+) => {
        /// What an action did, shown once on the next page. The cookie holds the code only, so that
        /// nobody can make the application say something else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Notice {
            $($(#[doc = $doc])+ $name,)+
        }

        impl Notice {
            /// The code in the cookie.
            #[must_use]
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// The message of a code; `None` for a code that is not one of ours.
            #[must_use]
            pub fn flash(code: &str) -> Option<Flash> {
                match code {
                    $($code => Some(Flash { kind: FlashKind::$kind, text: $text.to_owned() }),)+
                    _ => None,
                }
            }
        }
    };
}

notices! {
    /// After a disable.
    UserDisabled = "user-disabled", Success, "User disabled. Their sessions have ended and their tokens were deleted.";
    /// After an erasure.
    UserErased = "user-erased", Success, "User erased. The audit log keeps what happened, without their name.";
    /// After an enable.
    UserEnabled = "user-enabled", Success, "User enabled. They can sign in again.";
    /// After signing somebody out.
    UserSignedOut = "user-signed-out", Success, "User signed out of all sessions.";
    /// After a grant of a role.
    RoleGranted = "role-granted", Success, "Role granted.";
    /// After a revocation of a role.
    RoleRevoked = "role-revoked", Success, "Role revoked.";
    /// After a mapping was added.
    MappingAdded = "mapping-added", Success, "Mapping saved. Everyone it applies to has the role.";
    /// After a mapping was removed.
    MappingRemoved = "mapping-removed", Success, "Mapping removed. Everyone who had the role only because of it has lost it.";
    /// A mapping that is no rule.
    MappingInvalid = "mapping-invalid", Error, "A mapping needs a group's object ID (a GUID), an app role, group: and a group, or approle: and an app role; in front of it one tenant ID and /, if at all; and a role of lower-case letters, digits, - and _.";
    /// The setting's own mappings are not changed here.
    MappingOfSetting = "mapping-of-setting", Error, "This mapping comes from the setting ROLE_MAPPING and can be changed there only.";
    /// After a round of the directory sync was let through.
    DirectoryAllowed = "directory-allowed", Success, "The next round of the directory sync may disable these users. It begins now.";
    /// After a run of all checks.
    Examined = "examined", Success, "Checks completed. The results are below.";
    /// No run: there is one already, or has just been.
    ExaminedJustNow = "examined-just-now", Error, "Checks are running or have just run. Try again in a few seconds.";
    /// After the end of a session.
    SessionEnded = "session-ended", Success, "Session ended.";
    /// After a refresh.
    GrantRefreshed = "grant-refreshed", Success, "Tokens refreshed.";
    /// After a refresh that failed.
    GrantNotRefreshed = "grant-not-refreshed", Error, "Tokens could not be refreshed. The reason is shown in the list.";
    /// After forgetting a grant.
    GrantForgotten = "grant-forgotten", Success, "Tokens deleted.";
    /// An act on many without anybody.
    NobodySelected = "nobody-selected", Error, "No one is selected. Select people first.";
    /// An act on many that a step-up interrupted.
    SelectAnew = "select-anew", Error, "Your sign-in is fresh now, but so many people could not be remembered across it. Nothing was done: please select them again.";
    /// Nothing to do.
    NothingChanged = "nothing-changed", Success, "No change was needed.";
    /// Refused: it would lock the administrator out.
    NotOneself = "not-oneself", Error, "You cannot do this to yourself. Ask another administrator to do it.";
    /// Refused: nobody would be left.
    LastAdministrator = "last-administrator", Error, "This is the last administrator who can sign in. Make somebody else an administrator first.";
    /// Refused: the provider grants it.
    FromProvider = "from-provider", Error, "This role comes from the provider. Change it there; it follows at the next sign-in.";
}

/// What became of an act on many: a notice with numbers, which is all that its code holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BulkNotice {
    /// Done.
    pub done: u16,
    /// Like that already.
    pub unchanged: u16,
    /// Left out: the one who acts.
    pub oneself: u16,
    /// Left out: the last administrator.
    pub last_administrator: u16,
}

impl BulkNotice {
    const PREFIX: &str = "bulk";

    /// The code in the cookie: `bulk-3-1-1-0`.
    #[must_use]
    pub fn code(self) -> String {
        let Self { done, unchanged, oneself, last_administrator } = self;
        format!("{}-{done}-{unchanged}-{oneself}-{last_administrator}", Self::PREFIX)
    }

    fn parse(code: &str) -> Option<Self> {
        let numbers = code.strip_prefix(Self::PREFIX)?.strip_prefix('-')?;
        let numbers: Vec<u16> = numbers.split('-').map(|number| number.parse().ok()).collect::<Option<_>>()?;
        let [done, unchanged, oneself, last_administrator] = numbers.try_into().ok()?;
        Some(Self { done, unchanged, oneself, last_administrator })
    }

    fn flash(self) -> Flash {
        let people = |count: u16| if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
        let mut text = format!("Done for {}.", people(self.done));
        if self.unchanged > 0 {
            text.push_str(&format!(" No change was needed for {}.", people(self.unchanged)));
        }
        if self.oneself > 0 {
            text.push_str(" You were left out: nobody can do this to themselves.");
        }
        if self.last_administrator > 0 {
            text.push_str(" The last administrator who can sign in was left out.");
        }
        Flash { kind: if self.done > 0 { FlashKind::Success } else { FlashKind::Error }, text }
    }
}

/// Puts a notice on the response by its code; the next page shows it.
pub fn set_notice(headers: &mut HeaderMap, code: &str, https: bool) {
    let name = host_name("flash", https);
    let cookie = build(name, code.to_owned(), https, SameSite::Lax, time::Duration::minutes(1));
    set(headers, &cookie);
}

/// The notice that the request brings.
#[must_use]
pub fn notice(headers: &HeaderMap, https: bool) -> Option<Flash> {
    let code = get(headers, &host_name("flash", https))?;
    Notice::flash(code).or_else(|| BulkNotice::parse(code).map(BulkNotice::flash))
}

/// Removes the cookie called `name`.
pub fn remove(headers: &mut HeaderMap, name: String, secure: bool, same_site: SameSite) {
    set(headers, &build(name, String::new(), secure, same_site, time::Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_codes_become_messages() {
        assert!(Notice::flash(Notice::UserDisabled.code()).is_some());
        assert_eq!(Notice::flash("<b>You won</b>"), None);
    }

    #[test]
    fn an_act_on_many_says_what_became_of_each() {
        let notice = BulkNotice { done: 3, unchanged: 1, oneself: 1, last_administrator: 0 };
        assert_eq!(BulkNotice::parse(&notice.code()), Some(notice));
        let text = notice.flash().text;
        assert!(text.starts_with("Done for 3 people.") && text.contains("1 person") && text.contains("You were"));
        for code in ["bulk", "bulk-1", "bulk-1-2-3-4-5", "bulk-1-2-3-x", "bulk--1-0-0-0"] {
            assert_eq!(BulkNotice::parse(code), None, "{code}");
        }
    }

    #[test]
    fn the_theme_is_what_the_cookie_says() {
        for (cookies, expected) in [
            ("theme=dark", Theme::Dark),
            ("__Host-id=1; theme=light", Theme::Light),
            ("__Host-theme=dark", Theme::Dark),
            ("theme=<script>", Theme::System),
            ("mytheme=dark", Theme::System),
        ] {
            assert_eq!(theme_in([&HeaderValue::from_static(cookies)]), expected, "{cookies}");
        }
        assert_eq!(theme_in([]), Theme::System);
    }

    #[test]
    fn cookies_are_found_in_any_of_several_headers() {
        let mut headers = HeaderMap::new();
        headers.append(header::COOKIE, HeaderValue::from_static("a=1; theme=dark"));
        headers.append(header::COOKIE, HeaderValue::from_static("flash=user-enabled; broken"));
        assert_eq!(get(&headers, "a"), Some("1"));
        assert_eq!(theme(&headers), Theme::Dark);
        assert!(notice(&headers, false).is_some());
        assert!(notice(&headers, true).is_none());
    }
}
