//! A small language for stories: `at(seconds, what)`, then compare what was told, one line per effect and change.

use jiff::{SignedDuration, Timestamp};
use std::collections::BTreeMap;
use trackside_core::caller::Caller;
use trackside_core::decision::{Alias, Change, Decision};
use trackside_core::engine::decide;
use trackside_core::event::{Event, Fact, Report, ReportAction, Severity};
use trackside_core::ids::{EventId, IncidentId, Seq};
use trackside_core::incident::{Incident, IncidentState};
use trackside_core::input::{Command, DeliveryResult, Entry, Input, Outcome};
use trackside_core::run::{Attempt, AttemptKey, AttemptRef, Run, RunKey, RunReport, RunUpdate, System};
use trackside_core::state::{Loaded, Needed, State};

/// A running story.
pub(crate) struct Story {
    pub(crate) state: State,
    log: Vec<Entry>,
    now: Timestamp,
    told: Vec<String>,
    archive: Archive,
    pub(crate) decisions: Vec<Decision>,
}

/// What a store would keep: every run, attempt, name and incident, last value only.
#[derive(Default)]
struct Archive {
    runs: BTreeMap<RunKey, Run>,
    attempts: BTreeMap<AttemptKey, Attempt>,
    aliases: Vec<Alias>,
    incidents: BTreeMap<IncidentId, Incident>,
}

impl Archive {
    fn keep(&mut self, decision: &Decision) {
        for change in &decision.changes {
            match change {
                Change::Run(run) => drop(self.runs.insert(run.key.clone(), run.clone())),
                Change::Attempt(attempt) => drop(self.attempts.insert(attempt.key.clone(), attempt.clone())),
                Change::Alias(alias) => self.aliases.push(alias.clone()),
                Change::Incident(incident) => drop(self.incidents.insert(incident.id, incident.clone())),
                _ => {}
            }
        }
    }

    fn load(&self, needed: &Needed) -> Loaded {
        let mut loaded = Loaded::default();
        for (source, pipeline, name) in &needed.runs {
            let alias = self.aliases.iter().rev().find(|alias| alias.source == *source && alias.alias == *name);
            loaded.runs.extend(
                self.runs
                    .values()
                    .find(|run| {
                        let named = run.key.run == *name || run.run_id.as_deref() == Some(name);
                        let here = run.key.source == *source && run.key.pipeline == *pipeline && named;
                        here || alias.is_some_and(|alias| alias.run == run.key)
                    })
                    .cloned(),
            );
        }
        for run in &loaded.runs {
            loaded.attempts.extend(self.attempts.values().filter(|attempt| attempt.key.run == run.key).cloned());
            loaded.aliases.extend(self.aliases.iter().filter(|alias| alias.run == run.key).cloned());
        }
        loaded.incidents.extend(needed.incidents.iter().filter_map(|id| self.incidents.get(id)).cloned());
        loaded
    }
}

/// The bodies of the events that a decision asks for.
fn events_of(log: &[Entry], needed: &Needed) -> Vec<(Seq, Event)> {
    let wanted = log.iter().filter(|entry| needed.events.contains(&entry.seq));
    let event = |entry: &Entry| match &entry.input {
        Input::Event(event) => Some((entry.seq, (**event).clone())),
        _ => None,
    };
    wanted.filter_map(event).collect()
}

/// Midnight of every story.
pub(crate) fn start() -> Timestamp {
    "2026-11-20T00:00:00Z".parse().unwrap()
}

impl Story {
    /// A story under rules given as JSON. Two teams and three connections are there already.
    #[allow(clippy::needless_pass_by_value, reason = "stories read better with `json!` in place")]
    pub(crate) fn new(rules: serde_json::Value) -> Self {
        let mut ruleset = serde_json::json!({
            "teams": {
                "payments": {"aliases": ["pay"], "notify": [{"via": "pd", "min_severity": "error"}, {"via": "slack"}]},
                "platform": {"notify": [{"via": "hook"}]}
            },
            "owners": {"default": "platform"},
            "connections": {
                "pd": {"kind": "pagerduty", "updates": "raised"},
                "slack": {"kind": "slack", "updates": "every"},
                "hook": {"kind": "webhook", "updates": "raised"}
            }
        });
        for (key, value) in rules.as_object().unwrap() {
            ruleset[key] = value.clone();
        }
        let mut story = Self {
            state: State::new("default"),
            log: Vec::new(),
            now: start(),
            told: Vec::new(),
            archive: Archive::default(),
            decisions: Vec::new(),
        };
        let ruleset = Box::new(serde_json::from_value(ruleset).unwrap());
        story.input(Input::Ruleset { caller: Caller::rules(), ruleset });
        story.told.clear();
        story
    }

    /// Moves the clock to `seconds` after midnight, deciding every timer on the way at its own time.
    pub(crate) fn at(&mut self, seconds: i64) -> &mut Self {
        let then = start() + SignedDuration::from_secs(seconds);
        while let Some(due) = self.state.next_due().filter(|due| *due <= then) {
            self.now = due.max(self.now);
            self.input(Input::Tick { due, noticed: None });
        }
        self.now = then;
        self
    }

    /// Moves the clock without deciding anything, as if nothing ran.
    pub(crate) fn sleep_until(&mut self, seconds: i64) -> &mut Self {
        self.now = start() + SignedDuration::from_secs(seconds);
        self
    }

    /// The clock of the story.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// Decides an input, and then the events that the decision itself is.
    pub(crate) fn input(&mut self, input: Input) -> &mut Self {
        self.input_alone(input);
        let emitted = self.decisions.last().map(|decision| decision.emitted.clone()).unwrap_or_default();
        for event in emitted {
            self.input(Input::Event(Box::new(event)));
        }
        self
    }

    fn input_alone(&mut self, input: Input) {
        let entry = Entry { seq: self.state.cursor + 1, at: self.now, input };
        self.log.push(entry.clone());
        let before: Vec<_> = self.state.open_incidents().cloned().collect();
        let needed = self.state.needed(std::slice::from_ref(&entry));
        let loaded = Loaded { events: events_of(&self.log, &needed), ..self.archive.load(&needed) };
        self.state.absorb(loaded);
        let decision = decide(&mut self.state, &[entry]);
        self.archive.keep(&decision);
        let second = self.now.duration_since(start()).as_secs();
        for effect in &decision.effects {
            let text = format!("{second:>5} {} {}: {}", effect.connection, effect.action.as_str(), effect.notice.title);
            self.told.push(text);
        }
        for incident in before {
            if self.state.incident(incident.id).is_some_and(|now| now.state == IncidentState::Resolved) {
                self.told.push(format!("{second:>5} #{} resolved", incident.number));
            }
        }
        self.state.forget_settled();
        self.decisions.push(decision);
    }

    /// An event with this fact.
    pub(crate) fn fact(&mut self, fact: Fact) -> &mut Self {
        let event = Event {
            id: EventId::from_native("story", &self.log.len().to_string()),
            source: "airflow".into(),
            occurred: self.now,
            received: self.now,
            event: "story.event".into(),
            resource: [("prefect.resource.id".to_owned(), "story".to_owned())].into(),
            related: Vec::new(),
            payload: serde_json::Value::Null,
            follows: None,
            fact: Some(fact),
        };
        self.input(Input::Event(Box::new(event)))
    }

    /// `run("etl/r1 failed")`, `run("etl/r1/load#2 failed_maybe_retry")`: pipeline/run[/task#try] and a report.
    /// The run `-` is one that its sender does not name.
    pub(crate) fn run(&mut self, text: &str) -> &mut Self {
        let update = update(text);
        self.fact(Fact::Run(Box::new(update)))
    }

    pub(crate) fn report(&mut self, key: &str, action: ReportAction) -> &mut Self {
        self.fact(Fact::Report(Box::new(Report {
            key: key.into(),
            action,
            severity: Severity::Critical,
            summary: format!("{key} is on fire"),
            owners: vec!["pay".into()],
            component: None,
            links: Vec::new(),
            details: BTreeMap::new(),
            ends: None,
        })))
    }

    pub(crate) fn acknowledge(&mut self, number: u64) -> &mut Self {
        let incident = self.state.open_incidents().find(|incident| incident.number == number).unwrap().id;
        let caller = Caller { subject: "alice".into(), via: "token".into() };
        self.input(Input::Command { caller, command: Command::Acknowledge { incident }, origin: None })
    }

    /// The latest message through a connection is given up.
    pub(crate) fn dead(&mut self, connection: &str) -> &mut Self {
        let mut effects = self.decisions.iter().flat_map(|decision| &decision.effects);
        let effect = effects.rfind(|effect| effect.connection == connection).unwrap().clone();
        self.input(Input::Outcome(Box::new(Outcome {
            delivery: effect.id,
            connection: effect.connection,
            to: effect.to,
            incident: effect.incident,
            action: effect.action,
            result: DeliveryResult::Dead { error: "403 Forbidden".into() },
            attempts: 1,
            status: Some(403),
            far_ref: None,
            act: None,
        })))
    }

    /// Compares what was told since the last call, and that a replay from empty decides the same.
    #[track_caller]
    pub(crate) fn expect(&mut self, lines: &str) -> &mut Self {
        let expected: Vec<&str> = lines.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let told: Vec<String> = std::mem::take(&mut self.told).iter().map(|line| line.trim().to_owned()).collect();
        assert_eq!(told, expected);
        self.check_replay();
        self
    }

    #[track_caller]
    fn check_replay(&self) {
        let mut state = State::new("default");
        let mut replayed = Vec::new();
        for entry in &self.log {
            let events = events_of(&self.log, &state.needed(std::slice::from_ref(entry)));
            state.absorb(Loaded { events, ..Loaded::default() });
            replayed.push(decide(&mut state, std::slice::from_ref(entry)));
        }
        for (live, again) in self.decisions.iter().zip(&replayed) {
            assert_eq!(live.effects, again.effects, "a replay asks for the same effects");
            assert_eq!(live.audit, again.audit, "a replay writes the same audit");
        }
    }

    /// The explanation of the last input.
    pub(crate) fn why(&self) -> String {
        let Some(why) = self.decisions.last().and_then(|decision| decision.explanations.last()) else {
            return "no explanation".to_owned();
        };
        let mut lines = vec![why.meaning.clone()];
        for rule in &why.rules {
            lines.push(format!("  {}: {:?}: {}", rule.rule, rule.verdict, rule.because));
        }
        lines.push(format!("  => {}", why.outcome));
        lines.join("\n")
    }
}

fn update(text: &str) -> RunUpdate {
    let (path, report) = text.split_once(' ').unwrap();
    let (report, rest) = report.split_once(' ').unwrap_or((report, ""));
    let mut parts = path.split('/');
    let (pipeline, run) = (parts.next().unwrap(), parts.next().unwrap());
    let attempt = parts.next().map(|task| {
        let (task, number) = task.split_once('#').unwrap();
        AttemptRef {
            task: task.into(),
            map_index: None,
            try_number: Some(number.parse().unwrap()),
            retries: None,
            aliases: Vec::new(),
        }
    });
    let mut update = RunUpdate {
        system: System::Airflow,
        pipeline: pipeline.into(),
        run_id: Some(run.to_owned()).filter(|run| run != "-"),
        run_aliases: Vec::new(),
        attempt,
        report: serde_json::from_value::<RunReport>(report.into()).unwrap(),
        started: None,
        ended: None,
        nominal: None,
        error: None,
        owners: vec!["pay".into()],
        tags: vec!["tier:1".into()],
        url: None,
        log_url: None,
        doc: None,
        clear_number: 0,
        rows: None,
        task_states: BTreeMap::new(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        deadlines: Vec::new(),
    };
    for word in rest.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap();
        match name {
            "reads" => update.inputs = value.split(',').map(str::to_owned).collect(),
            "writes" => update.outputs = value.split(',').map(str::to_owned).collect(),
            "rows" => update.rows = Some(value.parse().unwrap()),
            "error" => update.error = Some(value.replace('_', " ")),
            "owner" => update.owners = vec![value.into()],
            "alias" => update.run_aliases = vec![value.into()],
            "ended" => update.ended = Some(start() + SignedDuration::from_secs(value.parse().unwrap())),
            task => {
                update.task_states.insert(task.trim_start_matches('@').into(), value.into());
            }
        }
    }
    update
}
