//! What follows an answer: tables of (target, what is known, answers) and what is done.

#![allow(clippy::needless_pass_by_value, reason = "`json!(…)` reads best where it is used")]

use super::*;
use crate::sender::Sender;
use serde_json::{Value, json};
use std::sync::Mutex;
use trackside_core::caller::Caller;
use trackside_core::effect::{Action, Effect};
use trackside_core::event::Severity;
use trackside_core::ids::DeliveryId;
use trackside_core::job::spec::JobSpec;
use trackside_core::notice::{Notice, OwnerView};
use uuid::Uuid;

/// The key of a first try of run 7.
const KEY: &str = "00000000-0000-0000-0000-000000000007-1";

/// Answers in order; keeps what was asked.
struct Script {
    answers: Mutex<Vec<Answer>>,
    asked: Mutex<Vec<HttpRequest>>,
}

impl Sender for Script {
    async fn send(&self, request: &Request, _: Duration) -> Answer {
        let Wire::Http(http) = &request.wire else { panic!("jobs speak HTTP") };
        self.asked.lock().unwrap().push(http.clone());
        self.answers.lock().unwrap().remove(0)
    }
}

fn at(seconds: i64) -> Timestamp {
    "2026-11-20T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(seconds)
}

fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Answer::Response { status, headers, body: body.to_owned() }
}

fn lost() -> Answer {
    Answer::Lost { error: "reset".into() }
}

fn effect(spec: &Value, step: CallStep) -> Effect {
    let spec: JobSpec = serde_json::from_value(spec.clone()).unwrap();
    let owner = OwnerView { team: "t".into(), because: String::new() };
    let caller = Caller { behalf: vec!["ana".into()], ..Caller::new("iss:etl", "jwt") };
    Effect {
        id: DeliveryId(Uuid::from_u128(9)),
        cause: 1,
        at: at(0),
        connection: "app".into(),
        to: None,
        incident: None,
        key: KEY.into(),
        action: Action::Job,
        notice: Box::new(Notice::plain("job".into(), String::new(), Severity::Info, at(0), owner)),
        act: None,
        job: Some(Box::new(JobCall {
            run: Uuid::from_u128(7),
            job: "refresh".into(),
            spec: Arc::new(spec),
            input: json!({"id": "a/b", "package_url": "https://files/x.zip"}),
            caller,
            step,
            deadline: at(3600),
        })),
    }
}

fn config(kind: &str) -> ConnectionConfig {
    let value = match kind {
        "http" => json!({"kind": "http", "url": "https://app.example/base/"}),
        _ => {
            json!({"kind": "app_service", "url": "https://shop.azurewebsites.net", "subscription": "s", "resource_group": "g",
            "site": "shop", "management": {"kind": "bearer", "token": {"env": "T"}}})
        }
    };
    serde_json::from_value(value).unwrap()
}

struct Case {
    spec: Value,
    earlier: Earlier,
    progress: CallProgress,
    step: CallStep,
    key: &'static str,
}

impl Case {
    fn of(target: Value) -> Self {
        Self {
            spec: json!({"target": target}),
            earlier: Earlier::NotThere,
            progress: CallProgress::default(),
            step: CallStep::Run,
            key: KEY,
        }
    }

    fn http(more: Value) -> Self {
        let mut target = json!({"kind": "http", "connection": "app", "path": "/x/{id}"});
        for (name, value) in more.as_object().unwrap() {
            target[name] = value.clone();
        }
        Self::of(target)
    }

    fn asking(mut self, location: &str) -> Self {
        self.progress = CallProgress { calls: 1, location: Some(location.into()), ..CallProgress::default() };
        self
    }

    fn doubted(mut self) -> Self {
        self.earlier = Earlier::MayBeThere;
        self.progress.calls = 1;
        self
    }

    fn go(&self, answers: Vec<Answer>) -> (Carried, Vec<HttpRequest>) {
        let kind = self.spec["target"]["kind"].as_str().unwrap();
        let (mut effect, config) = (effect(&self.spec, self.step.clone()), config(kind));
        self.key.clone_into(&mut effect.key);
        let script = Script { answers: Mutex::new(answers), asked: Mutex::default() };
        let job = Job {
            effect: &effect,
            config: &config,
            authority: Authority::Headers(vec![(
                ::http::header::AUTHORIZATION,
                ::http::HeaderValue::from_static("Bearer s3cret-token"),
            )]),
            trust: None,
            earlier: self.earlier,
            progress: self.progress.clone(),
            callback: Some("https://trackside.example/jobs/callback/TOKEN".into()),
            now: at(0),
            timeout: Duration::from_secs(5),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let carried = runtime.block_on(attempt(&script, job));
        assert!(script.answers.lock().unwrap().is_empty(), "every answer is asked for");
        (carried, script.asked.into_inner().unwrap())
    }

    /// One line: what follows, and whether the outcome is in doubt.
    #[track_caller]
    fn check(&self, answers: Vec<Answer>, expect: &str) {
        let (carried, _) = self.go(answers);
        assert_eq!(line(&carried), expect);
    }
}

fn line(carried: &Carried) -> String {
    let doubt = if carried.in_doubt { ", in doubt" } else { "" };
    match &carried.next {
        Next::Ended(CallResult::Succeeded { output }) => format!("succeeded {output}{doubt}"),
        Next::Ended(CallResult::Accepted) => format!("accepted{doubt}"),
        Next::Ended(CallResult::Failed { error }) => format!("{:?}{doubt}", error.class),
        Next::Again { at: then, trouble, .. } => {
            format!("again after {} s, {trouble:?}{doubt}", then.duration_since(at(0)).as_secs())
        }
    }
}

#[test]
fn a_call_says_who_asks_for_what() {
    let (carried, asked) = Case::http(json!({})).go(vec![response(200, &[], r#"{"rows":3}"#)]);
    assert_eq!(line(&carried), r#"succeeded {"rows":3}"#);
    let headers: Vec<String> = asked[0].headers.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    assert_eq!((asked[0].method.as_str(), asked[0].url.as_str()), ("POST", "https://app.example/base/x/a%2Fb"));
    insta::assert_snapshot!(headers.join("\n"));
    assert!(!format!("{:?}", carried.exchanges).contains("s3cret-token"), "the credential is not shown");
}

#[test]
fn answers_to_a_call_that_is_not_keyed() {
    let case = Case::http(json!({}));
    for (answer, expect) in [
        (response(200, &[], ""), "succeeded null"),
        (response(201, &[], "plain"), "succeeded \"plain\""),
        (response(202, &[], ""), "Unknown, in doubt"),
        (response(202, &[("location", "/jobs/1"), ("retry-after", "7")], ""), "again after 7 s, None"),
        (response(202, &[("location", "https://evil.example/1")], ""), "Unknown, in doubt"),
        (response(303, &[("location", "/result/1")], ""), "again after 0 s, None"),
        (response(302, &[("location", "https://login.microsoftonline.com/x")], ""), "again after 0 s, None"),
        (response(307, &[("location", "/else")], ""), "Refused"),
        (response(401, &[], ""), "again after 0 s, None"),
        (response(403, &[], ""), "Refused"),
        (response(404, &[], ""), "Refused"),
        (response(422, &[], r#"{"detail":"no"}"#), "Refused"),
        (response(429, &[("retry-after", "9")], ""), "again after 9 s, None"),
        (response(503, &[], ""), "again after 5 s, Connection"),
        (response(500, &[], ""), "Failed"),
        (response(502, &[], ""), "Unknown, in doubt"),
        (response(504, &[], ""), "Unknown, in doubt"),
        (lost(), "Unknown, in doubt"),
        (Answer::NotSent { error: "refused".into() }, "again after 5 s, Connection"),
        (Answer::Withheld { error: "private".into() }, "Internal"),
    ] {
        case.check(vec![answer], expect);
    }
    case.doubted().check(vec![], "Unknown, in doubt");
}

#[test]
fn answers_to_a_call_that_is_keyed() {
    let case = Case::http(json!({"idempotency": "key"}));
    for (answer, expect) in [
        (response(500, &[], ""), "again after 5 s, Connection"),
        (response(502, &[], ""), "again after 5 s, Connection, in doubt"),
        (response(504, &[], ""), "again after 5 s, Connection, in doubt"),
        (lost(), "again after 5 s, Connection, in doubt"),
        (response(409, &[], ""), "Refused"),
    ] {
        case.check(vec![answer], expect);
    }
    let doubted = Case::http(json!({"idempotency": "key"})).doubted();
    let (carried, asked) = doubted.go(vec![response(200, &[], "1")]);
    assert_eq!(line(&carried), "succeeded 1");
    assert!(asked[0].headers.iter().any(|(name, value)| name == "idempotency-key" && value == KEY));
    doubted.check(vec![response(409, &[], "")], "again after 10 s, None, in doubt");
    // The tries are used up, and one of them may have been carried out.
    let mut last = Case::http(json!({"idempotency": "key"})).doubted();
    last.progress.calls = 2;
    last.check(vec![response(503, &[], "")], "Unknown, in doubt");
    last.check(vec![lost()], "Unknown, in doubt");
    last.earlier = Earlier::NotThere;
    last.check(vec![response(504, &[], "")], "Unknown, in doubt");
}

/// A repetition that is turned away says nothing of the try whose answer was lost.
#[test]
fn a_refusal_after_a_lost_answer_does_not_say_that_nothing_was_done() {
    let doubted = Case::http(json!({"idempotency": "key"})).doubted();
    for status in [400, 403, 404, 422] {
        doubted.check(vec![response(status, &[], "")], "Unknown, in doubt");
    }
    let mut rejected = Case::http(json!({"idempotency": "key"})).doubted();
    rejected.progress.rejected = 1;
    rejected.check(vec![response(401, &[], "")], "Unknown, in doubt");
    // The server was killed in the first try, before anything was written down.
    let mut killed = Case::http(json!({"idempotency": "key"})).doubted();
    killed.progress.calls = 0;
    killed.check(vec![response(409, &[], "")], "again after 5 s, None, in doubt");
    // An earlier run sent the same call under the same key.
    let mut later = Case::http(json!({"idempotency": "key"}));
    later.key = "00000000-0000-0000-0000-000000000006-1";
    later.check(vec![response(409, &[], "")], "again after 5 s, None, in doubt");
    later.check(vec![response(404, &[], "")], "Unknown, in doubt");
    later.check(vec![response(200, &[], "1")], "succeeded 1");
}

/// A credential is sent to the origins of its connection alone, also when the connection was changed meanwhile.
#[test]
fn a_place_that_the_connection_does_not_lead_to_is_not_asked() {
    Case::http(json!({})).asking("https://old.example/jobs/1").check(vec![], "Unknown, in doubt");
    let mut stop = Case::http(json!({}));
    stop.step = CallStep::Cancel { far_ref: "https://old.example/jobs/1".into() };
    stop.check(vec![], "Internal");
    let restart = json!({"kind": "app_service", "connection": "app", "action": {"do": "swap_slots", "source": "s"}});
    Case::of(restart).asking("https://evil.example/lro/1").check(vec![], "Unknown, in doubt");
    let named = response(202, &[("location", "https://user:word@app.example/jobs/1#x")], "");
    let (carried, _) = Case::http(json!({})).go(vec![named]);
    assert_eq!(carried.progress.location.as_deref(), Some("https://app.example/jobs/1"));
}

#[test]
fn a_key_in_the_place_of_the_work_is_not_shown() {
    let place = "https://app.example/api/1?code=k3y-of-the-app&x=1";
    let echo = format!(r#"{{"status":"running","self":"{place}"}}"#);
    let (carried, asked) = Case::http(json!({})).asking(place).go(vec![response(200, &[], &echo)]);
    assert_eq!(asked[0].url, place);
    assert!(!format!("{:?}", carried.exchanges[0].request).contains("k3y-of-the-app"));
}

/// A far end sets the pace of questions, but not to none.
#[test]
fn questions_have_a_pace() {
    let case = Case::http(json!({})).asking("https://app.example/jobs/1");
    case.check(vec![response(202, &[("retry-after", "0")], "")], "again after 1 s, None");
    case.check(vec![response(303, &[("location", "/jobs/1")], "")], "again after 1 s, None");
}

#[test]
fn a_refused_credential_is_tried_once_more() {
    let mut case = Case::http(json!({}));
    let (carried, _) = case.go(vec![response(401, &[], "")]);
    assert_eq!((carried.credential, carried.progress.calls), (Credential::Rejected, 0));
    case.progress = carried.progress;
    case.check(vec![response(401, &[], "")], "Unauthenticated");
    case.check(vec![response(302, &[("location", "/.auth/login/aad")], "")], "Unauthenticated");
}

#[test]
fn what_was_accepted_is_asked_after() {
    let case = Case::http(json!({})).asking("https://app.example/jobs/1");
    for (answer, expect) in [
        (response(202, &[], ""), "again after 5 s, None"),
        (response(202, &[("retry-after", "3600")], ""), "again after 300 s, None"),
        (response(200, &[], r#"{"status":"running"}"#), "again after 5 s, None"),
        (response(200, &[], r#"{"status":"succeeded"}"#), r#"succeeded {"status":"succeeded"}"#),
        (response(200, &[], r#"{"status":"failed","error":"disk"}"#), "Failed"),
        (response(200, &[], r#"{"rows":1}"#), r#"succeeded {"rows":1}"#),
        (response(303, &[("location", "/result/1")], ""), "again after 1 s, None"),
        (response(404, &[], ""), "Unknown, in doubt"),
        (response(500, &[], ""), "again after 5 s, Connection, in doubt"),
        (lost(), "again after 5 s, Connection, in doubt"),
    ] {
        case.check(vec![answer], expect);
    }
    // In doubt about a question is not in doubt about the call.
    let mut doubted = Case::http(json!({})).asking("https://app.example/jobs/1");
    doubted.earlier = Earlier::MayBeThere;
    doubted.check(vec![response(202, &[], "")], "again after 5 s, None");
}

#[test]
fn a_polled_job_names_its_members() {
    let mode = json!({"kind": "poll", "every": "2s", "status": "/job/state", "succeeded": ["OK"], "failed": ["KO"], "output": "/job/out"});
    let case = Case::http(json!({"mode": mode}));
    case.check(vec![response(200, &[], r#"{"job":{"state":"ok","out":[1]}}"#)], "succeeded [1]");
    case.check(vec![response(200, &[], r#"{"job":{"state":"KO"}}"#)], "Failed");
    case.check(vec![response(202, &[("location", "/j/1")], "")], "again after 2 s, None");
    case.check(vec![response(200, &[("location", "/j/1")], r#"{"job":{"state":"busy"}}"#)], "again after 2 s, None");
    case.check(vec![response(200, &[], r#"{"job":{"state":"busy"}}"#)], "Unknown, in doubt");
}

#[test]
fn a_far_end_that_calls_back_is_given_an_address() {
    let case = Case::http(json!({"mode": {"kind": "callback"}}));
    let (carried, asked) = case.go(vec![response(202, &[("location", "/jobs/1")], "")]);
    assert_eq!(line(&carried), "accepted");
    assert_eq!(carried.progress.location.as_deref(), Some("https://app.example/jobs/1"));
    assert!(asked[0].headers.iter().any(|(name, _)| name == "trackside-callback"));
    assert!(!format!("{:?}", carried.exchanges).contains("TOKEN"), "the address is a secret");
}

#[test]
fn results_fit_the_schema_and_the_size() {
    let mut case = Case::http(json!({}));
    case.spec["result"] = json!({"type": "object", "required": ["rows"]});
    case.check(vec![response(200, &[], r#"{"rows":1}"#)], r#"succeeded {"rows":1}"#);
    case.check(vec![response(200, &[], r#"{"lines":1}"#)], "BadResult");
    case.spec["result_bytes"] = json!(10);
    case.check(vec![response(200, &[], r#"{"rows":123456}"#)], "BadResult");
}

#[test]
fn a_run_that_ended_is_stopped() {
    let mut case = Case::http(json!({}));
    case.step = CallStep::Cancel { far_ref: "https://app.example/jobs/1".into() };
    let (carried, asked) = case.go(vec![response(204, &[], "")]);
    assert_eq!((line(&carried).as_str(), asked[0].method.as_str()), ("succeeded null", "DELETE"));
    case.check(vec![response(405, &[], "")], "Refused");
    case.check(vec![response(503, &[], "")], "again after 5 s, Connection");
    case.progress.calls = 4;
    case.check(vec![lost()], "Unavailable");
}

#[test]
fn actions_on_an_app_service() {
    let case = |action: Value| Case::of(json!({"kind": "app_service", "connection": "app", "action": action}));
    let restart = case(json!({"do": "restart", "slot": "staging"}));
    let (carried, asked) = restart.go(vec![response(200, &[], "")]);
    assert_eq!(line(&carried), "succeeded null");
    assert_eq!(
        asked[0].url,
        "https://management.azure.com/subscriptions/s/resourceGroups/g/providers/Microsoft.Web/sites/shop/slots/staging/restart\
         ?api-version=2025-05-01&synchronous=true&softRestart=false"
    );
    restart.check(vec![lost()], "Unknown, in doubt");
    restart.doubted().check(vec![], "Unknown, in doubt");

    let swap = case(json!({"do": "swap_slots", "source": "staging"}));
    let there = [("location", "https://management.azure.com/lro/1"), ("retry-after", "15")];
    swap.check(vec![response(202, &there, "")], "again after 15 s, None");
    swap.check(vec![lost()], "again after 5 s, Connection, in doubt");
    let shows = |at: &str| {
        let status = json!({"timestampUtc": at, "sourceSlotName": "staging", "destinationSlotName": "production"});
        response(200, &[], &json!({"properties": {"slotSwapStatus": status}}).to_string())
    };
    let doubted = case(json!({"do": "swap_slots", "source": "staging"})).doubted();
    assert!(line(&doubted.go(vec![shows("2026-11-20T00:00:30Z")]).0).starts_with("succeeded"));
    doubted.check(vec![shows("2026-11-19T00:00:00Z")], "again after 5 s, None, in doubt");

    let mut stopped = case(json!({"do": "swap_slots", "source": "staging"}));
    stopped.step = CallStep::Cancel { far_ref: "https://management.azure.com/operations/1".into() };
    stopped.check(vec![], "Refused");
    let mut capped = case(json!({"do": "restart"}));
    capped.spec["result_bytes"] = json!(5);
    capped.check(vec![response(200, &[], r#"{"rows":1}"#)], "BadResult");
}

#[test]
fn a_zip_deployment_is_found_in_the_list_by_its_deployer() {
    let case = || Case::of(json!({"kind": "app_service", "connection": "app", "action": {"do": "zip_deploy"}}));
    let list = |entries: Value| response(200, &[], &entries.to_string());
    let ours = |more: Value| {
        let mut one = json!({"id": "d2", "deployer": format!("trackside-{KEY}"), "message": "m"});
        one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        one
    };
    // Kudu's own `Location` says `latest`, and its header names something else; neither is asked.
    let place = "https://shop.scm.azurewebsites.net/api/deployments";
    let latest = format!("{place}/latest?deployer=trackside");
    let accepted =
        || response(202, &[("location", latest.as_str()), ("scm-deployment-id", "t1"), ("retry-after", "15")], "");
    let (carried, asked) = case().go(vec![accepted()]);
    assert_eq!(line(&carried), "again after 15 s, None");
    assert_eq!(carried.progress.location.as_deref(), Some(place));
    let sent = "https://shop.scm.azurewebsites.net/api/zipdeploy?isAsync=true&deployer=trackside-00000000";
    assert!(asked[0].url.starts_with(sent), "{}", asked[0].url);
    let asking = case().asking(place);
    let theirs = json!({"id": "d9", "status": 4, "deployer": "trackside-other-1"});
    asking.check(vec![list(json!([theirs]))], "again after 5 s, None, in doubt");
    asking.check(vec![list(json!([theirs, ours(json!({"status": 1}))]))], "again after 5 s, None");
    asking.check(vec![list(json!([ours(json!({"status": 3, "status_text": "no app"}))]))], "Failed");
    assert!(line(&asking.go(vec![list(json!([theirs, ours(json!({"status": 4}))]))]).0).starts_with("succeeded"));
    // Until it has the package, Kudu lists a placeholder; it may still be there when the deployment is.
    let placeholder = || ours(json!({"id": "temp-1", "status": 0, "is_temp": true}));
    asking.check(vec![list(json!([placeholder()]))], "again after 5 s, None");
    assert!(
        line(&asking.go(vec![list(json!([placeholder(), ours(json!({"status": 4}))]))]).0).starts_with("succeeded")
    );
    // After a lost answer the list says whether it was taken; only if it was not, it is sent again.
    let doubted = case().doubted();
    doubted.check(vec![list(json!([placeholder()]))], "again after 1 s, None");
    doubted.check(vec![list(json!([theirs])), accepted()], "again after 15 s, None");
}
