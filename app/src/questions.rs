//! What is asked before an act that takes something away: on a page of its own, or, with islands, in a dialog.

/// A question with what follows from a yes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// The question itself.
    pub title: &'static str,
    /// What will happen, a sentence each.
    pub consequences: &'static [&'static str],
}

/// Before a person is disabled.
pub const DISABLE: Question = Question {
    title: "Disable this user?",
    consequences: &[
        "Their sessions end at once, on every device.",
        "The tokens that this application holds for them are forgotten.",
        "They cannot sign in here until somebody enables them again.",
    ],
};

/// Before all sessions of a person end.
pub const SIGN_OUT: Question = Question {
    title: "Sign this user out everywhere?",
    consequences: &[
        "Their sessions end at once, on every device.",
        "The tokens that this application holds for them are forgotten.",
        "They may sign in again.",
    ],
};

/// Before a role that was granted here is taken back.
pub const REVOKE: Question = Question {
    title: "Revoke this role?",
    consequences: &["They lose the role at their next request, also where they are signed in now."],
};

/// Before the tokens of a grant are forgotten.
pub const FORGET: Question = Question {
    title: "Forget these tokens?",
    consequences: &["Nothing is fetched for them until they sign in again.", "They stay signed in."],
};

/// Before one session ends; asked in a dialog only.
pub const END_SESSION: Question =
    Question { title: "End this session?", consequences: &["It ends at once. That device has to sign in again."] };

/// Before all of one's own sessions end; asked in a dialog only.
pub const SIGN_OUT_MYSELF: Question = Question {
    title: "Sign out everywhere?",
    consequences: &[
        "Your sessions end at once, on every device, this one too.",
        "The tokens that this application holds for you are forgotten.",
    ],
};
