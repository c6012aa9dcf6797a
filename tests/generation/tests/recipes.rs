//! The recipes of `docs/recipes` fit a new project: each by itself, as a reader meets it. `builds.rs` follows them all.

use generation::recipes::{FOLDER, Recipe, recipes};
use generation::{Answers, Template, generate};

/// Recipes that begin where another one ends.
const AFTER: [(&str, &str); 1] = [("claim.md", "column.md")];

#[test]
fn each_recipe_fits_a_new_project() {
    let template = Template::copy().unwrap();
    let all = recipes().unwrap();
    for recipe in &all {
        let folder = tempfile::tempdir().unwrap();
        let project = generate(template.path(), folder.path(), &Answers::new("contoso-portal")).unwrap();
        let before = AFTER.iter().find(|(name, _)| *name == recipe.name).map(|(_, before)| *before);
        let steps = all.iter().filter(|other| Some(other.name.as_str()) == before).chain([recipe]);
        for Recipe { name, changes } in steps {
            for change in changes {
                change.apply(&project).unwrap_or_else(|error| panic!("{FOLDER}/{name}: {error:#}"));
            }
        }
    }
}
