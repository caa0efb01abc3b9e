//! Putting a configuration in force: at a reload, and for `trackside plan` and `apply`.
//!
//! One task ([`Configurator::run`]) owns what is in force and answers one request after the other. Invariants: an
//! invalid configuration never replaces a valid one; files are replaced before what they say is in force, so that a
//! crash in between ends with the new files; every change has a caller and goes through the log.

pub(crate) mod derived;
mod difference;
mod folder;
mod force;
mod plan;

pub(crate) use force::Parts;

use crate::automations::edits::edits;
use crate::automations::stored;
use crate::config::{self, Config, Problem, Problems, SourceFile};
use anyhow::{Context, Result};
use force::{InForce, Refused};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use trackside_core::ids::Seq;
use trackside_core::ruleset::Ruleset;
use trackside_store::Store;
use trackside_web::{ConfigAct, ConfigAnswer, ConfigProblem, ConfigRefusal, ConfigRequest, Configure};

/// Most requests that wait for an answer.
const WAITING: usize = 8;

/// Reads and checks the configuration of a folder for this process: with a change of files finished that was begun
/// before, and with what the environment overrides.
///
/// # Errors
/// When it cannot be used.
pub fn read(folder: &Path) -> Result<Config> {
    folder::complete(folder).with_context(|| format!("{}: a change of the files is not finished", folder.display()))?;
    let config = config::load(folder).with_context(|| format!("{} cannot be used", folder.display()))?;
    Ok(here(config))
}

/// With what the environment overrides.
fn here(mut config: Config) -> Config {
    config.server = config.server.resolve(|name| std::env::var(name).ok());
    config
}

/// Puts the automations of the files in force when they are not, before anything is served.
///
/// # Errors
/// When one clashes with an automation that was made through the API, or the log cannot be written.
pub(crate) async fn start_automations(store: &Store, config: &Config, decided: Seq, now: Timestamp) -> Result<()> {
    let kept = stored::kept(store, &config.automations).await?;
    let edits = edits(&config.automations, &kept.automations, &kept.said, now).map_err(Problems)?;
    if !edits.is_empty() {
        store.append(vec![derived::automations_entry(edits, stored::files(), decided, now)?]).await?;
    }
    Ok(())
}

/// Something that is asked of the task.
enum Ask {
    /// Read the folder again.
    Reload(oneshot::Sender<Result<()>>),
    /// Plan or apply what was uploaded.
    Uploaded(ConfigRequest, oneshot::Sender<Result<ConfigAnswer, ConfigRefusal>>),
}

/// Asks the task.
#[derive(Clone, Debug)]
pub(crate) struct Handle(mpsc::Sender<Ask>);

/// What is asked.
pub(crate) struct Asked(mpsc::Receiver<Ask>);

/// A handle, and the other end of it.
pub(crate) fn handle() -> (Handle, Asked) {
    let (sender, receiver) = mpsc::channel(WAITING);
    (Handle(sender), Asked(receiver))
}

impl Handle {
    /// Reads the folder again and puts it in force. A bad one is refused, and the one in force stays.
    pub(crate) async fn reload(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.0.send(Ask::Reload(reply)).await.ok().context("the server is stopping")?;
        answer.await.context("the server is stopping")?
    }

    /// For the web: plans and applies what is uploaded.
    pub(crate) fn configure(&self) -> Configure {
        let asks = self.0.clone();
        Arc::new(move |request| {
            let asks = asks.clone();
            async move {
                let (reply, answer) = oneshot::channel();
                let stopping = || ConfigRefusal::Failed("the server is stopping".to_owned());
                asks.send(Ask::Uploaded(request, reply)).await.map_err(|_| stopping())?;
                answer.await.map_err(|_| stopping())?
            }
            .boxed()
        })
    }
}

/// The task that owns what is in force.
pub(crate) struct Configurator {
    folder: PathBuf,
    in_force: InForce,
    asked: Asked,
}

impl Configurator {
    /// What a start has put in force, from this folder.
    pub(crate) async fn started(
        folder: &Path,
        parts: Parts,
        config: Config,
        ruleset: Ruleset,
        asked: Asked,
    ) -> Result<Self> {
        let in_force = InForce::started(parts, config, ruleset).await?;
        Ok(Self { folder: folder.to_owned(), in_force, asked })
    }

    /// Answers until `stop` changes.
    pub(crate) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut rotated = self.in_force.secrets().changes();
        loop {
            let ask = tokio::select! {
                ask = self.asked.0.recv() => ask,
                Ok(()) = rotated.changed() => {
                    self.rotated().await;
                    continue;
                }
                _ = stop.changed() => None,
            };
            // Whoever asked may have gone; what was done stays done.
            match ask {
                Some(Ask::Reload(reply)) => drop(reply.send(self.reload().await)),
                Some(Ask::Uploaded(request, reply)) => drop(reply.send(self.uploaded(request).await)),
                None => break,
            }
        }
        self.in_force.stop_feeds().await;
    }

    /// What is made of secrets is made anew. When that fails, what was made of the old ones stays.
    async fn rotated(&self) {
        if let Err(refused) = self.in_force.rotated().await {
            let error = anyhow::Error::from(refused);
            tracing::error!(error = format!("{error:#}"), "a secret has changed, but the tokens stay as they were");
        }
    }

    async fn reload(&mut self) -> Result<()> {
        let folder = self.folder.clone();
        let config = tokio::task::spawn_blocking(move || read(&folder)).await??;
        let plan = self.in_force.plan(&config).await?;
        let admitted = self.in_force.admit(&config).await?;
        Ok(self.in_force.put(config, plan, admitted, &stored::files()).await?)
    }

    async fn uploaded(&mut self, request: ConfigRequest) -> Result<ConfigAnswer, ConfigRefusal> {
        let files: Vec<SourceFile> =
            request.files.into_iter().map(|file| SourceFile { name: file.name, text: file.text }).collect();
        let (files, config) = away(move || {
            folder::check(&files)?;
            let config = config::check(Path::new(""), &files)?;
            Ok((files, here(config)))
        })
        .await?
        .map_err(|problems: Problems| invalid(&problems))?;
        let plan = self.in_force.plan(&config).await.map_err(refusal)?;
        let mut answer = ConfigAnswer {
            in_force: plan.in_force.clone(),
            changes: plan.changes.clone(),
            warnings: config.warnings.iter().chain(&self.in_force.ahead(&config)).map(told).collect(),
            errors: config.unusable_here.iter().map(told).collect(),
            applied: false,
        };
        let ConfigAct::Apply { expected } = request.act else { return Ok(answer) };
        if !answer.errors.is_empty() {
            return Err(ConfigRefusal::Invalid(answer.errors));
        }
        if expected.is_some_and(|expected| expected != answer.in_force) {
            let detail = "something else is in force than when this was planned; look at the plan again";
            return Err(ConfigRefusal::Conflict(detail.to_owned()));
        }
        let admitted = self.in_force.admit(&config).await.map_err(refusal)?;
        self.replace(files).await?;
        let caller = stored::uploaded_by(&request.caller);
        self.in_force.put(config, plan, admitted, &caller).await.map_err(|refused| {
            let error = anyhow::Error::from(refused);
            tracing::error!(error = format!("{error:#}"), "the new configuration files could not be put in force");
            let detail = "the files are in place, but could not be put in force; see the log of the server, then send \
                          it a SIGHUP or start it again";
            ConfigRefusal::Failed(detail.to_owned())
        })?;
        tracing::info!(by = caller.subject, changes = answer.changes.len(), "another configuration is in force");
        answer.applied = true;
        Ok(answer)
    }

    /// Puts files into the folder, unless they are there.
    async fn replace(&self, files: Vec<SourceFile>) -> Result<(), ConfigRefusal> {
        let folder = self.folder.clone();
        away(move || {
            let mut sorted = files.clone();
            sorted.sort_by(|a, b| a.name.cmp(&b.name));
            if config::read_folder(&folder).is_ok_and(|there| there == sorted) {
                return Ok(());
            }
            folder::replace(&folder, &files).map_err(|error| folder::unwritable(&folder, &error))
        })
        .await?
        .map_err(ConfigRefusal::Conflict)
    }
}

/// Does something long where it holds up no other task.
async fn away<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ConfigRefusal> {
    tokio::task::spawn_blocking(work).await.map_err(|error| ConfigRefusal::Failed(error.to_string()))
}

fn invalid(problems: &Problems) -> ConfigRefusal {
    ConfigRefusal::Invalid(problems.0.iter().map(told).collect())
}

fn refusal(refused: Refused) -> ConfigRefusal {
    match refused {
        Refused::Problems(problems) => invalid(&Problems(problems)),
        Refused::Conflict(detail) => ConfigRefusal::Conflict(detail),
        Refused::Failed(error) => {
            tracing::error!(error = format!("{error:#}"), "a configuration could not be looked at");
            ConfigRefusal::Failed("the server could not look at it now; its log says why".to_owned())
        }
    }
}

/// A mistake as the API tells of it.
fn told(problem: &Problem) -> ConfigProblem {
    ConfigProblem {
        file: problem.spot.file.display().to_string(),
        line: problem.spot.line,
        column: problem.spot.column,
        path: problem.spot.path.clone(),
        problem: problem.problem.clone(),
        suggestion: problem.suggestion.clone(),
    }
}
