//! The `trackside` command.

fn main() -> std::process::ExitCode {
    trackside::cli::main()
}
