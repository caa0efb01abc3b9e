//! Whole-program tests that need only Rust.

mod simulation;
