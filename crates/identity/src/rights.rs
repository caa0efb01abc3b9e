//! Roles with where they hold: everywhere, or for the work of some teams.
//!
//! Invariant: rights only add up. There is nothing in here that takes a right away; what forbids is a policy
//! ([`crate::question`]).

use crate::role::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The roles of a caller, each with where it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rights(BTreeMap<Role, Scope>);

/// Where a role holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// For everything.
    Everywhere,
    /// For what these teams own.
    Teams(BTreeSet<String>),
}

impl Scope {
    /// Whether it holds for what `team` owns; what has no owner is everybody's only under [`Scope::Everywhere`].
    #[must_use]
    pub fn covers(&self, team: Option<&str>) -> bool {
        match self {
            Self::Everywhere => true,
            Self::Teams(teams) => team.is_some_and(|team| teams.contains(team)),
        }
    }

    fn add(&mut self, other: Self) {
        match (&mut *self, other) {
            (Self::Everywhere, _) => {}
            (_, Self::Everywhere) => *self = Self::Everywhere,
            (Self::Teams(mine), Self::Teams(more)) => mine.extend(more),
        }
    }
}

impl Rights {
    /// One role, everywhere.
    #[must_use]
    pub fn everywhere(role: Role) -> Self {
        let mut rights = Self::default();
        rights.grant(role, Scope::Everywhere);
        rights
    }

    /// Adds a role.
    pub fn grant(&mut self, role: Role, scope: Scope) {
        match self.0.entry(role) {
            std::collections::btree_map::Entry::Vacant(vacant) => {
                vacant.insert(scope);
            }
            std::collections::btree_map::Entry::Occupied(mut held) => held.get_mut().add(scope),
        }
    }

    /// Whether `needed` is held anywhere.
    #[must_use]
    pub fn allow(&self, needed: Role) -> bool {
        self.0.keys().any(|role| role.allows(needed))
    }

    /// Whether `needed` is held for what `team` owns.
    #[must_use]
    pub fn allow_for(&self, needed: Role, team: Option<&str>) -> bool {
        self.0.iter().any(|(role, scope)| role.allows(needed) && scope.covers(team))
    }

    /// Where `needed` is held; `None` when it is not.
    #[must_use]
    pub fn scope_of(&self, needed: Role) -> Option<Scope> {
        let mut held = self.0.iter().filter(|(role, _)| role.allows(needed)).map(|(_, scope)| scope.clone());
        let mut all = held.next()?;
        held.for_each(|scope| all.add(scope));
        Some(all)
    }

    /// The roles, lowest first, with where they hold.
    pub fn iter(&self) -> impl Iterator<Item = (Role, &Scope)> {
        self.0.iter().map(|(role, scope)| (*role, scope))
    }

    /// True when there is no role at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Rights {
    /// `responder, operator for payments`; `no role` when there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("no role");
        }
        for (index, (role, scope)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            write!(f, "{role}")?;
            if let Scope::Teams(teams) = scope {
                let teams: Vec<&str> = teams.iter().map(String::as_str).collect();
                write!(f, " for {}", teams.join(" and "))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teams(names: &[&str]) -> Scope {
        Scope::Teams(names.iter().map(|name| (*name).to_owned()).collect())
    }

    #[test]
    fn rights_add_up() {
        let mut rights = Rights::everywhere(Role::Viewer);
        rights.grant(Role::Operator, teams(&["payments"]));
        rights.grant(Role::Operator, teams(&["ml"]));
        assert_eq!(rights.to_string(), "viewer, operator for ml and payments");
        assert!(rights.allow(Role::Responder));
        assert!(rights.allow_for(Role::Responder, Some("ml")));
        assert!(!rights.allow_for(Role::Responder, Some("core")));
        assert!(!rights.allow_for(Role::Responder, None));
        assert!(rights.allow_for(Role::Viewer, None));
        assert_eq!(rights.scope_of(Role::Viewer), Some(Scope::Everywhere));
        assert_eq!(rights.scope_of(Role::Service), Some(teams(&["ml", "payments"])));
        assert_eq!(rights.scope_of(Role::Admin), None);
        assert_eq!(Rights::default().to_string(), "no role");
    }
}
