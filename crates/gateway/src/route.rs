//! From requests to routes, and the limits of routes.

pub mod limits;
pub mod pattern;
pub mod table;
