//! What the audit says of runs, questions and edits: which run, about what, on what authority, how it came out, and
//! whether it changed anything.

use crate::jobs::{answer, bad, calls, good, id, start, world};
use crate::scenario::Story;
use serde_json::{Value, json};
use trackside_core::caller::{Authority, Caller};
use trackside_core::decision::AuditEntry;
use trackside_core::input::{DutyEdit, Input, JobAsk};
use trackside_core::job::run::ErrorClass;
use trackside_core::ruleset::noise::Silence;

fn rows(story: &Story) -> Vec<AuditEntry> {
    story.decisions.iter().flat_map(|decision| decision.audit.clone()).collect()
}

/// `action resource outcome`, with the run's number and `approval` where the row has them.
fn told(row: &AuditEntry) -> String {
    let detail = &row.detail;
    let run = row.job.map_or_else(String::new, |run| format!(" run {}", run.as_u128()));
    let approval = if detail.approval.is_some() { " approval" } else { "" };
    let (resource, outcome) = (detail.resource.as_deref(), detail.outcome.as_deref());
    format!("{} {} {}{run}{approval}", row.action, resource.unwrap_or("-"), outcome.unwrap_or("done"))
}

fn of_jobs(story: &Story) -> Vec<String> {
    let about = |row: &&AuditEntry| row.job.is_some() || row.action.starts_with("job.");
    rows(story).iter().filter(about).map(told).collect()
}

#[test]
fn rows_of_runs_say_which_about_what_and_how_it_came_out() {
    let mut story = world(json!({"per_caller": 2}));
    start(&mut story, "etl", 1, Some("k"), 1, json!({}));
    start(&mut story, "etl", 2, Some("k"), 1, json!({}));
    start(&mut story, "etl", 3, Some("k"), 1, json!({"other": 1}));
    start(&mut story, "etl", 4, Some("second"), 1, json!({}));
    start(&mut story, "etl", 5, Some("third"), 1, json!({}));
    let rows = calls(&story);
    answer(&mut story, &rows[0], Some(good(Value::Null)), false, None);
    answer(&mut story, &rows[1], Some(bad(ErrorClass::Unknown)), true, None);
    story.input(Input::Job { caller: Caller::new("ana", "session"), ask: JobAsk::Cancel { run: id(9) } });
    assert_eq!(
        of_jobs(&story),
        [
            "job.asked job:refresh done run 1",
            "job.called job:refresh done run 1",
            "job.attached job:refresh done run 1",
            "job.conflict job:refresh refused run 1",
            "job.asked job:refresh done run 4",
            "job.called job:refresh done run 4",
            "job.limited job:refresh refused",
            "delivery.delivered connection:app done run 1",
            "job.succeeded job:refresh done run 1",
            "delivery.dead connection:app failed run 4",
            "job.unknown job:refresh unknown run 4",
            "job.refused - refused",
        ]
    );
    let called = story.decisions.iter().flat_map(|decision| &decision.audit).find(|row| row.action == "job.called");
    assert_eq!(called.unwrap().delivery, Some(rows[0].id));
}

#[test]
fn a_question_about_a_run_and_its_answer_belong_to_the_run() {
    let rule = json!({"any_of": [{"all_of": [{"from": ["payments"]}]}]});
    let mut story = world(json!({"approval": rule}));
    start(&mut story, "etl", 1, None, 1, json!({}));
    let approval = story.job_run(id(1)).approval.unwrap();
    let say = json!({"ask": "say", "approval": approval, "says": "deny", "speaks_for": ["payments", "person:bo"]});
    for _ in 0..2 {
        let ask = serde_json::from_value(say.clone()).unwrap();
        story.input(Input::Approval { caller: Caller::new("bo", "session"), ask });
    }
    assert_eq!(
        of_jobs(&story),
        [
            "job.asked job:refresh done run 1",
            "approval.asked job:refresh done run 1 approval",
            "approval.voiced job:refresh done run 1 approval",
            "approval.denied job:refresh refused run 1 approval",
            "job.denied job:refresh refused run 1 approval",
            "approval.refused job:refresh refused run 1 approval",
        ]
    );
}

#[test]
fn edits_leave_digests_and_the_authority_of_who_made_them() {
    let mut story = world(json!({}));
    let authority = Authority { because: "the role `responder` is held".to_owned(), policies: vec!["p".to_owned()] };
    let caller = Caller { authority: Some(authority), ..Caller::new("ana", "session") };
    let silence = Silence {
        id: id(7),
        matchers: vec!["owner=\"payments\"".to_owned()],
        starts: story.now(),
        ends: story.now() + jiff::SignedDuration::from_hours(9),
        by: "ana".to_owned(),
        reason: "a test".to_owned(),
        created: story.now(),
    };
    for edit in [DutyEdit::PutSilence(silence), DutyEdit::ExpireSilence { id: id(7) }] {
        story.input(Input::Duty { caller: caller.clone(), edits: vec![edit] });
    }
    let rows = rows(&story);
    let [.., put, expired] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!(
        (told(put), told(expired)),
        (format!("silence.put silence:{} done", id(7)), format!("silence.expired silence:{} done", id(7)),)
    );
    assert_eq!((&put.detail.before, &expired.detail.after), (&None, &None));
    assert_eq!(put.detail.after.as_ref().map(String::len), Some(64));
    assert_eq!(put.caller, caller);
}
