//! The audit beyond single rows: sealing it while the server runs, verifying what was exported, other formats.
//!
//! What a row is, and what its hash covers, is in `trackside_store::audit`.

pub mod cef;
pub mod head;
pub mod seal;
pub mod verify;
