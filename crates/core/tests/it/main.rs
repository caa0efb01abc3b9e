//! The engine as its users see it: inputs in, incidents and messages out, on virtual time.

mod scenario;
mod stories;
