//! Checks and chores for developers; nothing a user needs. `cargo xtask help` lists them.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool prints")]
#![allow(clippy::disallowed_methods, reason = "measuring needs the real clock and real tasks")]

mod bench;
mod vectors;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(name = "cargo xtask", about = "Checks and chores for developers")]
struct Cli {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Debug, Subcommand)]
enum Chore {
    /// Measure durable intake, event-to-webhook latency and memory, as ratios in one run
    Bench(bench::BenchArgs),
    /// Run recorded behaviours of other systems against ours
    #[command(subcommand)]
    Vectors(vectors::Vectors),
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().chore {
        Chore::Bench(args) => bench::run(&args),
        Chore::Vectors(what) => vectors::run(&what),
    }
}
