//! Texts in actions: what Prefect was recorded to render, and what is beyond it.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use trackside_core::automation::definition::AutomationId;
use trackside_core::automation::firing::{EventRef, Firing, FiringState};
use trackside_core::automation::template::{
    Dialect, Object, TemplateContext, TemplateError, check, render, render_value, synthesise, unknown_names, wants,
};
use trackside_core::event::Event;
use uuid::Uuid;

/// What the recordings were rendered with.
struct World {
    automation: Value,
    event: Event,
    firing: Firing,
    objects: BTreeMap<Object, Value>,
    more: Map<String, Value>,
}

fn recorded(file: &str) -> Value {
    let path = format!("{}/../../testdata/automations/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

impl World {
    fn new(context: &Value) -> Self {
        let mut event = context["event"].clone();
        event["source"] = "prefect".into();
        let event: Event = serde_json::from_value(event).unwrap();
        let firing = Firing {
            automation: AutomationId(Uuid::nil()),
            trigger: String::new(),
            state: FiringState::Triggered,
            at: context["firing"]["triggered"].as_str().unwrap().parse().unwrap(),
            due: None,
            labels: serde_json::from_value(context["labels"].clone()).unwrap(),
            event: Some(EventRef { id: event.id, seq: 1 }),
            children: Vec::new(),
            because: String::new(),
        };
        let named = Object::ALL.into_iter().filter_map(|object| {
            let key = if object == Object::FlowRun { "flow_run_from_api" } else { object.name() };
            Some((object, context.get(key)?.clone()))
        });
        let automation = context["automation"].clone();
        Self { automation, event, firing, objects: named.collect(), more: Map::new() }
    }

    fn sample() -> Self {
        Self::new(&recorded("templates.json")["context"])
    }

    fn context(&self, dialect: Dialect) -> TemplateContext<'_> {
        TemplateContext {
            dialect,
            now: "2026-01-05T12:00:00Z".parse().unwrap(),
            automation: &self.automation,
            event: Some(&self.event),
            firing: &self.firing,
            events: std::slice::from_ref(&self.event),
            objects: &self.objects,
            more: &self.more,
            ui_url: Some("http://ui.example"),
        }
    }

    /// Renders in a dialect; an error is its reason.
    fn render(&self, dialect: Dialect, text: &str) -> String {
        render(text, &self.context(dialect)).unwrap_or_else(|error| error.reason())
    }

    fn without_event(&self, text: &str) -> String {
        let firing = Firing { event: None, ..self.firing.clone() };
        let context = TemplateContext { event: None, firing: &firing, events: &[], ..self.context(Dialect::Prefect) };
        render(text, &context).unwrap_or_else(|error| error.reason())
    }
}

/// What a recorded case got that was not wanted.
fn difference(world: &World, case: &Value) -> Option<String> {
    let text = case["template"].as_str().unwrap();
    let saved = check(text);
    let got = match (&saved, case["without_event"].as_bool()) {
        (Err(error), _) => format!("'body' is not a valid template: {}", error.message()),
        (Ok(()), Some(true)) => world.without_event(text),
        (Ok(()), _) => world.render(Dialect::Prefect, text),
    };
    let wanted = ["rendered", "render_error", "rejected_at_save"].iter().find_map(|key| case[*key].as_str()).unwrap();
    let is_volatile = case["volatile"].as_bool() == Some(true) && got.starts_with("Template rendering failed");
    let is_kind = saved.is_err() == case["rejected_at_save"].is_string();
    ((got != wanted && !is_volatile) || !is_kind).then(|| format!("{text:?}\n   got {got:?}\nwanted {wanted:?}"))
}

fn check_recording(file: &str) {
    let file = recorded(file);
    let world = World::new(&file["context"]);
    let cases = file["vectors"].as_array().unwrap();
    let failed: Vec<String> = cases.iter().filter_map(|case| difference(&world, case)).collect();
    assert!(failed.is_empty(), "{} of {} differ:\n{}", failed.len(), cases.len(), failed.join("\n"));
}

#[test]
fn what_prefect_was_recorded_to_render_is_what_we_render() {
    check_recording("templates.json");
    check_recording("templates_more.json");
}

#[test]
fn our_own_dialect_knows_more() {
    let mut world = World::sample();
    world.more = json!({"owner": {"team": "payments"}, "run": {"attempt": 2}}).as_object().unwrap().clone();
    let page = "http://ui.example/runs/flow-run/dde74c9a-93ea-5d5b-9b16-3c9cf304d24d";
    let deployment = "http://ui.example/deployments/deployment/ef1272ff-68ab-5e64-82ba-f87d3fcad33b";
    for (text, in_prefect, in_ours) in [
        ("{{ flow_run_url }}", "", page),
        ("{{ owner.team }}/{{ run.attempt }}", "/", "payments/2"),
        ("{{ pipeline.name }}", "", ""),
        ("{{ event.resource | ui_url }}", "None", page),
        ("{{ deployment | ui_url }}", "None", deployment),
        ("{{ labels['owner.team'] == 'data-eng' }}", "True", "True"),
        ("{{ labels.owner.team.lead == 'ann' }}", "False", "True"),
        ("{% if labels.owner.team.lead %}{{ labels.owner.team.lead }}{% endif %}", "", "ann"),
    ] {
        assert_eq!(world.render(Dialect::Prefect, text), in_prefect, "{text}");
        assert_eq!(world.render(Dialect::Trackside, text), in_ours, "{text}");
    }
}

#[test]
fn times_for_people_count_from_the_given_now() {
    let world = World::sample();
    for (text, expected) in [
        ("{{ event.occurred | humanize_naturaltime }}", "3 hours ago"),
        ("{{ event.occurred | humanize_naturalday }}", "today"),
        ("{{ event.occurred | humanize_naturaldate }}", "today"),
    ] {
        assert_eq!(world.render(Dialect::Prefect, text), expected, "{text}");
    }
}

#[test]
fn work_and_output_have_bounds() {
    let world = World::sample();
    let nested = "{% for a in range(100) %}{% for b in range(100) %}";
    let ends = "{% endfor %}{% endfor %}";
    for text in [
        format!("{nested}{{{{ event.payload.error }}}}{{{{ 'x' * 1000 }}}}{ends}"),
        format!("{{% set x = range(100) %}}{nested}{{% for c in x %}}{{% endfor %}}{ends}"),
        format!("{nested}{nested}{ends}{ends}"),
        "{{ 'x' * 1000000 }}".to_owned(),
        "{{ 'x'.zfill(100000000) }}".to_owned(),
        "{{ ('a' * 60000) | replace('a', 'a' * 60000) }}".to_owned(),
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}".to_owned(),
        format!("{{{{ 1 }}}}{}", "x".repeat(70_000)),
    ] {
        let error = render(&text, &world.context(Dialect::Prefect)).unwrap_err();
        let shown: String = text.chars().take(80).collect();
        assert!(
            error.class() == TemplateError::LIMIT || error.message().contains("recursion"),
            "{shown}: {} {error}",
            error.class()
        );
    }
    assert_eq!(check(&"x".repeat(70_000)).unwrap_err().class(), TemplateError::LIMIT);
}

#[test]
fn what_the_engine_cannot_handle_is_an_error() {
    let world = World::sample();
    for (text, expected) in [
        ("{{ ''[::-1] }}", "the template engine cannot handle this text"),
        ("{% import 'x' as y[0] %}", "expected token 'name' after 'as'"),
        ("{% import 'x' as none %}", "expected token 'name' after 'as'"),
        ("{{ (1, \n %é", "unexpected end of template, expected ')'."),
    ] {
        let error = render(text, &world.context(Dialect::Prefect)).unwrap_err();
        assert_eq!(error.message(), expected, "{text}");
        assert!(wants(text).is_empty() && unknown_names(text, Dialect::Prefect).is_empty(), "{text}");
    }
}

#[test]
fn an_error_says_on_which_line() {
    let world = World::sample();
    for (text, expected) in [
        ("a\n{{ b c }}", "line 2: expected token 'end of print statement', got 'c'"),
        (
            "a\n\n{% if x %}",
            "line 3: Unexpected end of template. Jinja was looking for the following tags: 'elif' or \
          'else' or 'endif'. The innermost block that needs to be closed is 'if'.",
        ),
        ("{{ 1 }}\n{{ nothing.x() }}", "line 2: 'nothing' is undefined"),
    ] {
        let error = render(text, &world.context(Dialect::Prefect)).unwrap_err();
        assert_eq!(error.to_string(), expected, "{text}");
    }
}

#[test]
fn a_text_says_which_objects_it_needs() {
    for (text, expected) in [
        ("plain flow_run", vec![]),
        ("{{ flow_run.name }} {{ flow | ui_url }}", vec![Object::Flow, Object::FlowRun]),
        ("{% if variables.x %}{% endif %}", vec![Object::Variables]),
        ("{% set flow = 1 %}{{ flow }}", vec![]),
        ("{% raw %}{{ flow }}{% endraw %}", vec![]),
        ("{{ broken", vec![]),
    ] {
        assert_eq!(wants(text).into_iter().collect::<Vec<_>>(), expected, "{text}");
    }
}

#[test]
fn a_name_that_means_nothing_is_found_with_its_place() {
    let found = |text: &str, dialect| {
        let unknown = unknown_names(text, dialect).into_iter().map(|unknown| {
            let suggestion = unknown.suggestion.map(|near| format!(" -> {near}")).unwrap_or_default();
            format!("{}:{} {}{suggestion}", unknown.line, unknown.column, unknown.name)
        });
        unknown.collect::<Vec<_>>().join("; ")
    };
    for (text, expected) in [
        ("{{ event.resource.nmae }} {{ labels.x }} {{ event.payload.y.z }} {{ flow_run.parameters.day }}", ""),
        ("{% for x in events %}{{ x.id }}{{ loop.index }}{% endfor %}{% set t = 1 %}{{ t }}{{ range(3) }}", ""),
        ("{{ flow_run.state.name }}{{ automation.trigger.threshold }}{{ flow_run.state.is_failed() }}", ""),
        ("{{ evnt.event }}", "1:4 evnt -> event"),
        ("a\n  {{ flow_run.nmae }}", "2:6 flow_run.nmae -> flow_run.name"),
        ("{{ flow_run.state.messag }}", "1:4 flow_run.state.messag -> flow_run.state.message"),
        ("{{ 'evnt' }}{{ now() }}", "1:16 now -> event.received"),
        ("{{ zzz }}{{ event.occured }}", "1:4 zzz; 1:13 event.occured -> event.occurred"),
    ] {
        assert_eq!(found(text, Dialect::Prefect), expected, "{text}");
        assert_eq!(found(text, Dialect::Trackside), expected, "{text}");
    }
    assert_eq!(found("<{{ flow_run_url }}|{{ owner.team }}>", Dialect::Trackside), "");
    let in_prefect = found("<{{ flow_run_url }}>", Dialect::Prefect);
    assert_eq!(in_prefect, "1:5 flow_run_url -> flow_run | ui_url");
}

#[test]
fn without_a_far_end_the_event_tells_of_its_objects() {
    let mut world = World::sample();
    world.objects = synthesise(&world.event);
    let text = "{{ flow.name }}|{{ flow_run.name }}|{{ flow_run.id }}|{{ flow_run.flow_id == flow.id }}|{{ deployment.name }}|\
                {{ flow_run.tags }}|{{ flow_run.state.name }}|{{ flow_run.state.message }}|{{ work_queue.name }}";
    let expected = "exchange-rates-daily|wise-owl|dde74c9a-93ea-5d5b-9b16-3c9cf304d24d|True|prod|['dlt', 'eu']|Failed|\
                    HTTP 503 from api (event time)|";
    assert_eq!(world.render(Dialect::Prefect, text), expected);
}

#[test]
fn parameters_keep_their_types() {
    let world = World::sample();
    let context = world.context(Dialect::Prefect);
    for (given, expected) in [
        (json!({"a": 1, "b": "plain", "c": null}), json!({"a": 1, "b": "plain", "c": null})),
        (json!({"rows": "{{ event.payload.rows }}"}), json!({"rows": 0})),
        (json!({"list": " {{ event.payload.list }} "}), json!({"list": [1, 2, 3]})),
        (json!({"html": "{{ event.payload.html }}"}), json!({"html": "<b>&\"'</b>"})),
        (json!({"text": "run {{ flow_run.name }}"}), json!({"text": "run wise-owl"})),
        (
            json!({"deep": [{"x": "{{ event.event }}"}, "{{ 1 }}"]}),
            json!({"deep": [{"x": "prefect.flow-run.Failed"}, 1]}),
        ),
        (json!({"t": {"__prefect_kind": "jinja", "template": "{{ event.payload.rows }}"}}), json!({"t": "0"})),
        (json!({"j": {"__prefect_kind": "json", "value": "{\"k\": [1]}"}}), json!({"j": {"k": [1]}})),
        (
            json!({"j": {"__prefect_kind": "json", "value": {"__prefect_kind": "jinja", "template": "[{{ 1 }}]"}}}),
            json!({"j": [1]}),
        ),
        (
            json!({"v": {"__prefect_kind": "workspace_variable", "variable_name": "runbook"}}),
            json!({"v": "https://wiki.example/rb"}),
        ),
        (json!({"n": {"__prefect_kind": "none", "value": "{{ kept }}"}}), json!({"n": "{{ kept }}"})),
        (json!({"gone": {"__prefect_kind": "json"}, "o": {"__prefect_kind": "other"}}), json!({"o": null})),
    ] {
        assert_eq!(render_value(&given, &context).unwrap(), expected, "{given}");
    }
    for (given, expected) in [
        (
            json!({"v": {"__prefect_kind": "workspace_variable", "variable_name": "x"}}),
            "Variable 'x' not found in workspace.",
        ),
        (json!({"t": {"__prefect_kind": "jinja"}}), "Missing 'template' key in __prefect object"),
        (json!({"t": {"__prefect_kind": "none"}}), "Missing 'value' key in __prefect object"),
        (
            json!({"t": {"__prefect_kind": "jinja", "template": "{{ a b }}"}}),
            "Invalid jinja: expected token 'end of print statement', got 'b'",
        ),
        (
            json!({"t": "x {{ nothing() }}"}),
            "Invalid jinja: Failed to render template due to the following error: UndefinedError(\"'nothing' is undefined\")",
        ),
    ] {
        assert_eq!(render_value(&given, &context).unwrap_err().message(), expected, "{given}");
    }
}
