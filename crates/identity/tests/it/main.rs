//! Issuers, their keys and their tokens, as a server meets them.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::needless_pass_by_value,
    reason = "helpers of tests fail by panicking; `json!(…)` reads best where it is used"
)]

mod introspection;
mod keys;
mod sign_in;
mod tokens;
mod world;
