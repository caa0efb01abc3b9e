//! Actions of automations against the far ends: what each changes there, and what is made of a lost answer.

use crate::support::{World, now, world};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::time::Duration;
use trackside_connect::act::{Earlier, Job, Way, attempt};
use trackside_connect::block::Block;
use trackside_connect::connection::{Acting, Connection, PrefectAuth, Target};
use trackside_connect::far_end::Verdict;
use trackside_connect::sender::Attempt;
use trackside_connect::template::{MessageTemplates, sample_effect};
use trackside_core::effect::{Action, Effect};
use trackside_core::event::Event;
use trackside_core::ids::{DeliveryId, derive};
use trackside_sim::behaviour::Behaviour;
use trackside_sim::far_ends::{PREFECT_KEY, SLACK_WEBHOOK_PATH};
use trackside_sim::pagerduty::Status;
use trackside_sim::prefect::id;
use uuid::Uuid;

impl World {
    fn prefect(&self) -> Connection {
        let api = format!("{}/api", self.ends.prefect.url());
        Connection {
            name: "prefect".to_owned(),
            public_url: None,
            message: MessageTemplates::default(),
            acting: Acting::default(),
            target: Target::Prefect { api, auth: Some(PrefectAuth::Key(SecretString::from(PREFECT_KEY))) },
        }
    }

    /// A flow run in this state, its deployment, a work pool and a work queue.
    fn furnish(&self, state: &str) {
        let prefect = self.ends.prefect.state();
        prefect
            .put("flow_runs", &json!({"id": id("run"), "name": "wild-cat", "state": {"type": state, "name": state}}));
        prefect.put("deployments", &json!({"id": id("deployment"), "name": "nightly", "paused": false}));
        prefect.put("work_pools", &json!({"id": id("pool"), "name": "k8s / eu", "is_paused": false}));
        prefect.put("work_queues", &json!({"id": id("queue"), "name": "default", "is_paused": false}));
    }

    fn state_of_run(&self) -> String {
        let run = self.ends.prefect.state().get("flow_runs", &id("run").to_string());
        run.map_or_else(|| "gone".to_owned(), |run| run["state"]["type"].as_str().unwrap_or_default().to_owned())
    }

    async fn act(&self, way: Way<'_>, effect: &Effect, earlier: Earlier) -> Attempt {
        let events = [event()];
        let job = Job {
            effect,
            way,
            events: &events,
            origin: None,
            pages: None,
            earlier,
            progress: None,
            now: now(),
            timeout: Duration::from_secs(20),
        };
        attempt(&self.sender, &job).await
    }
}

fn event() -> Event {
    serde_json::from_value(json!({
        "id": Uuid::from_u128(1), "source": "prefect", "occurred": now(), "received": now(),
        "event": "prefect.flow-run.Failed",
        "resource": {"prefect.resource.id": format!("prefect.flow-run.{}", id("run")), "prefect.resource.name": "wild-cat"},
        "related": [
            {"prefect.resource.id": format!("prefect.deployment.{}", id("deployment")), "prefect.resource.role": "deployment"},
            {"prefect.resource.id": format!("prefect.work-pool.{}", id("pool")), "prefect.resource.role": "work-pool"},
            {"prefect.resource.id": format!("prefect.work-queue.{}", id("queue")), "prefect.resource.role": "work-queue"},
        ],
    }))
    .unwrap()
}

fn effect(action: &Value, state: &str) -> Effect {
    let automation = Uuid::from_u128(7);
    let mut effect = sample_effect(Action::Message, now());
    effect.id = DeliveryId(derive("test", &[&action.to_string(), state]));
    effect.key = effect.id.to_string();
    effect.action = Action::Act;
    effect.incident = None;
    effect.act = Some(
        serde_json::from_value(json!({
            "automation": {
                "id": automation, "name": "watch orders", "description": "", "enabled": true, "tags": [],
                "trigger": {"type": "event", "match": {}, "match_related": {}, "after": [], "expect": [], "for_each": [],
                            "posture": "Reactive", "threshold": 1, "within": 0.0},
                "actions": [], "actions_on_trigger": [], "actions_on_resolve": [], "semantics": "prefect",
                "origin": "api", "created": now(), "updated": now(), "version": 1
            },
            "list": "actions", "index": 0, "action": action,
            "firing": {"automation": automation, "state": state, "at": now(), "because": "1 of 1",
                       "event": {"id": event().id, "seq": 1}}
        }))
        .unwrap(),
    );
    effect
}

#[track_caller]
fn done(attempt: &Attempt) -> Option<String> {
    match &attempt.verdict {
        Verdict::Done { far_ref } => far_ref.clone(),
        other => panic!("{other:?} {:?}", attempt.exchanges),
    }
}

#[tokio::test]
async fn prefect_does_what_an_automation_asks_for() {
    let world = world().await;
    let connection = world.prefect();
    let inferred = |kind: &str, field: &str| json!({"type": kind, "source": "inferred", field: null});
    let flag = |kind: &str, name: &str, field: &str| world.ends.prefect.state().get(kind, name).unwrap()[field].clone();
    for (action, kind, name, field, expect) in [
        (inferred("pause-deployment", "deployment_id"), "deployments", id("deployment").to_string(), "paused", true),
        (inferred("resume-deployment", "deployment_id"), "deployments", id("deployment").to_string(), "paused", false),
        (inferred("pause-work-pool", "work_pool_id"), "work_pools", "k8s / eu".to_owned(), "is_paused", true),
        (inferred("resume-work-pool", "work_pool_id"), "work_pools", "k8s / eu".to_owned(), "is_paused", false),
        (inferred("pause-work-queue", "work_queue_id"), "work_queues", id("queue").to_string(), "is_paused", true),
        (inferred("resume-work-queue", "work_queue_id"), "work_queues", id("queue").to_string(), "is_paused", false),
    ] {
        if expect {
            world.furnish("RUNNING");
        }
        done(&world.act(Way::Connection(&connection), &effect(&action, "Triggered"), Earlier::NotThere).await);
        assert_eq!(flag(kind, &name, field), expect, "{action}");
    }
    for (action, before, after) in [
        (json!({"type": "cancel-flow-run"}), "RUNNING", "CANCELLING"),
        (json!({"type": "cancel-flow-run"}), "SCHEDULED", "CANCELLED"),
        (json!({"type": "suspend-flow-run"}), "RUNNING", "PAUSED"),
        (json!({"type": "resume-flow-run"}), "PAUSED", "SCHEDULED"),
        (json!({"type": "delete-flow-run"}), "FAILED", "gone"),
        (
            json!({"type": "change-flow-run-state", "state": "COMPLETED", "name": null, "message": null, "force": true}),
            "FAILED",
            "COMPLETED",
        ),
    ] {
        world.furnish(before);
        done(&world.act(Way::Connection(&connection), &effect(&action, "Triggered"), Earlier::NotThere).await);
        assert_eq!(world.state_of_run(), after, "{action} from {before}");
    }
    world.furnish("COMPLETED");
    let late = effect(&json!({"type": "cancel-flow-run"}), "Triggered");
    let attempt = world.act(Way::Connection(&connection), &late, Earlier::NotThere).await;
    let why = "Failed to set state: Run is already in terminal state COMPLETED.".to_owned();
    assert_eq!(attempt.verdict, Verdict::Refused { why });
}

#[tokio::test]
async fn a_lost_answer_of_prefect_makes_nothing_happen_twice() {
    let world = world().await;
    let connection = world.prefect();
    let run = json!({"type": "run-deployment", "source": "inferred", "deployment_id": null, "parameters": {"n": 1},
                     "job_variables": null, "schedule_after": 0.0});
    for (action, before) in [
        (run, "FAILED"),
        (json!({"type": "cancel-flow-run"}), "RUNNING"),
        (json!({"type": "suspend-flow-run"}), "RUNNING"),
        (json!({"type": "resume-flow-run"}), "PAUSED"),
        (json!({"type": "delete-flow-run"}), "FAILED"),
        (json!({"type": "pause-work-pool", "source": "inferred", "work_pool_id": null}), "FAILED"),
    ] {
        world.furnish(before);
        let (effect, way) = (effect(&action, "Triggered"), Way::Connection(&connection));
        world.ends.prefect.set(Behaviour::DropAfterAccept).await;
        let lost = world.act(way, &effect, Earlier::NotThere).await;
        assert!(
            matches!(lost.verdict, Verdict::Retry { .. } | Verdict::Unknown { .. }),
            "{action}: {:?}",
            lost.verdict
        );
        let runs = world.ends.prefect.state().all("flow_runs").len();
        world.ends.prefect.set(Behaviour::Healthy).await;
        done(&world.act(way, &effect, Earlier::MayBeThere).await);
        assert_eq!(world.ends.prefect.state().all("flow_runs").len(), runs, "{action}");
    }
    // Nothing arrived twice that is not the same thing: what was asked about was not done again.
    let times: Vec<_> =
        world.ends.journal.arrivals().iter().map(|arrival| (arrival.action.clone(), arrival.times)).collect();
    assert_eq!(
        times,
        [("create_flow_run", 2), ("set_state", 1), ("set_state", 1), ("resume", 1), ("DELETE", 1), ("PATCH", 1)]
            .map(|(action, times)| (action.to_owned(), times))
    );
}

#[tokio::test]
async fn messages_go_through_blocks_and_connections() {
    let world = world().await;
    let slack = json!({"url": format!("{}{SLACK_WEBHOOK_PATH}", world.ends.slack.url())});
    let slack = Block::open(Uuid::from_u128(3), Some("alerts"), "slack-webhook", &slack).unwrap();
    let action = json!({"type": "send-notification", "block_document_id": slack.id,
                        "subject": "Flow run {{ event.resource.name }}", "body": "see <https://example.net|{{ event.event }}>"});
    done(&world.act(Way::Block(&slack), &effect(&action, "Triggered"), Earlier::NotThere).await);
    let messages = world.ends.slack.state().messages();
    assert_eq!(messages[0].text, "*Flow run wild-cat*\nsee <https://example.net|prefect.flow-run.Failed>");

    let pagerduty = world.pagerduty();
    let action = json!({"type": "notify-channel", "connection": "pd", "subject": "down", "body": "it is"});
    for (state, expect) in
        [("Triggered", Status::Triggered), ("Triggered", Status::Triggered), ("Resolved", Status::Resolved)]
    {
        done(&world.act(Way::Connection(&pagerduty), &effect(&action, state), Earlier::NotThere).await);
        let alerts = world.ends.pagerduty.state().alerts();
        assert_eq!((alerts.len(), alerts[0].status, alerts[0].summary.as_str()), (1, expect, "down"));
    }

    let private = json!({"url": world.ends.slack.url(), "allow_private_urls": false});
    let private = Block::open(Uuid::from_u128(4), None, "webhook", &private).unwrap();
    let action = json!({"type": "call-webhook", "block_document_id": private.id, "payload": "{}"});
    let attempt = world.act(Way::Block(&private), &effect(&action, "Triggered"), Earlier::NotThere).await;
    assert!(
        matches!(&attempt.verdict, Verdict::Refused { why } if why.contains("private network")),
        "{:?}",
        attempt.verdict
    );
}
