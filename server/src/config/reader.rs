//! Reads settings by name and gathers what is wrong with them.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::parse::{self, Parsed};
use super::problems::{Problem, Problems};
use super::settings::{Settings, definitions};

/// The given values, their defaults, and the problems found so far.
pub(super) struct Reader<'a> {
    given: BTreeMap<String, &'a str>,
    defaults: BTreeMap<String, String>,
    problems: Vec<Problem>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(settings: &'a Settings, problems: Vec<Problem>) -> Self {
        let defaults = definitions();
        let defaults = defaults.into_iter().filter_map(|known| Some((known.name, known.default?))).collect();
        let given = settings
            .values()
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?.trim())))
            .filter(|(_, value)| !value.is_empty())
            .collect();
        Self { given, defaults, problems }
    }

    /// The value of `name` without surrounding blanks, or its default; `None` if there is neither.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        let given = self.given.get(name).map(|&value| value.to_owned());
        given.or_else(|| self.defaults.get(name).cloned())
    }

    /// The value of `name` if it is set, to something else than its default.
    pub(super) fn given(&self, name: &str) -> Option<&'a str> {
        let value = self.given.get(name).copied()?;
        (self.defaults.get(name).map(String::as_str) != Some(value)).then_some(value)
    }

    /// What `parse` makes of the value of `name` or of its default. Its refusal becomes a problem.
    pub(super) fn parse<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Parsed<T>) -> Option<T> {
        let value = self.text(name)?;
        parse(&value).map_or_else(|refusal| self.refuse([name], refusal), Some)
    }

    /// Like [`Reader::parse`], for a list that is empty when nothing is given.
    pub(super) fn list<T>(&mut self, name: &str, parse: impl FnOnce(&str) -> Parsed<Vec<T>>) -> Option<Vec<T>> {
        match self.text(name) {
            Some(_) => self.parse(name, parse),
            None => Some(Vec::new()),
        }
    }

    /// A time within `range`.
    pub(super) fn duration(&mut self, name: &str, range: RangeInclusive<Duration>) -> Option<Duration> {
        self.parse(name, |text| parse::duration(text, range))
    }

    /// One of the words in `choices`, in any case.
    pub(super) fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> Option<T> {
        self.parse(name, |text| parse::choice(text, choices))
    }

    /// `true` or `false`.
    pub(super) fn boolean(&mut self, name: &str) -> Option<bool> {
        self.choice(name, &[("true", true), ("false", false)])
    }

    /// Notes that `names` are wrong, and why; always `None`.
    pub(super) fn refuse<'n, T>(
        &mut self,
        names: impl IntoIterator<Item = &'n str>,
        text: impl Into<String>,
    ) -> Option<T> {
        self.problems.push(Problem::new(names, text));
        None
    }

    /// `value` if nothing was wrong, otherwise all problems.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => Err(Problems::new(self.problems)),
        }
    }
}
