//! Policies as a whole: what they answer, and that slicing changes no answer.

#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "helpers of tests may panic as tests may")]

mod answers;
mod slicing;
