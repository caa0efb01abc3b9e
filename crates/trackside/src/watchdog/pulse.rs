//! The dead man's switch: a sign of life as long as the self-audit finds nothing, and an alarm that does not need the
//! decider when it finds something.
//!
//! Invariants: a sign of life is sent only after an audit that found nothing; trouble is said once when it begins, and
//! the silence that follows says the rest; the alarm goes straight to its connection, because what is wrong may be the
//! log or the decider itself, and it is one alert at the far end however often it is said.

use crate::config::HeartbeatOut;
use crate::deliver::Connections;
use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use std::time::Duration;
use trackside_connect::far_end::{Answer, Verdict};
use trackside_connect::pulse::{Sign, request};
use trackside_connect::sender::{Sender, attempt};
use trackside_core::effect::{Action, Effect};
use trackside_core::event::Severity;
use trackside_core::ids::DeliveryId;
use trackside_core::notice::{Notice, OwnerView};
use trackside_identity::secret::Secrets;

/// Longest wait for the other side.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The alarm's key at the far end.
const ALARM_KEY: &str = "trackside-self-audit";

/// Whom the alarm can be sent to.
#[derive(Debug)]
pub(super) struct Reach {
    pub(super) connections: Connections,
    pub(super) public_url: Option<String>,
    pub(super) secrets: Secrets,
}

/// The dead man's switch of one server.
#[derive(Debug)]
pub(super) struct Pulse {
    settings: Option<HeartbeatOut>,
    reach: Reach,
    next: Timestamp,
    trouble: Option<String>,
}

impl Pulse {
    pub(super) fn new(settings: Option<HeartbeatOut>, reach: Reach, now: Timestamp) -> Self {
        Self { settings, reach, next: now, trouble: None }
    }

    /// Says how things are: nothing when a sign of life is not due yet and nothing has changed.
    pub(super) async fn say<S: Sender>(&mut self, sender: &S, trouble: Option<String>, now: Timestamp) {
        let Some(settings) = self.settings.clone() else {
            return;
        };
        let changed = trouble.is_some() != self.trouble.is_some();
        self.trouble.clone_from(&trouble);
        if changed && let Some(connection) = &settings.alarm {
            self.alarm(sender, connection, trouble.as_deref(), now).await;
        }
        let sign = match trouble {
            Some(text) if changed => Sign::Trouble(text),
            None if now >= self.next || changed => Sign::Well,
            _ => return,
        };
        self.next = now + settings.every.0;
        let url = match settings.url.resolve(&self.reach.secrets) {
            Ok(url) => url,
            Err(error) => return tracing::error!(%error, "no sign of life can be sent"),
        };
        let answer = sender.send(&request(&url, &sign), TIMEOUT).await;
        if let Some(why) = refused(&answer) {
            // Tried again with the next look rather than after the whole interval.
            self.next = now + SignedDuration::from_secs(5);
            tracing::warn!(why, "the sign of life did not arrive");
        }
    }

    async fn alarm<S: Sender>(&self, sender: &S, name: &str, trouble: Option<&str>, now: Timestamp) {
        let Reach { connections, public_url, secrets } = &self.reach;
        let opened = connections.get(name).map(|config| config.open(name, public_url.as_deref(), secrets));
        let connection = match opened {
            Some(Ok(connection)) => connection,
            Some(Err(error)) => return tracing::error!(%error, connection = name, "no alarm can be sent"),
            None => return tracing::error!(connection = name, "no alarm can be sent: there is no such connection"),
        };
        let effect = effect(name, trouble, now);
        match attempt(sender, &connection, &effect, None, now, TIMEOUT).await.map(|attempt| attempt.verdict) {
            Ok(Verdict::Done { .. }) => tracing::warn!(connection = name, "the alarm of the self-audit changed"),
            Ok(verdict) => tracing::error!(?verdict, connection = name, "the alarm of the self-audit did not arrive"),
            Err(error) => tracing::error!(%error, connection = name, "the alarm of the self-audit cannot be sent"),
        }
    }
}

fn effect(connection: &str, trouble: Option<&str>, now: Timestamp) -> Effect {
    let (action, title) = match trouble {
        Some(_) => (Action::Trigger, "Trackside is late: what was due was not sent"),
        None => (Action::Resolve, "Trackside has caught up"),
    };
    let owner = OwnerView { team: "trackside".to_owned(), because: "its self-audit says so".to_owned() };
    let summary = trouble.unwrap_or("Everything that was due was sent").to_owned();
    Effect {
        id: DeliveryId(trackside_core::ids::derive("self-audit", &[connection, &now.to_string()])),
        cause: 0,
        at: now,
        connection: connection.to_owned(),
        to: None,
        incident: None,
        key: ALARM_KEY.to_owned(),
        action,
        notice: Box::new(Notice {
            details: BTreeMap::new(),
            ..Notice::plain(title.to_owned(), summary, Severity::Critical, now, owner)
        }),
        act: None,
        job: None,
    }
}

fn refused(answer: &Answer) -> Option<String> {
    match answer {
        Answer::Response { status: 200..=299, .. } => None,
        Answer::Response { status, .. } => Some(format!("the other side answered {status}")),
        Answer::NotSent { error } | Answer::Withheld { error } | Answer::Lost { error } => Some(error.clone()),
    }
}
