//! Prefect: its events as they come in, by post, by websocket, and read from a Prefect server.
//!
//! [`door`] reads events; [`socket`] has the frames of its websocket protocol in both directions; [`feed`] has the
//! requests and pages of reading a server's events again. All of it is pure; the loops are built elsewhere.

pub mod door;
pub mod feed;
pub mod socket;
mod state;
