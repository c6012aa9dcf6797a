//! Names in the environment that are not ours but nearly: a setting that is spelled wrong must not be passed over.

use super::problems::Problem;
use super::settings::definitions;

/// Prefixes under which every name must be known: a misspelt one could weaken signing in unnoticed.
const GUARDED: [&str; 2] = ["ENTRA_", "OIDC_"];

/// How many letters may differ for a name to be taken as a misspelt one of ours.
const NEAR: usize = 2;

/// A problem for each unknown name below a guarded prefix.
pub(super) fn unknown(names: &[String]) -> Vec<Problem> {
    strangers(names).filter(|name| is_guarded(name)).map(|name| describe(name)).collect()
}

/// A warning for each other name that nearly is one of ours.
pub(super) fn near_misses(names: &[String]) -> Vec<Problem> {
    let is_near = |name: &&String| nearest(name).is_some_and(|(distance, _)| distance <= NEAR);
    strangers(names).filter(|name| !is_guarded(name)).filter(is_near).map(|name| describe(name)).collect()
}

fn strangers(names: &[String]) -> impl Iterator<Item = &String> {
    let known: Vec<String> = definitions().into_iter().map(|known| known.name).collect();
    names.iter().filter(move |name| !known.contains(name))
}

fn is_guarded(name: &str) -> bool {
    GUARDED.iter().any(|prefix| name.starts_with(prefix))
}

fn describe(name: &str) -> Problem {
    let nearest = nearest(name).map(|(_, known)| known).unwrap_or_default();
    Problem::new([name], format!("is not a setting; did you mean {nearest}?"))
}

/// The setting whose name is nearest, and by how many letters it differs; case does not count.
fn nearest(name: &str) -> Option<(usize, String)> {
    let name = name.to_ascii_uppercase();
    let distances =
        definitions().into_iter().map(|known| (strsim::damerau_levenshtein(&name, &known.name), known.name));
    distances.min_by_key(|(distance, _)| *distance)
}
