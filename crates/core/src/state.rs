//! What the engine keeps in memory: the live part of the world, and what of it changed since the last commit.
//!
//! Invariants: every change goes through a method here, so that it is in the next delta; a batch is taken with
//! [`State::take_changes`] and committed whole. Runs and attempts are a cache of the store: [`State::needed`] says what
//! must be loaded before a batch is decided, [`State::forget_settled`] drops what is over. No decision is made here.

mod absences;
mod approvals;
mod automations;
mod bonds;
mod canaries;
mod jobs;
mod lineage;
mod needed;
mod planned;
mod scopes;
mod shared;
mod timers;

use absences::Absences;
use approvals::Approvals;
use bonds::Bonds;
pub use canaries::CanaryTest;
use jobs::Jobs;
use lineage::Writers;
pub use needed::{Loaded, Needed};
use planned::Planned;
use scopes::Scopes;
use shared::SharedNames;

use crate::automation::set::Automations;
use crate::decision::{Alias, Change, Counters};
use crate::event::Event;
use crate::ids::{IncidentId, Seq};
use crate::incident::{Alert, AlertKey, Incident};
use crate::pipeline::Pipeline;
use crate::rules::{BadRuleset, Rules};
use crate::run::{Attempt, AttemptKey, Name, PipelineKey, Run, RunKey, RunState, RunUpdate};
use crate::timer::{Timer, TimerKey};
use jiff::{SignedDuration, Timestamp};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use uuid::Uuid;

/// The live state of one workspace.
#[derive(Clone, Debug)]
pub struct State {
    /// Name of the workspace; part of every derived id.
    pub workspace: Name,
    /// Last log entry decided.
    pub cursor: Seq,
    rules: Option<Arc<Rules>>,
    counters: Counters,
    runs: BTreeMap<RunKey, Run>,
    attempts: BTreeMap<AttemptKey, Attempt>,
    aliases: BTreeMap<(Name, Name), Alias>,
    names: BTreeMap<RunKey, BTreeSet<(Name, Name)>>,
    settled: BTreeSet<RunKey>,
    /// Time of the last input; what was resolved long before it is let go of.
    now: Timestamp,
    bonds: Bonds,
    writers: Writers,
    planned: Planned,
    absences: Absences,
    scopes: Scopes,
    canaries: BTreeMap<String, CanaryTest>,
    jobs: Jobs,
    approvals: Approvals,
    // Boxed: the slack of a tree's nodes is a pointer's size, not a value's. There may be 100,000 of each.
    pipelines: BTreeMap<PipelineKey, Box<Pipeline>>,
    alerts: BTreeMap<AlertKey, Box<Alert>>,
    incidents: BTreeMap<IncidentId, Box<Incident>>,
    shared: SharedNames,
    timers: BTreeMap<TimerKey, Timestamp>,
    due: BTreeSet<(Timestamp, TimerKey)>,
    dirty: BTreeSet<Dirty>,
    automations: Automations,
    automation_edits: Vec<Change>,
    events: BTreeMap<Seq, Arc<Event>>,
}

/// Which entity changed; the value is read when the batch is taken.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Dirty {
    Ruleset,
    Counters,
    Pipeline(PipelineKey),
    Run(RunKey),
    Attempt(AttemptKey),
    Alias((Name, Name)),
    Incident(IncidentId),
    Alert(AlertKey),
    Timer(TimerKey),
    Canary(String),
    JobRun(Uuid),
    Approval(Uuid),
    Grant(Uuid),
}

/// The alias under which a run's far-end id is found when the run was first seen under another name.
/// Run ids are unique within a pipeline only, so the pipeline is part of the alias.
#[must_use]
pub fn run_id_alias(pipeline: &str, run_id: &str) -> Name {
    format!("{pipeline}\u{1f}{run_id}").into()
}

/// Rules and counters.
impl State {
    /// An empty workspace.
    #[must_use]
    pub fn new(workspace: &str) -> Self {
        Self {
            workspace: workspace.into(),
            cursor: 0,
            rules: None,
            counters: Counters::default(),
            runs: BTreeMap::new(),
            attempts: BTreeMap::new(),
            aliases: BTreeMap::new(),
            names: BTreeMap::new(),
            settled: BTreeSet::new(),
            now: Timestamp::MIN,
            bonds: Bonds::default(),
            writers: Writers::default(),
            planned: Planned::default(),
            absences: Absences::default(),
            scopes: None,
            canaries: BTreeMap::new(),
            jobs: Jobs::default(),
            approvals: Approvals::default(),
            pipelines: BTreeMap::new(),
            alerts: BTreeMap::new(),
            incidents: BTreeMap::new(),
            shared: SharedNames::default(),
            timers: BTreeMap::new(),
            due: BTreeSet::new(),
            dirty: BTreeSet::new(),
            automations: Automations::default(),
            automation_edits: Vec::new(),
            events: BTreeMap::new(),
        }
    }

    /// The state as the store has it.
    ///
    /// # Errors
    /// A stored ruleset that no longer compiles.
    pub fn restore(workspace: &str, mut loaded: Loaded) -> Result<Self, BadRuleset> {
        let mut state = Self::new(workspace);
        state.automations = Automations::restore(std::mem::take(&mut loaded.automations));
        state.cursor = loaded.cursor;
        state.counters = loaded.counters;
        state.rules = loaded.ruleset.clone().map(Rules::new).transpose()?.map(Arc::new);
        for pipeline in &loaded.pipelines {
            state.keep_pipeline(pipeline.clone());
        }
        state.keep_planned(
            std::mem::take(&mut loaded.overrides),
            std::mem::take(&mut loaded.silences),
            std::mem::take(&mut loaded.planned_work),
        );
        state.keep_absences(std::mem::take(&mut loaded.absences));
        let canaries = std::mem::take(&mut loaded.canaries);
        state.canaries.extend(canaries.into_iter().map(|test| (test.connection.clone(), test)));
        for incident in std::mem::take(&mut loaded.incidents) {
            state.keep_incident(incident);
        }
        for alert in &loaded.alerts {
            state.keep_alert(alert.clone());
        }
        for timer in &loaded.timers {
            state.timers.insert(timer.key.clone(), timer.due);
            state.due.insert((timer.due, timer.key.clone()));
        }
        state.absorb(loaded);
        Ok(state)
    }

    /// Adds runs, attempts, names and incidents that were loaded on demand. What is already here wins.
    pub fn absorb(&mut self, loaded: Loaded) {
        for run in loaded.runs {
            if !self.runs.contains_key(&run.key) {
                self.keep_run(run);
            }
        }
        for attempt in loaded.attempts {
            self.attempts.entry(attempt.key.clone()).or_insert(attempt);
        }
        for alias in loaded.aliases {
            if !self.aliases.contains_key(&(alias.source.clone(), alias.alias.clone())) {
                self.keep_alias(alias);
            }
        }
        self.approvals.absorb(loaded.approvals, loaded.grants);
        for run in loaded.job_runs {
            self.keep_loaded_job_run(run);
        }
        self.events.extend(loaded.events.into_iter().map(|(seq, event)| (seq, Arc::new(event))));
        for incident in loaded.incidents {
            if !self.incidents.contains_key(&incident.id) {
                self.keep_incident(incident);
            }
        }
    }

    /// The rules in force, once a ruleset is in the log.
    #[must_use]
    pub fn rules(&self) -> Option<Arc<Rules>> {
        self.rules.clone()
    }

    pub(crate) fn set_rules(&mut self, rules: Rules) {
        self.rules = Some(Arc::new(rules));
        self.bonds.forget_inhibitors();
        self.scopes = None;
        self.dirty.insert(Dirty::Ruleset);
    }

    pub(crate) fn next_incident_number(&mut self) -> u64 {
        self.counters.incidents += 1;
        self.dirty.insert(Dirty::Counters);
        self.counters.incidents
    }
}

/// Runs and attempts.
impl State {
    /// The run an update is about, by any of its names.
    #[must_use]
    pub fn find_run(&self, source: &str, update: &RunUpdate) -> Option<&RunKey> {
        let source: Name = source.into();
        if update.run_id.is_none() && update.run_aliases.is_empty() {
            return self.open_unnamed_run(source, &update.pipeline);
        }
        let by_alias = |alias: Name| {
            let found = self.aliases.get(&(source.clone(), alias))?;
            self.runs.get_key_value(&found.run).map(|(key, _)| key)
        };
        if let Some(run_id) = &update.run_id {
            let key = RunKey {
                source: source.clone(),
                pipeline: update.pipeline.as_str().into(),
                run: run_id.as_str().into(),
            };
            if let Some((key, _)) = self.runs.get_key_value(&key) {
                return Some(key);
            }
            if let Some(key) = by_alias(run_id_alias(&update.pipeline, run_id)) {
                return Some(key);
            }
        }
        update.run_aliases.iter().find_map(|alias| by_alias(alias.as_str().into()))
    }

    /// The run of a pipeline whose sender names none. There is at most one: while it is open, a start without a name
    /// means it again. Open runs are always in memory, so nothing has to be loaded to know.
    fn open_unnamed_run(&self, source: Name, pipeline: &str) -> Option<&RunKey> {
        let first = RunKey { source, pipeline: pipeline.into(), run: "".into() };
        self.runs
            .range(&first..)
            .take_while(|(key, _)| key.source == first.source && key.pipeline == first.pipeline)
            .filter(|(key, run)| run.run_id.is_none() && !self.names.contains_key(*key) && !run.state.is_terminal())
            .map(|(key, _)| key)
            .last()
    }

    /// A further name, when it is known.
    #[must_use]
    pub fn alias(&self, source: &Name, alias: &str) -> Option<&Alias> {
        self.aliases.get(&(source.clone(), alias.into()))
    }

    pub(crate) fn put_alias(&mut self, alias: Alias) {
        let key = (alias.source.clone(), alias.alias.clone());
        if self.aliases.get(&key) != Some(&alias) {
            self.dirty.insert(Dirty::Alias(key));
            self.keep_alias(alias);
        }
    }

    fn keep_alias(&mut self, alias: Alias) {
        let key = (alias.source.clone(), alias.alias.clone());
        self.names.entry(alias.run.clone()).or_default().insert(key.clone());
        self.aliases.insert(key, alias);
    }

    /// A run in memory.
    #[must_use]
    pub fn run(&self, key: &RunKey) -> Option<&Run> {
        self.runs.get(key)
    }

    pub(crate) fn put_run(&mut self, run: Run) {
        if self.runs.get(&run.key) != Some(&run) {
            self.dirty.insert(Dirty::Run(run.key.clone()));
            self.keep_run(run);
        }
    }

    fn keep_run(&mut self, run: Run) {
        if run.state.is_terminal() {
            self.settled.insert(run.key.clone());
        } else {
            self.settled.remove(&run.key);
        }
        self.runs.insert(run.key.clone(), run);
    }

    /// The attempts of a run in memory, by task, map index and try.
    pub fn attempts(&self, run: &RunKey) -> impl Iterator<Item = &Attempt> {
        let first = AttemptKey { run: run.clone(), task: "".into(), map_index: i32::MIN, try_number: 0 };
        let run = run.clone();
        self.attempts.range(first..).take_while(move |(key, _)| key.run == run).map(|(_, attempt)| attempt)
    }

    /// An attempt in memory.
    #[must_use]
    pub fn attempt(&self, key: &AttemptKey) -> Option<&Attempt> {
        self.attempts.get(key)
    }

    pub(crate) fn put_attempt(&mut self, attempt: Attempt) {
        if self.attempts.get(&attempt.key) != Some(&attempt) {
            self.dirty.insert(Dirty::Attempt(attempt.key.clone()));
            self.attempts.insert(attempt.key.clone(), attempt);
        }
    }

    /// Drops runs (with their attempts and names) that are over, and incidents that were resolved too long ago to be
    /// opened again. Call after the batch was committed; what is needed again is loaded again.
    pub fn forget_settled(&mut self) {
        assert!(self.dirty.is_empty(), "forget only after the batch was taken");
        self.events.clear();
        self.jobs.forget_ended();
        self.approvals.forget_decided();
        for key in std::mem::take(&mut self.settled) {
            self.runs.remove(&key);
            let attempts: Vec<AttemptKey> = self.attempts(&key).map(|attempt| attempt.key.clone()).collect();
            for attempt in attempts {
                self.attempts.remove(&attempt);
            }
            for name in self.names.remove(&key).unwrap_or_default() {
                self.aliases.remove(&name);
            }
        }
        let settings = self.rules.as_ref().map(|rules| &rules.source().incidents);
        let window = settings.map_or(SignedDuration::ZERO, |settings| {
            settings.flap_window.0.max(settings.storm.map_or(SignedDuration::ZERO, |storm| storm.within.0))
        });
        self.forget_resolved(self.now.checked_sub(window).unwrap_or(Timestamp::MIN));
    }

    /// The time of the input that is decided.
    pub(crate) fn passed(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }
}

/// The key under which an update's run is kept when it is new: its own name, else when it was first heard of.
pub(crate) fn first_key(source: &Name, update: &RunUpdate, at: Timestamp) -> RunKey {
    let named = update.run_id.as_deref().or_else(|| update.run_aliases.first().map(String::as_str));
    let run = named.map_or_else(|| at.to_string().into(), Name::from);
    RunKey { source: source.clone(), pipeline: update.pipeline.as_str().into(), run }
}

/// Pipelines, alerts, incidents.
impl State {
    /// A pipeline.
    #[must_use]
    pub fn pipeline(&self, key: &PipelineKey) -> Option<&Pipeline> {
        self.pipelines.get(key).map(Box::as_ref)
    }

    /// All pipelines.
    pub fn pipelines(&self) -> impl Iterator<Item = &Pipeline> {
        self.pipelines.values().map(Box::as_ref)
    }

    pub(crate) fn put_pipeline(&mut self, pipeline: Pipeline) {
        if self.pipeline(&pipeline.key) != Some(&pipeline) {
            self.dirty.insert(Dirty::Pipeline(pipeline.key.clone()));
            self.keep_pipeline(pipeline);
        }
    }

    fn keep_pipeline(&mut self, mut pipeline: Pipeline) {
        self.index_writes(&pipeline);
        match self.pipelines.get_mut(&pipeline.key) {
            Some(known) => **known = pipeline,
            None => {
                pipeline.key.source = self.shared.share(&pipeline.key.source);
                self.pipelines.insert(pipeline.key.clone(), Box::new(pipeline));
            }
        }
    }

    /// An alert.
    #[must_use]
    pub fn alert(&self, key: &AlertKey) -> Option<&Alert> {
        self.alerts.get(key).map(Box::as_ref)
    }

    /// The alerts of a pipeline, by rule and subject.
    pub fn alerts_of(&self, pipeline: &PipelineKey) -> impl Iterator<Item = &Alert> {
        let first = AlertKey { pipeline: pipeline.clone(), rule: "".into(), subject: "".into() };
        let pipeline = pipeline.clone();
        self.alerts.range(first..).take_while(move |(key, _)| key.pipeline == pipeline).map(|(_, alert)| &**alert)
    }

    pub(crate) fn put_alert(&mut self, alert: Alert) {
        if self.alert(&alert.key) != Some(&alert) {
            self.dirty.insert(Dirty::Alert(alert.key.clone()));
            self.keep_alert(alert);
        }
    }

    fn keep_alert(&mut self, mut alert: Alert) {
        self.bind_alert(&alert);
        match self.alerts.get_mut(&alert.key) {
            Some(known) => **known = alert,
            None => {
                if let Some((key, _)) = self.pipelines.get_key_value(&alert.key.pipeline) {
                    alert.key.pipeline = key.clone();
                }
                alert.key.rule = self.shared.share(&alert.key.rule);
                alert.key.subject = self.shared.share(&alert.key.subject);
                self.alerts.insert(alert.key.clone(), Box::new(alert));
            }
        }
    }

    pub(crate) fn remove_alert(&mut self, key: &AlertKey) -> Option<Alert> {
        let gone = self.alerts.remove(key)?;
        self.unbind_alert(key, gone.incident);
        self.dirty.insert(Dirty::Alert(key.clone()));
        Some(*gone)
    }

    /// An incident in memory: open, or loaded for a command.
    #[must_use]
    pub fn incident(&self, id: IncidentId) -> Option<&Incident> {
        self.incidents.get(&id).map(Box::as_ref)
    }

    /// Open incidents in memory.
    pub fn open_incidents(&self) -> impl Iterator<Item = &Incident> {
        self.incidents.values().map(Box::as_ref).filter(|incident| incident.is_open())
    }

    pub(crate) fn put_incident(&mut self, incident: Incident) {
        if self.incident(incident.id) != Some(&incident) {
            self.dirty.insert(Dirty::Incident(incident.id));
            self.keep_incident(incident);
        }
    }

    fn keep_incident(&mut self, mut incident: Incident) {
        if let Some((key, _)) = self.pipelines.get_key_value(&incident.pipeline) {
            incident.pipeline = key.clone();
        }
        incident.owner = self.shared.share(&incident.owner);
        incident.owner_because = self.shared.share(&incident.owner_because);
        self.bind_incident(&incident);
        self.incidents.insert(incident.id, Box::new(incident));
    }
}

/// The delta.
impl State {
    /// What changed since the last call, one entry per entity with its value now.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut changes: Vec<Change> = dirty.into_iter().map(|dirty| self.change(dirty)).collect();
        changes.extend(self.take_automation_changes());
        changes.extend(self.take_planned_changes());
        changes.extend(self.take_absence_changes());
        changes
    }

    fn change(&self, dirty: Dirty) -> Change {
        match dirty {
            Dirty::Ruleset => {
                let rules = self.rules.as_ref().map(|rules| rules.source().clone()).unwrap_or_default();
                Change::Ruleset(Box::new(rules))
            }
            Dirty::Counters => Change::Counters(self.counters),
            Dirty::Pipeline(key) => Change::Pipeline((*self.pipelines[&key]).clone()),
            Dirty::Run(key) => Change::Run(self.runs[&key].clone()),
            Dirty::Attempt(key) => Change::Attempt(self.attempts[&key].clone()),
            Dirty::Alias(key) => Change::Alias(self.aliases[&key].clone()),
            Dirty::Incident(id) => Change::Incident((*self.incidents[&id]).clone()),
            Dirty::Alert(key) => match self.alerts.get(&key) {
                Some(alert) => Change::Alert((**alert).clone()),
                None => Change::AlertGone(key),
            },
            Dirty::Canary(connection) => match self.canaries.get(&connection) {
                Some(test) => Change::Canary(test.clone()),
                None => Change::CanaryGone(connection),
            },
            Dirty::Approval(id) => self.approvals.approval_change(id),
            Dirty::Grant(id) => self.approvals.grant_change(id),
            Dirty::JobRun(id) => Change::JobRun(Box::new(self.jobs.runs[&id].as_ref().clone())),
            Dirty::Timer(key) => match self.timers.get(&key) {
                Some(due) => Change::Timer(Timer { due: *due, key }),
                None => Change::TimerGone(key),
            },
        }
    }

    /// Runs that are not over, for rules about time.
    pub(crate) fn live_runs(&self) -> impl Iterator<Item = &Run> {
        self.runs.values().filter(|run| matches!(run.state, RunState::Running))
    }
}
