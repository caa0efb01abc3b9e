//! The command line without a server: help, usage, `check`, `schema`, `completions`, `demo`.

use crate::binary::{Home, command, finish, redact};
use insta::assert_snapshot;
use std::collections::BTreeSet;
use std::path::Path;

/// Every command with its words, the whole program first.
fn paths(command: &clap::Command, path: &[String], all: &mut Vec<Vec<String>>) {
    all.push(path.to_vec());
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path: Vec<String> = path.iter().cloned().chain([sub.get_name().to_owned()]).collect();
        paths(sub, &path, all);
    }
}

#[tokio::test]
async fn every_command_helps() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    paths(&trackside::cli::command(), &[], &mut all);
    assert!(all.len() > 15, "{all:?}");
    for path in all {
        let mut words: Vec<&str> = path.iter().map(String::as_str).collect();
        words.push("--help");
        let help = finish(command(folder.path(), &words)).await.good();
        assert_snapshot!(format!("help {}", path.join(" ")).trim().replace(' ', "_"), help);
    }
}

#[tokio::test]
async fn wrong_usage_says_what_is_right() {
    let folder = tempfile::tempdir().unwrap();
    for (words, expect) in [
        (vec!["serv"], "some similar subcommands exist: 'secrets', 'serve'"),
        (vec!["serve"], "--config <DIR>"),
        (vec!["runs", "--limt", "3"], "a similar argument exists: '--limit'"),
        (vec!["demo", "--speed", "fast"], "`fast` is not a speed; write a number such as 1, 10 or 0.5, or max"),
        (vec!["completions", "tcsh"], "[possible values: bash, elvish, fish, powershell, zsh]"),
    ] {
        let ran = finish(command(folder.path(), &words)).await;
        assert_eq!(ran.code, 2, "{words:?}: {ran:?}");
        assert!(ran.err.contains(expect), "{words:?}: {ran:?}");
    }
}

#[tokio::test]
async fn without_a_server_or_a_token_it_says_what_to_do() {
    let home = Home::new("teams: {data: {}}\nowners: {default: data}\n");
    let nobody = home.run(&["runs"]).await;
    assert_eq!(nobody.code, 1);
    assert_snapshot!(redact(&home, &nobody.err), @"error: no token: give --token or TRACKSIDE_TOKEN, or --data with the data folder of a server on this machine (looked for data/admin.token): No such file or directory (os error 2)");
    // Port 9 of the own machine: nobody is there.
    let nobody = home.run(&["runs", "--token", "x", "--url", "http://127.0.0.1:9"]).await;
    assert_eq!(nobody.code, 1);
    let expect =
        "error: no answer from http://127.0.0.1:9; is the server running? (`trackside serve`, or name it with --url)";
    assert!(nobody.err.starts_with(expect), "{nobody:?}");
}

const GOOD: &str = "\
teams: {data: {notify: [{via: pager}]}}
owners: {default: data}
connections:
  pager: {kind: pagerduty, routing_key: {file: secrets/pagerduty}}
tokens: [{name: airflow, role: ingest, secret: {env: AIRFLOW_TOKEN}}]
";

#[tokio::test]
async fn a_good_folder_can_be_used() {
    let home = Home::new(GOOD);
    assert_snapshot!(home.run(&["check", "config"]).await.good(), @r"
    warning: config/trackside.yaml:5:40: tokens[0].secret: environment variable `AIRFLOW_TOKEN` is not set; set it before starting the server
    config can be used: 0 errors, 1 warnings
    ");
    let json = home.run(&["check", "config", "--json"]).await.json();
    assert_eq!((json["errors"].as_array().unwrap().len(), &json["warnings"][0]["line"]), (0, &5.into()));
}

#[tokio::test]
async fn a_bad_folder_is_refused_with_every_place() {
    let home = Home::new(GOOD);
    home.write("config/more.yaml", "teams:\n  ml: {notify: [{via: pagr}]}\nrules:\n  - {name: slow, whn: reported}\n");
    home.write("config/broken.yaml", "teams: {ml: [}\n");
    let ran = home.run(&["check", "config"]).await;
    assert_eq!(ran.code, 1);
    assert_snapshot!(ran.out);
    home.write("config/more.yaml", "teams:\n  ml: {notify: [{via: pagr}]}\n");
    home.write("config/broken.yaml", "tokens: [{name: a, role: ingst, secret: {env: A}}]\n");
    let json = home.run(&["check", "config", "--json"]).await;
    assert_eq!(json.code, 1);
    assert_snapshot!(json.out);
    let nowhere = home.run(&["check", "nowhere"]).await;
    assert_eq!(nowhere.code, 1);
    assert_snapshot!(nowhere.out, @r"
    error: nowhere: cannot read the folder: No such file or directory (os error 2)
    nowhere cannot be used: 1 errors, 0 warnings
    ");
    // The server refuses the same, before it does anything.
    let serve = home.run(&["serve", "--config", "config"]).await;
    assert_eq!(serve.code, 1);
    assert!(serve.err.contains("config cannot be used") && serve.err.contains("broken.yaml:1:"), "{serve:?}");
    assert!(!home.path("data").exists());
}

#[tokio::test]
async fn the_schema_is_published() {
    let folder = tempfile::tempdir().unwrap();
    let schema = finish(command(folder.path(), &["schema"])).await.good();
    assert_snapshot!("schema", schema);
}

#[tokio::test]
async fn completions_know_every_command() {
    let folder = tempfile::tempdir().unwrap();
    let mut all = Vec::new();
    paths(&trackside::cli::command(), &[], &mut all);
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = finish(command(folder.path(), &["completions", shell])).await.good();
        for name in all.iter().filter_map(|path| path.last()) {
            assert!(script.contains(name.as_str()), "{shell} does not know {name}");
        }
    }
}

/// The pipeline, or whatever else a message is about: what stands before the verb.
fn about(summary: &str) -> &str {
    let plain = summary.trim_start_matches(|c: char| !c.is_ascii_alphabetic()).trim_start_matches("Resolved: ");
    plain.split(' ').next().unwrap()
}

/// Which updates go out depends on how fast they follow each other; that every problem which stays is told does not.
#[tokio::test]
async fn the_demo_names_what_arrived_and_ends() {
    let home = Home::new(GOOD);
    let out = home.run(&["demo", "--once", "--speed", "max"]).await.good();
    let mut lines = out.lines();
    let head = lines.next().unwrap();
    assert!(head.ends_with("messages arrived:") && head.contains("recorded events played"), "{out}");
    let messages: Vec<(&str, &str, &str)> = lines
        .map(|line| {
            let line = line.trim_start();
            let (far_end, rest) = line.split_once(' ').unwrap();
            let at = if rest.trim_start().starts_with("thread reply") { 2 } else { 1 };
            let words: Vec<&str> = rest.trim_start().splitn(at + 1, ' ').collect();
            (far_end, rest[..rest.len() - words[at].len()].trim(), words[at].trim())
        })
        .collect();
    assert!(messages.len() > 20 && messages.iter().all(|(_, _, summary)| !summary.is_empty()), "{out}");
    let over: BTreeSet<&str> = messages
        .iter()
        .filter(|(_, action, summary)| *action == "resolve" || summary.contains("Resolved: "))
        .map(|(_, _, summary)| about(summary))
        .collect();
    // Over before the end of the recording, so that they may or may not have been told.
    assert_eq!(over.into_iter().collect::<Vec<_>>(), ["lab_deadline", "lab_success"], "{out}");
    let mut stay: Vec<String> = messages
        .iter()
        .filter(|(_, action, summary)| {
            matches!(*action, "trigger" | "chat.postMessage")
                && !matches!(about(summary), "lab_deadline" | "lab_success")
        })
        .map(|(far_end, action, summary)| format!("{far_end} {action} {summary}"))
        .collect();
    stay.sort();
    assert_snapshot!("demo", redact(&home, &stay.join("\n")));
    assert!(!Path::new("data").exists(), "the demo leaves nothing behind");
}
