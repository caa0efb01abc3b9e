//! Where actions lead: connections, blocks and automations that are not there, names that no template knows, nothing at
//! all.
//!
//! Invariant: what a far end of a later release would carry out is a warning, not an error.

use super::super::action::{ActionSpec, AutomationTarget, Via};
use super::super::definition::{AutomationId, Semantics, Trigger};
use super::super::request::text::nearest;
use super::super::template::{self, Dialect};
use super::{Code, LintContext, Notes, PathPart, at};
use crate::ruleset::ConnectionKind;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use uuid::Uuid;

pub(super) fn check(notes: &mut Notes<'_>, ids: &BTreeSet<AutomationId>, context: &LintContext) {
    let spec = &notes.automation.spec;
    let lists = [
        ("actions", &spec.actions),
        ("actions_on_trigger", &spec.actions_on_trigger),
        ("actions_on_resolve", &spec.actions_on_resolve),
    ];
    if lists.iter().all(|(_, actions)| actions.is_empty()) {
        let suggestion = "write for example actions: [{type: page-owner}]";
        notes.warning(Code::NoActions, vec!["actions".into()], "it does nothing when it fires", suggestion);
    }
    if !spec.actions_on_resolve.is_empty() && notes.is_prefect() && !has_figures(&spec.trigger) {
        let message = "these never run: under Prefect's semantics the triggers on events never resolve";
        let suggestion = "choose semantics: trackside, under which a condition resolves when it clears";
        notes.warning(Code::NeverResolves, vec!["actions_on_resolve".into()], message, suggestion);
    }
    for (list, actions) in lists {
        for (index, action) in actions.iter().enumerate() {
            let place = Place { action, path: vec![list.into(), index.into()] };
            place.check_ends(notes, ids, context);
            place.check_texts(notes);
        }
    }
}

/// Whether some trigger is on runs, which resolve in both semantics.
fn has_figures(trigger: &Trigger) -> bool {
    matches!(trigger, Trigger::Metric(_) | Trigger::Consecutive(_)) || trigger.children().iter().any(has_figures)
}

/// An action, and where it stands.
struct Place<'a> {
    action: &'a ActionSpec,
    path: Vec<PathPart>,
}

/// What an action needs at its far end.
#[derive(Clone, Copy)]
enum Need {
    /// Any connection that messages go through.
    Tell,
    /// A generic webhook.
    Webhook,
    /// A system by its name, whose connections come with a later release.
    Later(&'static str),
}

impl Place<'_> {
    fn at(&self, field: &str) -> Vec<PathPart> {
        at(&self.path, &[field.into()])
    }

    fn check_ends(&self, notes: &mut Notes<'_>, ids: &BTreeSet<AutomationId>, context: &LintContext) {
        match self.action {
            ActionSpec::SendNotification { via: Via::Connection { connection }, .. }
            | ActionSpec::NotifyChannel { connection, .. } => {
                self.check_connection(connection, Need::Tell, notes, context);
            }
            ActionSpec::CallWebhook { via: Via::Connection { connection }, .. } => {
                self.check_connection(connection, Need::Webhook, notes, context);
            }
            ActionSpec::TriggerDag { connection, .. } | ActionSpec::ClearTask { connection, .. } => {
                self.check_connection(connection, Need::Later("airflow"), notes, context);
            }
            ActionSpec::StartBuild { connection, .. } => {
                self.check_connection(connection, Need::Later("teamcity"), notes, context);
            }
            ActionSpec::SendNotification { via: Via::Block { block_document_id }, .. }
            | ActionSpec::CallWebhook { via: Via::Block { block_document_id }, .. } => {
                self.check_block(block_document_id, notes, context);
            }
            ActionSpec::PauseAutomation(target) | ActionSpec::ResumeAutomation(target) => {
                self.check_automation(*target, notes, ids, context);
            }
            action if is_of_prefect(action) => self.check_prefect(notes, context),
            _ => {}
        }
    }

    fn check_connection(&self, name: &str, need: Need, notes: &mut Notes<'_>, context: &LintContext) {
        let Some(kind) = context.connections.get(name) else {
            let message = format!("there is no connection `{name}`");
            let near = nearest(name, context.connections.keys().map(String::as_str));
            let suggestion = match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("declare it in the configuration under connections: {name}:"),
            };
            let path = self.at("connection");
            return match need {
                Need::Later(_) => notes.warning(Code::MissingConnection, path, message, suggestion),
                Need::Tell | Need::Webhook => notes.error(Code::MissingConnection, path, message, suggestion),
            };
        };
        let wanted = match need {
            Need::Tell if kind.can_tell() => return,
            Need::Tell => "one that messages can be sent through, as slack or email",
            Need::Webhook if *kind == ConnectionKind::Webhook => return,
            Need::Webhook => "one of kind webhook",
            Need::Later(system) => &format!("one of kind {system}"),
        };
        let message = format!("the connection `{name}` is of kind {}; this action needs {wanted}", kind.as_str());
        notes.error(Code::WrongConnectionKind, self.at("connection"), message, "name another connection");
    }

    fn check_block(&self, block: &Uuid, notes: &mut Notes<'_>, context: &LintContext) {
        if context.blocks.as_ref().is_some_and(|blocks| !blocks.contains(block)) {
            let message = format!("there is no block document {block}");
            let suggestion = "write the id of a block, or connection: with the name of a connection";
            notes.error(Code::MissingBlock, self.at("block_document_id"), message, suggestion);
        }
    }

    fn check_automation(
        &self,
        target: AutomationTarget,
        notes: &mut Notes<'_>,
        ids: &BTreeSet<AutomationId>,
        context: &LintContext,
    ) {
        let (Some(id), Some(others)) = (target.automation_id.map(AutomationId), &context.automations) else { return };
        if !ids.contains(&id) && !others.contains(&id) {
            let message = format!("there is no automation {id}");
            notes.error(Code::MissingAutomation, self.at("automation_id"), message, "write the id of one that exists");
        }
    }

    /// Prefect's own objects are changed through a connection to a Prefect server.
    fn check_prefect(&self, notes: &mut Notes<'_>, context: &LintContext) {
        if !context.connections.values().any(|kind| *kind == ConnectionKind::Prefect) {
            let message = "this is done by a Prefect server, and there is no connection to one";
            let suggestion = "declare in the configuration connections: {prefect: {kind: prefect, url: …}}";
            notes.error(Code::MissingConnection, self.at("type"), message, suggestion);
        }
    }

    fn check_texts(&self, notes: &mut Notes<'_>) {
        let dialect = match notes.automation.semantics {
            Semantics::Prefect => Dialect::Prefect,
            Semantics::Trackside => Dialect::Trackside,
        };
        let mut texts = Vec::new();
        self.texts(&mut texts);
        for (path, text) in texts {
            for unknown in template::unknown_names(text, dialect) {
                let message = format!(
                    "no template knows `{}` (line {}, column {}): nothing will stand there",
                    unknown.name, unknown.line, unknown.column
                );
                let suggestion = match unknown.suggestion {
                    Some(suggestion) => format!("did you mean `{suggestion}`?"),
                    None => "see the list of names in the documentation of templates".to_owned(),
                };
                notes.warning(Code::UnknownVariable, path.clone(), message, suggestion);
            }
        }
    }

    /// Every text of the action that is a template.
    fn texts<'t>(&'t self, texts: &mut Vec<(Vec<PathPart>, &'t str)>) {
        let mut text = |field: &str, text: Option<&'t String>| {
            texts.extend(text.map(|text| (self.at(field), text.as_str())));
        };
        match self.action {
            ActionSpec::SendNotification { subject, body, .. } => {
                text("subject", Some(subject));
                text("body", Some(body));
            }
            ActionSpec::CallWebhook { payload, .. } => text("payload", Some(payload)),
            ActionSpec::DeclareIncident { title, summary, .. } => {
                text("title", title.as_ref());
                text("summary", summary.as_ref());
            }
            ActionSpec::PageOwner { title, .. } => text("title", title.as_ref()),
            ActionSpec::NotifyChannel { subject, body, .. } => {
                text("subject", subject.as_ref());
                text("body", Some(body));
            }
            ActionSpec::ClearTask { dag_id, task_id, .. } => {
                text("dag_id", dag_id.as_ref());
                text("task_id", task_id.as_ref());
            }
            ActionSpec::TriggerDag { dag_id, conf, .. } => {
                text("dag_id", Some(dag_id));
                within(conf.as_ref(), &self.at("conf"), texts);
            }
            ActionSpec::StartBuild { build_type, properties, .. } => {
                text("build_type", Some(build_type));
                within(properties.as_ref(), &self.at("properties"), texts);
            }
            ActionSpec::RunDeployment { parameters, .. } | ActionSpec::RunJob { parameters, .. } => {
                within(parameters.as_ref(), &self.at("parameters"), texts);
            }
            _ => {}
        }
    }
}

/// The texts in a value.
fn within<'t>(map: Option<&'t Map<String, Value>>, path: &[PathPart], texts: &mut Vec<(Vec<PathPart>, &'t str)>) {
    for (key, value) in map.into_iter().flatten() {
        collect(value, at(path, &[key.as_str().into()]), texts);
    }
}

fn collect<'t>(value: &'t Value, path: Vec<PathPart>, texts: &mut Vec<(Vec<PathPart>, &'t str)>) {
    match value {
        Value::String(text) => texts.push((path, text)),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, at(&path, &[index.into()]), texts);
            }
        }
        Value::Object(map) => within(Some(map), &path, texts),
        _ => {}
    }
}

/// Whether a Prefect server carries the action out.
fn is_of_prefect(action: &ActionSpec) -> bool {
    matches!(
        action,
        ActionSpec::RunDeployment { .. }
            | ActionSpec::PauseDeployment(_)
            | ActionSpec::ResumeDeployment(_)
            | ActionSpec::PauseWorkPool(_)
            | ActionSpec::ResumeWorkPool(_)
            | ActionSpec::PauseWorkQueue(_)
            | ActionSpec::ResumeWorkQueue(_)
            | ActionSpec::CancelFlowRun {}
            | ActionSpec::SuspendFlowRun {}
            | ActionSpec::ResumeFlowRun {}
            | ActionSpec::DeleteFlowRun {}
            | ActionSpec::ChangeFlowRunState { .. }
    )
}
