//! Prefect's REST API as far as automations and the blocks they name need it: the paths, bodies, answers and errors of
//! Prefect 3.8, so that its command line, its Python blocks and its Terraform provider work against this server.
//!
//! Sources: Prefect's `server/api/{automations,block_*}.py` and answers recorded from a real server (the test
//! `prefect_api` replays them). Invariants: what is made here is evaluated with Prefect's semantics; a secret in a block
//! never leaves; an automation that Prefect's vocabulary cannot say does not appear here, because its client would fail
//! on the whole list. What Prefect does not have is in [`crate::api::automations`].

pub(crate) mod automations;
mod block_content;
pub(crate) mod block_documents;
mod block_filter;
pub(crate) mod block_types;
mod block_view;
mod body;
mod filter;
mod refusal;
mod view;

pub(crate) use refusal::{Refused, refused};
