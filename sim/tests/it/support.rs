//! Connections to the far ends, and one attempt through them.

use jiff::Timestamp;
use secrecy::SecretString;
use std::time::Duration;
use trackside_connect::connection::address::HttpUrl;
use trackside_connect::connection::{Acting, Connection, Target};
use trackside_connect::email::{MailServer, Mailbox};
use trackside_connect::sender::{Attempt, NetworkSender, attempt};
use trackside_connect::template::{MessageTemplates, sample_effect};
use trackside_core::effect::{Action, Effect};
use trackside_core::ids::{DeliveryId, derive};
use trackside_sim::far_ends::{FarEnds, PAGERDUTY_ROUTING_KEY, SLACK_TOKEN, SLACK_WEBHOOK_PATH, WEBHOOK_SECRET};
use trackside_sim::journal::Journal;

/// The far ends, and a sender.
pub(crate) struct World {
    pub(crate) ends: FarEnds,
    pub(crate) sender: NetworkSender,
}

pub(crate) fn now() -> Timestamp {
    "2026-11-20T16:40:00Z".parse().unwrap()
}

pub(crate) async fn world() -> World {
    let ends = FarEnds::start(Journal::new(now)).await.unwrap();
    World { ends, sender: NetworkSender::new().unwrap() }
}

impl World {
    pub(crate) fn pagerduty(&self) -> Connection {
        let routing_key = SecretString::from(PAGERDUTY_ROUTING_KEY);
        connection(Target::Pagerduty { url: self.ends.pagerduty.url(), routing_key })
    }

    pub(crate) fn slack_webhook(&self) -> Connection {
        let url = format!("{}{SLACK_WEBHOOK_PATH}", self.ends.slack.url());
        connection(Target::SlackWebhook { url: SecretString::from(url) })
    }

    pub(crate) fn slack_api(&self, channel: &str) -> Connection {
        let api_url = format!("{}/api", self.ends.slack.url());
        connection(Target::SlackApi { api_url, token: SecretString::from(SLACK_TOKEN), channel: channel.to_owned() })
    }

    pub(crate) fn webhook(&self) -> Connection {
        let url = HttpUrl::try_from(format!("{}/in", self.ends.webhook.url())).unwrap();
        connection(Target::Webhook { url, secrets: vec![SecretString::from(WEBHOOK_SECRET)] })
    }

    pub(crate) fn mail(&self) -> Connection {
        let server = MailServer::try_from(format!("smtp://{}", self.ends.mail.address())).unwrap();
        let mailbox = |text: &str| Mailbox::try_from(text.to_owned()).unwrap();
        connection(Target::Email {
            server,
            login: None,
            from: mailbox("Trackside <trackside@example.net>"),
            to: vec![mailbox("ana@example.net"), mailbox("Bo <bo@example.net>")],
        })
    }

    pub(crate) async fn try_once(&self, connection: &Connection, effect: &Effect, previous: Option<&str>) -> Attempt {
        self.try_for(connection, effect, previous, Duration::from_secs(20)).await
    }

    pub(crate) async fn try_for(
        &self,
        connection: &Connection,
        effect: &Effect,
        previous: Option<&str>,
        limit: Duration,
    ) -> Attempt {
        attempt(&self.sender, connection, effect, previous, now(), limit).await.unwrap()
    }
}

fn connection(target: Target) -> Connection {
    Connection {
        name: "under-test".to_owned(),
        public_url: Some("https://trackside.example.net".to_owned()),
        message: MessageTemplates::default(),
        acting: Acting::default(),
        target,
    }
}

/// An effect of the sample incident with an id of its own.
pub(crate) fn effect(action: Action) -> Effect {
    let mut effect = sample_effect(action, now());
    effect.id = DeliveryId(derive("test", &[action.as_str()]));
    effect
}
