//! What is wrong with the settings: everything at once, each problem naming its variables.
//!
//! No text holds a value that was given: any variable may hold a secret by mistake.

use std::fmt;

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    names: Vec<String>,
    text: String,
}

impl Problem {
    /// A problem of the variables `names`: one, or all that do not go together.
    #[must_use]
    pub fn new<N: Into<String>>(names: impl IntoIterator<Item = N>, text: impl Into<String>) -> Self {
        Self { names: names.into_iter().map(Into::into).collect(), text: text.into() }
    }

    /// The variables concerned.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.names.join(", "), self.text)
    }
}

/// Why the server does not start: one problem a line, then advice on setting up where that helps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems {
    list: Vec<Problem>,
    advice: Option<String>,
}

impl Problems {
    /// Collects `list`.
    #[must_use]
    pub fn new(list: Vec<Problem>) -> Self {
        Self { list, advice: None }
    }

    /// The same, with `advice` behind the list.
    #[must_use]
    pub fn with_advice(self, advice: Option<String>) -> Self {
        Self { advice, ..self }
    }

    /// Each problem, in the order of the settings.
    #[must_use]
    pub fn list(&self) -> &[Problem] {
        &self.list
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(formatter, "{problem}")?;
        }
        match &self.advice {
            Some(advice) => write!(formatter, "\n{advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problems {}
