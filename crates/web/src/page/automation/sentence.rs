//! A trigger, and an action, in one plain line.
//!
//! Pure. What does not fit on a line is counted, not hidden ("and 2 more").

use jiff::SignedDuration;
use trackside_core::automation::action::{ActionSpec, TargetSource, Via};
use trackside_core::automation::definition::{
    Comparison, CompoundTrigger, ConsecutiveTrigger, EventTrigger, Metric, MetricTrigger, Posture, RelatedSpec,
    Require, RequireWord, ResourceSpec, Trigger,
};
use uuid::Uuid;

/// Names of a list that are written out.
const NAMES: usize = 3;
/// Conditions on labels that are written out.
const CONDITIONS: usize = 2;
/// Children of a composite that are written out.
const CHILDREN: usize = 3;

/// When a trigger fires.
pub(crate) fn trigger(trigger: &Trigger) -> String {
    match trigger {
        Trigger::Event(event) => self::event(event),
        Trigger::Compound(compound) => self::compound(compound),
        Trigger::Sequence(sequence) => {
            format!("{}{}", joined(&sequence.triggers, ", then "), all_within(sequence.within))
        }
        Trigger::Metric(metric) => self::metric(metric),
        Trigger::Consecutive(consecutive) => self::consecutive(consecutive),
    }
}

fn event(trigger: &EventTrigger) -> String {
    let names = some_of(trigger.expect.iter().map(String::as_str), "any event");
    let after = match trigger.after.is_empty() {
        true => String::new(),
        false => format!(" after {}", some_of(trigger.after.iter().map(String::as_str), "")),
    };
    let window = Some(trigger.within).filter(|within| !within.is_zero());
    let told = match (trigger.posture, trigger.threshold) {
        (Posture::Reactive, ..=1) => format!("{names}{after}"),
        (Posture::Reactive, threshold) => format!("{threshold} × {names}{}{after}", within(window)),
        (Posture::Proactive, ..=1) => {
            format!("no {}{}{after}", names_alone(&names), for_so_long(window, !after.is_empty()))
        }
        (Posture::Proactive, threshold) => format!("fewer than {threshold} × {names}{}{after}", within(window)),
    };
    format!("{told}{}{}", conditions(&trigger.matches, &trigger.match_related), each(trigger))
}

/// `any event` after "no" is just "event".
fn names_alone(names: &str) -> &str {
    names.strip_prefix("any ").unwrap_or(names)
}

fn for_so_long(window: Option<SignedDuration>, counted_from_something: bool) -> String {
    match window {
        None => String::new(),
        Some(window) if counted_from_something => format!(" within {}", span(window)),
        Some(window) => format!(" for {}", span(window)),
    }
}

fn compound(compound: &CompoundTrigger) -> String {
    let of = compound.triggers.len();
    let how_many = match compound.require {
        Require::Word(RequireWord::All) => "all of".to_owned(),
        Require::Word(RequireWord::Any) => "any of".to_owned(),
        Require::Count(count) => format!("{count} of {of}"),
    };
    format!("{how_many}: {}{}", joined(&compound.triggers, "; "), all_within(compound.within))
}

fn joined(triggers: &[Trigger], with: &str) -> String {
    let shown: Vec<String> = triggers.iter().take(CHILDREN).map(trigger).collect();
    let more = triggers.len().saturating_sub(CHILDREN);
    let more = if more > 0 { format!("{with}and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(with))
}

fn metric(trigger: &MetricTrigger) -> String {
    let query = &trigger.metric;
    let operator = match query.operator {
        Comparison::Less => "below",
        Comparison::LessOrEqual => "at most",
        Comparison::Greater => "above",
        Comparison::GreaterOrEqual => "at least",
    };
    let (figure, bound) = match query.name {
        Metric::Successes => ("success rate", format!("{}%", round(query.threshold * 100.0))),
        Metric::Duration => ("mean duration", seconds(query.threshold)),
        Metric::Lateness => ("mean lateness", seconds(query.threshold)),
        Metric::Count => ("number of runs", round(query.threshold)),
    };
    let held = if query.firing_for.is_zero() { String::new() } else { format!(", for {}", span(query.firing_for)) };
    let apart = labels_apart(trigger.for_each.iter().map(String::as_str));
    let range = span(query.range);
    let conditions = conditions(&trigger.matches, &trigger.match_related);
    format!("{figure} {operator} {bound} over {range}{held}{conditions}{apart}")
}

fn consecutive(trigger: &ConsecutiveTrigger) -> String {
    let runs =
        if trigger.count == 1 { "1 failed run".to_owned() } else { format!("{} failed runs in a row", trigger.count) };
    format!("{runs}{}, for each pipeline", conditions(&trigger.matches, &trigger.match_related))
}

fn conditions(own: &ResourceSpec, related: &RelatedSpec) -> String {
    let told = |spec: &ResourceSpec, role: &str| -> Vec<String> {
        let one = |label: &String, patterns: &[String]| {
            format!("{role}{} is {}", short(label), some_of(patterns.iter().map(String::as_str), "nothing"))
        };
        spec.iter().map(|(label, patterns)| one(label, patterns.alternatives())).collect()
    };
    let mut all = told(own, "");
    all.extend(related.specs().iter().flat_map(|spec| told(spec, "related ")));
    if all.is_empty() {
        return String::new();
    }
    let more = all.len().saturating_sub(CONDITIONS);
    all.truncate(CONDITIONS);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(", where {}{more}", all.join(" and "))
}

fn each(trigger: &EventTrigger) -> String {
    labels_apart(trigger.for_each.iter().map(String::as_str))
}

fn labels_apart<'a>(labels: impl Iterator<Item = &'a str>) -> String {
    let labels: Vec<String> = labels.map(apart).collect();
    if labels.is_empty() { String::new() } else { format!(", for each {}", labels.join(" and ")) }
}

/// `related:flow:prefect.resource.id` is the flow.
fn apart(label: &str) -> String {
    match label.strip_prefix("related:").and_then(|rest| rest.rsplit_once(':')) {
        Some((role, "prefect.resource.id")) => role.to_owned(),
        Some((role, label)) => format!("{role} {}", short(label)),
        None if label == "prefect.resource.id" => "resource".to_owned(),
        None => short(label).to_owned(),
    }
}

/// A label without the beginning that says nothing.
fn short(label: &str) -> &str {
    label.strip_prefix("prefect.resource.").unwrap_or(label)
}

fn some_of<'a>(names: impl Iterator<Item = &'a str>, none: &str) -> String {
    let names: Vec<&str> = names.collect();
    match names.len() {
        0 => none.to_owned(),
        1..=NAMES => names.join(" or "),
        more => format!("{} or {} more", names[..NAMES].join(" or "), more - NAMES),
    }
}

fn within(window: Option<SignedDuration>) -> String {
    window.map_or_else(String::new, |window| format!(" within {}", span(window)))
}

fn all_within(window: Option<SignedDuration>) -> String {
    window.map_or_else(String::new, |window| format!(", all within {}", span(window)))
}

fn seconds(seconds: f64) -> String {
    SignedDuration::try_from_secs_f64(seconds).map_or_else(|_| format!("{seconds} s"), span)
}

fn round(number: f64) -> String {
    format!("{}", (number * 100.0).round() / 100.0)
}

/// A length of time: `10 min`, `1 h 30 min`, `2 days`.
pub(crate) fn span(duration: SignedDuration) -> String {
    let whole = duration.as_secs();
    if duration.subsec_nanos() != 0 || whole <= 0 {
        return format!("{} s", round(duration.as_secs_f64()));
    }
    let (days, hours, minutes, seconds) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60, whole % 60);
    let day = if days == 1 { "day" } else { "days" };
    let parts = [(days, day), (hours, "h"), (minutes, "min"), (seconds, "s")];
    let parts: Vec<String> =
        parts.into_iter().filter(|(count, _)| *count > 0).map(|(count, unit)| format!("{count} {unit}")).collect();
    parts.join(" ")
}

/// What an action does.
pub(crate) fn action(action: &ActionSpec) -> String {
    let target = |what: &str, source: TargetSource, id: Option<Uuid>| match (source, id) {
        (TargetSource::Inferred, _) => format!("the {what} of the event"),
        (TargetSource::Selected, Some(id)) => format!("the {what} {id}"),
        (TargetSource::Selected, None) => format!("no {what}"),
    };
    match action {
        ActionSpec::DoNothing {} => "Only record it".to_owned(),
        ActionSpec::SendNotification { via, .. } => format!("Send a message through {}", way(via)),
        ActionSpec::CallWebhook { via, .. } => format!("Call {}", way(via)),
        ActionSpec::RunDeployment { deployment, .. } => {
            format!("Run {}", target("deployment", deployment.source, deployment.deployment_id))
        }
        ActionSpec::PauseDeployment(to) => format!("Pause {}", target("deployment", to.source, to.deployment_id)),
        ActionSpec::ResumeDeployment(to) => format!("Resume {}", target("deployment", to.source, to.deployment_id)),
        ActionSpec::PauseWorkPool(to) => format!("Pause {}", target("work pool", to.source, to.work_pool_id)),
        ActionSpec::ResumeWorkPool(to) => format!("Resume {}", target("work pool", to.source, to.work_pool_id)),
        ActionSpec::PauseWorkQueue(to) => format!("Pause {}", target("work queue", to.source, to.work_queue_id)),
        ActionSpec::ResumeWorkQueue(to) => format!("Resume {}", target("work queue", to.source, to.work_queue_id)),
        ActionSpec::PauseAutomation(to) => format!("Pause {}", target("automation", to.source, to.automation_id)),
        ActionSpec::ResumeAutomation(to) => format!("Resume {}", target("automation", to.source, to.automation_id)),
        ActionSpec::CancelFlowRun {} => "Cancel the flow run of the event".to_owned(),
        ActionSpec::SuspendFlowRun {} => "Suspend the flow run of the event".to_owned(),
        ActionSpec::ResumeFlowRun {} => "Resume the flow run of the event".to_owned(),
        ActionSpec::DeleteFlowRun {} => "Delete the flow run of the event".to_owned(),
        ActionSpec::ChangeFlowRunState { state, .. } => format!("Put the flow run of the event into state {state}"),
        ActionSpec::DeclareIncident { team: Some(team), .. } => format!("Open an incident of team {team}"),
        ActionSpec::DeclareIncident { team: None, .. } => "Open an incident of the owner".to_owned(),
        ActionSpec::PageOwner { .. } => "Page the owner".to_owned(),
        ActionSpec::ResolveIncident {} => "Resolve the incident that it opened".to_owned(),
        ActionSpec::NotifyChannel { connection, .. } => format!("Post a message to {connection}"),
        ActionSpec::TriggerDag { connection, dag_id, .. } => format!("Trigger DAG {dag_id} in {connection}"),
        ActionSpec::ClearTask { connection, .. } => format!("Clear a task in {connection}, so that it runs again"),
        ActionSpec::StartBuild { connection, build_type, .. } => format!("Start build {build_type} in {connection}"),
        ActionSpec::RunJob { job, .. } => format!("Run job {job}"),
    }
}

fn way(via: &Via) -> String {
    match via {
        Via::Block { block_document_id } => format!("block {block_document_id}"),
        Via::Connection { connection } => connection.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use trackside_core::automation::request::parse_written;

    fn check(body: &Value, expect: &str) {
        let whole = json!({"name": "a", "trigger": body, "actions": ["do-nothing"]});
        let written = parse_written(&whole).unwrap_or_else(|errors| panic!("{body}: {errors:?}"));
        assert_eq!(trigger(&written.spec.trigger), expect, "{body}");
    }

    #[test]
    fn triggers_read_as_a_sentence() {
        check(&json!({"expect": ["a"]}), "a");
        check(&json!({"expect": ["a", "b", "c", "d", "e"]}), "a or b or c or 2 more");
        check(
            &json!({"expect": ["prefect.flow-run.Failed"], "threshold": 3, "within": "10m",
                "for_each": ["related:flow:prefect.resource.id"]}),
            "3 × prefect.flow-run.Failed within 10 min, for each flow",
        );
        check(&json!({"posture": "Proactive", "expect": ["beat"], "within": "1h"}), "no beat for 1 h");
        check(
            &json!({"posture": "Proactive", "expect": ["done"], "after": ["began"], "within": "1h 30m",
                "for_each": ["prefect.resource.id"]}),
            "no done within 1 h 30 min after began, for each resource",
        );
        check(
            &json!({"expect": ["a"], "match": {"prefect.resource.id": "x.*", "env": ["p", "q"]},
                "match_related": {"prefect.resource.role": "tag"}}),
            "a, where env is p or q and id is x.* and 1 more",
        );
    }

    #[test]
    fn composites_and_figures_read_as_a_sentence() {
        let a = json!({"expect": ["a"]});
        let b = json!({"expect": ["b"]});
        check(
            &json!({"type": "compound", "require": "all", "within": "2d", "triggers": [a, b]}),
            "all of: a; b, all within 2 days",
        );
        check(
            &json!({"type": "compound", "require": 2, "within": "90s", "triggers": [a, b, a, b]}),
            "2 of 4: a; b; a; and 1 more, all within 1 min 30 s",
        );
        check(&json!({"type": "sequence", "within": "1h", "triggers": [a, b]}), "a, then b, all within 1 h");
        check(
            &json!({"metric": {"name": "successes", "operator": "<", "threshold": 0.9, "range": "1h", "firing_for": "5m"},
                "match": {"pipeline": "x"}}),
            "success rate below 90% over 1 h, for 5 min, where pipeline is x",
        );
        check(&json!({"consecutive": 3}), "3 failed runs in a row, for each pipeline");
    }

    #[test]
    fn spans_read_well() {
        let table = [0, 1, 60, 5_400, 86_400, 90_061].map(|seconds| span(SignedDuration::from_secs(seconds)));
        assert_eq!(table, ["0 s", "1 s", "1 min", "1 h 30 min", "1 day", "1 day 1 h 1 min 1 s"]);
        assert_eq!(span(SignedDuration::from_millis(1_500)), "1.5 s");
    }
}
