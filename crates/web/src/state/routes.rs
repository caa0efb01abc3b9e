//! Who may use the routes of the gateway, as far as pages and `trackside access explain` tell it. The gateway itself decides.

use std::collections::BTreeSet;

/// Who may use a route of the gateway.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteAccess {
    /// The team that owns it.
    pub owner: Option<String>,
    /// Any of these names is enough; none: the role `service`.
    pub needs: BTreeSet<String>,
    /// Who else is let in.
    pub lets_in: LetsIn,
    /// Whether an approval is needed beside that.
    pub guard: Guard,
}

/// Who a route of the gateway lets in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LetsIn {
    /// Whoever holds what it needs.
    #[default]
    Holders,
    /// Everybody who is known.
    Known,
    /// Everybody.
    Everybody,
}

/// Whether somebody must agree before a route may be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Guard {
    /// Nobody.
    #[default]
    Open,
    /// Somebody, for a while.
    Approval,
}
