//! Who calls Trackside, what they may do, and where secrets come from.

pub mod secret;
