//! The far ends together, each on its own port of 127.0.0.1, with one journal.

use crate::application::Application;
use crate::behaviour::Behaviour;
use crate::http::{App, Http};
use crate::journal::Journal;
use crate::pagerduty::Pagerduty;
use crate::prefect::Prefect;
use crate::requests::Requests;
use crate::server::Server;
use crate::service::{Keys, Service};
use crate::slack::Slack;
use crate::smtp::Mailbox;
use crate::webhook::Webhook;
use jiff::Timestamp;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// The bot token that the fake Slack accepts.
pub const SLACK_TOKEN: &str = "xoxb-sim";
/// The signing secret of the fake Slack's app.
pub const SLACK_SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
/// The path of an incoming webhook at the fake Slack.
pub const SLACK_WEBHOOK_PATH: &str = "/services/T000/B000/sim";
/// A routing key as PagerDuty makes them, 32 characters.
pub const PAGERDUTY_ROUTING_KEY: &str = "51515151515151515151515151515151";
/// The secret that the fake PagerDuty signs its webhooks with.
pub const PAGERDUTY_WEBHOOK_SECRET: &str = "sim-pagerduty-webhook-secret";
/// The secret that the webhook receiver checks signatures with.
pub const WEBHOOK_SECRET: &str = "whsec_c2ltc2ltc2ltc2ltc2ltc2ltc2ltc2lt";

/// The API key that the fake Prefect accepts.
pub const PREFECT_KEY: &str = "pnu_sim-prefect-key";

/// A running far end. Dropping it closes its port.
#[derive(Debug)]
pub struct FarEnd<S> {
    server: Server,
    state: Arc<S>,
    requests: Requests,
}

impl<S> FarEnd<S> {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Its base address, without trailing slash.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }

    /// Changes how it behaves; in force for new requests when this returns.
    pub async fn set(&self, behaviour: Behaviour) {
        self.server.set(behaviour).await;
    }

    /// When it was asked for something, oldest first, whether it took it or not; for mail, each `MAIL FROM`. A refused
    /// connection asks for nothing.
    #[must_use]
    pub fn requests(&self) -> Vec<Timestamp> {
        self.requests.times()
    }

    /// What it knows.
    #[must_use]
    pub fn state(&self) -> &S {
        &self.state
    }
}

/// All far ends.
#[derive(Debug)]
pub struct FarEnds {
    /// What arrived anywhere.
    pub journal: Journal,
    /// PagerDuty Events v2.
    pub pagerduty: FarEnd<Pagerduty>,
    /// Slack, incoming webhooks and Web API.
    pub slack: FarEnd<Slack>,
    /// A receiver of signed webhooks.
    pub webhook: FarEnd<Webhook>,
    /// A Prefect server's REST API, as far as actions use it.
    pub prefect: FarEnd<Prefect>,
    /// A service that jobs call, honouring keys.
    pub keyed: FarEnd<Service>,
    /// A service that jobs call, ignoring keys.
    pub plain: FarEnd<Service>,
    /// The application behind the gateway of the demonstration.
    pub application: FarEnd<Application>,
    /// A mail server.
    pub mail: FarEnd<Mailbox>,
}

impl FarEnds {
    /// Starts them on free ports. The page with all arrivals is at `/` of each but the mail server.
    ///
    /// # Errors
    /// When a port cannot be opened.
    pub async fn start(journal: Journal) -> io::Result<Self> {
        let requests = Requests::default();
        let mailbox = Mailbox::new(journal.clone(), requests.clone());
        let mail_server = Server::start(mailbox.clone()).await?;
        Ok(Self {
            pagerduty: http(Pagerduty::new(journal.clone()), &journal).await?,
            slack: http(Slack::new(journal.clone(), SLACK_TOKEN), &journal).await?,
            prefect: http(Prefect::new(journal.clone(), PREFECT_KEY), &journal).await?,
            keyed: http(Service::new(journal.clone(), Keys::Honoured), &journal).await?,
            plain: http(Service::new(journal.clone(), Keys::Ignored), &journal).await?,
            application: http(Application::new(journal.clone()), &journal).await?,
            webhook: http(Webhook::new(journal.clone(), WEBHOOK_SECRET), &journal).await?,
            mail: FarEnd { server: mail_server, state: Arc::new(mailbox), requests },
            journal,
        })
    }
}

async fn http<A: App>(app: A, journal: &Journal) -> io::Result<FarEnd<A>> {
    let state = Arc::new(app);
    let requests = Requests::default();
    let http = Http { app: Arc::clone(&state), journal: journal.clone(), requests: requests.clone() };
    let server = Server::start(http).await?;
    Ok(FarEnd { server, state, requests })
}
