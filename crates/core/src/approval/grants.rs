//! The grants that hold, for whoever lets somebody through: the gateway asks for every call.
//!
//! A value, made anew when grants change and swapped as a whole. Invariant: what is over does not hold, even while it is
//! still in here.

use super::request::Grant;
use crate::caller::Caller;
use jiff::Timestamp;
use std::collections::BTreeMap;

/// Grants by whom and for what.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Grants(BTreeMap<String, Vec<Grant>>);

impl Grants {
    /// All that were given and not revoked.
    #[must_use]
    pub fn new(grants: impl IntoIterator<Item = Grant>) -> Self {
        let mut all = Self::default();
        for grant in grants {
            all.0.entry(grant.subject.clone()).or_default().push(grant);
        }
        all
    }

    /// The grant under which `caller` may use `route` at `now`; of several the one that holds longest.
    #[must_use]
    pub fn holds(&self, caller: &Caller, route: &str, now: Timestamp) -> Option<&Grant> {
        let theirs = self.0.get(&caller.subject)?.iter();
        let fits = |grant: &&Grant| grant.route == route && grant.behalf == caller.behalf;
        theirs.filter(fits).filter(|grant| grant.from <= now && now < grant.until).max_by_key(|grant| grant.until)
    }
}
