//! Triggers of our dialect: Prefect's three, `metric` and `consecutive`.
//!
//! `type` may be left out where the fields say it; what needs a time must say how long. Under Prefect's semantics its
//! numbers and defaults hold (a threshold of 0, no window), so that what was made through its API can be edited here.
//! Invariant: otherwise a trigger that is read can fire, as far as its own numbers go; what it would match is for
//! [`super::super::lint`].

use super::super::definition::{
    Comparison, CompoundTrigger, ConsecutiveTrigger, EventTrigger, Metric, MetricQuery, MetricTrigger, Patterns,
    Posture, RelatedSpec, Require, RequireWord, ResourceSpec, Semantics, SequenceTrigger, Trigger,
};
use super::error::PathPart;
use super::object::{Object, Report, WRONG_TYPE, below, strings};
use jiff::SignedDuration;
use serde_json::Value;

const EXAMPLE: &str = "write for example {expect: [prefect.flow-run.Failed]}";

/// Reads one trigger, which is to be evaluated so.
pub(super) fn read(value: &Value, path: Vec<PathPart>, semantics: Semantics, report: &mut Report) -> Option<Trigger> {
    let object = Object::new(value, path, EXAMPLE, report)?;
    match kind(&object, report)? {
        "event" => event(&object, semantics, report).map(Trigger::Event),
        "compound" => compound(&object, semantics, report).map(Trigger::Compound),
        "sequence" => sequence(&object, semantics, report).map(Trigger::Sequence),
        "metric" => metric(&object, report).map(Trigger::Metric),
        _ => consecutive(&object, report).map(Trigger::Consecutive),
    }
}

const KINDS: &[&str] = &["event", "compound", "sequence", "metric", "consecutive"];

/// What is written as `type`, or what the fields say.
fn kind(object: &Object<'_>, report: &mut Report) -> Option<&'static str> {
    if object.get("type").is_some() {
        return object.choice("type", KINDS, report);
    }
    let says = [("consecutive", "consecutive"), ("metric", "metric"), ("require", "compound")];
    if let Some((_, kind)) = says.iter().find(|(field, _)| object.has(field)) {
        return Some(kind);
    }
    if object.has("triggers") {
        object.missing("type", "write type: compound (in any order) or type: sequence (in this order)", report);
        return None;
    }
    Some("event")
}

fn event(object: &Object<'_>, semantics: Semantics, report: &mut Report) -> Option<EventTrigger> {
    const FIELDS: &[&str] =
        &["type", "id", "match", "match_related", "after", "expect", "for_each", "posture", "threshold", "within"];
    object.only(FIELDS, report);
    let posture = match object.choice("posture", &["Reactive", "Proactive"], report) {
        Some("Proactive") => Posture::Proactive,
        _ => Posture::Reactive,
    };
    let least = if semantics == Semantics::Prefect { i64::MIN } else { 1 };
    let within = object.duration("within", report);
    let trigger = EventTrigger {
        matches: labels(object, "match", report),
        match_related: related(object, report),
        after: object.text_set("after", report),
        expect: object.text_set("expect", report),
        for_each: object.text_set("for_each", report),
        posture,
        threshold: object.integer("threshold", least, report).unwrap_or(1),
        within: within.unwrap_or_default(),
    };
    // A `within` that is wrong is reported already.
    if within.is_none() && object.get("within").is_some() {
        return Some(trigger);
    }
    match semantics {
        Semantics::Prefect => Some(with_prefects_window(trigger, object, report)),
        Semantics::Trackside => {
            if trigger.within.is_zero() {
                window_missing(&trigger, object, report);
            }
            Some(trigger)
        }
    }
}

/// The window of a Proactive trigger in Prefect: ten seconds at least, and when none is written.
fn with_prefects_window(trigger: EventTrigger, object: &Object<'_>, report: &mut Report) -> EventTrigger {
    const LEAST: SignedDuration = SignedDuration::from_secs(10);
    if trigger.posture == Posture::Reactive || trigger.within >= LEAST {
        return trigger;
    }
    if !trigger.within.is_zero() {
        let message = "Prefect waits at least 10 seconds in a Proactive trigger";
        report.invalid(object.at("within"), message, "write within: 10s, or choose semantics: trackside");
    }
    EventTrigger { within: LEAST, ..trigger }
}

/// Says why a trigger without a window cannot work.
fn window_missing(trigger: &EventTrigger, object: &Object<'_>, report: &mut Report) {
    let (why, suggestion) = match trigger.posture {
        Posture::Proactive => ("a Proactive trigger fires when nothing came in time", "write how long: within: 1h"),
        Posture::Reactive if trigger.threshold > 1 => {
            ("several events count only when they come in a certain time", "write in which time: within: 10m")
        }
        Posture::Reactive if !trigger.after.is_empty() => {
            ("`after` opens a window, and it must close at some time", "write for how long: within: 1h")
        }
        Posture::Reactive => return,
    };
    report.add("missing", object.at("within"), format!("`within` is missing: {why}"), suggestion);
}

fn compound(object: &Object<'_>, semantics: Semantics, report: &mut Report) -> Option<CompoundTrigger> {
    object.only(&["type", "id", "triggers", "within", "require"], report);
    let triggers = children(object, semantics, report);
    let require = match object.get("require") {
        None => Require::Word(RequireWord::All),
        Some(Value::String(word)) if word == "any" => Require::Word(RequireWord::Any),
        Some(Value::String(word)) if word == "all" => Require::Word(RequireWord::All),
        Some(count) => match count.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) if (1..=triggers.as_ref().map_or(u32::MAX as usize, Vec::len)).contains(&(count as usize)) => {
                Require::Count(count)
            }
            _ => {
                let message = format!("`require` is any, all, or how many of the triggers must fire, not {count}");
                report.invalid(object.at("require"), message, "write require: all");
                return None;
            }
        },
    };
    Some(CompoundTrigger { within: horizon(object, report), triggers: triggers?, require })
}

fn sequence(object: &Object<'_>, semantics: Semantics, report: &mut Report) -> Option<SequenceTrigger> {
    object.only(&["type", "id", "triggers", "within"], report);
    let triggers = children(object, semantics, report);
    Some(SequenceTrigger { within: horizon(object, report), triggers: triggers? })
}

/// `within` of a composite: a time, or `null` for no bound; leaving it out is no answer.
fn horizon(object: &Object<'_>, report: &mut Report) -> Option<SignedDuration> {
    if !object.has("within") {
        object.missing(
            "within",
            "write in which time all of it happens: within: 1h; or within: null for no bound",
            report,
        );
    }
    let within = object.duration("within", report)?;
    if within.is_zero() {
        report.invalid(object.at("within"), "in no time nothing can happen", "write within: 1h, or null for no bound");
    }
    Some(within)
}

fn children(object: &Object<'_>, semantics: Semantics, report: &mut Report) -> Option<Vec<Trigger>> {
    const SUGGESTION: &str = "write triggers: [{expect: [a]}, {expect: [b]}]";
    let Some(value) = object.get("triggers") else {
        object.missing("triggers", SUGGESTION, report);
        return None;
    };
    let path = object.at("triggers");
    let Value::Array(items) = value else {
        report.add(WRONG_TYPE, path, "`triggers` must be a list of triggers", SUGGESTION);
        return None;
    };
    if items.is_empty() {
        report.invalid(path, "without triggers it can never fire", SUGGESTION);
        return None;
    }
    let triggers: Vec<Option<Trigger>> =
        items.iter().enumerate().map(|(index, item)| read(item, below(&path, index), semantics, report)).collect();
    triggers.into_iter().collect()
}

fn metric(object: &Object<'_>, report: &mut Report) -> Option<MetricTrigger> {
    object.only(&["type", "id", "posture", "match", "match_related", "for_each", "metric"], report);
    object.choice("posture", &["Metric"], report);
    let query = match object.get("metric") {
        Some(value) => query(value, object.at("metric"), report),
        None => {
            let example = "write metric: {name: successes, operator: \"<\", threshold: 0.95, range: 1h}";
            object.missing("metric", example, report);
            None
        }
    };
    Some(MetricTrigger {
        matches: labels(object, "match", report),
        match_related: related(object, report),
        for_each: object.text_set("for_each", report),
        metric: query?,
    })
}

/// What Prefect Cloud takes when `range` or `firing_for` is not written.
const METRIC_TIME: SignedDuration = SignedDuration::from_mins(5);

fn query(value: &Value, path: Vec<PathPart>, report: &mut Report) -> Option<MetricQuery> {
    let example = "write {name: successes, operator: \"<\", threshold: 0.95, range: 1h}";
    let object = Object::new(value, path, example, report)?;
    object.only(&["name", "operator", "threshold", "range", "firing_for"], report);
    let name = object.choice("name", &["successes", "duration", "lateness", "count"], report);
    let name = object.required(name, "name", "write name: successes, duration, lateness or count", report);
    let operator = object.choice("operator", &["<", "<=", ">", ">="], report);
    let operator = object.required(operator, "operator", "write operator: \"<\" or \">\"", report);
    let threshold = object.number("threshold", report);
    let threshold = object.required(threshold, "threshold", "write the bound: threshold: 0.95", report);
    let range = object.duration("range", report).unwrap_or(METRIC_TIME);
    if range.is_zero() {
        report.invalid(object.at("range"), "in no time no run ends", "write range: 1h");
    }
    let firing_for = object.duration("firing_for", report).unwrap_or(METRIC_TIME);
    let name = match name? {
        "successes" => Metric::Successes,
        "duration" => Metric::Duration,
        "lateness" => Metric::Lateness,
        _ => Metric::Count,
    };
    if name == Metric::Successes && threshold.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
        let message = "`successes` is the share of runs that succeeded, from 0 to 1";
        report.invalid(object.at("threshold"), message, "write 0.95 for 95 of 100");
    }
    let operator = match operator? {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">" => Comparison::Greater,
        _ => Comparison::GreaterOrEqual,
    };
    Some(MetricQuery { name, operator, threshold: threshold?, range, firing_for })
}

fn consecutive(object: &Object<'_>, report: &mut Report) -> Option<ConsecutiveTrigger> {
    object.only(&["type", "id", "consecutive", "count", "match", "match_related"], report);
    let count = object.integer("count", 1, report).or_else(|| object.integer("consecutive", 1, report));
    if count.is_none() && object.get("count").is_none() && object.get("consecutive").is_none() {
        object.missing("count", "write how many failures in a row: count: 3", report);
    }
    if object.get("count").is_some() && object.get("consecutive").is_some() {
        report.invalid(object.at("consecutive"), "`count` and `consecutive` say the same", "write one of them");
    }
    let count = u32::try_from(count?).unwrap_or(u32::MAX);
    Some(ConsecutiveTrigger { count, matches: labels(object, "match", report), match_related: related(object, report) })
}

const LABELS: &str = "write labels with patterns: {prefect.resource.name: nightly-*}";

fn labels(object: &Object<'_>, name: &str, report: &mut Report) -> ResourceSpec {
    object.get(name).map(|value| spec(value, object.at(name), report)).unwrap_or_default()
}

fn related(object: &Object<'_>, report: &mut Report) -> RelatedSpec {
    let path = object.at("match_related");
    match object.get("match_related") {
        None => RelatedSpec::default(),
        Some(Value::Array(items)) => {
            let specs = items.iter().enumerate();
            RelatedSpec::All(specs.map(|(index, item)| spec(item, below(&path, index), report)).collect())
        }
        Some(value) => RelatedSpec::One(spec(value, path, report)),
    }
}

fn spec(value: &Value, path: Vec<PathPart>, report: &mut Report) -> ResourceSpec {
    let Some(object) = Object::new(value, path, LABELS, report) else { return ResourceSpec::new() };
    let Some(map) = value.as_object() else { return ResourceSpec::new() };
    let mut spec = ResourceSpec::new();
    for (label, value) in map {
        let patterns = match value {
            Value::String(pattern) => Some(Patterns::One(pattern.clone())),
            _ => strings(value, object.at(label), report).map(Patterns::Any),
        };
        if let Some(patterns) = patterns {
            spec.insert(label.clone(), patterns);
        }
    }
    spec
}
