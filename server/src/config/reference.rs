//! The documentation of the settings, written from their definitions: `docs/settings.md` and `.env.example`.

use std::fmt::Write as _;

use super::settings::{Definition, definitions};

const REFERENCE_OPENING: &str = "\
# Settings

<!-- Written from `server/src/config/settings.rs`; `UPDATE_DOCS=1 cargo test -p server` writes it anew. -->

Each setting is an environment variable, a line of `.env` in the working directory, or the flag of the same name: \
`SESSION_IDLE_TIMEOUT`, `--session-idle-timeout`. A flag comes before the environment, the environment before `.env`. \
An empty value counts as none. Times take a unit (`30s`, `10m`, `8h`, `14d`). `http://` addresses are accepted for \
loopback hosts only; everything else is `https://`.

A bad value, an impossible pair, a missing required setting, or an unknown name that starts with `ENTRA_` or `OIDC_` \
stops the start; all problems are listed at once. Other names that nearly are one of these are warned about.

Outgoing calls go to the provider and to Microsoft Graph only. They also honour `HTTPS_PROXY` (or `ALL_PROXY`) and \
`NO_PROXY`, follow no redirects, connect within 3 s and take answers of limited size. Of the repetitions that \
`HTTP_RETRIES` allows, each waits about twice as long as the one before, from 0.2 s on, or as long as `Retry-After` says.
";

const EXAMPLE_OPENING: &str = "\
# Settings for development: copy this file to .env and uncomment what differs from its default.
# docs/settings.md explains each in full. Put values with blanks, # or $ into single quotes. Keep secrets out of
# version control: .env is ignored by git, this file is not.
";

/// `docs/settings.md`: one table for each group of settings.
#[must_use]
pub fn settings_reference() -> String {
    written(REFERENCE_OPENING, write_table_row, |text, heading| {
        write!(text, "\n## {heading}\n\n| setting | default | meaning |\n|---|---|---|\n")
    })
}

/// `.env.example`: every setting, commented out.
#[must_use]
pub fn env_example() -> String {
    written(EXAMPLE_OPENING, write_example, |text, heading| write!(text, "\n# --- {heading} ---\n"))
}

/// `opening`, then each setting by `entry`, each group opened by `heading`.
fn written(
    opening: &str,
    entry: impl Fn(&mut String, &Definition) -> std::fmt::Result,
    heading: impl Fn(&mut String, &str) -> std::fmt::Result,
) -> String {
    let mut text = opening.to_owned();
    let mut current = String::new();
    for definition in definitions() {
        if definition.heading != current {
            current.clone_from(&definition.heading);
            // Writing to a string never fails.
            let _ = heading(&mut text, &current);
        }
        let _ = entry(&mut text, &definition);
    }
    text
}

/// A default that depends on others is the last sentence of the help text.
fn write_table_row(text: &mut String, definition: &Definition) -> std::fmt::Result {
    let help = definition.help.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    let (meaning, conditional) = help.split_once(" Default: ").unwrap_or((&help, "–"));
    let default = match &definition.default {
        Some(default) => format!("`{default}`"),
        None => conditional.trim_end_matches('.').to_owned(),
    };
    writeln!(text, "| `{}` | {default} | {}. |", definition.name, meaning.trim_end_matches('.'))
}

fn write_example(text: &mut String, definition: &Definition) -> std::fmt::Result {
    let default = definition.default.as_deref().unwrap_or_default();
    write!(text, "\n# {}\n#{}={default}\n", definition.summary, definition.name)
}
