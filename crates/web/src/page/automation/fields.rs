//! The fields of the form view, and how what is typed into them becomes part of a definition again.
//!
//! Pure. A field is named by the place of its value in the definition (a JSON pointer), so that the form and the text
//! are two views of one thing. Invariants: a field that was not touched changes nothing; what cannot be understood is
//! kept as it was typed, so that reading the definition says what is wrong with it, in one place for both views.

use serde_json::{Map, Value, json};

/// Name of the field that adds an action to a list: `+/actions`.
pub(super) const ADD: &str = "+";
/// Name of the field that takes an action away: `-/actions/0`.
pub(super) const REMOVE: &str = "-";
/// The lists of actions, with what they are for.
pub(super) const LISTS: [(&str, &str); 3] = [
    ("actions", "Whenever it fires"),
    ("actions_on_trigger", "When its condition is met"),
    ("actions_on_resolve", "When its condition clears"),
];

/// How a value is typed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A few words.
    Line,
    /// One line of text.
    Long,
    /// Several lines of text.
    Text,
    /// A number.
    Number,
    /// A length of time, `10m`.
    Time,
    /// A length of time, or none; what is left empty is written as none.
    Horizon,
    /// A list, one item per line.
    Lines,
    /// Patterns on labels, one `label = pattern` per line.
    Labels,
    /// Several of those, apart by an empty line.
    Related,
    /// An object, as JSON.
    Json,
    /// One of these words; the first is what is meant when nothing is said.
    Choice(&'static [&'static str]),
    /// Yes or no; yes when nothing is said.
    Switch,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    /// Name in the definition.
    pub(super) key: &'static str,
    /// For people.
    pub(super) label: &'static str,
    /// How it is typed.
    pub(super) kind: Kind,
}

const fn field(key: &'static str, label: &'static str, kind: Kind) -> Field {
    Field { key, label, kind }
}

/// Fields of the automation itself.
pub(super) const TOP: &[Field] = &[
    field("name", "Name", Kind::Long),
    field("description", "Description", Kind::Long),
    field("semantics", "Evaluated as", Kind::Choice(&["trackside", "prefect"])),
    field("tags", "Tags, one per line", Kind::Lines),
    field("enabled", "On", Kind::Switch),
];
const MATCH: Field = field("match", "Match: label = pattern, one per line", Kind::Labels);
const RELATED: Field =
    field("match_related", "Match related: label = pattern; an empty line begins another resource", Kind::Related);
const FOR_EACH: Field = field("for_each", "For each label, one per line", Kind::Lines);
const EVENT: &[Field] = &[
    field("posture", "Waits for", Kind::Choice(&["Reactive", "Proactive"])),
    field("threshold", "Threshold", Kind::Number),
    field("within", "Within, such as 1h 30m", Kind::Time),
    field("expect", "Expect events, one per line", Kind::Lines),
    field("after", "After events, one per line", Kind::Lines),
    FOR_EACH,
    MATCH,
    RELATED,
];
const COMPOUND: &[Field] =
    &[field("require", "Require: all, any, or how many", Kind::Number), field("within", "Within", Kind::Horizon)];
const SEQUENCE: &[Field] = &[field("within", "Within", Kind::Horizon)];
const METRIC: &[Field] = &[FOR_EACH, MATCH, RELATED];
const QUERY: &[Field] = &[
    field("name", "Figure", Kind::Choice(&["successes", "duration", "lateness", "count"])),
    field("operator", "Is", Kind::Choice(&["<", "<=", ">", ">="])),
    field("threshold", "Bound", Kind::Number),
    field("range", "Over the last", Kind::Time),
    field("firing_for", "For at least", Kind::Time),
];
const CONSECUTIVE: &[Field] = &[field("count", "Failed runs in a row", Kind::Number), MATCH, RELATED];

const CONNECTION: Field = field("connection", "Connection", Kind::Line);
const BLOCK: Field = field("block_document_id", "Or id of a block", Kind::Line);
const SUBJECT: Field = field("subject", "Subject", Kind::Long);
const BODY: Field = field("body", "Text", Kind::Text);
const SOURCE: Field = field("source", "Which one", Kind::Choice(&["selected", "inferred"]));
const PARAMETERS: Field = field("parameters", "Parameters, as JSON", Kind::Json);
const TITLE: Field = field("title", "Title", Kind::Long);
const SEVERITY: Field = field("severity", "Severity", Kind::Choice(&["", "info", "warning", "error", "critical"]));

/// Every kind of action with its fields.
pub(super) const ACTIONS: &[(&str, &[Field])] = &[
    ("page-owner", &[TITLE, SEVERITY]),
    ("notify-channel", &[CONNECTION, SUBJECT, BODY]),
    (
        "declare-incident",
        &[TITLE, field("summary", "Summary", Kind::Text), SEVERITY, field("team", "Team", Kind::Line)],
    ),
    ("resolve-incident", &[]),
    ("send-notification", &[CONNECTION, BLOCK, SUBJECT, BODY]),
    ("call-webhook", &[CONNECTION, BLOCK, field("payload", "Body", Kind::Text)]),
    (
        "run-deployment",
        &[
            SOURCE,
            field("deployment_id", "Deployment", Kind::Line),
            PARAMETERS,
            field("job_variables", "Job variables, as JSON", Kind::Json),
            field("schedule_after", "Seconds from then", Kind::Number),
        ],
    ),
    ("pause-deployment", &[SOURCE, field("deployment_id", "Deployment", Kind::Line)]),
    ("resume-deployment", &[SOURCE, field("deployment_id", "Deployment", Kind::Line)]),
    ("pause-work-pool", &[SOURCE, field("work_pool_id", "Work pool", Kind::Line)]),
    ("resume-work-pool", &[SOURCE, field("work_pool_id", "Work pool", Kind::Line)]),
    ("pause-work-queue", &[SOURCE, field("work_queue_id", "Work queue", Kind::Line)]),
    ("resume-work-queue", &[SOURCE, field("work_queue_id", "Work queue", Kind::Line)]),
    ("pause-automation", &[SOURCE, field("automation_id", "Automation", Kind::Line)]),
    ("resume-automation", &[SOURCE, field("automation_id", "Automation", Kind::Line)]),
    ("cancel-flow-run", &[]),
    ("suspend-flow-run", &[]),
    ("resume-flow-run", &[]),
    ("delete-flow-run", &[]),
    (
        "change-flow-run-state",
        &[
            field("state", "State", Kind::Line),
            field("name", "Name", Kind::Line),
            field("message", "Message", Kind::Text),
        ],
    ),
    ("trigger-dag", &[CONNECTION, field("dag_id", "DAG", Kind::Line), field("conf", "Conf, as JSON", Kind::Json)]),
    ("clear-task", &[CONNECTION, field("dag_id", "DAG", Kind::Line), field("task_id", "Task", Kind::Line)]),
    (
        "start-build",
        &[
            CONNECTION,
            field("build_type", "Build configuration", Kind::Line),
            field("properties", "Parameters, as JSON", Kind::Json),
        ],
    ),
    ("run-job", &[field("job", "Job", Kind::Line), PARAMETERS]),
    ("do-nothing", &[]),
];

/// The fields of the object at a place of a definition.
pub(super) fn fields_of(definition: &Value, place: &str) -> &'static [Field] {
    let kind = definition.pointer(place).and_then(|object| object.get("type")).and_then(Value::as_str).unwrap_or("");
    if place.is_empty() {
        return TOP;
    }
    if place.starts_with("/actions") {
        return ACTIONS.iter().find(|(name, _)| *name == kind).map_or(&[], |(_, fields)| *fields);
    }
    if place.ends_with("/metric") {
        return QUERY;
    }
    match kind {
        "event" => EVENT,
        "compound" => COMPOUND,
        "sequence" => SEQUENCE,
        "metric" => METRIC,
        "consecutive" => CONSECUTIVE,
        _ => &[],
    }
}

/// Puts what was typed into a definition: `(name of the field, text)` as the form sends them.
pub(super) fn apply(definition: &mut Value, sent: &[(String, String)]) {
    for (pointer, typed) in sent.iter().filter(|(name, _)| name.starts_with('/')) {
        let Some((place, key)) = pointer.rsplit_once('/') else { continue };
        let Some(field) = fields_of(definition, place).iter().find(|field| field.key == key) else { continue };
        let Some(Value::Object(object)) = definition.pointer_mut(place) else { continue };
        if shown(object.get(key), field.kind) == typed.trim_end() {
            continue;
        }
        match read(typed, field.kind) {
            Some(value) => drop(object.insert(key.to_owned(), value)),
            None => drop(object.shift_remove(key)),
        }
    }
    remove(definition, sent);
    for (list, kind) in sent.iter().filter_map(|(name, kind)| Some((name.strip_prefix(ADD)?.strip_prefix('/')?, kind)))
    {
        add(definition, list, kind);
    }
}

/// Takes actions away, those at the end first.
fn remove(definition: &mut Value, sent: &[(String, String)]) {
    let places = sent.iter().filter_map(|(name, _)| name.strip_prefix(REMOVE)?.strip_prefix('/')?.split_once('/'));
    let mut places: Vec<(&str, usize)> = places.filter_map(|(list, index)| Some((list, index.parse().ok()?))).collect();
    places.sort_by_key(|(_, index)| std::cmp::Reverse(*index));
    for (list, index) in places {
        let actions = definition.get_mut(list).and_then(Value::as_array_mut);
        if let Some(actions) = actions.filter(|actions| index < actions.len()) {
            actions.remove(index);
        }
    }
}

/// Adds an action whose fields are still empty.
fn add(definition: &mut Value, list: &str, kind: &str) {
    let known = ACTIONS.iter().find(|(name, _)| *name == kind);
    let (Some((kind, fields)), Value::Object(definition)) = (known, definition) else { return };
    if !LISTS.iter().any(|(name, _)| *name == list) {
        return;
    }
    let mut action = Map::from_iter([("type".to_owned(), json!(kind))]);
    if fields.iter().any(|field| field.key == "source") {
        action.insert("source".to_owned(), json!("inferred"));
    }
    let actions = definition.entry(list).or_insert_with(|| json!([]));
    if let Value::Array(actions) = actions {
        actions.push(Value::Object(action));
    }
}

/// What stands in the field of a value.
pub(super) fn shown(value: Option<&Value>, kind: Kind) -> String {
    let Some(value) = value else {
        return match kind {
            Kind::Switch => "true".to_owned(),
            Kind::Choice(words) => words.first().copied().unwrap_or_default().to_owned(),
            _ => String::new(),
        };
    };
    match (kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::Lines, Value::Array(items)) => items.iter().map(plain).collect::<Vec<_>>().join("\n"),
        (Kind::Labels, Value::Object(labels)) => label_lines(labels),
        (Kind::Related, Value::Object(labels)) => label_lines(labels),
        (Kind::Related, Value::Array(specs)) => {
            specs.iter().filter_map(Value::as_object).map(label_lines).collect::<Vec<_>>().join("\n\n")
        }
        (Kind::Json, Value::Object(_)) => serde_json::to_string_pretty(value).unwrap_or_default(),
        (_, value) => plain(value).trim_end().to_owned(),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn label_lines(labels: &Map<String, Value>) -> String {
    let mut lines = Vec::new();
    for (label, patterns) in labels {
        match patterns {
            Value::Array(patterns) => {
                lines.extend(patterns.iter().map(|pattern| format!("{label} = {}", plain(pattern))));
            }
            pattern => lines.push(format!("{label} = {}", plain(pattern))),
        }
    }
    lines.join("\n")
}

/// What was typed, as a value; none when the field is left empty.
fn read(typed: &str, kind: Kind) -> Option<Value> {
    let text = typed.trim();
    match kind {
        Kind::Horizon if text.is_empty() => return Some(Value::Null),
        Kind::Switch => return (text == "false").then_some(Value::Bool(false)),
        _ if text.is_empty() => return None,
        _ => {}
    }
    Some(match kind {
        Kind::Number | Kind::Time | Kind::Horizon => {
            serde_json::from_str(text).ok().filter(Value::is_number).unwrap_or_else(|| text.into())
        }
        Kind::Lines => text.lines().map(str::trim).filter(|line| !line.is_empty()).collect(),
        Kind::Labels => labels(text).map_or_else(|| text.into(), Value::Object),
        Kind::Related => related(text).unwrap_or_else(|| text.into()),
        Kind::Json => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
        Kind::Text => typed.trim_end().into(),
        Kind::Line | Kind::Long | Kind::Choice(_) | Kind::Switch => text.into(),
    })
}

/// `label = pattern` lines; the same label again is another alternative.
fn labels(text: &str) -> Option<Map<String, Value>> {
    let mut labels = Map::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (label, pattern) = line.split_once('=').map(|(label, pattern)| (label.trim(), json!(pattern.trim())))?;
        match labels.get_mut(label) {
            None => drop(labels.insert(label.to_owned(), pattern)),
            Some(Value::Array(patterns)) => patterns.push(pattern),
            Some(first) => *first = json!([first.take(), pattern]),
        }
    }
    Some(labels)
}

fn related(text: &str) -> Option<Value> {
    let specs: Option<Vec<Value>> =
        text.split("\n\n").filter(|spec| !spec.trim().is_empty()).map(|spec| labels(spec).map(Value::Object)).collect();
    let mut specs = specs?;
    if specs.len() == 1 { specs.pop() } else { Some(Value::Array(specs)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trackside_core::automation::request::parse_written;
    use trackside_core::automation::written::written;

    fn definition() -> Value {
        json!({
            "name": "a", "tags": ["x"],
            "trigger": {"type": "compound", "require": 1, "within": null, "triggers": [
                {"type": "event", "match": {"l": ["p", "q"], "m": "r"}, "match_related": [{"a": "b"}, {"c": "d"}],
                    "expect": ["e", "f"], "threshold": 3, "within": "10m"},
                {"type": "metric", "metric": {"name": "count", "operator": ">", "threshold": 5.0, "range": "1h", "firing_for": "0s"}},
                {"type": "consecutive", "count": 3}]},
            "actions": [{"type": "notify-channel", "connection": "c", "body": "one\ntwo\n"}, {"type": "page-owner"},
                {"type": "run-job", "job": "j", "parameters": {"n": 1}}],
        })
    }

    /// Every field of every object, as the form would send it back.
    fn untouched(definition: &Value) -> Vec<(String, String)> {
        let mut sent = Vec::new();
        let trigger = "/trigger/triggers";
        let places = ["", "/trigger", "/trigger/triggers/0", "/trigger/triggers/1", "/trigger/triggers/1/metric"];
        let rest = [&format!("{trigger}/2"), "/actions/0", "/actions/1", "/actions/2"];
        for place in places.into_iter().chain(rest) {
            let object = definition.pointer(place).expect("is there");
            for field in fields_of(definition, place) {
                sent.push((format!("{place}/{}", field.key), shown(object.get(field.key), field.kind)));
            }
        }
        assert!(sent.len() > 30, "{}", sent.len());
        sent
    }

    fn check(sent: &[(&str, &str)], expect: impl FnOnce(&mut Value)) {
        let mut got = definition();
        let mut sent_in: Vec<(String, String)> = untouched(&got);
        for (name, text) in sent {
            sent_in.retain(|(known, _)| known != name);
            sent_in.push(((*name).to_owned(), (*text).to_owned()));
        }
        apply(&mut got, &sent_in);
        let mut wanted = definition();
        expect(&mut wanted);
        assert_eq!(got, wanted, "{sent:?}");
    }

    #[test]
    fn what_was_not_touched_stays() {
        check(&[], |_| ());
    }

    #[test]
    fn what_was_typed_is_put_in_its_place() {
        let leaf = "/trigger/triggers/0";
        let at = |key: &str| format!("{leaf}/{key}");
        check(&[("/name", " b "), ("/description", "d")], |all| {
            all["name"] = json!("b");
            all["description"] = json!("d");
        });
        check(&[("/enabled", "false")], |all| all["enabled"] = json!(false));
        check(&[(&at("threshold"), "4")], |all| *all.pointer_mut(&at("threshold")).unwrap() = json!(4));
        check(&[(&at("threshold"), "four")], |all| *all.pointer_mut(&at("threshold")).unwrap() = json!("four"));
        check(&[(&at("within"), "1h"), (&at("expect"), "x\n\n y ")], |all| {
            *all.pointer_mut(&at("within")).unwrap() = json!("1h");
            *all.pointer_mut(&at("expect")).unwrap() = json!(["x", "y"]);
        });
        check(&[(&at("match"), "l = p\nn=*\nl = s")], |all| {
            *all.pointer_mut(&at("match")).unwrap() = json!({"l": ["p", "s"], "n": "*"});
        });
        check(&[(&at("match"), "nonsense")], |all| *all.pointer_mut(&at("match")).unwrap() = json!("nonsense"));
        check(&[(&at("match_related"), "a = b")], |all| {
            *all.pointer_mut(&at("match_related")).unwrap() = json!({"a": "b"});
        });
        check(&[("/trigger/within", "2d"), ("/trigger/require", "any")], |all| {
            all["trigger"]["within"] = json!("2d");
            all["trigger"]["require"] = json!("any");
        });
        check(&[("/actions/0/body", "x\n y\n")], |all| all["actions"][0]["body"] = json!("x\n y"));
        check(&[("/actions/2/parameters", "{\"n\": 2}")], |all| all["actions"][2]["parameters"] = json!({"n": 2}));
        check(&[("/actions/0/nonsense", "x"), ("/nowhere/0/x", "y")], |_| ());
    }

    #[test]
    fn actions_come_and_go() {
        check(&[("-/actions/0", "on"), ("-/actions/2", "on"), ("-/actions/9", "on")], |all| {
            all["actions"] = json!([{"type": "page-owner"}]);
        });
        check(&[("+/actions_on_resolve", "resolve-incident"), ("+/actions", ""), ("+/other", "page-owner")], |all| {
            all["actions_on_resolve"] = json!([{"type": "resolve-incident"}]);
        });
    }

    #[test]
    fn every_action_that_can_be_added_is_one() {
        for (kind, fields) in ACTIONS {
            let mut action = Map::from_iter([("type".to_owned(), json!(kind))]);
            for field in *fields {
                let value = match (field.key, field.kind) {
                    ("connection", _) if fields.iter().any(|field| field.key == "block_document_id") => continue,
                    ("source", _) => json!("selected"),
                    ("severity", _) => json!("error"),
                    ("state", _) => json!("FAILED"),
                    (key, _) if key.ends_with("_id") && !["dag_id", "task_id"].contains(&key) => {
                        json!("00000000-0000-0000-0000-000000000001")
                    }
                    (_, Kind::Json) => json!({"a": "b"}),
                    (_, Kind::Number) => json!(5),
                    _ => json!("text"),
                };
                action.insert(field.key.to_owned(), value);
            }
            let whole = json!({"name": "a", "trigger": {"type": "event", "expect": ["e"]}, "actions": [action]});
            let read = parse_written(&whole).unwrap_or_else(|errors| panic!("{kind}: {errors:?}"));
            let again = written(&read.spec, read.semantics).expect("written");
            for field in *fields {
                let has = again.pointer(&format!("/actions/0/{}", field.key));
                assert!(has.is_some() || field.key == "connection", "{kind} has a field {}", field.key);
            }
        }
    }
}
