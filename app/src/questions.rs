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
        "Their sessions end immediately on every device.",
        "Tokens stored for them are deleted.",
        "They cannot sign in until someone enables them again.",
    ],
};

/// Before all sessions of a person end.
pub const SIGN_OUT: Question = Question {
    title: "Sign this user out everywhere?",
    consequences: &[
        "Their sessions end immediately on every device.",
        "Tokens stored for them are deleted.",
        "They can sign in again.",
    ],
};

/// Before a role that was granted here is taken back.
pub const REVOKE: Question = Question {
    title: "Revoke this role?",
    consequences: &["They lose the role at their next request, including in sessions that are open now."],
};

/// Before the tokens of a grant are forgotten.
pub const FORGET: Question = Question {
    title: "Delete these tokens?",
    consequences: &["No data is fetched for them until they sign in again.", "They stay signed in."],
};

/// Before one session ends; asked in a dialog only.
pub const END_SESSION: Question =
    Question { title: "End this session?", consequences: &["It ends immediately. That device must sign in again."] };

/// Before all of one's own sessions end; asked in a dialog only.
pub const SIGN_OUT_MYSELF: Question = Question {
    title: "Sign out everywhere?",
    consequences: &[
        "Your sessions end immediately on every device, including this one.",
        "Tokens stored for you are deleted.",
    ],
};
