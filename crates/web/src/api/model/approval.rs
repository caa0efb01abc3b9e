//! Approvals and grants as the API says them.

use crate::voice::Voice;
use jiff::Timestamp;
use serde::Serialize;
use std::collections::BTreeSet;
use trackside_core::approval::request::{Approval, Grant, Says, Subject};
use trackside_store::approvals::GrantRow;
use utoipa::ToSchema;
use uuid::Uuid;

/// A question for agreement.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Approval)]
pub(crate) struct ApprovalOut {
    /// Identity.
    pub(crate) id: Uuid,
    /// Number for people.
    pub(crate) number: u64,
    /// `open`, `approved`, `denied`, `expired` or `withdrawn`.
    pub(crate) state: &'static str,
    /// What it is about: `job reload`, `route billing`.
    pub(crate) about: String,
    /// The job, when a run of one waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) job: Option<String>,
    /// The run that waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) run: Option<Uuid>,
    /// The route, when access is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) route: Option<String>,
    /// Team that owns it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) team: Option<String>,
    /// Who asks.
    pub(crate) requester: String,
    /// On whose behalf, nearest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) behalf: Vec<String>,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) justification: Option<String>,
    /// When it was asked.
    pub(crate) created: Timestamp,
    /// When it is over if nobody decides.
    pub(crate) expires: Timestamp,
    /// When it was decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) decided: Option<Timestamp>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) note: Option<String>,
    /// How long a yes about access holds, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) grant_seconds: Option<i64>,
    /// Who is missing (`1 of dba`); empty when it is decided.
    pub(crate) missing: String,
    /// Any of these parts is enough.
    pub(crate) any_of: Vec<PartOut>,
    /// What was said, in order.
    pub(crate) voices: Vec<SaidOut>,
    /// Whether a yes of the caller would count now.
    pub(crate) waits_for_you: bool,
}

/// One part of a rule: a voice of each group.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovalPart)]
pub(crate) struct PartOut {
    /// The groups.
    pub(crate) all_of: Vec<SeatsOut>,
}

/// People of a group who must agree.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovalGroup)]
pub(crate) struct SeatsOut {
    /// Teams, `person:NAME`, `group:NAME`, `approvers`.
    pub(crate) from: BTreeSet<String>,
    /// How many of them.
    pub(crate) count: usize,
    /// Who said yes for it.
    pub(crate) agreed: Vec<String>,
}

/// What somebody said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ApprovalVoice)]
pub(crate) struct SaidOut {
    /// Who.
    pub(crate) who: String,
    /// How they came in: `session`, `slack`, `token`.
    pub(crate) via: String,
    /// `approve` or `deny`.
    pub(crate) says: &'static str,
    /// When.
    pub(crate) at: Timestamp,
    /// Remark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remark: Option<String>,
}

/// Access for a while.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Grant)]
pub(crate) struct GrantOut {
    /// Identity: the approval's.
    pub(crate) id: Uuid,
    /// Who may use the route.
    pub(crate) subject: String,
    /// On whose behalf.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) behalf: Vec<String>,
    /// The route.
    pub(crate) route: String,
    /// Since when.
    pub(crate) from: Timestamp,
    /// Until when.
    pub(crate) until: Timestamp,
    /// When it was over or revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<Timestamp>,
    /// Who agreed.
    pub(crate) approvers: Vec<String>,
}

impl ApprovalOut {
    /// A question as one caller sees it.
    pub(crate) fn new(approval: &Approval, voice: &Voice) -> Self {
        let (job, run, route) = match &approval.subject {
            Subject::JobRun { run, job } => (Some(job.clone()), Some(*run), None),
            Subject::Route { route } => (None, None, Some(route.clone())),
        };
        Self {
            id: approval.id,
            number: approval.number,
            state: approval.state.as_str(),
            about: approval.subject.title(),
            grant_seconds: route.is_some().then(|| approval.rule.holds().as_secs()),
            job,
            run,
            route,
            team: approval.team.clone(),
            requester: approval.requester.subject.clone(),
            behalf: approval.requester.behalf.clone(),
            justification: approval.justification.clone(),
            created: approval.created,
            expires: approval.expires,
            decided: approval.decided,
            note: approval.note.clone(),
            missing: if approval.is_open() { approval.missing() } else { String::new() },
            any_of: parts(approval),
            voices: approval.voices.iter().map(said).collect(),
            waits_for_you: voice.is_awaited(approval),
        }
    }
}

fn parts(approval: &Approval) -> Vec<PartOut> {
    let part = |tally: trackside_core::approval::count::Tally<'_>| PartOut {
        all_of: tally
            .groups
            .iter()
            .map(|seats| SeatsOut {
                from: seats.voice.from.clone(),
                count: seats.voice.needed(),
                agreed: seats.taken.iter().map(|who| (*who).to_owned()).collect(),
            })
            .collect(),
    };
    approval.tallies().into_iter().map(part).collect()
}

fn said(voice: &trackside_core::approval::request::VoiceHeard) -> SaidOut {
    SaidOut {
        who: voice.caller.subject.clone(),
        via: voice.caller.via.clone(),
        says: match voice.says {
            Says::Approve => "approve",
            Says::Deny => "deny",
        },
        at: voice.at,
        remark: voice.remark.clone(),
    }
}

impl From<&GrantRow> for GrantOut {
    fn from(row: &GrantRow) -> Self {
        let Grant { id, subject, behalf, route, from, until, approvers } = row.grant.clone();
        Self { id, subject, behalf, route, from, until, ended: row.ended, approvers }
    }
}
