//! What a caller may do: a ladder of four roles for people and tools, and three roles that stand beside it.
//!
//! Invariants: `ingest` opens the doors and nothing else, and nothing else opens the doors. A token that leaks from an
//! Airflow variable can add events; it cannot read an incident, and a token of a person cannot forge events. `service`
//! calls routes and jobs and reads nothing but its own runs. Where a role holds (everywhere, or for some teams) is in
//! [`crate::rights`]; finer rules are policies ([`crate::question`]).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A role. Ordered as a ladder from `Viewer` to `Admin`; the others stand beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Send events through the doors. Includes nothing else and is included in nothing.
    Ingest,
    /// Call routes of the gateway and start jobs, as far as those let it; read its own runs.
    Service,
    /// Read everything.
    Viewer,
    /// Viewer, and act on incidents, make overrides, swaps and silences.
    Responder,
    /// Responder and service, and end silences of others, make maintenance windows, retry deliveries and send tests.
    Operator,
    /// Viewer, and decide about approvals.
    Approver,
    /// Everything but sending events: operator and approver, and manage tokens, rules and access.
    Admin,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 7] =
        [Self::Ingest, Self::Service, Self::Viewer, Self::Responder, Self::Operator, Self::Approver, Self::Admin];

    /// Whether a caller with this role may do what needs `needed`.
    #[must_use]
    pub fn allows(self, needed: Self) -> bool {
        match self {
            Self::Ingest | Self::Service => self == needed,
            Self::Viewer => needed == Self::Viewer,
            Self::Responder => matches!(needed, Self::Viewer | Self::Responder),
            Self::Operator => matches!(needed, Self::Viewer | Self::Responder | Self::Operator | Self::Service),
            Self::Approver => matches!(needed, Self::Viewer | Self::Approver),
            Self::Admin => needed != Self::Ingest,
        }
    }

    /// The lower-case name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Service => "service",
            Self::Viewer => "viewer",
            Self::Responder => "responder",
            Self::Operator => "operator",
            Self::Approver => "approver",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = UnknownRole;
    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or_else(|| UnknownRole(text.to_owned()))
    }
}

/// The name is no role.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a role; the roles are ingest, service, viewer, responder, operator, approver and admin")]
pub struct UnknownRole(pub String);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ladder_includes_what_is_below_and_the_others_stand_beside_it() {
        let table: Vec<String> = Role::ALL
            .into_iter()
            .map(|role| {
                let may: Vec<&str> =
                    Role::ALL.into_iter().filter(|needed| role.allows(*needed)).map(Role::as_str).collect();
                format!("{role}: {}", may.join(" "))
            })
            .collect();
        assert_eq!(
            table,
            [
                "ingest: ingest",
                "service: service",
                "viewer: viewer",
                "responder: viewer responder",
                "operator: service viewer responder operator",
                "approver: viewer approver",
                "admin: service viewer responder operator approver admin",
            ]
        );
    }

    #[test]
    fn names_read_back() {
        for role in Role::ALL {
            assert_eq!(role.as_str().parse(), Ok(role));
        }
        assert_eq!("Admin".parse::<Role>(), Err(UnknownRole("Admin".to_owned())));
    }
}
