//! The askama pages: signing in and out, errors, and the question before a destructive act.
//!
//! These are the pages that must render when all else is broken, and the first ones that a project
//! changes: the HTML is in `templates/`, what each file may use is a field here. They know no
//! database, no provider and no session; handlers fill them.

use app::brand;
use app::model::Theme;
use askama::Template;

use crate::error::Fixer;

/// What every page needs around its content.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Product name.
    pub product: &'a str,
    /// URL of the style sheet.
    pub stylesheet_url: &'a str,
    /// URL of the favicon.
    pub favicon_url: &'a str,
    /// Value of `data-theme`: `system`, `light` or `dark`.
    pub theme: &'a str,
    /// Value of the hidden field `csrf` in posting forms; empty leaves the field out.
    pub csrf: &'a str,
}

impl<'a> Frame<'a> {
    /// The frame of this product in the reader's colours, without a token for forms.
    #[must_use]
    pub fn new(theme: Theme, stylesheet_url: &'a str, favicon_url: &'a str) -> Self {
        let theme = match theme {
            Theme::System => "system",
            Theme::Light => "light",
            Theme::Dark => "dark",
        };
        Self { product: brand::TITLE, stylesheet_url, favicon_url, theme, csrf: "" }
    }

    /// The same with a token for forms.
    #[must_use]
    pub fn with_csrf(self, csrf: &'a str) -> Self {
        Self { csrf, ..self }
    }

    /// The colour schemes that the browser may use before the style sheet is there.
    #[must_use]
    pub fn color_scheme(&self) -> &'static str {
        match self.theme {
            "light" => "light",
            "dark" => "dark",
            _ => "light dark",
        }
    }
}

/// Who signs people in.
#[derive(Clone, Copy, Debug)]
pub struct Provider<'a> {
    /// Its name for people: `Microsoft`, or another provider's.
    pub name: &'a str,
    /// Whether the button follows Microsoft's branding guidelines.
    pub is_microsoft: bool,
}

impl Provider<'_> {
    /// Microsoft Entra ID.
    pub const MICROSOFT: Provider<'static> = Provider { name: "Microsoft", is_microsoft: true };
}

/// What a sign-in takes along, as hidden fields; absent ones are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct SignInRequest<'a> {
    /// Where to go afterwards: a path of this application, checked by the caller.
    pub next: Option<&'a str>,
    /// OpenID Connect `prompt` (OIDC Core 3.1.2.1).
    pub prompt: Option<&'a str>,
    /// OpenID Connect `login_hint` (OIDC Core 3.1.2.1).
    pub login_hint: Option<&'a str>,
    /// Entra's `domain_hint`.
    pub domain_hint: Option<&'a str>,
    /// OpenID Connect `max_age` in seconds (OIDC Core 3.1.2.1).
    pub max_age: Option<&'a str>,
    /// The authentication context to prove.
    pub auth_context: Option<&'a str>,
    /// A permission that a page asks for beyond the settings' scopes.
    pub scope: Option<&'a str>,
}

/// What the sign-in page says first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intro {
    /// The heading.
    pub title: &'static str,
    /// A sentence or two.
    pub lead: &'static str,
}

impl Intro {
    /// To anybody.
    pub const ORDINARY: Self =
        Self { title: "Sign in", lead: "Use the account of your organisation. You come back here afterwards." };
    /// To somebody whose sign-in is too long ago for what they want to do.
    pub const FRESH: Self = Self {
        title: "Confirm that it is you",
        lead: "What you want to do needs a recent sign-in. Sign in once more, and you come back to it. Nothing is lost.",
    };
    /// To somebody whose sign-in is too weak for what they want to do.
    pub const STRONGER: Self = Self {
        title: "One more step",
        lead: "What you want to do needs a stronger sign-in, for example with a second factor. You come back to it \
               afterwards. Nothing is lost.",
    };
    /// To somebody who wants what needs another permission.
    pub const PERMISSION: Self = Self {
        title: "One more permission",
        lead: "What you want to see needs another permission. You are asked for it next, and come back here afterwards. \
               Nothing changes if you decline.",
    };
    /// To an administrator who has just approved the permissions for everybody.
    pub const APPROVED: Self = Self {
        title: "The permissions are approved",
        lead: "People of your organisation can sign in now. Sign in to go on.",
    };
}

/// Ids that tell support which request it was; empty ones are left out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference<'a> {
    /// Our request id.
    pub request_id: &'a str,
    /// Entra's trace id.
    pub trace_id: &'a str,
    /// Entra's correlation id.
    pub correlation_id: &'a str,
    /// The provider's code: `AADSTS50105`, or the OAuth error.
    pub code: &'a str,
    /// When it happened, RFC 3339.
    pub timestamp: &'a str,
}

impl<'a> Reference<'a> {
    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines().next().is_none()
    }

    /// Label and value of each id that is known.
    pub fn lines(&self) -> impl Iterator<Item = (&'static str, &'a str)> + use<'a> {
        let lines = [
            ("Code", self.code),
            ("Request id", self.request_id),
            ("Trace id", self.trace_id),
            ("Correlation id", self.correlation_id),
            ("Time", self.timestamp),
        ];
        lines.into_iter().filter(|(_, value)| !value.is_empty())
    }
}

/// `GET /auth/sign-in`.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "sign_in.html")]
pub struct SignInPage<'a> {
    /// Around the content.
    pub frame: Frame<'a>,
    /// Who signs people in.
    pub provider: Provider<'a>,
    /// What it says first.
    pub intro: Intro,
    /// What goes along.
    pub request: SignInRequest<'a>,
    /// Why signing in cannot work right now, for example that the provider is unreachable.
    pub problem: Option<&'a str>,
    /// In development, who can sign in at the emulator; else empty.
    pub personas: &'a [&'a str],
}

/// A sign-in that did not work, rendered in place by the callback.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "sign_in_failed.html")]
pub struct SignInFailedPage<'a> {
    /// Around the content.
    pub frame: Frame<'a>,
    /// What it is, in a few words.
    pub title: &'a str,
    /// What happened.
    pub what: &'a str,
    /// Who can fix it.
    pub fixer: Fixer,
    /// What they do.
    pub remedy: &'a str,
    /// What the buttons take along.
    pub request: SignInRequest<'a>,
    /// Where an administrator approves the permissions; a URL of the provider's.
    pub approval_url: Option<&'a str>,
    /// The page from which somebody who is still signed in came.
    pub way_back: Option<&'a str>,
    /// Ids for support.
    pub reference: Reference<'a>,
}

/// `GET /auth/signed-out`.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "signed_out.html")]
pub struct SignedOutPage<'a> {
    /// Around the content.
    pub frame: Frame<'a>,
    /// Where the person may still be signed in.
    pub provider: Provider<'a>,
    /// What signing in again takes along.
    pub request: SignInRequest<'a>,
}

/// An error of the whole response.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "error.html")]
pub struct ErrorPage<'a> {
    /// Around the content.
    pub frame: Frame<'a>,
    /// HTTP status.
    pub status: u16,
    /// What it is, in a few words.
    pub title: &'a str,
    /// What happened.
    pub what: &'a str,
    /// Who can fix it.
    pub fixer: Fixer,
    /// What they do.
    pub remedy: &'a str,
    /// Ids for support.
    pub reference: Reference<'a>,
}

impl<'a> ErrorPage<'a> {
    /// The page of a status, with the words for it. A status without words of its own has those of
    /// a bad request (4xx) or of a failure (everything else).
    #[must_use]
    pub fn new(frame: Frame<'a>, status: u16, request_id: &'a str) -> Self {
        let Words { title, what, fixer, remedy } = words(status);
        let reference = Reference { request_id, ..Reference::default() };
        Self { frame, status, title, what, fixer, remedy, reference }
    }
}

struct Words {
    title: &'static str,
    what: &'static str,
    fixer: Fixer,
    remedy: &'static str,
}

fn words(status: u16) -> Words {
    match status {
        403 => Words {
            title: "This page is not for you",
            what: "You are signed in, but your roles do not include what you asked for.",
            fixer: Fixer::Administrator,
            remedy: "Ask an administrator of this application for the role, then sign in again.",
        },
        404 => Words {
            title: "There is nothing here",
            what: "This address leads to no page. It may have been moved or removed, or it is mistyped.",
            fixer: Fixer::You,
            remedy: "Check the address, or start again from the start page.",
        },
        405 => Words {
            title: "This address takes no such request",
            what: "The page exists, but it cannot be used in this way.",
            fixer: Fixer::You,
            remedy: "Go back and use the buttons and links of the page.",
        },
        429 => Words {
            title: "Too many requests",
            what: "More requests came from your network address than are allowed in a minute.",
            fixer: Fixer::Time,
            remedy: "Wait a minute, then try again.",
        },
        503 => Words {
            title: "We cannot answer right now",
            what: "The application is up, but something that it needs is not. Nothing is lost.",
            fixer: Fixer::Time,
            remedy: "Try again in a minute. If it stays like this, tell an administrator the request id.",
        },
        400..=499 => Words {
            title: "We did not understand this request",
            what: "Something in it was missing, too old, or not meant for this application. Nothing was changed.",
            fixer: Fixer::You,
            remedy: "Go back, reload the page, and try again.",
        },
        _ => Words {
            title: "Something went wrong on our side",
            what: "The page could not be made. It is not your fault, and the reason is in our log.",
            fixer: Fixer::Developer,
            remedy: "Try again. If it happens again, give them the request id: with it they find the reason.",
        },
    }
}

/// Who or what an act is on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Target<'a> {
    /// Its name; empty when there are lists instead.
    pub name: &'a str,
    /// How to tell it apart, for example the UPN; may be empty.
    pub detail: &'a str,
}

/// People whom an act concerns in the same way.
#[derive(Clone, Debug, Default)]
pub struct PeopleList {
    /// What happens to them: `These 3 people would lose admin`.
    pub heading: String,
    /// Name and UPN, of as many as are shown.
    pub people: Vec<(String, String)>,
    /// How many more there are.
    pub more: u64,
}

/// The question before an act that takes something away.
#[derive(Clone, Copy, Debug, Template)]
#[template(path = "confirm.html")]
pub struct ConfirmPage<'a> {
    /// Around the content; needs its token.
    pub frame: Frame<'a>,
    /// The question: `Disable this user?`
    pub title: &'a str,
    /// Who or what is named, when it is one.
    pub target: Target<'a>,
    /// Who is concerned, when they are several.
    pub lists: &'a [PeopleList],
    /// What will happen, a sentence each.
    pub consequences: &'a [&'a str],
    /// Where the form posts to: the address of the first post.
    pub action: &'a str,
    /// The fields of the first post, without `csrf` and `confirm`.
    pub fields: &'a [(&'a str, &'a str)],
    /// The words on the button.
    pub button: &'a str,
    /// Where the way back leads to.
    pub cancel: &'a str,
}
