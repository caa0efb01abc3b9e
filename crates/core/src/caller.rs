//! Who asks for a change. Made once at the boundary, carried by every write (DESIGN invariant 6).

use serde::{Deserialize, Serialize};

/// A verified caller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// Who: token name, person, or `trackside` for decisions of the rules.
    pub subject: String,
    /// How they came in: `token`, `session`, `rules`, `cli`.
    pub via: String,
}

impl Caller {
    /// The rules themselves.
    #[must_use]
    pub fn rules() -> Self {
        Self { subject: "trackside".to_owned(), via: "rules".to_owned() }
    }
}
