//! What a sign-in may be asked for: the same in the sign-in page's query, in its form, and in what is kept while the
//! person is at the provider.

use std::time::Duration;

use entra::oidc::{BeginOptions, Prompt};
use serde::{Deserialize, Serialize};

use crate::config::PublicUrl;
use crate::session::guard::safe_next;
use crate::tokens::consent::page_scope;
use crate::web::pages::{Intro, SignInRequest};

/// The longest hint or authentication context that is passed on.
const MAX_TEXT: usize = 256;

/// The wishes of one sign-in, as texts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SignInFields {
    next: Option<String>,
    prompt: Option<String>,
    login_hint: Option<String>,
    domain_hint: Option<String>,
    max_age: Option<String>,
    auth_context: Option<String>,
    // A permission that a page asks for beyond the settings'.
    scope: Option<String>,
    // What the sign-in page says first after an administrator's approval; not kept.
    #[serde(skip_serializing)]
    approved: Option<String>,
    // When a third party begins the sign-in (OIDC Core section 4); not kept.
    #[serde(skip_serializing)]
    iss: Option<String>,
    #[serde(skip_serializing)]
    target_link_uri: Option<String>,
}

impl SignInFields {
    /// Drops what is not ours to follow: a `next` that leads elsewhere, an unknown prompt, an age that is no number of
    /// seconds, a scope that no page asks for, blanks. A target on `public_url` serves as `next`.
    #[must_use]
    pub fn cleaned(self, public_url: &PublicUrl) -> Self {
        let text =
            |value: Option<String>| value.map(|v| v.trim().to_owned()).filter(|v| !v.is_empty() && v.len() <= MAX_TEXT);
        let next = self.next.or_else(|| public_url.own_path(self.target_link_uri.as_deref()?));
        Self {
            next: Some(safe_next(next.as_deref())).filter(|next| next != "/"),
            prompt: self.prompt.filter(|prompt| Prompt::parse(prompt).is_some()),
            login_hint: text(self.login_hint),
            domain_hint: text(self.domain_hint),
            max_age: self.max_age.filter(|age| age.parse::<u32>().is_ok()),
            auth_context: text(self.auth_context),
            scope: self.scope.as_deref().and_then(page_scope).map(str::to_owned),
            approved: self.approved,
            iss: self.iss,
            target_link_uri: None,
        }
    }

    /// The provider with which a third party wants the person to sign in.
    #[must_use]
    pub fn issuer(&self) -> Option<&str> {
        self.iss.as_deref()
    }

    /// Where to go afterwards: a path of this application.
    #[must_use]
    pub fn next(&self) -> &str {
        self.next.as_deref().unwrap_or("/")
    }

    /// Whether a fresher or stronger sign-in is asked for.
    #[must_use]
    pub fn is_step_up(&self) -> bool {
        self.max_age.is_some() || self.auth_context.is_some()
    }

    /// The permission that is asked for beyond the settings'.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// Whether the provider is told to which organisation the person belongs, and may lead on to that one's own provider.
    #[must_use]
    pub fn names_an_organisation(&self) -> bool {
        self.domain_hint.is_some()
    }

    /// Whether it is about somebody who is signed in already.
    #[must_use]
    pub fn is_for_the_viewer(&self) -> bool {
        self.is_step_up() || self.scope.is_some()
    }

    /// Whether the provider must not ask the person.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.prompt.as_deref() == Some(Prompt::None.as_str())
    }

    /// The same with the person asked.
    #[must_use]
    pub fn interactive(self) -> Self {
        let prompt = self.prompt.filter(|prompt| prompt != Prompt::None.as_str());
        Self { prompt, ..self }
    }

    /// The same with the start page to go to afterwards.
    #[must_use]
    pub fn without_next(self) -> Self {
        Self { next: None, ..self }
    }

    /// Names who is expected to sign in, unless the fields do.
    pub fn suggest(&mut self, login_hint: &str) {
        self.login_hint.get_or_insert_with(|| login_hint.to_owned());
    }

    /// The sign-in to begin. Whoever must have signed in lately is asked anew, as not every provider heeds `max_age`.
    #[must_use]
    pub fn options(&self, redirect_uri: String) -> BeginOptions {
        let prompt = self.prompt.as_deref().and_then(Prompt::parse);
        let max_age = self.max_age.as_deref().and_then(|age| age.parse().ok()).map(Duration::from_secs);
        BeginOptions {
            prompt: prompt.or(max_age.map(|_| Prompt::Login)),
            login_hint: self.login_hint.clone(),
            domain_hint: self.domain_hint.clone(),
            max_age,
            auth_context: self.auth_context.clone(),
            further_scopes: self.scope.iter().cloned().collect(),
            ..BeginOptions::new(redirect_uri)
        }
    }

    /// The hidden fields of a form that begins it.
    #[must_use]
    pub fn request(&self) -> SignInRequest<'_> {
        SignInRequest {
            next: self.next.as_deref(),
            prompt: self.prompt.as_deref(),
            login_hint: self.login_hint.as_deref(),
            domain_hint: self.domain_hint.as_deref(),
            max_age: self.max_age.as_deref(),
            auth_context: self.auth_context.as_deref(),
            scope: self.scope.as_deref(),
        }
    }

    /// What the sign-in page says first.
    #[must_use]
    pub fn intro(&self) -> Intro {
        match (&self.max_age, &self.auth_context) {
            (None, None) if self.scope.is_some() => Intro::PERMISSION,
            (None, None) if self.approved.is_some() => Intro::APPROVED,
            (_, Some(_)) => Intro::STRONGER,
            (Some(_), None) => Intro::FRESH,
            (None, None) => Intro::ORDINARY,
        }
    }
}
