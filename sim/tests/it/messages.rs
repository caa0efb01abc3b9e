//! What arrives when all is well.

use crate::support::{effect, world};
use serde_json::Value;
use trackside_connect::far_end::{Verdict, classify_reconcile, reconcile};
use trackside_connect::sender::Sender;
use trackside_core::effect::Action;
use trackside_sim::behaviour::Behaviour;
use trackside_sim::pagerduty::Status;

const LIFE: [Action; 4] = [Action::Trigger, Action::Update, Action::Acknowledge, Action::Resolve];

fn done(verdict: &Verdict) -> Option<String> {
    match verdict {
        Verdict::Done { far_ref } => far_ref.clone(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn pagerduty_has_one_alert_through_the_life_of_an_incident() {
    let world = world().await;
    let connection = world.pagerduty();
    let mut previous = None;
    for action in LIFE {
        let attempt = world.try_once(&connection, &effect(action), previous.as_deref()).await;
        previous = done(&attempt.verdict);
        assert_eq!(previous.as_deref(), Some(effect(action).key.as_str()));
    }
    let alerts = world.ends.pagerduty.state().alerts();
    assert_eq!(alerts.len(), 1);
    assert_eq!((alerts[0].status, alerts[0].triggers), (Status::Resolved, 2));
    assert_eq!(alerts[0].summary, "customer_orders_daily failed");
}

#[tokio::test]
async fn slack_has_one_message_edited_in_place_and_an_answer_in_its_thread() {
    let world = world().await;
    let connection = world.slack_api("#data-alerts");
    let mut previous: Option<String> = None;
    for action in LIFE {
        let attempt = world.try_once(&connection, &effect(action), previous.as_deref()).await;
        let far_ref = done(&attempt.verdict);
        assert!(previous.is_none() || previous == far_ref, "the reference stays: {far_ref:?}");
        previous = far_ref;
    }
    let messages = world.ends.slack.state().messages();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    assert_eq!(messages[0].edits, 3);
    assert!(messages[0].text.starts_with("✅ Resolved: "), "{}", messages[0].text);
    assert_eq!(messages[1].thread_ts.as_ref(), Some(&messages[0].ts));
}

#[tokio::test]
async fn slack_gets_a_new_message_when_the_one_to_edit_is_gone() {
    let world = world().await;
    let connection = world.slack_api("#data-alerts");
    let first = world.try_once(&connection, &effect(Action::Trigger), None).await;
    let previous = done(&first.verdict).unwrap();
    world.ends.slack.state().delete(previous.split_once(':').unwrap().1);
    let attempt = world.try_once(&connection, &effect(Action::Resolve), Some(&previous)).await;
    assert_eq!(attempt.exchanges.len(), 2);
    let anew = done(&attempt.verdict).unwrap();
    assert_ne!(anew, previous);
    assert_eq!(world.ends.slack.state().messages().len(), 1);
}

/// Messages in a busy channel.
const BUSY: usize = 150;

#[tokio::test]
async fn slack_is_asked_after_a_lost_answer() {
    let world = world().await;
    let connection = world.slack_api("C0123456789");
    let trigger = effect(Action::Trigger);
    world.ends.slack.set(Behaviour::DropAfterAccept).await;
    let lost = world.try_once(&connection, &trigger, None).await;
    assert!(matches!(lost.verdict, Verdict::Unknown { .. }), "{:?}", lost.verdict);
    world.ends.slack.set(Behaviour::Healthy).await;
    // A busy channel: what Slack tells is long.
    for _ in 0..BUSY {
        done(&world.try_once(&connection, &effect(Action::Test), None).await.verdict).unwrap();
    }
    let question = reconcile(&connection, &trigger, None).unwrap();
    let answer = world.sender.send(&question, std::time::Duration::from_secs(20)).await;
    let verdict = classify_reconcile(&connection, &trigger, None, &answer, crate::support::now());
    let far_ref = done(&verdict).unwrap();
    assert_eq!(far_ref, format!("C0123456789:{}", world.ends.slack.state().messages()[0].ts));
    // Another delivery is not there, so it is to be sent.
    let other = effect(Action::Message);
    let verdict = classify_reconcile(&connection, &other, None, &answer, crate::support::now());
    assert!(matches!(verdict, Verdict::Retry { .. }), "{verdict:?}");
    // The answer in the thread is looked for in the thread.
    let resolve = effect(Action::Resolve);
    let sent = world.try_once(&connection, &resolve, Some(&far_ref)).await;
    assert_eq!(done(&sent.verdict).as_ref(), Some(&far_ref));
    let question = reconcile(&connection, &resolve, Some(&far_ref)).unwrap();
    let answer = world.sender.send(&question, std::time::Duration::from_secs(20)).await;
    let verdict = classify_reconcile(&connection, &resolve, Some(&far_ref), &answer, crate::support::now());
    assert_eq!(done(&verdict).as_ref(), Some(&far_ref));
}

#[tokio::test]
async fn an_incoming_webhook_gets_a_message_for_each_piece_of_news() {
    let world = world().await;
    let connection = world.slack_webhook();
    for action in LIFE {
        assert_eq!(done(&world.try_once(&connection, &effect(action), None).await.verdict), None);
    }
    assert_eq!(world.ends.slack.state().messages().len(), 4);
    assert!(reconcile(&connection, &effect(Action::Trigger), None).is_none());
}

#[tokio::test]
async fn a_signed_webhook_is_verified_by_its_receiver_and_a_repeat_is_seen_as_one() {
    let world = world().await;
    let connection = world.webhook();
    for _ in 0..2 {
        let attempt = world.try_once(&connection, &effect(Action::Trigger), None).await;
        assert_eq!(attempt.verdict, Verdict::Done { far_ref: None });
    }
    let arrivals = world.ends.journal.arrivals();
    assert_eq!(arrivals.len(), 1);
    assert_eq!((arrivals[0].times, arrivals[0].action.as_str()), (2, "incident.trigger"));
    let body: Value = serde_json::from_str(&arrivals[0].body).unwrap();
    assert_eq!(body["data"]["notice"]["pipeline"]["name"], "customer_orders_daily");
}

#[tokio::test]
async fn mails_of_an_incident_stand_in_one_thread() {
    let world = world().await;
    let connection = world.mail();
    for action in [Action::Trigger, Action::Resolve] {
        let attempt = world.try_once(&connection, &effect(action), None).await;
        assert_eq!(attempt.verdict, Verdict::Done { far_ref: None }, "{:?}", attempt.exchanges);
    }
    let mails = world.ends.mail.state().mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].to, ["ana@example.net", "bo@example.net"]);
    assert_eq!(mails[0].from, "trackside@example.net");
    for name in ["References", "In-Reply-To", "Subject"] {
        assert_eq!(mails[0].header(name), mails[1].header(name), "{name}");
        assert!(mails[0].header(name).is_some(), "{name}");
    }
    assert_ne!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    assert_eq!(mails[0].header("Auto-Submitted").as_deref(), Some("auto-generated"));
}

#[tokio::test]
async fn the_page_shows_what_arrived_and_waiting_for_it_needs_no_sleep() {
    let world = world().await;
    let (pagerduty, trigger) = (world.pagerduty(), effect(Action::Trigger));
    let (arrivals, _) =
        tokio::join!(world.ends.journal.wait_for(|a| !a.is_empty()), world.try_once(&pagerduty, &trigger, None));
    assert_eq!(arrivals[0].action, "trigger");
    let address = world.ends.slack.address();
    let page = tokio::task::spawn_blocking(move || get(address)).await.unwrap();
    assert!(page.contains("customer_orders_daily failed") && page.contains("pagerduty"), "{page}");
}

/// A request without any client library.
fn get(address: std::net::SocketAddr) -> String {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    stream.read_to_string(&mut page).unwrap();
    page
}
