//! Each way to fail at each far end, and what the sender makes of it.

use crate::support::{World, effect, now, world};
use jiff::SignedDuration;
use secrecy::SecretString;
use std::time::Duration;
use trackside_connect::connection::{Connection, Target};
use trackside_connect::email::Tls;
use trackside_connect::far_end::{Answer, Verdict};
use trackside_core::effect::Action;
use trackside_sim::behaviour::Behaviour;

/// Short, so that a far end that hangs does not hold up the test.
const PATIENCE: Duration = Duration::from_secs(1);
/// Long, so that a slow machine does not fail the test.
const LIMIT: Duration = Duration::from_secs(20);

const KINDS: [&str; 5] = ["pagerduty", "slack api", "slack webhook", "webhook", "mail"];

fn connection(world: &World, kind: &str) -> Connection {
    match kind {
        "pagerduty" => world.pagerduty(),
        "slack api" => world.slack_api("C0123456789"),
        "slack webhook" => world.slack_webhook(),
        "webhook" => world.webhook(),
        _ => world.mail(),
    }
}

async fn set(world: &World, kind: &str, behaviour: Behaviour) {
    match kind {
        "pagerduty" => world.ends.pagerduty.set(behaviour).await,
        "slack api" | "slack webhook" => world.ends.slack.set(behaviour).await,
        "webhook" => world.ends.webhook.set(behaviour).await,
        _ => world.ends.mail.set(behaviour).await,
    }
}

/// The answer and verdict of a trigger sent while the far end behaves so.
async fn meet(world: &World, kind: &str, behaviour: Behaviour) -> (Answer, Verdict) {
    set(world, kind, behaviour).await;
    let limit = if matches!(behaviour, Behaviour::Hang | Behaviour::SlowBody) { PATIENCE } else { LIMIT };
    let attempt = world.try_for(&connection(world, kind), &effect(Action::Trigger), None, limit).await;
    set(world, kind, Behaviour::Healthy).await;
    (attempt.exchanges[0].answer.clone(), attempt.verdict)
}

#[tokio::test]
async fn a_closed_port_means_not_sent_and_the_far_end_comes_back_at_the_same_address() {
    let world = world().await;
    for kind in KINDS {
        // Open a connection first, so that a kept-alive one is there to be cut.
        let (_, verdict) = meet(&world, kind, Behaviour::Healthy).await;
        assert!(matches!(verdict, Verdict::Done { .. }), "{kind}: {verdict:?}");
        set(&world, kind, Behaviour::Refuse).await;
        let attempt = world.try_once(&connection(&world, kind), &effect(Action::Trigger), None).await;
        assert!(matches!(attempt.exchanges[0].answer, Answer::NotSent { .. }), "{kind}: {:?}", attempt.exchanges);
        assert!(matches!(attempt.verdict, Verdict::Retry { .. }), "{kind}: {:?}", attempt.verdict);
        let (_, verdict) = meet(&world, kind, Behaviour::Healthy).await;
        assert!(matches!(verdict, Verdict::Done { .. }), "{kind}: {verdict:?}");
    }
}

#[tokio::test]
async fn silence_means_lost_and_only_a_post_to_slack_is_then_unknown() {
    // Side by side, because each takes as long as the sender's patience.
    futures_util::future::join_all(KINDS.map(silence)).await;
}

async fn silence(kind: &str) {
    let world = world().await;
    for behaviour in [Behaviour::Hang, Behaviour::SlowBody, Behaviour::DropAfterAccept] {
        let (answer, verdict) = meet(&world, kind, behaviour).await;
        // A webhook's success has no body, so it cannot break off.
        if (kind, behaviour) == ("webhook", Behaviour::SlowBody) {
            assert!(matches!(verdict, Verdict::Done { .. }), "{verdict:?}");
            continue;
        }
        assert!(matches!(answer, Answer::Lost { .. }), "{kind} {behaviour:?}: {answer:?}");
        match kind {
            "slack api" | "slack webhook" => assert!(matches!(verdict, Verdict::Unknown { .. }), "{verdict:?}"),
            _ => assert!(matches!(verdict, Verdict::Retry { not_before: None, .. }), "{kind}: {verdict:?}"),
        }
    }
    // What was lost had been taken, and where there is a key the second is seen to be the first.
    // Slack's incoming webhook has none, so there both show.
    let taken: Vec<_> = world.ends.journal.arrivals().iter().map(|arrival| arrival.times).collect();
    assert_eq!(taken, if kind == "slack webhook" { vec![1, 1] } else { vec![2] }, "{kind}");
}

#[tokio::test]
async fn retry_after_is_obeyed_to_the_second() {
    let world = world().await;
    let later = now().checked_add(SignedDuration::from_secs(17)).unwrap();
    for kind in ["pagerduty", "slack api", "slack webhook", "webhook"] {
        for code in [429, 503] {
            let (_, verdict) = meet(&world, kind, Behaviour::Status { code, retry_after: Some(17) }).await;
            assert!(
                matches!(verdict, Verdict::Retry { not_before: Some(at), .. } if at == later),
                "{kind} {code}: {verdict:?}"
            );
        }
    }
    assert!(world.ends.journal.arrivals().is_empty());
}

#[tokio::test]
async fn statuses_that_pass_are_retried_and_those_that_do_not_are_refused() {
    let world = world().await;
    for (kind, code, passes) in [
        ("pagerduty", 500, true),
        ("pagerduty", 400, false),
        ("pagerduty", 302, false),
        ("slack api", 500, true),
        ("slack api", 403, false),
        ("slack webhook", 404, false),
        ("webhook", 408, true),
        ("webhook", 410, false),
        ("webhook", 301, false),
        ("mail", 451, true),
        ("mail", 550, false),
    ] {
        let (answer, verdict) = meet(&world, kind, Behaviour::Status { code, retry_after: None }).await;
        assert!(matches!(answer, Answer::Response { status, .. } if status == code), "{kind} {code}: {answer:?}");
        match passes {
            true => assert!(matches!(verdict, Verdict::Retry { .. }), "{kind} {code}: {verdict:?}"),
            false => assert!(matches!(verdict, Verdict::Refused { .. }), "{kind} {code}: {verdict:?}"),
        }
    }
}

#[tokio::test]
async fn no_secret_shows_in_what_is_kept_of_an_attempt() {
    let world = world().await;
    for kind in KINDS {
        let attempt = world.try_once(&connection(&world, kind), &effect(Action::Trigger), None).await;
        let kept = format!("{attempt:?} {:?}", attempt.exchanges[0].request.shown());
        for secret in [
            trackside_sim::far_ends::PAGERDUTY_ROUTING_KEY,
            trackside_sim::far_ends::SLACK_TOKEN,
            trackside_sim::far_ends::SLACK_WEBHOOK_PATH,
            trackside_sim::far_ends::WEBHOOK_SECRET,
        ] {
            assert!(!kept.contains(secret), "{kind}: {kept}");
        }
    }
}

#[tokio::test]
async fn what_fails_before_anything_is_said_is_not_sent() {
    let world = world().await;
    let mut wrong = Vec::new();
    // A far end without TLS, and a host that cannot be (RFC 6761 §6.4).
    for url in [world.ends.pagerduty.url().replace("http:", "https:"), "http://pagerduty.invalid".to_owned()] {
        let mut connection = world.pagerduty();
        if let Target::Pagerduty { url: target, .. } = &mut connection.target {
            *target = url;
        }
        wrong.push((connection, ""));
    }
    let (mut starttls, mut login) = (world.mail(), world.mail());
    if let Target::Email { server, .. } = &mut starttls.target {
        server.tls = Tls::Required;
    }
    if let Target::Email { login, .. } = &mut login.target {
        *login = Some((SecretString::from("user"), SecretString::from("pass")));
    }
    wrong.extend([(starttls, "STARTTLS"), (login, "are not sent to it")]);
    for (connection, says) in wrong {
        let attempt = world.try_once(&connection, &effect(Action::Trigger), None).await;
        let answer = &attempt.exchanges[0].answer;
        assert!(matches!(answer, Answer::NotSent { error } if error.contains(says)), "{answer:?}");
    }
    assert!(world.ends.journal.arrivals().is_empty());
}
