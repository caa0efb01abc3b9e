//! Made-up effects: what templates are checked with and tests are made of.

use jiff::{SignedDuration, Timestamp};
use trackside_core::effect::{Action, Effect, delivery_id};
use trackside_core::event::{Link, Message, Severity};
use trackside_core::ids::{IncidentId, derive};
use trackside_core::notice::{
    AlertView, ApprovalView, IncidentView, Notice, OwnerView, PageView, PipelineView, RunView,
};

/// An example of a failed run with its incident, as of `now`, in the state that fits `action`.
#[must_use]
pub fn sample_effect(action: Action, now: Timestamp) -> Effect {
    let mut effect = complete_effect(action, now);
    if let Some(incident) = &mut effect.notice.incident {
        incident.state = match action {
            Action::Acknowledge => "acknowledged",
            Action::Resolve => "resolved",
            Action::Trigger
            | Action::Update
            | Action::Remind
            | Action::Message
            | Action::Test
            | Action::Act
            | Action::Job => "triggered",
        }
        .to_owned();
        incident.resolved = incident.resolved.filter(|_| action == Action::Resolve);
        incident.acknowledged_by = incident.acknowledged_by.take().filter(|_| action == Action::Acknowledge);
        (incident.snoozed_until, incident.reopened) = (None, 0);
        incident.affected.clear();
    }
    effect.notice.approval = None;
    effect.notice.page = effect.notice.page.filter(|_| action == Action::Remind);
    if action != Action::Message {
        effect.notice.passthrough = None;
    }
    effect
}

/// An example of a question for agreement, as of `now`.
#[must_use]
pub fn sample_question(action: Action, now: Timestamp) -> Effect {
    let mut effect = complete_effect(action, now);
    let approval = effect.notice.approval.take();
    let title = "Approval #7: ana wants to run job reload".to_owned();
    let owner = effect.notice.owner.clone();
    let summary = "ana asks to run job reload: yesterday's file was wrong".to_owned();
    (effect.incident, effect.to) = (None, None);
    *effect.notice = Notice { approval, ..Notice::plain(title, summary, Severity::Info, now, owner) };
    effect
}

/// An example in which every field is present, whether they fit each other or not.
pub(super) fn complete_effect(action: Action, now: Timestamp) -> Effect {
    let incident = IncidentId(derive("sample", &["incident"]));
    Effect {
        id: delivery_id("sample", 1, "sample", 0),
        cause: 1,
        at: now,
        connection: "sample".to_owned(),
        to: None,
        incident: Some(incident),
        key: incident.to_string(),
        action,
        notice: Box::new(sample_notice(incident, now)),
        act: None,
        job: None,
    }
}

fn sample_notice(incident: IncidentId, now: Timestamp) -> Notice {
    let before = |minutes: i64| now.saturating_sub(SignedDuration::from_mins(minutes)).unwrap_or(now);
    Notice {
        title: "customer_orders_daily failed".to_owned(),
        summary: "Task load_to_warehouse failed: connection refused".to_owned(),
        severity: Severity::Error,
        at: before(1),
        incident: Some(IncidentView {
            id: incident,
            number: 42,
            state: "triggered".to_owned(),
            opened: before(1),
            resolved: Some(now),
            acknowledged_by: Some("ana@example.net".to_owned()),
            occurrences: 2,
            reopened: 1,
            snoozed_until: Some(before(-60)),
            affected: vec!["daily_report".to_owned()],
        }),
        pipeline: Some(PipelineView {
            source: "airflow-prod".to_owned(),
            name: "customer_orders_daily".to_owned(),
            system: "Airflow".to_owned(),
            tier: Some(1),
            tags: vec!["team:payments".to_owned()],
            runbook: Some("https://wiki.example.net/runbooks/orders".to_owned()),
            last_success: Some(before(24 * 60)),
            streak: 2,
            mean_duration_s: Some(312.0),
        }),
        run: Some(RunView {
            id: "scheduled__2026-11-20T02:00:00+00:00".to_owned(),
            task: Some("load_to_warehouse".to_owned()),
            try_number: Some(3),
            url: Some("https://airflow.example.net/dags/customer_orders_daily/runs/1".to_owned()),
            log_url: Some("https://airflow.example.net/dags/customer_orders_daily/runs/1/log".to_owned()),
            started: Some(before(6)),
            ended: Some(before(1)),
            duration_s: Some(300.0),
            error: Some("psycopg2.OperationalError: connection refused (warehouse:5432)".to_owned()),
        }),
        alerts: vec![AlertView {
            rule: "failed".to_owned(),
            subject: "load_to_warehouse".to_owned(),
            summary: "load_to_warehouse failed".to_owned(),
            since: before(1),
        }],
        more_alerts: 1,
        links: vec![Link { text: "Dashboard".to_owned(), href: "https://grafana.example.net/d/orders".to_owned() }],
        details: [("region".to_owned(), "eu-west-1".to_owned())].into(),
        owner: OwnerView { team: "payments".to_owned(), because: "tag team:payments on the pipeline".to_owned() },
        approval: Some(sample_approval(incident, before(-60))),
        page: Some(PageView {
            whom: "Ana, on call for primary".to_owned(),
            person: Some("ana".to_owned()),
            step: 2,
            steps: 3,
            cycle: 0,
            late_s: Some(95),
            next: Some("in 15m: team:platform".to_owned()),
        }),
        passthrough: Some(Message {
            text: "customer_orders_daily failed".to_owned(),
            channel: Some("#data-alerts".to_owned()),
            blocks: serde_json::Value::Null,
            owners: Vec::new(),
        }),
    }
}

fn sample_approval(incident: IncidentId, expires: Timestamp) -> ApprovalView {
    ApprovalView {
        id: incident.0,
        number: 7,
        state: "open".to_owned(),
        about: "job reload".to_owned(),
        requester: "ana".to_owned(),
        justification: Some("yesterday's file was wrong".to_owned()),
        expires,
        missing: "1 of platform".to_owned(),
        voices: vec!["bob: yes".to_owned()],
    }
}
