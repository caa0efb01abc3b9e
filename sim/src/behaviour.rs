//! How a far end behaves: well, or badly in one of the ways that real ones do.

/// What a far end does with the next request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Behaviour {
    /// Takes it and answers.
    #[default]
    Healthy,
    /// Answers this status without taking it (for mail: this reply code, to `MAIL FROM`).
    Status {
        /// Status or reply code.
        code: u16,
        /// `Retry-After` in seconds, if any. Mail has no such thing.
        retry_after: Option<u32>,
    },
    /// Reads it and says nothing, until the behaviour changes; then it hangs up. Nothing is taken.
    Hang,
    /// Listens to nobody: connections are refused, open ones cut. The port stays its own.
    Refuse,
    /// Takes it, begins to answer and never ends.
    SlowBody,
    /// Takes it and hangs up without an answer: the sender cannot know.
    DropAfterAccept,
}

impl Behaviour {
    /// Whether a request is processed under it.
    #[must_use]
    pub fn takes(self) -> bool {
        matches!(self, Self::Healthy | Self::SlowBody | Self::DropAfterAccept)
    }
}
