//! Jobs: named, schema-checked calls that are queued, made once, and remembered with their result.
//!
//! A job is configured ([`spec`]); somebody starts a run of it ([`run`]). Invariants: a run is found by (job, key) for
//! as long as its key is kept, so the same request attaches, replays or runs again but never runs twice by accident; a
//! run ends exactly once, and only what is learnt about its call later may correct how; a call whose outcome is not known ends as [`run::RunState::Unknown`] or is asked after, never
//! repeated in silence, unless the target honours the key. Carrying a call out is `trackside_connect::job`'s.

pub mod run;
pub mod spec;

/// Source of the runs of jobs; their pipeline is the job, their name the run's id.
pub const SOURCE: &str = "trackside.jobs";
/// Audit action of a request whose key belongs to another input.
pub const CONFLICT: &str = "job.conflict";
/// Audit action of a request beyond the number of runs that may be unfinished.
pub const LIMITED: &str = "job.limited";
/// Audit action of a request that does not say why, where whoever approves wants to know.
pub const UNEXPLAINED: &str = "job.unexplained";
/// Audit action of what cannot be done for any other reason.
pub const REFUSED: &str = "job.refused";
