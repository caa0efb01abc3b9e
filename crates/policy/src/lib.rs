//! Policy as code: Cedar policies, validated against a published schema, asked in slices.
//!
//! [`Policies::compile`] takes the `*.cedar` files of the configuration; [`Policies::judge`] answers a
//! `trackside_identity::question::Question`; [`case`] holds the unit tests people write beside their policies.
//! Invariants: policies in force have passed the validator in strict mode; what cannot be evaluated forbids; a question
//! is put only to policies that can speak about it ([`slice`]), so policies about other things cost nothing. This crate
//! is the only one that knows Cedar. Roles are not here: `trackside_identity::access` puts the two together.

pub mod case;
mod entity;
mod reads;
mod set;
mod slice;

pub use set::{Broken, POLICIES, Policies, SOURCE_BYTES, Source};

/// The schema policies are validated against, in Cedar's own language.
pub const SCHEMA: &str = include_str!("schema.cedarschema");
