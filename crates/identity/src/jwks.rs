//! Public keys of issuers (RFC 7517): one key, a set of them, and the cache that keeps a set fresh.

pub mod cache;
pub mod key;
pub mod set;

pub use cache::{KeyCache, KeyError, KeySource};
pub use key::Key;
pub use set::KeySet;
