//! `docs/troubleshooting.md`, written from the advice that the pages give.

use std::fmt::Write as _;

use super::advice::{Advice, BY_NUMBER, REFUSED_HERE, Retry, Who};

const OPENING: &str = "\
# Troubleshooting

<!-- Written from `server/entra/src/oidc/advice.rs`; `UPDATE_DOCS=1 cargo test -p server` writes it anew. -->

When a sign-in fails, the page says what happened, who can do something about it and what, and shows ids to copy: the \
request id finds the line in this application's log and the row at `/admin/audit`, Microsoft's trace and correlation ids \
find it in the sign-in logs of the Entra admin center. `server doctor` looks at settings, database, provider and \
registration from outside; `/admin/health` at what works right now.

## Codes that Microsoft shows but never sends back

AADSTS90013, AADSTS9000411 and others that blame the request appear on Microsoft's own page, and nobody comes back here. \
Then the address that the browser was sent to is what to look at: `server doctor` asks for the same one. AADSTS50105 (not \
assigned), AADSTS50011 (reply address) and AADSTS700016 (not registered) are shown there too.

## Codes of Microsoft
";

const REFUSED: &str = "
## Refused by this application
";

/// The page: a section for each advice.
#[must_use]
pub fn troubleshooting() -> String {
    let mut text = OPENING.to_owned();
    for (numbers, advice) in BY_NUMBER {
        let codes: Vec<String> = numbers.iter().map(|number| format!("AADSTS{number}")).collect();
        section(&mut text, advice, &codes.join(", "));
    }
    text.push_str(REFUSED);
    for advice in REFUSED_HERE {
        section(&mut text, advice, "");
    }
    text
}

fn section(text: &mut String, advice: &Advice, codes: &str) {
    let codes = if codes.is_empty() { String::new() } else { format!("{codes}\n\n") };
    let who = match advice.who {
        Who::You => "The person can mend it",
        Who::Administrator => "An administrator of the directory can mend it",
        Who::Developer => "Whoever runs this application can mend it",
    };
    let retry = match advice.retry {
        Retry::TryAgain => "; the page offers to try again",
        Retry::OtherAccount => "; the page offers another account",
        Retry::Approval => "; the page offers an administrator to approve it",
        Retry::None => "; trying again does not help",
    };
    let Advice { title, what_happened, what_to_do, .. } = advice;
    // Writing to a string never fails.
    let _ = write!(text, "\n### {title}\n\n{codes}{what_happened} {who}{retry}. {what_to_do}\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_has_two_texts() {
        let mut numbers: Vec<u32> = BY_NUMBER.iter().flat_map(|(numbers, _)| numbers.iter().copied()).collect();
        let count = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), count);
    }
}
