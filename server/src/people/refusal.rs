//! Why somebody whom the provider vouches for may not come in.

/// Why somebody whom the provider signed in may not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// An administrator here disabled them.
    Disabled,
    /// `CREATE_NEW_USERS` is off and they were never seen.
    Unknown,
    /// `BLOCK_GUEST_USERS` is on and they are a guest, or the claims cannot tell.
    Guest,
}

impl Refusal {
    /// Reason code for the audit log.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Disabled => "user.disabled",
            Self::Unknown => "user.unknown",
            Self::Guest => "user.guest",
        }
    }
}
