//! Approvals: somebody else must agree before something is done.
//!
//! What needs agreement says so with a [`rule::ApprovalRule`]; an open question is an [`request::Approval`]; a yes to a
//! question about access is a [`request::Grant`] that ends by itself. Invariants: nobody agrees to their own request
//! unless the rule allows it; a decision counts once per person; what expires is denied; what was decided stays.

pub mod count;
pub mod grants;
pub mod request;
pub mod rule;
pub mod voice;
