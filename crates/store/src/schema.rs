//! The schema as numbered migrations.
//!
//! Invariant: a migration that was released never changes; the next number is added. Numbers ascend by one from 1.
//! How they are applied is the backend's.

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Migration {
    /// Version of the schema after this step.
    pub number: i64,
    /// The statements.
    pub text: &'static str,
}

/// The steps for SQLite, in order.
pub(crate) static SQLITE: &[Migration] = &[
    Migration { number: 1, text: include_str!("../sql/sqlite/0001_spine.sql") },
    Migration { number: 2, text: include_str!("../sql/sqlite/0002_automations.sql") },
    Migration { number: 3, text: include_str!("../sql/sqlite/0003_people.sql") },
    Migration { number: 4, text: include_str!("../sql/sqlite/0004_jobs.sql") },
    Migration { number: 5, text: include_str!("../sql/sqlite/0005_approvals.sql") },
    Migration { number: 6, text: include_str!("../sql/sqlite/0006_audit.sql") },
    Migration { number: 7, text: include_str!("../sql/sqlite/0007_directory.sql") },
    Migration { number: 8, text: include_str!("../sql/sqlite/0008_sessions.sql") },
    Migration { number: 9, text: include_str!("../sql/sqlite/0009_workload.sql") },
    Migration { number: 10, text: include_str!("../sql/sqlite/0010_tokens.sql") },
];

/// The version this program works with.
pub(crate) fn latest() -> i64 {
    SQLITE.last().map_or(0, |migration| migration.number)
}
