use super::*;
use crate::automations::rehearse::rehearse;
use crate::config;

/// Runs the tests of a file and gives, test by test, whether it passed and what happened.
#[track_caller]
fn check(text: &str, expect: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tests.yaml"), text).unwrap();
    let mut told = Vec::new();
    match config::rehearsals(folder.path()) {
        Ok(rehearsals) => {
            for config::Rehearsal { case, automations, .. } in rehearsals {
                let script = case.script().unwrap();
                let verdict = Verdict::new(&script, &automations, rehearse(&automations, &script).unwrap());
                told.push(format!("{} {}", if verdict.passed() { "ok" } else { "FAIL" }, case.name));
                // Why something fired is the core's to say.
                let short = |line: String| match line.starts_with("missing") {
                    true => line,
                    false => line.split(": ").next().unwrap().to_owned(),
                };
                told.extend(verdict.texts().into_iter().map(short));
            }
        }
        Err(problems) => {
            told.push(problems.to_string().replace(&format!("{}/", folder.path().display()), ""));
        }
    }
    assert_eq!(told.join("\n"), expect);
}

const AUTOMATIONS: &str = "\
automations:
  - name: three
    trigger: {expect: [job.failed], match: {prefect.resource.id: 'job.*'}, for_each: [prefect.resource.id], threshold: 3, within: 10m}
    actions: [page-owner]
  - name: row
    trigger: {consecutive: 2}
    actions: [page-owner]
tests:
";

fn with(tests: &str) -> String {
    format!("{AUTOMATIONS}{tests}")
}

#[test]
fn what_is_expected_and_happens_passes() {
    check(
        &with(
            "
  - name: counted by key
    automations: [three]
    events:
      - {event: job.failed, resource: job.a, repeat: {times: 3, every: 1m}}
      - {event: job.failed, resource: job.b, repeat: {times: 2, every: 1m}}
    expect: [{at: +2m, automation: three, labels: {prefect.resource.id: job.a}}]
  - name: nothing happens
    events: [{event: job.done, resource: job.a}]
    expect: []
  - name: a time is not needed
    automations: [three]
    events: [{event: job.failed, resource: job.a, repeat: {times: 3, every: 1m}}]
    expect: [{automation: three}]
",
        ),
        "ok counted by key\n\
         ok       +2m       three fires [prefect.resource.id=job.a]\n\
         ok nothing happens\n\
         ok a time is not needed\n\
         ok       +2m       three fires [prefect.resource.id=job.a]",
    );
}

#[test]
fn differences_have_a_reason() {
    check(
        &with(
            "
  - name: the wrong time
    automations: [three]
    events: [{event: job.failed, resource: job.a, repeat: {times: 3, every: 1m}}]
    expect: [{at: +1m, automation: three}]
  - name: the wrong event
    automations: [three]
    events: [{event: job.faild, resource: job.a, repeat: {times: 3, every: 1m}}]
    expect: [{at: +2m, automation: three}]
  - name: too few
    automations: [three]
    events: [{event: job.failed, resource: job.a, repeat: {times: 2, every: 1m}}]
    expect: [{automation: three}]
  - name: another label
    automations: [three]
    events: [{event: job.failed, resource: job.a, repeat: {times: 3, every: 1m}}]
    expect: [{automation: three, labels: {prefect.resource.id: job.b}}]
  - name: not what is asked about
    automations: [row]
    events: [{run: {pipeline: a, state: failed}}]
    expect: [{automation: three}, {automation: row}]
",
        ),
        "FAIL the wrong time\n\
         missing  +1m       three fires: something else happened instead, at +2m\n\
         extra    +2m       three fires [prefect.resource.id=job.a]\n\
         FAIL the wrong event\n\
         missing  +2m       three fires: no event concerns it; the nearest event is job.faild: \
         expect: wanted job.failed, found job.faild\n\
         FAIL too few\n\
         missing  at any time  three fires: 2 events concern it, and its condition was not met then\n\
         FAIL another label\n\
         extra    +2m       three fires [prefect.resource.id=job.a]\n\
         missing  at any time  three fires [prefect.resource.id=job.b]: something else happened instead, at +2m\n\
         FAIL not what is asked about\n\
         missing  at any time  three fires: the test has no such automation\n\
         missing  at any time  row fires: its condition was not met",
    );
}

#[test]
fn runs_end_and_conditions_clear() {
    check(
        &with(
            "
  - name: a success clears, what was skipped does not count
    automations: [row]
    events:
      - {run: {pipeline: a, state: failed}}
      - {run: {pipeline: a, state: skipped}, after: 1h}
      - {run: {pipeline: b, state: failed}, after: 1h}
      - {run: {pipeline: a, state: failed}, after: 1h}
      - {run: {pipeline: a, state: succeeded}, after: 1h}
    expect:
      - {at: +3h, automation: row}
      - {at: +4h, automation: row, resolved: true}
",
        ),
        "ok a success clears, what was skipped does not count\n\
         ok       +3h       row fires [pipeline=a, source=test]\n\
         ok       +4h       row resolves [pipeline=a, source=test]",
    );
}

#[test]
fn times_and_events_are_worked_out() {
    check(
        &with(
            "
  - name: written out, late, twice, by itself
    start: 2026-02-01T00:00:00Z
    automations:
      - {name: here, trigger: {expect: [a], threshold: 2, within: 1h}}
      - {name: on the other, trigger: {expect: [prefect.automation.triggered], match: {prefect.resource.name: here}}}
    events:
      - {event: a, id: one, at: +10m}
      - {event: a, id: one, at: 2026-02-01T00:20:00Z}
      - {event: a, at: +15m, received: +30m, source: there, payload: {n: 1}, related: [{role: flow, id: f, n: 1}]}
    until: +1h
    expect:
      - {at: +30m, automation: here}
      - {at: +30m, automation: on the other}
",
        ),
        "ok written out, late, twice, by itself\n\
         ok       +30m      here fires\n\
         ok       +30m      on the other fires",
    );
}

#[test]
fn mistakes_have_a_place() {
    for (test, expect) in [
        ("{name: x, events: [{at: +1m}], expect: []}", "9:22: tests[0].events[0]: needs `event`, `run` or both"),
        (
            "{name: x, events: [{event: a, at: soon}], expect: []}",
            "9:37: tests[0].events[0].at: `soon` is not a moment; write a length of time since the start (+90s, +20m, +1h 30m) or a timestamp",
        ),
        (
            "{name: x, events: [{event: a, at: +1m, after: 1m}], expect: []}",
            "9:49: tests[0].events[0].after: `at` says when it happens already",
        ),
        (
            "{name: x, events: [{event: a, related: [{id: b}]}], expect: []}",
            "9:43: tests[0].events[0].related[0]: needs a non-empty `prefect.resource.role`",
        ),
        (
            "{name: x, events: [{event: a, at: +2h}], until: +1h, expect: []}",
            "9:51: tests[0].until: is before the last event",
        ),
        (
            "{name: x, events: [{event: a, repeat: {times: 200000, every: 1s}}], expect: []}",
            "9:33: tests[0].events[0].repeat: makes more than 100000 events",
        ),
        (
            "{name: x, events: [{event: a, at: 2020-01-01T00:00:00Z}], expect: []}",
            "9:37: tests[0].events[0].at: is before the start of the test, 2026-01-05T09:00:00Z",
        ),
        (
            "{name: x, automations: [thre], events: [], expect: []}",
            "9:27: tests[0].automations[0]: there is no automation `thre`; declared are three, row (did you mean `three`?)",
        ),
        (
            "{name: x, automations: [{name: y, trigger: {expct: [a]}}], events: [], expect: []}",
            "9:47: tests[0].automations[0].trigger.expct: there is no field `expct` here (did you mean `expect`?)",
        ),
        ("{name: x, events: []}", "9:3: tests[0]: missing field `expect`"),
        (
            "{name: x, events: [{event: a, resource: 3}], expect: []}",
            "9:43: tests[0].events[0].resource: expected the id of a resource, or its labels",
        ),
    ] {
        check(&with(&format!("- {test}\n")), &format!("tests.yaml:{expect}"));
    }
}
