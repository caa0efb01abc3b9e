//! The buttons below the message of an incident or of a question for agreement, and what each asks for.
//!
//! A button of a question has the question's id as its value: what was decided stays, so there is no later life.
//! A button's value is the incident's id and its life, so that a message about an earlier life of the incident never
//! touches a later one. Limits of Block Kit: 25 elements in a block, label 75 characters, value 2,000, ids 255.

use serde_json::{Value, json};
use trackside_core::approval::request::Says;
use trackside_core::effect::{Action, Effect};
use trackside_core::ids::IncidentId;
use trackside_core::input::Command;
use trackside_core::notice::IncidentView;
use trackside_core::ruleset::Span;

/// `block_id` of the buttons.
pub const BLOCK_ID: &str = "trackside.incident";
/// `block_id` of the buttons of a question.
pub const APPROVAL_BLOCK_ID: &str = "trackside.approval";

/// What a button asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Button {
    /// "I have it."
    Acknowledge,
    /// "Not for an hour."
    Snooze,
    /// "Page the next one now."
    Escalate,
    /// "It is over."
    Resolve,
}

impl Button {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Acknowledge, Self::Snooze, Self::Escalate, Self::Resolve];

    /// The `action_id` that Slack sends back.
    #[must_use]
    pub fn action_id(self) -> &'static str {
        match self {
            Self::Acknowledge => "trackside.acknowledge",
            Self::Snooze => "trackside.snooze_1h",
            Self::Escalate => "trackside.escalate",
            Self::Resolve => "trackside.resolve",
        }
    }

    /// The command about an incident.
    #[must_use]
    pub fn command(self, incident: IncidentId) -> Command {
        match self {
            Self::Acknowledge => Command::Acknowledge { incident },
            Self::Snooze => Command::Snooze { incident, length: Span(jiff::SignedDuration::from_hours(1)) },
            Self::Escalate => Command::Escalate { incident },
            Self::Resolve => Command::Resolve { incident },
        }
    }

    fn label(self) -> &'static str {
        match self {
            Self::Acknowledge => "Acknowledge",
            Self::Snooze => "Snooze 1 h",
            Self::Escalate => "Escalate",
            Self::Resolve => "Resolve",
        }
    }

    /// Whether it makes sense while the incident stands like this.
    fn fits(self, state: &str) -> bool {
        match self {
            Self::Acknowledge => state != "acknowledged",
            Self::Snooze => state != "snoozed",
            Self::Escalate | Self::Resolve => true,
        }
    }

    fn element(self, value: &str) -> Value {
        let mut element = json!({
            "type": "button",
            "action_id": self.action_id(),
            "text": { "type": "plain_text", "text": self.label(), "emoji": true },
            "value": value,
        });
        if self == Self::Acknowledge {
            element["style"] = json!("primary");
        }
        element
    }
}

/// What a button of a question says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer(pub Says);

impl Answer {
    /// All, in the order in which they are shown.
    pub const ALL: [Self; 2] = [Self(Says::Approve), Self(Says::Deny)];

    /// The `action_id` that Slack sends back.
    #[must_use]
    pub fn action_id(self) -> &'static str {
        match self.0 {
            Says::Approve => "trackside.approve",
            Says::Deny => "trackside.deny",
        }
    }

    fn element(self, value: &str) -> Value {
        let (label, style) = match self.0 {
            Says::Approve => ("Approve", "primary"),
            Says::Deny => ("Deny", "danger"),
        };
        json!({
            "type": "button",
            "action_id": self.action_id(),
            "text": { "type": "plain_text", "text": label, "emoji": true },
            "value": value,
            "style": style,
        })
    }
}

/// The buttons below the message for `effect`; none when there is nothing to press, or it is over.
pub(super) fn block(effect: &Effect) -> Option<Value> {
    if let Some(approval) = &effect.notice.approval {
        let told = matches!(effect.action, Action::Trigger | Action::Update) && approval.state == "open";
        let value = approval.id.to_string();
        let elements = || Answer::ALL.map(|answer| answer.element(&value));
        return told.then(|| json!({ "type": "actions", "block_id": APPROVAL_BLOCK_ID, "elements": elements() }));
    }
    let incident = effect.notice.incident.as_ref()?;
    let of_incident = matches!(effect.action, Action::Trigger | Action::Update | Action::Remind | Action::Acknowledge);
    if !of_incident || incident.state == "resolved" {
        return None;
    }
    let value = value(incident);
    let fitting = Button::ALL.into_iter().filter(|button| button.fits(&incident.state));
    let elements: Vec<Value> = fitting.map(|button| button.element(&value)).collect();
    Some(json!({ "type": "actions", "block_id": BLOCK_ID, "elements": elements }))
}

/// `ID.LIFE`
fn value(incident: &IncidentView) -> String {
    format!("{}.{}", incident.id, incident.reopened)
}

/// The incident and its life in a button's value.
pub(super) fn read_value(value: &str) -> Option<(IncidentId, u32)> {
    let (id, life) = value.split_once('.')?;
    Some((id.parse().ok()?, life.parse().ok()?))
}
