use super::*;
use serde_json::json;

const INCIDENT: &str = "d70b561c-77bd-8257-a39a-38ba2e8bb04b";

fn form(payload: &Value) -> Vec<u8> {
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.append_pair("payload", &payload.to_string()).finish().into_bytes()
}

/// As Slack sends it, without what is not looked at.
fn payload(action_id: &str, value: &str) -> Value {
    json!({
        "type": "block_actions",
        "user": {"id": "U061F7AUR", "username": "ana", "name": "ana", "team_id": "T0001"},
        "api_app_id": "A0", "token": "deprecated", "trigger_id": "12321423423.333649436676.d8c1bb837935619ccad0f",
        "container": {"type": "message", "message_ts": "1548261231.000200", "channel_id": "CBR2V3XEX"},
        "channel": {"id": "CBR2V3XEX", "name": "data-alerts"},
        "message": {"type": "message", "text": "orders failed", "ts": "1548261231.000200"},
        "response_url": "https://hooks.slack.com/actions/T0/1/x",
        "actions": [{"action_id": action_id, "block_id": button::BLOCK_ID, "type": "button", "value": value,
            "text": {"type": "plain_text", "text": "…"}, "action_ts": "1548426417.840180"}],
    })
}

#[test]
fn each_button_is_understood() {
    for (id, expect) in Button::ALL.map(|button| (button.action_id(), button)) {
        let read = parse(&form(&payload(id, &format!("{INCIDENT}.3")))).unwrap();
        assert_eq!((read.user.as_str(), read.name.as_deref()), ("U061F7AUR", Some("ana")));
        let [pressed] = &read.pressed[..] else { panic!("{read:?}") };
        assert_eq!((pressed.button, pressed.life, pressed.incident.to_string().as_str()), (expect, 3, INCIDENT));
    }
}

#[test]
fn a_press_has_a_name_of_its_own() {
    let name = |payload: &Value| parse(&form(payload)).unwrap().pressed[0].id.clone();
    let one = payload("trackside.acknowledge", &format!("{INCIDENT}.0"));
    let mut later = one.clone();
    later["actions"][0]["action_ts"] = json!("1548426418.000000");
    assert_eq!(name(&one), name(&one.clone()), "sent again");
    assert_ne!(name(&one), name(&later), "pressed again");
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let mut view = payload("trackside.acknowledge", &format!("{INCIDENT}.0"));
    view["type"] = json!("view_submission");
    for payload in [
        payload("somebody_elses", &format!("{INCIDENT}.0")),
        payload("trackside.acknowledge", "not an incident"),
        payload("trackside.acknowledge", INCIDENT),
        payload("trackside.acknowledge", &format!("{INCIDENT}.-1")),
        view,
    ] {
        assert_eq!(parse(&form(&payload)).unwrap().pressed, [], "{payload}");
    }
    for body in [&b""[..], b"payload=", b"payload=%7B", b"ssl_check=1", b"payload=%7B%7D", b"payload=[]"] {
        assert_eq!(parse(body).unwrap_err().status, 400, "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_button_fits_how_the_incident_stands() {
    use crate::far_end::tests::now;
    use crate::template::sample_effect;
    use trackside_core::effect::Action;
    let labels = |action: Action, state: &str| -> Vec<&'static str> {
        let mut effect = sample_effect(action, now());
        effect.notice.incident.as_mut().unwrap().state = state.to_owned();
        let block = button::block(&effect);
        let ids: Vec<Value> = block.map(|block| block["elements"].as_array().unwrap().clone()).unwrap_or_default();
        Button::ALL.map(Button::action_id).into_iter().filter(|id| ids.iter().any(|e| e["action_id"] == *id)).collect()
    };
    let [acknowledge, snooze, escalate, resolve] = Button::ALL.map(Button::action_id);
    assert_eq!(labels(Action::Trigger, "triggered"), [acknowledge, snooze, escalate, resolve]);
    assert_eq!(labels(Action::Remind, "triggered"), [acknowledge, snooze, escalate, resolve]);
    assert_eq!(labels(Action::Acknowledge, "acknowledged"), [snooze, escalate, resolve]);
    assert_eq!(labels(Action::Update, "snoozed"), [acknowledge, escalate, resolve]);
    assert_eq!(labels(Action::Resolve, "resolved"), [""; 0]);
    assert_eq!(labels(Action::Test, "triggered"), [""; 0]);
}

#[test]
fn what_is_said_to_a_question_is_understood() {
    for (id, expect) in [("trackside.approve", Says::Approve), ("trackside.deny", Says::Deny)] {
        let read = parse(&form(&payload(id, INCIDENT))).unwrap();
        let [said] = &read.said[..] else { panic!("{read:?}") };
        assert_eq!((said.says, said.approval.to_string().as_str()), (expect, INCIDENT));
        assert_eq!(read.pressed, []);
    }
    assert_eq!(parse(&form(&payload("trackside.approve", "7"))).unwrap().said, []);
}
