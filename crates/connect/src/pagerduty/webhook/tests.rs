use super::*;
use serde_json::json;

const OURS: &str = "d70b561c-77bd-8257-a39a-38ba2e8bb04b";

fn user() -> Value {
    json!({"html_url": "https://acme.pagerduty.com/users/PLH1HKV", "id": "PLH1HKV", "summary": "Tenex Engineer",
        "self": "https://api.pagerduty.com/users/PLH1HKV", "type": "user_reference"})
}

fn incident(more: &Value) -> Value {
    let mut data = json!({
        "id": "PGR0VU2", "type": "incident", "html_url": "https://acme.pagerduty.com/incidents/PGR0VU2", "number": 2,
        "status": "triggered", "incident_key": OURS, "title": "A little bump in the road",
        "assignees": [{"id": "PTUXL6G", "summary": "User 123", "type": "user_reference"}],
        "escalation_policy": {"id": "PUS0KTE", "summary": "Default"}, "priority": {"id": "PSO75BM", "summary": "P1"},
    });
    data.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    data
}

fn heard(event_type: &str, agent: &Value, data: &Value) -> Heard {
    let event = json!({"event": {"id": "01BRB6ZP4M6T8ZG4X6BP63ZB9O", "event_type": event_type,
        "resource_type": "incident", "occurred_at": "2020-10-02T18:45:22.169Z", "agent": agent,
        "client": {"name": "PagerDuty"}, "data": data}});
    parse(event.to_string().as_bytes()).unwrap()
}

fn said_by_user(event_type: &str, data: &Value) -> Said {
    heard(event_type, &user(), data).said
}

#[test]
fn an_acknowledgement_names_the_incident_the_time_and_the_person() {
    let heard = heard("incident.acknowledged", &user(), &incident(&json!({})));
    assert_eq!(heard.incident.unwrap().to_string(), OURS);
    assert_eq!(heard.id.as_deref(), Some("01BRB6ZP4M6T8ZG4X6BP63ZB9O"));
    assert_eq!(heard.occurred.unwrap().to_string(), "2020-10-02T18:45:22.169Z");
    assert_eq!(heard.agent, ["PLH1HKV", "Tenex Engineer"]);
    let page = Some("https://acme.pagerduty.com/incidents/PGR0VU2".to_owned());
    assert_eq!(heard.theirs, Some(Theirs { id: "PGR0VU2".to_owned(), page }));
    assert_eq!(heard.said, Said::Acknowledged);
}

#[test]
fn what_people_do_there_becomes_a_command_or_a_line_of_the_timeline() {
    let data = incident(&json!({}));
    let reference = json!({"id": "PGR0VU2", "type": "incident_reference"});
    let note =
        json!({"incident": reference, "id": "P2", "content": " looking\npassword=hunter2 ", "type": "incident_note"});
    let status = json!({"incident": reference, "message": "A fix is on its way", "type": "incident_status_update"});
    let responder = json!({"incident": reference, "user": {"summary": "Maeve"}, "state": "accepted",
        "type": "incident_responder"});
    let noted = |text: &str| Said::Noted(text.to_owned());
    for (event_type, data, expect) in [
        ("incident.unacknowledged", &data, Said::Unacknowledged),
        ("incident.resolved", &data, Said::Resolved),
        ("incident.triggered", &data, Said::Nothing("it is known here")),
        ("incident.escalated", &data, noted("escalated to User 123")),
        ("incident.reassigned", &data, noted("reassigned to User 123")),
        ("incident.delegated", &data, noted("delegated to Default")),
        ("incident.priority_updated", &data, noted("priority changed to P1")),
        ("incident.priority_updated", &incident(&json!({"priority": null})), noted("priority changed")),
        ("incident.reopened", &data, noted("opened again")),
        ("incident.annotated", &note, noted("looking\npassword=[redacted]")),
        ("incident.status_update_published", &status, noted("status update: A fix is on its way")),
        ("incident.responder.added", &responder, noted("asked for help from Maeve")),
        ("incident.responder.replied", &responder, noted("Maeve replied with accepted")),
        ("incident.conference_bridge.updated", &data, noted("conference bridge updated")),
        ("service.updated", &json!({"type": "service", "id": "P1"}), Said::Nothing("it is not about an incident")),
        (
            "pagey.ping",
            &json!({"message": "Hello from your friend Pagey!", "type": "ping"}),
            Said::Nothing("it is not about an incident"),
        ),
    ] {
        assert_eq!(said_by_user(event_type, data), expect, "{event_type}");
    }
    let heard = heard("incident.annotated", &user(), &note);
    assert_eq!((heard.incident, heard.theirs.unwrap().id.as_str()), (None, "PGR0VU2"));
}

#[test]
fn what_the_integration_did_is_our_own_echo() {
    let integration = json!({"id": "PXMQRWJ", "summary": "Events API V2", "type": "inbound_integration_reference"});
    let echo = Said::Nothing("it is the echo of what was sent from here");
    assert_eq!(heard("incident.resolved", &integration, &incident(&json!({}))).said, echo);
    // Nobody in particular: it timed out, or somebody used the REST API.
    assert_eq!(heard("incident.resolved", &Value::Null, &incident(&json!({}))).said, Said::Resolved);
}

#[test]
fn anything_else_is_left_alone() {
    for body in ["{}", r#"{"event":[]}"#, r#"{"event":{"id":7,"event_type":null,"data":"x","agent":[]}}"#] {
        let heard = parse(body.as_bytes()).unwrap();
        assert!(heard.incident.is_none() && matches!(heard.said, Said::Nothing(_)), "{heard:?}");
    }
    let foreign = heard("incident.resolved", &user(), &incident(&json!({"incident_key": "somebody else's"})));
    assert_eq!(foreign.incident, None);
    for body in ["", "[]", "nonsense", "7"] {
        assert_eq!(parse(body.as_bytes()).unwrap_err().status, 400, "{body}");
    }
}
