//! Instants for people: relative in the text, exact in the title, machine-readable in the markup.

use chrono::{DateTime, Utc};
use leptos::either::Either;
use leptos::prelude::*;

use crate::backend::page_context;
use crate::components::facts::DASH;
use crate::components::markup::Markup;
use crate::format;
use crate::islands::countdown::Countdown;

/// Now, as the page was asked for: one instant for all relative times of a page.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Now(Option<DateTime<Utc>>);

impl Now {
    /// Reads it from the context of the page.
    pub(crate) fn from_page() -> Self {
        Self(format::instant(&page_context().now))
    }

    /// `at` (RFC 3339) as the distance from now; a dash when it is empty or malformed.
    pub(crate) fn ago(self, at: &str) -> impl IntoView + use<> {
        match format::instant(at) {
            Some(instant) => {
                let words = self.words(instant);
                Either::Left(view! { <time datetime=at.to_owned() title=format::exact(instant)>{words}</time> })
            }
            None => Either::Right(DASH),
        }
    }

    /// The same for an instant to come, which an island keeps current.
    pub(crate) fn until(self, at: &str) -> AnyView {
        match (format::instant(at), self.0) {
            (Some(instant), Some(now)) => {
                let (seconds, now) = (instant.timestamp(), now.timestamp());
                view! {
                    <time datetime=at.to_owned() title=format::exact(instant)><Countdown at=seconds now/></time>
                }
                .into_any()
            }
            _ => self.ago(at).into_any(),
        }
    }

    /// The same as markup.
    pub(crate) fn write_ago(self, markup: &mut Markup, at: &str) {
        match format::instant(at) {
            Some(instant) => {
                markup.tag("<time datetime=\"").text(at).tag("\" title=\"").text(&format::exact(instant));
                markup.tag("\">").text(&self.words(instant)).tag("</time>");
            }
            None => {
                markup.tag(DASH);
            }
        }
    }

    fn words(self, instant: DateTime<Utc>) -> String {
        self.0.map_or_else(|| format::date(instant), |now| format::relative(instant, now))
    }
}
