//! Fuzzes what far ends of jobs call back with, and the tokens of their addresses.
#![no_main]

use jiff::Timestamp;
use trackside_connect::job::callback;
use trackside_core::job::run::JobRun;
use trackside_identity::act_link::ActKey;

libfuzzer_sys::fuzz_target!(|input: (&str, &[u8])| {
    let (token, body) = input;
    let key = ActKey::new([7; 32]);
    if let Ok((run, expires)) = key.open_run(token, Timestamp::UNIX_EPOCH) {
        assert_eq!(key.seal_run(run, expires), token);
    }
    let run: JobRun = serde_json::from_value(serde_json::json!({
        "id": "00000000-0000-0000-0000-000000000001", "job": "j", "input": null, "input_digest": "",
        "spec": {"target": {"kind": "http", "connection": "c", "path": "/"}, "result": {"type": "object"}},
        "caller": {"subject": "s", "via": "token"}, "state": "running", "attempt": 1, "calls": 0,
        "created": "2026-11-20T00:00:00Z", "deadline": "2026-11-20T01:00:00Z",
    }))
    .expect("a run");
    let _ = callback::parse(body, &run);
});
