//! What a template can name: the event, the automation, the firing, and the far end's objects.
//!
//! Invariants: only what a text names is built; the state of a flow run or task run is the event's, not the far end's,
//! which may have gone on. Source: `prefect/server/events/actions.py`, `_template_context`.

use super::class::{self, Class};
use super::filters::Pages;
use super::moment::Moment;
use super::object::{Diver, Record, Resource, Set, choice, plain, record};
use crate::automation::definition::Semantics;
use crate::automation::firing::{Firing, FiringState};
use crate::event::{Event, Labels, RESOURCE_ID, RESOURCE_NAME, RESOURCE_ROLE};
use jiff::Timestamp;
use minijinja::Value;
use serde_json::{Map, Value as Json, json};
use std::collections::{BTreeMap, BTreeSet};

/// Whose templates they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Exactly Prefect's.
    Prefect,
    /// Prefect's, and more: `flow_run_url`, `run`, `pipeline`, `incident`, `owner`; labels compare as texts; a
    /// deployment and a resource have pages.
    Trackside,
}

impl From<Semantics> for Dialect {
    fn from(semantics: Semantics) -> Self {
        match semantics {
            Semantics::Prefect => Self::Prefect,
            Semantics::Trackside => Self::Trackside,
        }
    }
}

/// An object of the far end that a template can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// `flow`
    Flow,
    /// `flow_run`
    FlowRun,
    /// `task_run`
    TaskRun,
    /// `deployment`
    Deployment,
    /// `work_pool`
    WorkPool,
    /// `work_queue`
    WorkQueue,
    /// `concurrency_limit`
    ConcurrencyLimit,
    /// `variables`: an object of name and value.
    Variables,
}

impl Object {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Flow,
        Self::FlowRun,
        Self::TaskRun,
        Self::Deployment,
        Self::WorkPool,
        Self::WorkQueue,
        Self::ConcurrencyLimit,
        Self::Variables,
    ];

    /// Its name in a template.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::FlowRun => "flow_run",
            Self::TaskRun => "task_run",
            Self::Deployment => "deployment",
            Self::WorkPool => "work_pool",
            Self::WorkQueue => "work_queue",
            Self::ConcurrencyLimit => "concurrency_limit",
            Self::Variables => "variables",
        }
    }

    /// Prefect's model of it.
    pub(super) fn class(self) -> Option<&'static Class> {
        Some(match self {
            Self::Flow => &class::FLOW,
            Self::FlowRun => &class::FLOW_RUN,
            Self::TaskRun => &class::TASK_RUN,
            Self::Deployment => &class::DEPLOYMENT,
            Self::WorkPool => &class::WORK_POOL,
            Self::WorkQueue => &class::WORK_QUEUE,
            Self::ConcurrencyLimit => &class::CONCURRENCY_LIMIT,
            Self::Variables => return None,
        })
    }

    /// How ids of its resources begin, for example `prefect.flow-run.`.
    fn prefix(self) -> String {
        format!("prefect.{}.", self.name().replace('_', "-"))
    }
}

/// Everything that a template can name.
#[derive(Clone, Copy, Debug)]
pub struct TemplateContext<'a> {
    /// Whose templates they are.
    pub dialect: Dialect,
    /// The current time, for `humanize_naturaltime` and its like.
    pub now: Timestamp,
    /// The automation as Prefect's API shows it.
    pub automation: &'a Json,
    /// The event that completed the firing.
    pub event: Option<&'a Event>,
    /// Why the action is carried out; its labels are `labels`.
    pub firing: &'a Firing,
    /// The events of the firing and its children.
    pub events: &'a [Event],
    /// Objects that the text [wants](super::wants), as the far end's API shows them, or [synthesised](synthesise).
    pub objects: &'a BTreeMap<Object, Json>,
    /// What only Trackside has: `run`, `pipeline`, `incident`, `owner`.
    pub more: &'a Map<String, Json>,
    /// Where the far end's pages are.
    pub ui_url: Option<&'a str>,
}

/// What only [`Dialect::Trackside`] can name.
pub(super) const MORE: [&str; 5] = ["flow_run_url", "run", "pipeline", "incident", "owner"];

impl TemplateContext<'_> {
    /// The values of the names that a text uses.
    pub(super) fn values(&self, named: &BTreeSet<String>) -> Value {
        Value::from_pairs(named.iter().filter_map(|name| Some((name.clone(), self.value(name)?))))
    }

    fn value(&self, name: &str) -> Option<Value> {
        match name {
            "automation" => Some(record(&class::AUTOMATION, self.automation)),
            "event" => Some(self.event.map_or(Value::from(()), |event| self.event(event))),
            "labels" => {
                let labels = self.firing.labels.clone().into_iter().collect();
                Some(Value::from_object(Diver::new(labels, self.dialect)))
            }
            "firing" => Some(self.firing(self.firing)),
            "firings" => Some(self.firings(self.firing).into()),
            "events" => Some(self.events_of(self.firing).into()),
            _ if self.dialect == Dialect::Trackside && MORE.contains(&name) => match name {
                "flow_run_url" => self.pages().of(&self.value("flow_run")?).ok().map(Value::from),
                _ => self.more.get(name).map(plain),
            },
            _ => Object::ALL.into_iter().find(|object| object.name() == name).and_then(|object| self.object(object)),
        }
    }

    fn pages(&self) -> Pages {
        Pages { base: self.ui_url.map(str::to_owned), dialect: self.dialect }
    }

    /// Without an event Prefect loads nothing; with one, what the far end does not have is `None`.
    fn object(&self, object: Object) -> Option<Value> {
        let found = self.objects.get(&object);
        let Some(class) = object.class() else {
            let is_known = self.event.is_some() || self.dialect == Dialect::Trackside;
            return is_known.then(|| found.map_or_else(|| plain(&json!({})), plain));
        };
        let event = self.event?;
        let Some(resource) = first_of(event, object) else { return Some(Value::from(())) };
        let Some(json) = found else { return Some(Value::from(())) };
        let mut record = Record::from_json(class, json);
        if let (Object::FlowRun | Object::TaskRun, Some(state)) = (object, state_of(resource)) {
            record.set("state", state);
        }
        Some(Value::from_object(record))
    }

    fn event(&self, event: &Event) -> Value {
        let resource = |labels: &Labels| Value::from_object(Resource::new(labels, self.dialect));
        let related: Vec<Value> = event.related.iter().map(resource).collect();
        let mut by_role: Vec<(String, Vec<Value>)> = Vec::new();
        for (labels, value) in event.related.iter().zip(&related) {
            let role = labels.get(RESOURCE_ROLE).cloned().unwrap_or_default();
            match by_role.iter_mut().find(|(known, _)| *known == role) {
                Some((_, values)) => values.push(value.clone()),
                None => by_role.push((role, vec![value.clone()])),
            }
        }
        let first = by_role.iter().filter_map(|(role, values)| Some((role.clone(), values.first()?.clone())));
        let first = Value::from_pairs(first.rev());
        let primary = resource(&event.resource);
        let involved: Vec<Value> = std::iter::once(primary.clone()).chain(related.iter().cloned()).collect();
        let payload = if event.payload.is_null() { plain(&json!({})) } else { plain(&event.payload) };
        let time = |at| Value::from_object(Moment::utc(at));
        let fields = [
            ("occurred", time(event.occurred)),
            ("event", (&*event.event).into()),
            ("resource", primary),
            ("related", related.into()),
            ("payload", payload),
            ("id", event.id.to_string().into()),
            ("follows", event.follows.map(|id| id.to_string()).into()),
            ("received", time(event.received)),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let url = self.pages().of(&Value::from_object(Record::new(&class::EVENT, event_address(event))));
        Value::from_object(
            Record::new(&class::EVENT, fields)
                .with("involved_resources", involved.into())
                .with("resource_in_role", first)
                .with("resources_in_role", Value::from_pairs(by_role))
                .with("url", url.ok().flatten().into()),
        )
    }

    fn firing(&self, firing: &Firing) -> Value {
        let state = match firing.state {
            FiringState::Triggered => "Triggered",
            FiringState::Resolved => "Resolved",
        };
        let event = self.event_of(firing).map_or(Value::from(()), |event| self.event(event));
        let children: Vec<Value> = firing.children.iter().map(|child| self.firing(child)).collect();
        let trigger = trigger_at(&self.automation["trigger"], &firing.trigger);
        let fields = [
            ("id", Value::from(())),
            ("trigger", record(&class::EVENT_TRIGGER, trigger)),
            ("trigger_states", Value::from_object(Set(vec![choice(state)]))),
            ("triggered", Value::from_object(Moment::utc(firing.at))),
            ("triggering_labels", Value::from_pairs(firing.labels.clone())),
            ("triggering_firings", children.into()),
            ("triggering_event", event),
            ("triggering_value", Value::from(())),
        ];
        let fields = fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Value::from_object(Record::new(&class::FIRING, fields))
    }

    fn firings(&self, firing: &Firing) -> Vec<Value> {
        let below = firing.children.iter().flat_map(|child| self.firings(child));
        std::iter::once(self.firing(firing)).chain(below).collect()
    }

    fn events_of(&self, firing: &Firing) -> Vec<Value> {
        let below = firing.children.iter().flat_map(|child| self.events_of(child));
        self.event_of(firing).map(|event| self.event(event)).into_iter().chain(below).collect()
    }

    fn event_of(&self, firing: &Firing) -> Option<&Event> {
        let wanted = firing.event?.id;
        self.events.iter().chain(self.event).find(|event| event.id == wanted)
    }
}

/// What the address of an event is made of.
fn event_address(event: &Event) -> Vec<(String, Value)> {
    let occurred = Value::from_object(Moment::utc(event.occurred));
    vec![("occurred".to_owned(), occurred), ("id".to_owned(), event.id.to_string().into())]
}

/// The trigger at a path such as `0.1`.
fn trigger_at<'j>(root: &'j Json, path: &str) -> &'j Json {
    let steps = path.split('.').filter_map(|step| step.parse::<usize>().ok());
    steps.fold(root, |trigger, step| &trigger["triggers"][step])
}

/// The first resource of a kind: the event's own, or the first related one.
fn first_of(event: &Event, object: Object) -> Option<&Labels> {
    let prefix = object.prefix();
    let is_one = |labels: &&Labels| {
        let id = labels.get(RESOURCE_ID).and_then(|id| id.strip_prefix(&prefix));
        id.is_some_and(|id| !id.contains('.'))
    };
    std::iter::once(&event.resource).chain(&event.related).find(is_one)
}

/// The state that the labels of a resource tell of, if they tell all of it.
fn state_of(labels: &Labels) -> Option<Value> {
    let label = |name: &str| labels.get(&format!("prefect.state-{name}"));
    let at = Moment::parse(label("timestamp")?)?;
    let json = json!({"type": label("type")?, "name": label("name")?, "message": label("message")?});
    let mut state = Record::from_json(&class::STATE, &json);
    state.set("timestamp", Value::from_object(at));
    Some(Value::from_object(state))
}

/// The objects that an event itself tells of, for when there is no far end to ask: id and name of each, with the state
/// and the tags of its run.
#[must_use]
pub fn synthesise(event: &Event) -> BTreeMap<Object, Json> {
    let tags: Vec<&str> =
        event.related.iter().filter_map(|labels| labels.get(RESOURCE_ID)?.strip_prefix("prefect.tag.")).collect();
    let mut objects: BTreeMap<Object, Json> = BTreeMap::new();
    for object in Object::ALL {
        let Some(labels) = first_of(event, object) else { continue };
        let id = labels.get(RESOURCE_ID).and_then(|id| id.strip_prefix(&object.prefix())).unwrap_or_default();
        let mut json = Map::new();
        json.insert("id".to_owned(), id.into());
        json.insert("name".to_owned(), labels.get(RESOURCE_NAME).cloned().into());
        if matches!(object, Object::FlowRun | Object::TaskRun) {
            json.insert("tags".to_owned(), tags.clone().into());
            let state = ["type", "name", "message", "timestamp"];
            let state =
                state.map(|field| (field.to_owned(), labels.get(&format!("prefect.state-{field}")).cloned().into()));
            json.insert("state_type".to_owned(), labels.get("prefect.state-type").cloned().into());
            json.insert("state_name".to_owned(), labels.get("prefect.state-name").cloned().into());
            json.insert("state".to_owned(), Json::Object(state.into_iter().collect()));
            let count = labels.get("prefect.run-count").and_then(|count| count.parse::<u64>().ok());
            json.insert("run_count".to_owned(), count.unwrap_or_default().into());
        }
        objects.insert(object, Json::Object(json));
    }
    let id_of = |objects: &BTreeMap<Object, Json>, object| objects.get(&object).map(|json| json["id"].clone());
    let (flow, deployment) = (id_of(&objects, Object::Flow), id_of(&objects, Object::Deployment));
    let flow_run = id_of(&objects, Object::FlowRun);
    for (object, field, id) in [
        (Object::FlowRun, "flow_id", &flow),
        (Object::FlowRun, "deployment_id", &deployment),
        (Object::Deployment, "flow_id", &flow),
        (Object::TaskRun, "flow_run_id", &flow_run),
    ] {
        if let (Some(Json::Object(json)), Some(id)) = (objects.get_mut(&object), id) {
            json.insert(field.to_owned(), id.clone());
        }
    }
    objects
}
