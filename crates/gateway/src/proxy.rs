//! From a checked request to the upstream and back, streaming both ways.

pub mod body;
mod drive;
pub mod strict;
pub mod tunnel;
pub mod upstream;
