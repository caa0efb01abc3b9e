//! People, schedules, escalations, windows: read, merged, refused with a place, warned about.

use super::{check, folder};
use crate::config::{HeartbeatUrl, load};
use jiff::Timestamp;
use secrecy::ExposeSecret as _;
use serde_json::json;
use trackside_core::rules::Rules;
use trackside_core::ruleset::Ruleset;
use trackside_identity::secret::Secrets;

const BASE: &str = "\
teams: {data: {escalation: main, notify: [{via: hook}], members: [ana]}}
owners: {default: data}
connections:
  hook: {kind: webhook, url: 'https://example.net/in', secret: {file: Cargo.toml}}
  mail: {kind: email, smtp: 'smtp://mail:25', from: a@example.net, to: [b@example.net]}
  pager: {kind: pagerduty, routing_key: {file: Cargo.toml}}
";

const PEOPLE: &str = "\
people:
  ana: {name: Ana, zone: Europe/Paris, aliases: [U024BE7LH], contacts: [{via: mail, to: ana@example.net}]}
  ben: {zone: America/New_York, contacts: [{via: mail, to: ben@example.net}, {via: pager, after: 5m}]}
schedules:
  primary:
    layers:
      - {name: week, rotation: {tz: Europe/Paris, start: '2026-01-05T09:00:00', unit: week, participants: [ana, ben]}}
escalations:
  main:
    steps:
      - {targets: ['oncall:primary']}
      - {after: 15m, targets: ['person:ben', 'team:data', 'channel:hook']}
    repeat: {times: 2, every: 15m}
    ack_timeout: 4h
";

/// The problems of the base, people and one more file.
#[track_caller]
fn with(more: &str, expect: &str) {
    check(&[("a.yaml", BASE), ("b.yaml", PEOPLE), ("c.yaml", more)], expect);
}

/// The problems when a part of the people reads otherwise.
#[track_caller]
fn instead(from: &str, to: &str, expect: &str) {
    assert!(PEOPLE.contains(from));
    check(&[("a.yaml", BASE), ("b.yaml", &PEOPLE.replace(from, to))], expect);
}

#[test]
fn everything_about_people_can_be_said_in_any_file() {
    let more = "
maintenance:
  - name: patches
    matchers: ['source=\"airflow\"']
    announce: [hook]
    reason: patching
    when: {tz: Europe/Paris, start: '2026-02-07T22:00:00', duration_s: 7200, rrule: {freq: monthly, by_month_day: -1}}
inhibitions: [{name: the warehouse, source_matchers: ['pipeline=\"warehouse\"'], target_matchers: ['severity=\"warning\"'], equal: [owner]}]
calendars: {holidays: [2026-12-25, 2027-01-01]}
incidents: {group_by: [owner], update_interval: 10m, flap_window: 15m, storm: {incidents: 10, within: 2m}}
upstreams: [{match: {pipeline: 'report_*'}, on: [airflow/orders]}]
canary: {connections: [hook], every: 1h}
heartbeat_out: {url: 'https://hc.example.net/ping', every: 2m}
";
    let folder = folder(&[("a.yaml", BASE), ("b.yaml", PEOPLE), ("c.yaml", more)]);
    let config = load(folder.path()).unwrap();
    let rules = &config.ruleset;
    assert_eq!(config.warnings.iter().map(ToString::to_string).collect::<Vec<_>>(), [] as [String; 0]);
    assert_eq!((rules.people.len(), rules.schedules.len(), rules.escalations.len()), (2, 1, 1));
    assert_eq!((rules.maintenance.len(), rules.inhibitions.len(), rules.upstreams.len()), (1, 1, 1));
    assert_eq!(rules.calendars["holidays"].len(), 2);
    assert_eq!(rules.incidents.storm.map(|storm| storm.incidents), Some(10));
    assert_eq!(rules.canary.as_ref().map(|canary| canary.every.to_string()), Some("1h".to_owned()));
    assert_eq!(config.heartbeat_out.map(|out| out.every.to_string()), Some("2m".to_owned()));
}

#[test]
fn what_stands_twice_is_refused_with_both_places() {
    with("people: {ana: {}}\n", "c.yaml:1:10: people.ana: the person stands twice (first in b.yaml)");
    with(
        "schedules: {primary: {layers: []}}\nescalations: {main: {steps: []}}\n",
        "c.yaml:1:13: schedules.primary: the schedule stands twice (first in b.yaml)\n\
         c.yaml:2:15: escalations.main: the escalation policy stands twice (first in b.yaml)",
    );
    check(
        &[("a.yaml", BASE), ("b.yaml", "incidents: {}\n"), ("c.yaml", "incidents: {}\n")],
        "c.yaml:1:1: incidents: the section stands twice (first in b.yaml)",
    );
}

#[test]
fn names_that_lead_nowhere_have_a_place_and_a_suggestion() {
    instead(
        "[ana, ben]",
        "[ana, bem]",
        "b.yaml:7:113: schedules.primary.layers[0].rotation.participants[1]: there is no person `bem`; declared are ana, \
         ben (did you mean `ben`?)",
    );
    instead(
        "'oncall:primary'",
        "'oncall:primry'",
        "b.yaml:11:20: escalations.main.steps[0].targets[0]: there is no schedule `primry`; declared are primary (did you \
         mean `primary`?)",
    );
    instead(
        "'person:ben'",
        "'ben'",
        "b.yaml:12:32: escalations.main.steps[1].targets[0]: `ben` is not a target; write person:NAME, oncall:SCHEDULE, \
         team:NAME or channel:CONNECTION",
    );
    instead(
        "{via: pager, after: 5m}",
        "{via: pagr, after: 5m}",
        "b.yaml:3:84: people.ben.contacts[1].via: there is no connection `pagr`; declared are hook, mail, pager (did you \
         mean `pager`?)",
    );
    instead(
        "America/New_York",
        "America/New_Yrok",
        "b.yaml:3:15: people.ben.zone: `America/New_Yrok` is not an IANA time zone; write for example Europe/Paris or UTC \
         (did you mean `America/New_York`?)",
    );
    check(
        &[("a.yaml", &BASE.replace("main", "mian")), ("b.yaml", PEOPLE)],
        "a.yaml:1:28: teams.data.escalation: there is no escalation policy `mian`; declared are main (did you mean \
         `main`?)",
    );
    instead(
        "after: 15m, targets",
        "aftre: 15m, targets",
        "b.yaml:12:17: escalations.main.steps[1].aftre: unknown field `aftre`, expected `after` or `targets` (did you \
         mean `after`?)",
    );
}

#[test]
fn windows_and_matchers_that_cannot_be_used_are_refused() {
    with(
        "maintenance: [{name: x, matchers: ['source'], when: {start: '2026-02-07T22:00:00', duration_s: 60}}]\n",
        "c.yaml:1:25: maintenance[0].matchers: `source` is not a matcher; write label=\"value\", !=, =~\"pattern\" or !~",
    );
    with(
        "maintenance: [{name: x, when: {start: '2026-02-07T22:00:00'}}]\n",
        "c.yaml:1:25: maintenance[0].when: the end is missing: write one of end, duration_s and end_time",
    );
    with(
        "inhibitions: [{source_matchers: ['a=~\"[\"'], target_matchers: []}]\n",
        "c.yaml:1:16: inhibitions[0].source_matchers: `a=~\"[\"`: the pattern cannot be used: regex parse error:\n    \
         ^(?s:[)$\n         ^\nerror: unclosed character class",
    );
    with(
        "calendars: {holidays: [2026-13-25]}\n",
        "c.yaml:1:24: calendars.holidays[0]: failed to parse two digit integer as month: parameter 'month' is not in the \
         required range of 1..=12",
    );
    with("upstreams: [{on: [orders]}]\n", "c.yaml:1:13: upstreams[0]: missing field `match`");
    with(
        "upstreams: [{match: {pipeline: x}, on: [orders]}]\n",
        "c.yaml:1:36: upstreams[0].on: `orders` is not a pipeline; write source/pipeline",
    );
    with(
        "heartbeat_out: {url: 'https://hc.example.net/x', every: 1s}\n",
        "c.yaml:1:57: heartbeat_out.every: must be at least 10s",
    );
}

#[test]
fn an_alarm_goes_through_a_connection_that_is_there() {
    with(
        "heartbeat_out: {url: 'https://hc.example.net/x', alarm: hok}\n",
        "c.yaml:1:57: heartbeat_out.alarm: there is no connection `hok`; declared are hook, mail, pager (did you mean \
         `hook`?)",
    );
    with("heartbeat_out: {url: 'https://hc.example.net/x', alarm: pager}\n", "");
}

/// Parts of an Alertmanager configuration, taken over as they are.
#[test]
fn windows_and_inhibitions_of_alertmanager_are_taken_as_they_are() {
    with(
        r#"
maintenance:
  - name: offhours
    when:
      intervals:
        - times:
            - start_time: '21:00'
              end_time: '24:00'
            - start_time: "00:00"
              end_time: "06:00"
          weekdays: ['monday:friday', 'saturday', 'sunday']
          days_of_month: ['1:5', '-3:-1']
          months: ['1:3', 'may:august', 'december']
          years: ['2026:2028', '2030']
          location: 'Australia/Sydney'
inhibitions:
  - source_matchers:
      - severity="critical"
    target_matchers:
      - severity=~"warning|info"
    equal: ['alertname', 'dev', 'instance']
"#,
        "",
    );
}

#[test]
fn what_is_probably_not_meant_is_warned_about() {
    instead(
        ", contacts: [{via: mail, to: ben@example.net}, {via: pager, after: 5m}]",
        "",
        "a.yaml:6:3: connections.pager: nobody is told through it, and no automation uses it (name it in a team's \
         `notify` or a person's `contacts`)\n\
         b.yaml:3:3: people.ben: is to be paged and has no contact (add `contacts: [{via: CONNECTION}]`)",
    );
    with(
        "people: {eve: {}}\nescalations: {quick: {steps: [{targets: ['person:eve']}]}}\n",
        "c.yaml:1:10: people.eve: is to be paged and has no contact (add `contacts: [{via: CONNECTION}]`)\n\
         c.yaml:2:32: escalations.quick.steps[0].targets: step 1 can reach nobody (give one of its targets a contact, or \
         name another target)\n\
         c.yaml:2:15: escalations.quick: no team and no rule uses it (write `escalation: quick` at a team or a rule)",
    );
    instead(
        "{via: pager, after: 5m}",
        "{via: pager, to: ben, after: 5m}",
        "b.yaml:3:95: people.ben.contacts[1].to: `pager` pages the one service of its routing key; `to` changes nothing \
         (leave it out, or name a connection of the person's own)",
    );
    instead(
        "'oncall:primary'",
        "'person:ana'",
        "b.yaml:5:3: schedules.primary: no escalation policy pages who is on call in it (name `oncall:primary` in a \
         policy's step)",
    );
    with(
        "teams: {ml: {notify: [{via: hook}]}}\npipelines:\n  - {match: {pipeline: a}, tier: 1, owner: ml}\n  - {match: {pipeline: b}, tier: 1}\n",
        "c.yaml:1:9: teams.ml: owns pipelines of tier 1, and nothing escalates when nobody reacts (add `escalation: \
         POLICY`)",
    );
}

/// What is found about the weeks ahead, without the folder's own path.
#[track_caller]
fn ahead(from: &str, to: &str, now: &str, expect: &str) {
    assert!(PEOPLE.contains(from));
    let folder = folder(&[("a.yaml", BASE), ("b.yaml", &PEOPLE.replace(from, to))]);
    let found = load(folder.path()).unwrap().ahead(now.parse::<Timestamp>().unwrap());
    let lines: Vec<String> =
        found.iter().map(|problem| problem.to_string().replace(&format!("{}/", folder.path().display()), "")).collect();
    assert_eq!(lines.join("\n"), expect);
}

#[test]
fn gaps_in_the_weeks_ahead_are_named() {
    const NOW: &str = "2026-11-21T01:00:00Z";
    let restrict = |intervals: &str| format!("participants: [ana, ben]}}, restrict: [{intervals}]}}");
    let rest = "participants: [ana, ben]}}";
    ahead(rest, rest, NOW, "");
    ahead(
        rest,
        &restrict(
            "{weekdays: ['monday:friday', sunday], location: Europe/Paris}, {location: Europe/Paris, weekdays: \
             [saturday], times: [{start_time: '00:00', end_time: '02:00'}, {start_time: '08:00', end_time: '24:00'}]}",
        ),
        NOW,
        "b.yaml:5:3: schedules.primary: nobody on call in primary: Saturday 2026-11-21 02:00-08:00, Saturday 2026-11-28 \
         02:00-08:00, Saturday 2026-12-05 02:00-08:00 Europe/Paris and 5 more in the next 8 weeks (let a layer cover it, \
         or drop its `restrict`)",
    );
    ahead(
        rest,
        &restrict("{weekdays: ['monday:friday'], location: Europe/Paris}"),
        "2026-12-01T00:00:00Z",
        "b.yaml:5:3: schedules.primary: nobody on call in primary: Saturday 2026-12-05 00:00 to Monday 2026-12-07 00:00, \
         Saturday 2026-12-12 00:00 to Monday 2026-12-14 00:00, Saturday 2026-12-19 00:00 to Monday 2026-12-21 00:00 \
         Europe/Paris and 5 more in the next 8 weeks (let a layer cover it, or drop its `restrict`)",
    );
    ahead(
        "participants: [ana, ben]}}",
        "participants: [ana, ben]}, until: 2026-12-24T12:00:00Z}",
        NOW,
        "b.yaml:5:3: schedules.primary: nobody on call in primary: from Thursday 2026-12-24 13:00 on Europe/Paris (let a \
         layer cover it, or drop its `restrict`)",
    );
}

#[test]
fn a_sign_of_life_goes_to_an_address_or_to_a_secret_one() {
    let resolve =
        |url: serde_json::Value| serde_json::from_value::<HeartbeatUrl>(url).unwrap().resolve(&Secrets::default());
    let plain = resolve(json!("https://hc.example.net/ping?x=1")).unwrap();
    assert_eq!(plain.expose_secret(), "https://hc.example.net/ping?x=1");
    let folder = folder(&[("url", "https://hc.example.net/secret\n"), ("bad", "hc-ping\n")]);
    let file = |name: &str| json!({"file": folder.path().join(name)});
    assert_eq!(resolve(file("url")).unwrap().expose_secret(), "https://hc.example.net/secret");
    let error = resolve(file("bad")).unwrap_err();
    assert!(error.contains("is not an address") && !error.contains("hc-ping"), "{error}");
    with(
        "heartbeat_out: {url: 7}\n",
        "c.yaml:1:22: heartbeat_out.url: invalid type: integer `7`, expected an address, or a reference to a secret: \
         `{env: NAME}`, `{file: PATH}` and others",
    );
    with(
        "heartbeat_out: {url: {env: TRACKSIDE_TEST_UNSET}}\n",
        "c.yaml:1:17: heartbeat_out.url: environment variable `TRACKSIDE_TEST_UNSET` is not set; set it before starting \
         the server",
    );
}

/// A ruleset as it stands in the log of a database that was made before there were people.
#[test]
fn rulesets_of_older_databases_can_be_read() {
    let old = json!({
        "teams": {"data": {"aliases": ["d"], "notify": [{"via": "hook", "min_severity": "info"}]}},
        "owners": {"default": "data", "rules": [], "patterns": []},
        "rules": [{"name": "failed", "match": {"source": null, "pipeline": null, "task": null, "tag": null, "tier": null,
            "owner": null}, "when": {"failed": {"consecutive": 1, "on": "any"}}}],
        "pipelines": [],
        "connections": {"hook": {"kind": "webhook", "updates": "every"}},
        "public_url": "http://127.0.0.1:4180"
    });
    let ruleset: Ruleset = serde_json::from_value(old).unwrap();
    assert!(ruleset.people.is_empty() && ruleset.canary.is_none());
    Rules::new(ruleset.clone()).unwrap();
    let again: Ruleset = serde_json::from_value(serde_json::to_value(&ruleset).unwrap()).unwrap();
    assert_eq!(again, ruleset);
    // What is switched off stays off.
    let mut calm = ruleset;
    calm.incidents.storm = None;
    let again: Ruleset = serde_json::from_value(serde_json::to_value(&calm).unwrap()).unwrap();
    assert_eq!(again.incidents.storm, None);
}
