//! The watchdog: what was due and was not sent becomes an incident, ends the signs of life, and raises an alarm that does
//! not need the log.

use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use trackside::config::{HeartbeatOut, RetentionSettings};
use trackside::decide::{Decider, Step};
use trackside::server::OutboxMetrics;
use trackside::watchdog::{Charge, Watchdog};
use trackside_connect::connection::ConnectionConfig;
use trackside_connect::far_end::{Answer, Request, Wire};
use trackside_connect::sender::Sender;
use trackside_core::caller::Caller;
use trackside_core::input::{Command, Input};
use trackside_store::Store;
use trackside_store::log::NewEntry;
use trackside_store::outbox::{Delivery, DeliveryFilter, DeliveryState};

/// Notes what is asked of it, and answers as told.
#[derive(Default)]
struct Listener {
    heard: Mutex<Vec<String>>,
}

impl Listener {
    fn heard(&self) -> Vec<String> {
        std::mem::take(&mut self.heard.lock().unwrap())
    }
}

impl Sender for Listener {
    async fn send(&self, request: &Request, _: Duration) -> Answer {
        let Wire::Http(http) = &request.wire else { panic!("only HTTP is spoken here") };
        let action = serde_json::from_str::<serde_json::Value>(&http.body)
            .ok()
            .and_then(|body| body["event_action"].as_str().map(str::to_owned));
        let what = action.unwrap_or_else(|| http.body.clone());
        self.heard.lock().unwrap().push(format!("{} {} {what}", http.method, http.url).trim().to_owned());
        Answer::Response {
            status: 202,
            headers: Vec::new(),
            body: r#"{"status":"success","dedup_key":"x"}"#.to_owned(),
        }
    }
}

struct World {
    store: Store,
    decider: Decider,
    watchdog: Watchdog,
    listener: Listener,
    now: Timestamp,
    _key: tempfile::NamedTempFile,
}

impl World {
    async fn new() -> Self {
        let now: Timestamp = "2026-11-20T02:00:00Z".parse().unwrap();
        let store = Store::memory().unwrap();
        let mut key = tempfile::NamedTempFile::new().unwrap();
        std::io::Write::write_all(&mut key, b"0123456789abcdef0123456789abcdef").unwrap();
        let file = json!({"file": key.path()});
        let connections: BTreeMap<String, ConnectionConfig> = serde_json::from_value(json!({
            "pd": {"kind": "pagerduty", "routing_key": file, "url": "https://pagerduty.test"},
            "hook": {"kind": "webhook", "url": "https://hook.test/in", "secret": file},
        }))
        .unwrap();
        let heartbeat: HeartbeatOut =
            serde_json::from_value(json!({"url": "https://alive.test/ping/1", "every": "1m", "alarm": "pd"})).unwrap();
        let ruleset = serde_json::from_value(json!({
            "teams": {"platform": {"notify": [{"via": "hook"}]}},
            "owners": {"default": "platform"},
            "connections": {
                "pd": {"kind": "pagerduty", "updates": "raised"}, "hook": {"kind": "webhook", "updates": "every"},
            },
        }))
        .unwrap();
        let decider = Decider::load(store.clone(), "default").await.unwrap();
        decider.apply(ruleset, Caller::rules(), now).await.unwrap();
        let charge = Charge {
            store: store.clone(),
            retention: RetentionSettings::default(),
            metrics: OutboxMetrics::default(),
            heartbeat: Some(heartbeat),
            connections: Arc::new(connections),
            public_url: None,
            secrets: trackside_identity::secret::Secrets::default(),
        };
        let watchdog = Watchdog::new(charge, now);
        Self { store, decider, watchdog, listener: Listener::default(), now, _key: key }
    }

    /// Passes some seconds, looks, and decides what was noticed.
    async fn look(&mut self, seconds: i64) -> Vec<String> {
        self.now += SignedDuration::from_secs(seconds);
        self.watchdog.look(&self.listener, self.now).await;
        while self.decider.once(self.now).await.unwrap() != Step::Idle(None) {}
        self.listener.heard()
    }

    fn open(&self) -> Vec<String> {
        self.decider.state().open_incidents().map(|incident| incident.title.to_string()).collect()
    }
}

#[tokio::test]
async fn signs_of_life_end_with_the_first_late_message_and_come_back() {
    let mut world = World::new().await;
    let alive = "GET https://alive.test/ping/1";
    assert_eq!(world.look(0).await, [alive]);
    assert!(world.look(30).await.is_empty(), "it is not due yet");
    assert_eq!(world.look(30).await, [alive]);

    // A message that nobody sends.
    let command = Command::SendTest { connection: "hook".to_owned() };
    let input = Input::Command { caller: Caller::rules(), command, origin: None };
    let entry = NewEntry::input(world.now, &input, uuid::Uuid::from_u128(1)).unwrap();
    world.store.append(vec![entry]).await.unwrap();
    assert!(world.look(1).await.is_empty());
    assert_eq!(world.look(59).await, [alive]);
    let heard = world.look(10).await;
    assert_eq!(heard.len(), 2, "{heard:?}");
    assert!(heard[0].starts_with("POST https://pagerduty.test") && heard[0].ends_with("trigger"), "{heard:?}");
    assert_eq!(heard[1], "POST https://alive.test/ping/1/fail messages through hook do not get out");
    assert_eq!(world.open(), ["Messages through hook do not get out"]);
    assert!(world.look(120).await.is_empty(), "silence says the rest");

    // Somebody takes the message away; the alarm ends, and life is heard of again.
    let rows = world.store.deliveries(&DeliveryFilter { limit: 100, ..DeliveryFilter::default() }).await.unwrap().items;
    let waiting: Vec<(&Delivery, &str)> =
        rows.iter().filter(|row| row.state == DeliveryState::Pending).map(|row| (row, "not needed")).collect();
    world.store.supersede(&waiting, world.now).await.unwrap();
    let heard = world.look(5).await;
    assert!(heard[0].ends_with("resolve") && heard[1] == alive, "{heard:?}");
    assert!(world.open().is_empty());
}
