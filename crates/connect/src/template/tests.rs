use super::*;
use crate::far_end::tests::{now, prefect};

fn rendered(message: MessageTemplates, action: Action, markup: Markup) -> Rendered {
    let mut connection = prefect();
    connection.message = message;
    render(&connection, &sample_effect(action, now()), markup)
}

fn custom(body: &str) -> MessageTemplates {
    MessageTemplates { body: Some(body.to_owned()), ..MessageTemplates::default() }
}

#[test]
fn the_default_text_tells_what_when_where_and_how_to_start() {
    let zone = MessageTemplates { zone: Some("Europe/Paris".to_owned()), ..MessageTemplates::default() };
    assert_eq!(rendered(zone.clone(), Action::Trigger, Markup::Slack).note, None);
    insta::assert_snapshot!("trigger_plain", rendered(zone.clone(), Action::Trigger, Markup::Plain).body);
    insta::assert_snapshot!("trigger_slack", rendered(zone.clone(), Action::Trigger, Markup::Slack).body);
    insta::assert_snapshot!("resolve_plain", rendered(zone.clone(), Action::Resolve, Markup::Plain).body);
    insta::assert_snapshot!("remind_plain", rendered(zone.clone(), Action::Remind, Markup::Plain).body);
    insta::assert_snapshot!("remind_slack", rendered(zone.clone(), Action::Remind, Markup::Slack).body);
    insta::assert_snapshot!("acknowledge_plain", rendered(zone, Action::Acknowledge, Markup::Plain).body);
}

#[test]
fn a_reminder_tells_whom_it_pages_and_how_the_incident_stands() {
    let mut effect = sample::complete_effect(Action::Remind, now());
    effect.notice.passthrough = None;
    effect.notice.page.as_mut().unwrap().cycle = 1;
    let text = render(&prefect(), &effect, Markup::Plain);
    assert_eq!(text.title, "Nobody has it: customer_orders_daily failed");
    insta::assert_snapshot!(text.body);
    assert_eq!(
        paged(&effect.notice),
        "Nobody has it yet: Ana, on call for primary is paged, step 2 of 3; next in 15m: team:platform"
    );
    effect.notice.page = None;
    assert_eq!(paged(&effect.notice), "Nobody has it yet: customer_orders_daily failed");
}

#[test]
fn the_default_text_renders_for_the_barest_notice() {
    let mut effect = sample_effect(Action::Trigger, now());
    let notice = &mut *effect.notice;
    (notice.incident, notice.pipeline, notice.run, notice.passthrough) = (None, None, None, None);
    notice.alerts.clear();
    notice.links.clear();
    notice.details.clear();
    (notice.more_alerts, effect.incident) = (0, None);
    for action in [
        Action::Trigger,
        Action::Update,
        Action::Remind,
        Action::Acknowledge,
        Action::Resolve,
        Action::Message,
        Action::Test,
    ] {
        effect.action = action;
        for markup in [Markup::Plain, Markup::Slack] {
            let rendered = render(&prefect(), &effect, markup);
            assert_eq!(rendered.note, None, "{action:?}");
            assert!(rendered.body.contains("connection refused"), "{}", rendered.body);
        }
    }
}

#[test]
fn an_own_template_is_used_and_its_values_are_escaped_for_slack() {
    let template =
        "{{ severity | upper }} <{{ pipeline.name }}> {{ run.error | truncate(12) }} {{ at | local('Asia/Kolkata') }}";
    let plain = rendered(custom(template), Action::Trigger, Markup::Plain);
    assert_eq!(plain.body, "ERROR <customer_orders_daily> psycopg2.… 2026-11-20 22:09:00 IST");
    assert_eq!(plain.note, None);
    let slack = rendered(custom("{{ '<!channel>' }} {{ '<' | slack_escape }}"), Action::Trigger, Markup::Slack);
    assert_eq!(slack.body, "&lt;!channel&gt; &lt;");
}

#[test]
fn a_template_that_fails_loses_no_message() {
    for (template, says) in [
        ("{{ at | local('Mars/Base') }}", "not an IANA time zone"),
        ("{{ broken", "syntax error"),
        ("{% for a in range(10000) %}{% for b in range(10000) %}x{% endfor %}{% endfor %}", "fuel"),
        ("{{ nothing }}", "gave no text"),
        ("{% include 'etc/passwd' %}", "not found"),
    ] {
        let rendered = rendered(custom(template), Action::Trigger, Markup::Plain);
        let note = rendered.note.unwrap();
        assert!(note.contains(says), "{template}: {note}");
        assert!(rendered.body.contains("connection refused"), "{}", rendered.body);
    }
    let zone = MessageTemplates { zone: Some("Mars/Base".to_owned()), ..MessageTemplates::default() };
    let rendered = rendered(zone, Action::Trigger, Markup::Plain);
    assert_eq!(rendered.body, "Task load_to_warehouse failed: connection refused");
    assert!(rendered.note.is_some());
}

#[test]
fn a_check_finds_what_rendering_would_forgive() {
    let problems = |body: &str| custom(body).check(ConnectionKind::Slack);
    assert_eq!(problems("{{ pipeline.name }} {{ run.try_number }} {{ places[0].href }}"), []);
    assert_eq!(problems("{{ pipeline.nmae }}").len(), 1);
    assert_eq!(problems(&"x".repeat(TEMPLATE_BYTES + 1)).len(), 1);
    for markup in [ConnectionKind::Email, ConnectionKind::Slack] {
        assert_eq!(custom(BODY).check(markup), []);
    }
}
