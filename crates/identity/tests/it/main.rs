//! Issuers, their keys and their tokens, as a server meets them.

mod introspection;
mod keys;
mod tokens;
mod world;
