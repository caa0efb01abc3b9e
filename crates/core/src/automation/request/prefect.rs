//! The body of Prefect's `POST /automations/` and `PUT /automations/{id}`: accepted, normalised and refused as Prefect
//! does it.
//!
//! Source: `AutomationCreate` and `AutomationUpdate` in `prefect/server/events/schemas/automations.py` (3.8). The order
//! of fields and of union members is that of the classes, because errors are reported in it. Unknown fields are refused
//! at the top and ignored below. What makes Prefect answer 500 (text as `within` of a Proactive trigger, a `within`
//! beyond Python's range) is refused here.

use super::super::definition::{
    AutomationSpec, CompoundTrigger, EventTrigger, Patterns, Posture, RelatedSpec, Require, RequireWord, ResourceSpec,
    SequenceTrigger, Trigger,
};
use super::error::{FieldError, PathPart};
use super::line::{Fault, Line, Read, collect, finish, under};
use super::model::{Model, Scored, best, no_object, union};
use super::{lax, loops, prefect_action};
use jiff::SignedDuration;
use serde_json::{Map, Value};

/// The fields that Prefect takes when an automation is made.
pub(super) const CREATE: &[&str] = &[
    "name",
    "description",
    "enabled",
    "tags",
    "trigger",
    "actions",
    "actions_on_trigger",
    "actions_on_resolve",
    "owner_resource",
];

/// The fields that Prefect takes when one is replaced: its owner cannot be changed.
pub(super) const REPLACE: &[&str] = CREATE.split_at(8).0;

/// Reads a body with these fields.
pub(super) fn parse(body: &Value, fields: &[&str]) -> Result<AutomationSpec, Vec<FieldError>> {
    read(body, fields).and_then(|spec| guarded(spec.value)).map_err(|lines| {
        let mut errors = finish(lines);
        errors.iter_mut().for_each(name_inner_compounds);
        errors
    })
}

fn read(body: &Value, fields: &[&str]) -> Read<Scored<AutomationSpec>> {
    if body.is_null() {
        // FastAPI takes `null` for no body.
        return Err(Fault::plain("missing", "Field required").into());
    }
    let mut model = Model::new(body)?;
    let name = model.required("name", lax::string);
    let description = model.or("description", String::new(), lax::string);
    let enabled = model.or("enabled", true, lax::boolean);
    let tags = model.or("tags", Vec::new(), |value| lax::list(value, lax::string));
    let trigger = model.required("trigger", |value| trigger(value).map(|scored| scored.value));
    let actions =
        |value: &Value| lax::list(value, |action| union(action, prefect_action::MEMBERS).map(|scored| scored.value));
    let main = model.required("actions", actions);
    let on_trigger = model.or("actions_on_trigger", Vec::new(), actions);
    let on_resolve = model.or("actions_on_resolve", Vec::new(), actions);
    let owner_resource = if fields.contains(&"owner_resource") {
        model.or("owner_resource", None, |value| lax::nullable(value, lax::string))
    } else {
        None
    };
    for unknown in model.map().keys().filter(|key| !fields.contains(&key.as_str())) {
        model.wrong(unknown, Fault::plain("extra_forbidden", "Extra inputs are not permitted").into());
    }
    model.finish(|| {
        Some(AutomationSpec {
            name: name?,
            description,
            enabled,
            tags,
            trigger: trigger?,
            actions: main?,
            actions_on_trigger: on_trigger,
            actions_on_resolve: on_resolve,
            owner_resource,
        })
    })
}

/// Prefect's guard against automations that start runs of which each starts the next.
fn guarded(spec: AutomationSpec) -> Read<AutomationSpec> {
    match loops::find(&spec) {
        Some(found) => Err(Fault::value(found.message()).into()),
        None => Ok(spec),
    }
}

const EVENT: &str = "EventTrigger";
const SEQUENCE: &str = "SequenceTrigger";
/// pydantic's name of a compound trigger: its schema is built twice, and each time the validator is put around it.
const COMPOUND: &str = "function-after[validate_require(), function-after[validate_require(), CompoundTrigger]]";
/// Its name within a compound trigger, where the schema is the one from before the second time.
const COMPOUND_INSIDE: &str = "function-after[validate_require(), CompoundTrigger]";

fn name_inner_compounds(error: &mut FieldError) {
    let compounds = error.path.iter_mut().filter(|part| **part == PathPart::Member(COMPOUND));
    compounds.skip(1).for_each(|inner| *inner = PathPart::Member(COMPOUND_INSIDE));
}

/// One trigger: a union of three. The children of a composite are read once for the two members that have them.
fn trigger(value: &Value) -> Read<Scored<Trigger>> {
    let Value::Object(map) = value else {
        return best([EVENT, COMPOUND, SEQUENCE].map(|name| (name, Err(no_object().into()))));
    };
    let (within, refused) = Within::settle(map).map_err(|broken| under(&PathPart::Member(EVENT), broken.into()))?;
    let children = map.get("triggers").map(children);
    let event = match refused {
        Some(fault) => Err(fault.into()),
        None => event(value, within),
    };
    let compound = compound(value, within, children.as_ref());
    let sequence = sequence(value, within, children.as_ref());
    best([(EVENT, event), (COMPOUND, compound), (SEQUENCE, sequence)])
}

/// The children, with the number of fields set in all of them.
type Children = Read<(Vec<Trigger>, usize)>;

fn children(value: &Value) -> Children {
    let scored = lax::list(value, trigger)?;
    let fields = scored.iter().map(|child| child.fields).sum();
    Ok((scored.into_iter().map(|child| child.value).collect(), fields))
}

/// `within` as the members of the union see it: the first one to look rewrites it for all.
#[derive(Clone, Copy, Debug)]
enum Within<'a> {
    Absent,
    Time(SignedDuration),
    Given(&'a Value),
}

impl<'a> Within<'a> {
    /// `enforce_minimum_within_for_proactive_triggers`: numbers become durations, a Proactive trigger without one gets
    /// ten seconds; with the reason when an event trigger cannot have it.
    ///
    /// # Errors
    /// What the validator itself breaks on, so that Prefect answers 500.
    fn settle(map: &'a Map<String, Value>) -> Result<(Self, Option<Fault>), Fault> {
        const LEAST: SignedDuration = SignedDuration::from_secs(10);
        let given = match map.get("within") {
            None => Self::Absent,
            Some(Value::Null) => {
                let fault = Fault::value("`within` should be a valid timedelta");
                return Ok((Self::Given(&Value::Null), Some(fault)));
            }
            Some(Value::Bool(flag)) => Self::Time(SignedDuration::from_secs(i64::from(*flag))),
            Some(Value::Number(seconds)) => {
                let time = seconds.as_f64().and_then(lax::python_seconds);
                Self::Time(time.ok_or_else(|| Fault::breaking("`within` is too large"))?)
            }
            Some(value) => Self::Given(value),
        };
        if map.get("posture").and_then(Value::as_str) != Some("Proactive") {
            return Ok((given, None));
        }
        match given {
            _ if given.is_falsy() => Ok((Self::Time(LEAST), None)),
            Self::Time(time) if time < LEAST => {
                let least = "`within` for Proactive triggers must be greater than or equal to 10 seconds";
                Ok((given, Some(Fault::value(least))))
            }
            Self::Given(_) => Err(Fault::breaking("`within` for Proactive triggers must be a number of seconds")),
            Self::Time(_) | Self::Absent => Ok((given, None)),
        }
    }

    /// Python's `not within`.
    fn is_falsy(self) -> bool {
        match self {
            Self::Absent => true,
            Self::Time(time) => time.is_zero(),
            Self::Given(Value::String(text)) => text.is_empty(),
            Self::Given(Value::Array(items)) => items.is_empty(),
            Self::Given(Value::Object(map)) => map.is_empty(),
            Self::Given(_) => false,
        }
    }

    /// Of an event trigger: never negative, zero by default.
    fn of_event(self, model: &mut Model<'_>) -> SignedDuration {
        let read = match self {
            Self::Absent => return SignedDuration::ZERO,
            Self::Time(time) => Ok(time),
            Self::Given(value) => lax::duration(value),
        };
        let bounded = read.and_then(|time| {
            if time.is_negative() {
                let message = "Input should be greater than or equal to 0 seconds";
                let context = Some(serde_json::json!({"ge": "0 seconds"}));
                return Err(Fault { kind: "greater_than_equal", message: message.to_owned(), context }.into());
            }
            Ok(time)
        });
        model.note("within", bounded).unwrap_or_default()
    }

    /// Of a composite: must be written, may be null.
    fn of_composite(self, model: &mut Model<'_>) -> Option<Option<SignedDuration>> {
        match self {
            Self::Absent => model.required("within", |_| Ok(None)),
            Self::Time(time) => model.note("within", Ok(Some(time))),
            Self::Given(value) => model.note("within", lax::nullable(value, lax::duration)),
        }
    }
}

fn event(value: &Value, within: Within<'_>) -> Read<Scored<Trigger>> {
    let mut model = Model::new(value)?;
    model.tag("event");
    id(&mut model);
    let matches = model.or("match", ResourceSpec::new(), resource_spec);
    let match_related = model.or("match_related", RelatedSpec::default(), related_spec);
    let after = model.or("after", Default::default(), lax::string_set);
    let expect = model.or("expect", Default::default(), lax::string_set);
    let for_each = model.or("for_each", Default::default(), lax::string_set);
    let posture = model.required("posture", posture);
    let threshold = model.or("threshold", 1, lax::integer);
    let within = within.of_event(&mut model);
    model.finish(|| {
        let posture = posture?;
        Some(Trigger::Event(EventTrigger {
            matches,
            match_related,
            after,
            expect,
            for_each,
            posture,
            threshold,
            within,
        }))
    })
}

fn posture(value: &Value) -> Read<Posture> {
    match value.as_str() {
        Some("Reactive") => Ok(Posture::Reactive),
        Some("Proactive") => Ok(Posture::Proactive),
        _ => Err(Fault::expected("literal_error", "Posture.Reactive or Posture.Proactive").into()),
    }
}

/// Triggers have ids in Prefect. One that is sent must be an id, and is replaced.
fn id(model: &mut Model<'_>) {
    model.or("id", (), |value| lax::uuid(value).map(|_| ()));
}

fn compound(value: &Value, within: Within<'_>, children: Option<&Children>) -> Read<Scored<Trigger>> {
    let mut model = Model::new(value)?;
    model.tag("compound");
    id(&mut model);
    let triggers = composite_children(&mut model, children);
    let within = within.of_composite(&mut model);
    let require = model.required("require", require);
    let scored = model.finish(|| Some((triggers?, within?, require?)))?;
    let (triggers, within, require) = scored.value;
    let require = bounded(require, triggers.len())?;
    Ok(Scored { value: Trigger::Compound(CompoundTrigger { triggers, within, require }), fields: scored.fields })
}

fn sequence(value: &Value, within: Within<'_>, children: Option<&Children>) -> Read<Scored<Trigger>> {
    let mut model = Model::new(value)?;
    model.tag("sequence");
    id(&mut model);
    let triggers = composite_children(&mut model, children);
    let within = within.of_composite(&mut model);
    model.finish(|| Some(Trigger::Sequence(SequenceTrigger { triggers: triggers?, within: within? })))
}

fn composite_children(model: &mut Model<'_>, children: Option<&Children>) -> Option<Vec<Trigger>> {
    let (triggers, fields) = model.required("triggers", |_| match children {
        Some(children) => children.clone(),
        None => Ok((Vec::new(), 0)),
    })?;
    model.count(fields);
    Some(triggers)
}

/// `Union[int, Literal["any", "all"]]`, before its bounds are known.
#[derive(Clone, Copy, Debug)]
enum Required {
    Word(RequireWord),
    Count(i64),
}

fn require(value: &Value) -> Read<Required> {
    let integer = match lax::integer(value) {
        Ok(count) => return Ok(Required::Count(count)),
        Err(lines) => under(&PathPart::Member("int"), lines),
    };
    match value.as_str() {
        Some("any") => Ok(Required::Word(RequireWord::Any)),
        Some("all") => Ok(Required::Word(RequireWord::All)),
        _ => {
            let literal: Vec<Line> = Fault::expected("literal_error", "'any' or 'all'").into();
            let mut lines = integer;
            collect(&mut lines, under(&PathPart::Member("literal['any','all']"), literal));
            Err(lines)
        }
    }
}

/// `CompoundTrigger.validate_require`
fn bounded(require: Required, children: usize) -> Read<Require> {
    match require {
        Required::Word(word) => Ok(Require::Word(word)),
        Required::Count(..1) => Err(Fault::value("require must be at least 1").into()),
        Required::Count(count) => match u32::try_from(count) {
            Ok(fits) if fits as usize <= children => Ok(Require::Count(fits)),
            _ => Err(Fault::value("require must be less than or equal to the number of triggers").into()),
        },
    }
}

const SPEC: &str = "ResourceSpecification";
const SPEC_DICT: &str = "dict[str,union[str,list[str]]]";
const SPEC_LIST: &str = "list[union[ResourceSpecification,dict[str,union[str,list[str]]]]]";

/// `match`: an object is made a specification before the union is asked, which then only refuses what is no object.
fn resource_spec(value: &Value) -> Read<ResourceSpec> {
    match value {
        Value::Object(map) => labels(map),
        _ => Err(no_spec()),
    }
}

fn no_spec() -> Vec<Line> {
    let dict: Vec<Line> = Fault::plain("dict_type", "Input should be a valid dictionary").into();
    let mut lines = under(&PathPart::Member(SPEC), dict.clone());
    collect(&mut lines, under(&PathPart::Member(SPEC_DICT), dict));
    lines
}

/// `match_related`: one specification or a list of them.
fn related_spec(value: &Value) -> Read<RelatedSpec> {
    match value {
        Value::Object(map) => labels(map).map(RelatedSpec::One),
        Value::Array(items) => related_specs(items).map(RelatedSpec::All),
        _ => {
            let mut lines = no_spec();
            let list = Fault::plain("list_type", "Input should be a valid list").into();
            collect(&mut lines, under(&PathPart::Member(SPEC_LIST), list));
            Err(lines)
        }
    }
}

fn related_specs(items: &[Value]) -> Read<Vec<ResourceSpec>> {
    // The first object that is wrong ends it, and is reported without its place in the list.
    let mut specs = Vec::with_capacity(items.len());
    for map in items.iter().filter_map(Value::as_object) {
        specs.push(labels(map)?);
    }
    if specs.len() == items.len() {
        return Ok(specs);
    }
    let mut lines = no_spec();
    if let Err(wrong) = lax::items_of(items, |item| resource_spec(item).map(|_| ())) {
        collect(&mut lines, under(&PathPart::Member(SPEC_LIST), wrong));
    }
    Err(lines)
}

/// `Dict[str, Union[str, List[str]]]`
fn labels(map: &Map<String, Value>) -> Read<ResourceSpec> {
    let mut spec = ResourceSpec::new();
    let mut wrong = Vec::new();
    for (label, value) in map {
        match patterns(value) {
            Ok(patterns) => {
                spec.insert(label.clone(), patterns);
            }
            Err(lines) => collect(&mut wrong, under(&PathPart::from(label.as_str()), lines)),
        }
    }
    if wrong.is_empty() { Ok(spec) } else { Err(wrong) }
}

fn patterns(value: &Value) -> Read<Patterns> {
    let one = match lax::string(value) {
        Ok(pattern) => return Ok(Patterns::One(pattern)),
        Err(lines) => under(&PathPart::Member("str"), lines),
    };
    lax::list(value, lax::string).map(Patterns::Any).map_err(|list| {
        let mut lines = one;
        collect(&mut lines, under(&PathPart::Member("list[str]"), list));
        lines
    })
}
