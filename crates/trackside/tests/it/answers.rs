//! People answer to messages, and everybody hears of it: the whole program between far ends that behave like PagerDuty,
//! Slack and a mail server.

use crate::binary::{Home, PATIENCE, Running, eventually};
use reqwest::Method;
use serde_json::{Value, json};
use trackside_sim::far_ends::FarEnds;
use trackside_sim::journal::Journal;
use trackside_sim::pagerduty::Status;
use trackside_sim::slack::Message;

const SLACK: &str = "/api/v1/slack/interactivity/chat";
const PAGERDUTY: &str = "/api/v1/pagerduty/webhooks/pager";

/// Told at once by all three; a second page would come a second later, and go on coming.
async fn world() -> (FarEnds, Home, Running) {
    let ends = FarEnds::start(Journal::wall_clock()).await.unwrap();
    let fast = "delivery: {rate_per_second: 1000, burst: 10000}";
    let home = Home::new(&format!(
        "
people:
  ana: {{aliases: [U061F7AUR, PLH1HKV], contacts: [{{via: chat, to: U061F7AUR}}]}}
escalations:
  primary: {{steps: [{{after: 1h, targets: ['person:ana']}}]}}
teams: {{data: {{notify: [{{via: pager}}, {{via: chat}}, {{via: mail}}], escalation: primary}}}}
owners: {{default: data}}
connections:
  pager: {{kind: pagerduty, url: '{pager}', routing_key: {{file: secrets/pagerduty}}, webhook_secrets: [{{file: secrets/pagerduty-webhook}}], {fast}}}
  chat: {{kind: slack, api_url: '{chat}/api', token: {{file: secrets/slack}}, channel: C0123456789, signing_secret: {{file: secrets/slack-signing}}, {fast}}}
  mail: {{kind: email, smtp: 'smtp://{mail}', from: trackside@example.net, to: [ben@example.net], {fast}}}
tokens: [{{name: airflow, role: ingest, secret: {{file: secrets/ingest}}}}]
",
        pager = ends.pagerduty.url(),
        chat = ends.slack.url(),
        mail = ends.mail.address(),
    ));
    let running = home.serve().await;
    let run = json!({"pipeline": "orders", "run_id": "1", "state": "failed", "error": "disk full"});
    running.send(&json!({"event": "x", "run": run})).await;
    running.settle(PATIENCE).await;
    eventually("everybody is told", PATIENCE, async || {
        let told = (ends.pagerduty.state().alerts().len(), messages(&ends).len(), ends.mail.state().mails().len());
        (told == (1, 1, 1)).then_some(())
    })
    .await;
    (ends, home, running)
}

fn messages(ends: &FarEnds) -> Vec<Message> {
    ends.slack.state().messages()
}

/// The buttons below the incident's message.
fn buttons(ends: &FarEnds) -> Vec<String> {
    let message = messages(ends).remove(0);
    let blocks = message.blocks.as_array().cloned().unwrap_or_default();
    let block = blocks.iter().find(|block| block["type"] == "actions").cloned().unwrap_or_default();
    let label = |element: &Value| element["text"]["text"].as_str().unwrap().to_owned();
    block["elements"].as_array().map(|elements| elements.iter().map(label).collect()).unwrap_or_default()
}

fn status(ends: &FarEnds) -> Status {
    ends.pagerduty.state().alerts()[0].status
}

async fn state(running: &Running) -> (String, Value) {
    let incident = running.get("incidents/1").await;
    (incident["state"].as_str().unwrap().to_owned(), incident["acknowledged_by"].clone())
}

/// The addresses of a kind of link in the mails so far, oldest first.
fn links(ends: &FarEnds, label: &str) -> Vec<String> {
    let mails = ends.mail.state().mails();
    let texts = mails.iter().map(|mail| mail.message.replace("=\n", ""));
    let found = texts.filter_map(|text| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{label}: ")).map(str::to_owned));
        line.filter(|line| line.contains("/act/"))
    });
    found.collect()
}

#[tokio::test]
async fn a_button_in_slack_acknowledges_everywhere_and_is_gone_from_the_message() {
    let (ends, _home, running) = world().await;
    assert_eq!(buttons(&ends), ["Acknowledge", "Snooze 1 h", "Escalate", "Resolve"]);
    let ts = messages(&ends)[0].ts.clone();
    let press = ends.slack.state().press(&ts, "trackside.acknowledge", "U061F7AUR").unwrap();
    let mut forged = press.clone();
    forged.body.push('x');
    assert_eq!(running.tell(SLACK, forged).await, 401);
    assert_eq!(running.tell(SLACK, press.clone()).await, 200);
    eventually("PagerDuty and Slack show it", PATIENCE, async || {
        (status(&ends) == Status::Acknowledged && buttons(&ends) == ["Snooze 1 h", "Escalate", "Resolve"]).then_some(())
    })
    .await;
    assert_eq!(state(&running).await, ("acknowledged".to_owned(), json!("ana")));
    assert_eq!(running.get("incidents/1").await["course"]["next"], Value::Null, "nothing is due any more");
    assert!(ends.slack.state().press(&ts, "trackside.acknowledge", "U061F7AUR").is_none(), "the button is gone");

    assert_eq!(running.tell(SLACK, press).await, 200, "sent again it changes nothing");
    let resolve = ends.slack.state().press(&ts, "trackside.resolve", "U061F7AUR").unwrap();
    assert_eq!(running.tell(SLACK, resolve).await, 200);
    eventually("it is over everywhere", PATIENCE, async || {
        (status(&ends) == Status::Resolved && buttons(&ends).is_empty()).then_some(())
    })
    .await;
    running.settle(PATIENCE).await;
    assert_eq!(ends.mail.state().mails().len(), 3, "a mail for each: opened, acknowledged, over");
}

#[tokio::test]
async fn an_acknowledgement_at_pagerduty_is_told_everywhere_else() {
    let (ends, _home, running) = world().await;
    let key = ends.pagerduty.state().alerts()[0].dedup_key.clone();
    let webhook = |id: &str, kind: &str| ends.pagerduty.state().webhook(id, kind, &key, "PLH1HKV").unwrap();
    let arrived = ends.pagerduty.requests().len();
    assert_eq!(running.tell(PAGERDUTY, webhook("e1", "incident.acknowledged")).await, 202);
    eventually("Slack shows it", PATIENCE, async || {
        (buttons(&ends) == ["Snooze 1 h", "Escalate", "Resolve"]).then_some(())
    })
    .await;
    assert_eq!(state(&running).await, ("acknowledged".to_owned(), json!("ana")));
    assert_eq!(running.tell(PAGERDUTY, webhook("e2", "incident.resolved")).await, 202);
    eventually("Slack shows the end", PATIENCE, async || buttons(&ends).is_empty().then_some(())).await;
    running.settle(PATIENCE).await;
    assert_eq!(ends.pagerduty.requests().len(), arrived, "nothing is sent back to where it came from");
}

#[tokio::test]
async fn a_link_in_a_mail_acts_once_and_stands_nowhere_else() {
    let (ends, home, mut running) = world().await;
    let link = links(&ends, "Acknowledge").remove(0);
    assert!(link.starts_with(&running.url), "{link}");
    let (status_code, question) = running.browse(Method::GET, &link).await;
    assert!(status_code == 200 && question.contains("ben@example.net"), "{question}");
    assert_eq!(state(&running).await.0, "triggered", "opening it changes nothing");
    assert_eq!(running.browse(Method::POST, &link).await.0, 200);
    assert_eq!(state(&running).await, ("acknowledged".to_owned(), json!("ben@example.net")));
    assert_eq!(running.browse(Method::POST, &link).await.0, 410, "it was used");
    eventually("PagerDuty shows it", PATIENCE, async || (status(&ends) == Status::Acknowledged).then_some(())).await;

    // The key is kept beside the database: links outlive a restart.
    let resolve = links(&ends, "Resolve").remove(0);
    let (_, token) = resolve.rsplit_once('/').unwrap();
    let deliveries = running.get("deliveries?connection=mail").await;
    let mail = deliveries["items"][0]["id"].as_str().unwrap();
    let shown = running.get(&format!("deliveries/{mail}")).await.to_string();
    assert!(shown.contains("/act/[redacted]") && !shown.contains(token), "{shown}");
    assert!(!running.log().contains(token), "no log has it");
    running.signal("TERM").await;
    running.ended().await;
    let again = home.serve().await;
    let address = format!("{}/act/{token}", again.url);
    assert_eq!(again.browse(Method::POST, &address).await.0, 200);
    eventually("it is over", PATIENCE, async || (status(&ends) == Status::Resolved).then_some(())).await;
}
