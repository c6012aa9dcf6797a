//! Forms that act: plain posts with the token that proves they come from our own pages.

use leptos::prelude::*;

use crate::backend::page_context;
use crate::questions::Question;

/// The hidden field that every posting form carries.
#[component]
pub fn CsrfField() -> impl IntoView {
    view! { <input type="hidden" name="csrf" value=page_context().csrf_token.clone()/> }
}

/// A form that is nothing but one button: posts `fields` to `action`.
pub(crate) struct Act {
    /// Where it posts to.
    pub(crate) action: String,
    /// The words on the button.
    pub(crate) label: &'static str,
    /// What the button acts on, for those who hear it out of its context; begins with `label`.
    pub(crate) description: String,
    /// Hidden fields besides the token.
    pub(crate) fields: Vec<(&'static str, String)>,
    /// Whether it takes something away from somebody.
    pub(crate) destructive: bool,
    /// What is asked first where there is an island to do so.
    pub(crate) question: Option<Question>,
    /// What it acts on; may be empty.
    object: String,
}

impl Act {
    /// A harmless act without fields.
    pub(crate) fn new(action: String, label: &'static str) -> Self {
        Self {
            action,
            label,
            description: label.to_owned(),
            fields: Vec::new(),
            destructive: false,
            question: None,
            object: String::new(),
        }
    }

    /// Names what it acts on: `Refresh` becomes `Refresh: Ada's grant` for screen readers.
    pub(crate) fn on(mut self, object: &str) -> Self {
        self.description = format!("{}: {object}", self.label);
        object.clone_into(&mut self.object);
        self
    }

    /// Adds a hidden field.
    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, value.into()));
        self
    }

    /// Marks it as taking something away.
    pub(crate) fn destructive(mut self) -> Self {
        self.destructive = true;
        self
    }

    /// Asks first, in a dialog where the island for that is alive.
    pub(crate) fn asks(mut self, question: Question) -> Self {
        self.question = Some(question);
        self
    }

    /// The form.
    pub(crate) fn view(self) -> AnyView {
        let class = if self.destructive { "button button-danger" } else { "button" };
        let fields = self
            .fields
            .into_iter()
            .map(|(name, value)| view! { <input type="hidden" name=name value=value/> })
            .collect_view();
        let object = self.question.map(|_| self.object);
        view! {
            <form method="post" action=self.action class="act" data-question=self.question.map(|asked| asked.title)
                data-object=object data-consequences=self.question.map(|asked| asked.consequences.join(" "))>
                <CsrfField/>
                {fields}
                <button type="submit" class=class aria-label=self.description>{self.label}</button>
            </form>
        }
        .into_any()
    }
}

/// An option of a select: value, words, and whether it is the chosen one.
pub(crate) fn option(value: &str, words: &str, selected: bool) -> AnyView {
    view! { <option value=value.to_owned() selected=selected>{words.to_owned()}</option> }.into_any()
}
