//! Vectors of kind `matching`: patterns against values, specifications against resources, triggers against events.

use super::{Case, timeline};
use serde::Deserialize;
use serde_json::{Value, json};
use trackside_core::automation::definition::{EventTrigger, ResourceSpec, Trigger};
use trackside_core::automation::request::{self, Dialect};
use trackside_core::automation::{matching, pattern};
use trackside_core::event::{Event, Labels};

/// A file of this kind.
#[derive(Debug, Deserialize)]
pub(crate) struct File {
    #[serde(default)]
    label_matches: Vec<LabelMatch>,
    #[serde(default)]
    spec_includes: Vec<SpecIncludes>,
    #[serde(default)]
    trigger_covers: Vec<TriggerCovers>,
}

#[derive(Debug, Deserialize)]
struct LabelMatch {
    pattern: String,
    value: Option<String>,
    expected: bool,
}

#[derive(Debug, Deserialize)]
struct SpecIncludes {
    spec: ResourceSpec,
    candidates: Vec<Labels>,
    expected: bool,
}

#[derive(Debug, Deserialize)]
struct TriggerCovers {
    trigger: Value,
    event: Value,
    expected: Covers,
}

/// What an event is to a trigger.
#[derive(Debug, PartialEq, Eq, Deserialize)]
struct Covers {
    interested: bool,
    expects: bool,
    starts_after: bool,
    bucketing_key: Vec<String>,
}

pub(crate) fn run(file: &File) -> Vec<Case> {
    let labels = file.label_matches.iter().map(|case| {
        let got = pattern::matches(&case.pattern, case.value.as_deref());
        Case::same(format!("label {:?} on {:?}", case.pattern, case.value), &got, &case.expected)
    });
    let specs = file.spec_includes.iter().map(|case| {
        let candidates: Vec<&Labels> = case.candidates.iter().collect();
        let got = matching::spec_includes(&case.spec, &candidates);
        Case::same(format!("specification {:?} on {:?}", case.spec, case.candidates), &got, &case.expected)
    });
    let triggers = file.trigger_covers.iter().map(|case| {
        let name = format!("trigger {} on {}", case.trigger, case.event);
        match covers(case) {
            Ok(got) => Case::same(name, &got, &case.expected),
            Err(why) => Case::new(name, Err(why)),
        }
    });
    labels.chain(specs).chain(triggers).collect()
}

fn covers(case: &TriggerCovers) -> Result<Covers, String> {
    let trigger = event_trigger(&case.trigger)?;
    let event: Event = timeline::event(&case.event, None)?;
    Ok(Covers {
        interested: matching::interested(&trigger, &event),
        expects: matching::expects(&trigger, &event.event),
        starts_after: matching::starts(&trigger, &event.event),
        bucketing_key: matching::bucketing_key(&trigger, &event),
    })
}

/// The trigger, read as part of an automation. What these vectors leave out says nothing about what they test.
fn event_trigger(recorded: &Value) -> Result<EventTrigger, String> {
    let mut trigger = json!({"type": "event", "posture": "Reactive"});
    if let (Value::Object(trigger), Value::Object(recorded)) = (&mut trigger, recorded) {
        trigger.extend(recorded.clone());
    }
    let body = json!({"name": "recorded", "trigger": trigger, "actions": []});
    let spec = request::parse(&body, Dialect::Prefect).map_err(|errors| format!("it is refused: {errors:?}"))?;
    match spec.trigger {
        Trigger::Event(trigger) => Ok(trigger),
        other => Err(format!("it is no event trigger but {other:?}")),
    }
}
