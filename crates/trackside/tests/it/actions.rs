//! Deliveries of automations' actions through the outbox: which way they go, how they end, what is recorded.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trackside::clock::Clock;
use trackside::deliver::{Connections, Deliverer, record, send};
use trackside_connect::block::BlockType;
use trackside_connect::connection::ConnectionConfig;
use trackside_connect::far_end::{Answer, Request};
use trackside_connect::sender::Sender;
use trackside_core::automation::act::{Act, BLOCK_PREFIX};
use trackside_core::caller::Caller;
use trackside_core::decision::Decision;
use trackside_core::effect::{Action, Effect, delivery_id};
use trackside_core::event::{Event, Severity};
use trackside_core::input::{DeliveryResult, Input, Outcome};
use trackside_core::notice::{Notice, OwnerView};
use trackside_identity::seal::{RANDOM_BYTES, Randomness, SealKey};
use trackside_store::Store;
use trackside_store::blocks::NewBlock;
use trackside_store::log::NewEntry;
use trackside_store::outbox::{DeliveryDetail, DeliveryState};
use uuid::Uuid;

const BLOCK: Uuid = Uuid::from_u128(0xb10c);

/// Answers by a script, and remembers what was asked.
#[derive(Default)]
struct Script {
    answers: Mutex<Vec<(u16, Value)>>,
    asked: Mutex<Vec<String>>,
}

impl Sender for Script {
    async fn send(&self, request: &Request, _: Duration) -> Answer {
        let shown = request.shown();
        self.asked.lock().unwrap().push(format!("{} {} {}", shown.method, shown.url, shown.body));
        let mut answers = self.answers.lock().unwrap();
        if answers.is_empty() {
            return Answer::NotSent { error: "nobody answers".to_owned() };
        }
        let (status, body) = answers.remove(0);
        let body = body.as_str().map_or_else(|| body.to_string(), str::to_owned);
        Answer::Response { status, headers: Vec::new(), body }
    }
}

struct World {
    store: Store,
    deliverer: Deliverer,
    script: Script,
    now: Arc<Mutex<Timestamp>>,
    clock: Clock,
    key: Arc<SealKey>,
    acts: u32,
}

fn start() -> Timestamp {
    "2026-11-20T12:00:00Z".parse().unwrap()
}

fn event() -> Event {
    serde_json::from_value(json!({
        "id": Uuid::from_u128(1), "source": "prefect-prod", "occurred": start(), "received": start(),
        "event": "prefect.flow-run.Failed",
        "resource": {"prefect.resource.id": format!("prefect.flow-run.{BLOCK}"), "prefect.resource.name": "wild-cat"}
    }))
    .unwrap()
}

impl World {
    async fn new(connections: Value) -> Self {
        let store = Store::memory().unwrap();
        let connections: BTreeMap<String, ConnectionConfig> = serde_json::from_value(connections).unwrap();
        let connections: Connections = Arc::new(connections);
        let key = Arc::new(SealKey::new([7; 32]));
        let now = Arc::new(Mutex::new(start()));
        let time = now.clone();
        store.append(vec![NewEntry::event(&event()).unwrap()]).await.unwrap();
        Self {
            deliverer: Deliverer::new(store.clone(), connections, None).with_seal_key(key.clone()),
            store,
            script: Script::default(),
            clock: Clock::controlled(move || *time.lock().unwrap(), || [0; 32]),
            now,
            key,
            acts: 0,
        }
    }

    async fn block(&self, slug: &str, data: Value) {
        let known = BlockType::by_slug(slug).unwrap();
        let data = known.seal(BLOCK, &data, &self.key, || Randomness::new([3; RANDOM_BYTES])).unwrap();
        let block = NewBlock {
            id: BLOCK,
            block_type: slug.to_owned(),
            name: "alerts".to_owned(),
            checksum: known.checksum.clone(),
            anonymous: false,
            data,
        };
        self.store.create_block(block, start(), &Caller::rules()).await.unwrap();
    }

    /// Puts an action into the outbox.
    async fn act(&mut self, connection: &str, action: Value) -> Effect {
        let automation = Uuid::from_u128(0xa);
        let act: Act = serde_json::from_value(json!({
            "automation": {
                "id": automation, "name": "watch", "description": "", "enabled": true, "tags": [],
                "trigger": {"type": "event", "match": {}, "match_related": {}, "after": [], "expect": [], "for_each": [],
                            "posture": "Reactive", "threshold": 1, "within": 0.0},
                "actions": [], "actions_on_trigger": [], "actions_on_resolve": [], "semantics": "prefect",
                "origin": "api", "created": start(), "updated": start(), "version": 1
            },
            "list": "actions", "index": 0, "action": action,
            "firing": {"automation": automation, "state": "Triggered", "at": start(), "because": "1 of 1",
                       "event": {"id": event().id, "seq": 1}}
        }))
        .unwrap();
        let owner = OwnerView { team: "watch".to_owned(), because: "an automation asks for it".to_owned() };
        let notice = Notice::plain("act".to_owned(), String::new(), Severity::Info, start(), owner);
        let id = delivery_id("default", 1, connection, self.acts);
        self.acts += 1;
        let effect = Effect {
            id,
            cause: u64::from(self.acts),
            at: start(),
            connection: connection.to_owned(),
            to: None,
            incident: None,
            key: id.to_string(),
            action: Action::Act,
            notice: Box::new(notice),
            act: Some(Box::new(act)),
            job: None,
        };
        let cursor = self.store.cursor().await.unwrap();
        let decision = Decision { cursor: cursor + 1, effects: vec![effect.clone()], ..Decision::default() };
        self.store.commit(&decision, cursor).await.unwrap();
        effect
    }

    /// Sends what is due, with these answers.
    async fn round(&mut self, answers: &[(u16, Value)]) -> Vec<String> {
        *self.script.answers.lock().unwrap() = answers.to_vec();
        let now = self.clock.now();
        for claimed in self.deliverer.plan(now).await.unwrap() {
            let attempted = send(&self.script, claimed, &self.clock).await;
            let recording = self.deliverer.settle(&attempted, now, 0.0);
            record(&self.store, recording).await.unwrap();
        }
        std::mem::take(&mut *self.script.asked.lock().unwrap())
    }

    fn later(&self) {
        let mut now = self.now.lock().unwrap();
        *now += SignedDuration::from_mins(10);
    }

    async fn detail(&self, effect: &Effect) -> DeliveryDetail {
        self.store.delivery(effect.id).await.unwrap().unwrap()
    }

    /// How the latest delivery ended, as the engine hears of it.
    async fn outcome(&self) -> Outcome {
        let entries = self.store.entries_after(0, 1_000).await.unwrap();
        let mut outcomes = entries.into_iter().filter_map(|entry| match entry.input {
            Input::Outcome(outcome) => Some(*outcome),
            _ => None,
        });
        outcomes.next_back().unwrap()
    }
}

fn through_block(body: &str) -> Value {
    json!({"type": "send-notification", "block_document_id": BLOCK, "subject": "S", "body": body})
}

#[tokio::test]
async fn an_action_goes_through_its_block_with_the_secrets_opened() {
    let mut world = World::new(json!({})).await;
    world.block("webhook", json!({"url": "https://example.net/hooks/s3cret"})).await;
    let action = json!({"type": "call-webhook", "block_document_id": BLOCK, "payload": "{\"run\": \"{{ event.resource.name }}\"}"});
    let effect = world.act(&format!("{BLOCK_PREFIX}{BLOCK}"), action).await;
    let asked = world.round(&[(201, json!({"id": "m-1"}))]).await;
    assert_eq!(asked, ["POST https://example.net[redacted] {\"run\": \"wild-cat\"}"]);
    let detail = world.detail(&effect).await;
    assert_eq!((detail.delivery.state, detail.delivery.far_ref.as_deref()), (DeliveryState::Delivered, Some("m-1")));
    assert!(!format!("{detail:?}").contains("s3cret"));
    let outcome = world.outcome().await;
    assert_eq!(
        (outcome.result, outcome.status, outcome.far_ref.as_deref()),
        (DeliveryResult::Delivered, Some(201), Some("m-1"))
    );
    assert_eq!(outcome.act, effect.act);
}

#[tokio::test]
async fn what_cannot_go_anywhere_ends_dead_at_once_and_says_why() {
    let mut world = World::new(json!({"slack": {"kind": "slack", "webhook_url": {"env": "PATH"}}})).await;
    let block = format!("{BLOCK_PREFIX}{BLOCK}");
    for (connection, action, expect) in [
        (
            "airflow-prod",
            json!({"type": "trigger-dag", "connection": "airflow-prod", "dag_id": "d"}),
            "no such connection: `airflow-prod` is not in the configuration; add it under `connections` (kind airflow), or name another one",
        ),
        (
            "prefect",
            json!({"type": "cancel-flow-run"}),
            "no such connection: `prefect` is not in the configuration; add it under `connections` (kind prefect), or name another one",
        ),
        (
            &block,
            through_block("B"),
            "no such connection: there is no block document 00000000-0000-0000-0000-00000000b10c; it was deleted, or belongs to another Prefect server. Create it here and name its id in the automation",
        ),
        (
            "slack",
            json!({"type": "notify-channel", "connection": "slack", "body": "{{ event.resource.name.nope() }}"}),
            "Template rendering failed: ",
        ),
        (
            "slack",
            json!({"type": "call-webhook", "connection": "slack", "payload": ""}),
            "no such connection: `slack` is of kind slack, and call-webhook needs one of kind webhook",
        ),
    ] {
        let effect = world.act(connection, action).await;
        assert!(world.round(&[]).await.is_empty(), "nothing is sent");
        let detail = world.detail(&effect).await;
        let error = detail.delivery.last_error.unwrap_or_default();
        assert_eq!((detail.delivery.state, detail.delivery.attempts), (DeliveryState::Dead, 1), "{error}");
        assert!(error.starts_with(expect), "{error}");
        assert!(matches!(world.outcome().await.result, DeliveryResult::Dead { error: told } if told == error));
    }
}

#[tokio::test]
async fn a_block_that_is_made_or_mended_later_is_used_when_a_person_tries_again() {
    let mut world = World::new(json!({})).await;
    let effect = world.act(&format!("{BLOCK_PREFIX}{BLOCK}"), through_block("B")).await;
    world.round(&[]).await;
    assert_eq!(world.detail(&effect).await.delivery.state, DeliveryState::Dead);
    world.block("slack-webhook", json!({"url": "https://hooks.slack.com/services/T0/B0/s3cret"})).await;
    world.store.retry(effect.id, world.clock.now(), &Caller::rules()).await.unwrap();
    // A far end that is away for a moment: the new block has the patience of its type.
    world.round(&[(503, json!("later"))]).await;
    assert_eq!(world.detail(&effect).await.delivery.state, DeliveryState::Pending);
    world.later();
    world.round(&[(200, json!("ok"))]).await;
    assert_eq!(world.detail(&effect).await.delivery.state, DeliveryState::Delivered);
}

#[tokio::test]
async fn a_key_that_is_not_the_right_one_is_said() {
    let mut world = World::new(json!({})).await;
    world.block("webhook", json!({"url": "https://example.net/hooks/s3cret"})).await;
    let other = Arc::new(SealKey::new([8; 32]));
    world.deliverer = Deliverer::new(world.store.clone(), Connections::default(), None).with_seal_key(other);
    let effect = world.act(&format!("{BLOCK_PREFIX}{BLOCK}"), through_block("B")).await;
    world.round(&[]).await;
    let error = world.detail(&effect).await.delivery.last_error.unwrap();
    assert!(error.starts_with("block `alerts`: the value was sealed with another key"), "{error}");
}

#[tokio::test]
async fn recipients_that_have_a_message_do_not_get_it_again() {
    let mut world = World::new(json!({})).await;
    let numbers = ["18004242421", "18004242422", "18004242423"];
    let data = json!({"account_sid": "AC1", "auth_token": "s3cret-token", "from_phone_number": "18001234567", "to_phone_numbers": numbers});
    world.block("twilio-sms", data).await;
    let effect = world.act(&format!("{BLOCK_PREFIX}{BLOCK}"), through_block("B")).await;
    let sent = json!({"sid": "SM1"});
    let to =
        |asked: &[String]| -> Vec<String> { asked.iter().map(|line| line[line.len() - 11..].to_owned()).collect() };
    assert_eq!(to(&world.round(&[(201, sent.clone()), (503, json!(""))]).await), numbers[..2]);
    world.later();
    assert_eq!(to(&world.round(&[(201, sent.clone()), (201, sent)]).await), numbers[1..]);
    let detail = world.detail(&effect).await;
    assert_eq!((detail.delivery.state, detail.delivery.far_ref.as_deref()), (DeliveryState::Delivered, Some("SM1")));
}

#[tokio::test]
async fn what_a_prefect_server_does_not_tell_is_noted_with_the_attempt() {
    let prefect = json!({"kind": "prefect", "url": "https://prefect.example.net/api"});
    let mut world = World::new(json!({"prefect-prod": prefect})).await;
    world.block("webhook", json!({"url": "https://example.net/in"})).await;
    let payload = "{{ flow_run.name }} {{ flow_run | ui_url }}";
    let action = json!({"type": "call-webhook", "block_document_id": BLOCK, "payload": payload});
    let effect = world.act(&format!("{BLOCK_PREFIX}{BLOCK}"), action).await;
    let asked = world.round(&[(404, json!({})), (200, json!(""))]).await;
    assert_eq!(
        asked,
        [
            format!("GET https://prefect.example.net/api/flow_runs/{BLOCK} "),
            format!("POST https://example.net/in wild-cat https://prefect.example.net/runs/flow-run/{BLOCK}"),
        ]
    );
    let request = world.detail(&effect).await.attempts[0].request.clone().unwrap();
    let note =
        "note: `flow_run` is made up from the event, because `prefect-prod` could not be asked for it: answered 404\n";
    assert!(request.starts_with(note), "{request}");
}
