//! Every bound the core keeps, by name. A bound that is met cuts or refuses; it never grows memory.

use jiff::SignedDuration;

/// Longest event name, in bytes (Prefect's own limit).
pub const EVENT_NAME_BYTES: usize = 1024;
/// Most labels on one resource (Prefect's own limit).
pub const RESOURCE_LABELS: usize = 500;
/// Most related resources of one event (Prefect's own limit).
pub const RELATED_RESOURCES: usize = 100;
/// Longest source, pipeline, task or run name, in bytes.
pub const NAME_BYTES: usize = 512;
/// Longest error message kept on a run or attempt, in bytes.
pub const ERROR_BYTES: usize = 4 * 1024;
/// Longest stack trace kept on an event, in bytes; the end is kept, because the cause stands there.
pub const STACK_BYTES: usize = 16 * 1024;
/// Longest error excerpt kept in memory per alert, in bytes.
pub const EXCERPT_BYTES: usize = 240;
/// Most owners, tags and links kept from one event.
pub const LIST_ITEMS: usize = 64;
/// Durations kept per pipeline for mean and p95.
pub const DURATION_SAMPLES: usize = 64;
/// Row counts kept per pipeline: sixteen weeks of a daily one.
pub const ROW_SAMPLES: usize = 112;
/// How long a dataset that is no longer read or written still counts for lineage.
pub const DATASET_FORGOTTEN: SignedDuration = SignedDuration::from_hours(30 * 24);
/// A use of a dataset is noted anew at most this often.
pub const DATASET_NOTED: SignedDuration = SignedDuration::from_hours(24);
/// Starts awaited at once by one rule.
pub const EXPECTED: usize = 100;
/// How long no late event may have come before late events count as over.
pub const LATENESS_CALM: SignedDuration = SignedDuration::from_mins(5);
/// Alerts listed in one message; the rest is counted.
pub const ALERTS_IN_NOTICE: usize = 10;
/// How long a failed attempt whose finality is unknown is held before it is told as final.
pub const HOLD_FAILURE: SignedDuration = SignedDuration::from_mins(15);
/// A deadline noticed later than this was passed while nothing ran: what it leads to is marked late.
pub const LATE_AFTER: SignedDuration = SignedDuration::from_secs(10);
/// Most automations that set each other off in a row.
pub const AUTOMATION_CHAIN: u64 = 32;
/// Most inputs decided in one commit.
pub const DECIDE_BATCH: usize = 512;
/// Deepest nesting of triggers in an automation. Each level doubles the errors of what is below it (see
/// [`crate::automation::request`]).
pub const AUTOMATION_DEPTH: usize = 8;
/// Most triggers in one automation, composites included.
pub const AUTOMATION_TRIGGERS: usize = 200;
/// Most actions in one list of an automation.
pub const AUTOMATION_ACTIONS: usize = 50;
/// Most patterns and labels in the triggers of one automation.
pub const AUTOMATION_PATTERNS: usize = 2000;
/// Longest text in an automation, in bytes: a template, a name, a pattern.
pub const AUTOMATION_TEXT_BYTES: usize = 64 * 1024;
/// Deepest nesting of any value in an automation.
pub const AUTOMATION_JSON_DEPTH: usize = 64;
/// Longest snooze (PagerDuty's own limit).
pub const SNOOZE: SignedDuration = SignedDuration::from_secs(604_800);
/// Most pipelines listed as affected by one incident; the rest is counted by its alerts.
pub const AFFECTED: usize = 200;
/// Most patterns of errors that pass by themselves, per rule.
pub const TRANSIENTS: usize = 50;
/// Most failures of one pipeline that may be kept quiet in an hour because they pass by themselves.
pub const TRANSIENTS_PER_HOUR: u32 = 60;
/// Most matchers of a silence, maintenance window or inhibition.
pub const MATCHERS: usize = 50;
/// Most silences, overrides or planned windows in force or to come.
pub const PLANNED: usize = 10_000;
/// Turns listed when somebody leaves a schedule; the rest is counted.
pub const ABSENCE_TURNS: usize = 5;
/// Longest time in which a resolved incident can be opened again, and in which a storm is counted.
pub const REMEMBER_RESOLVED: SignedDuration = SignedDuration::from_hours(1);
/// Steps ahead shown of an escalation.
pub const OUTLOOK: usize = 20;
/// What the sources of Trackside's own troubles begin with. Events from outside cannot use it.
pub const OWN_SOURCES: &str = "trackside.";
/// Most pipelines looked at when the cause of a failure is looked for upstream.
pub const UPSTREAMS: usize = 500;
/// Most dependencies followed when the cause of a failure is looked for upstream.
pub const DEPENDENCIES: usize = 4_000;
/// How long a question for agreement waits when its rule does not say.
pub const APPROVAL_WAITS: SignedDuration = SignedDuration::from_hours(1);
/// Longest time a question for agreement may wait.
pub const APPROVAL_WAITS_MOST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long access that was agreed to holds when its rule does not say.
pub const GRANT: SignedDuration = SignedDuration::from_mins(15);
/// Longest time that access that was agreed to may hold.
pub const GRANT_MOST: SignedDuration = SignedDuration::from_hours(12);
/// Most open questions for agreement.
pub const APPROVALS: usize = 10_000;
/// Most open questions of one caller about access.
pub const APPROVALS_PER_CALLER: usize = 20;
/// Most parts of a rule about agreement, groups of a part, and people of a group: counting tries them all.
pub const APPROVAL_PARTS: usize = 10;
/// A question is over this long after its last instant, so that what is said at that instant counts.
pub const APPROVAL_GRACE: SignedDuration = SignedDuration::from_millis(1);
/// Most voices heard about one question.
pub const VOICES: usize = 100;
/// Longest justification or remark, in bytes.
pub const REMARK_BYTES: usize = 2_000;
/// Largest input of a job, in bytes.
pub const JOB_INPUT_BYTES: usize = 256 * 1024;
/// Largest result of a job that is kept, in bytes, unless the job says less.
pub const JOB_RESULT_BYTES: u32 = 256 * 1024;
/// Largest result that a job may ask to keep, in bytes.
pub const JOB_RESULT_BYTES_MOST: u32 = 1024 * 1024;
/// Unfinished runs of jobs at once; each is in memory with its input.
pub const JOB_RUNS: usize = 10_000;
/// Unfinished runs of one caller, unless the job says otherwise.
pub const JOB_RUNS_PER_CALLER: u32 = 100;
/// Longest time of a run, unless the job says otherwise.
pub const JOB_TIMEOUT: SignedDuration = SignedDuration::from_hours(1);
/// Longest `Idempotency-Key`, in bytes.
pub const JOB_KEY_BYTES: usize = 255;
/// Longest justification or origin, in bytes.
pub const JOB_TEXT_BYTES: usize = 1_000;
