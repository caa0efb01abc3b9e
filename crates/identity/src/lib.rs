//! Who calls Trackside, what they may do, and where secrets come from.

pub mod act_link;
pub mod credential;
pub mod csrf;
pub mod directory;
pub mod link;
pub mod role;
pub mod seal;
pub mod secret;
pub mod session;
pub mod token;
