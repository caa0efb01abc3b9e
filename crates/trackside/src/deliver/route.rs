//! Which way a delivery goes: through a connection of the configuration, or through a block document.
//!
//! A block is read and its secrets opened for each round of planning, so that an edit is in force at once. What cannot
//! be gone through is a route too ([`Route::Nowhere`]): it ends dead with its reason, where people see it.

use super::{Connections, Material};
use jiff::SignedDuration;
use std::sync::Arc;
use trackside_connect::act::{self, ROUNDS};
use trackside_connect::block::{Block, BlockType};
use trackside_connect::connection::{ConnectionConfig, DeliveryPolicy};
use trackside_connect::prefect::feed;
use trackside_core::automation::act::{Act, BLOCK_PREFIX};
use trackside_core::effect::Effect;
use trackside_core::ids::Seq;
use trackside_core::ruleset::ConnectionKind;
use trackside_identity::act_link::ActKey;
use trackside_identity::broker::Brokers;
use trackside_identity::seal::SealKey;
use trackside_identity::secret::Secrets;
use trackside_store::Store;
use url::Url;
use uuid::Uuid;

/// Everything that deliveries can go through.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) store: Store,
    pub(super) connections: Connections,
    pub(super) public_url: Option<String>,
    /// Secrets of secret managers, as last fetched.
    pub(super) secrets: Secrets,
    /// Opens the secrets of blocks.
    pub(super) seal_key: Option<Arc<SealKey>>,
    /// Signs the links in mails.
    pub(super) act_key: Option<Arc<ActKey>>,
    /// Authenticates the calls of jobs.
    pub(super) brokers: Brokers,
}

/// One way.
#[derive(Clone, Debug)]
pub(super) enum Route {
    /// A connection of the configuration.
    Connection(Box<ConnectionConfig>),
    /// A block document with its secrets in clear.
    Block(Arc<Block>),
    /// There is no way, and why.
    Nowhere(String),
}

impl Routes {
    /// The way of an effect.
    pub(super) async fn find(&self, effect: &Effect) -> trackside_store::Result<Route> {
        let name = &effect.connection;
        if let Some(config) = self.connections.get(name) {
            return Ok(Route::Connection(Box::new(config.clone())));
        }
        match name.strip_prefix(BLOCK_PREFIX) {
            Some(id) => self.block(id).await,
            None => Ok(Route::Nowhere(act::no_such_connection(name, effect.act.as_deref()))),
        }
    }

    async fn block(&self, id: &str) -> trackside_store::Result<Route> {
        let document = match Uuid::parse_str(id) {
            Ok(id) => self.store.block(id).await?,
            Err(_) => None,
        };
        let Some(document) = document else {
            let why = format!(
                "no such connection: there is no block document {id}; it was deleted, or belongs to another Prefect \
                 server. Create it here and name its id in the automation"
            );
            return Ok(Route::Nowhere(why));
        };
        let refused = |why: String| Ok(Route::Nowhere(format!("block `{}`: {why}", document.name)));
        let Some(known) = BlockType::by_slug(&document.block_type) else {
            return refused(format!("type `{}` cannot be sent through", document.block_type));
        };
        let Some(key) = &self.seal_key else {
            return refused("the key that opens its secrets is not there".to_owned());
        };
        let data = match known.open(document.id, &document.data, key) {
            Ok(data) => data,
            Err(error) => return refused(error.to_string()),
        };
        match Block::open(document.id, Some(&document.name), &document.block_type, &data) {
            Ok(block) => Ok(Route::Block(Arc::new(block))),
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                refused(problems.join("; "))
            }
        }
    }

    /// What the texts of an action are made of.
    pub(super) async fn material(&self, act: &Act) -> trackside_store::Result<Material> {
        let positions: Vec<Seq> = act.firing.events().iter().map(|event| event.seq).collect();
        let events = self.store.events_at(&positions).await?;
        let events: Vec<_> = events.into_iter().map(|logged| logged.event).collect();
        let completing = act.firing.event.and_then(|wanted| events.iter().find(|event| event.id == wanted.id));
        let servers = || self.connections.iter().filter(|(_, config)| config.kind() == ConnectionKind::Prefect);
        let origin = completing.and_then(|event| servers().find(|(name, _)| **name == event.source));
        // Links lead to the server that the event came from, else to the only one there is.
        let mut all = servers();
        let only = all.next().filter(|_| all.next().is_none());
        let pages = origin.or(only).and_then(|(_, config)| pages(config));
        Ok(Material { events, origin: origin.map(|(name, config)| (name.clone(), config.clone())), pages })
    }
}

impl Route {
    /// How fast and how long to try; nothing for what is refused at once.
    pub(super) fn policy(&self) -> Option<DeliveryPolicy> {
        match self {
            Self::Connection(config) => Some(config.delivery()),
            Self::Block(block) => Some(block.delivery()),
            Self::Nowhere(_) => None,
        }
    }

    /// How long an attempt may take.
    pub(super) fn longest(&self) -> SignedDuration {
        let rounds = match self {
            Self::Connection(_) => ROUNDS,
            Self::Block(block) => ROUNDS.saturating_add(u32::try_from(block.recipients()).unwrap_or(u32::MAX)),
            Self::Nowhere(_) => 0,
        };
        let timeout = self.policy().map_or(SignedDuration::ZERO, |policy| {
            SignedDuration::try_from(policy.timeout).unwrap_or(SignedDuration::MAX)
        });
        let seconds = timeout.as_secs_f64() * f64::from(rounds);
        SignedDuration::try_from_secs_f64(seconds).unwrap_or(SignedDuration::MAX)
    }
}

fn pages(config: &ConnectionConfig) -> Option<String> {
    match config {
        ConnectionConfig::Prefect(prefect) => feed::pages_of(&Url::parse(prefect.url.as_str()).ok()?),
        _ => None,
    }
}
