//! The examples can be used, and what the README says to type exists.

use crate::binary::{command, finish};
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Folders of `examples/`. The demo's has places for the addresses of its far ends, and is checked by the demo.
fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join("examples")).unwrap();
    let mut folders: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir() && !path.ends_with("demo"));
    folders.sort();
    folders
}

#[tokio::test]
async fn every_example_can_be_used_without_a_warning_once_its_secrets_are_set() {
    let reference = regex::Regex::new(r"\{env: (\w+)\}").unwrap();
    assert!(folders().len() >= 3);
    let started_in = with_keys();
    for folder in folders() {
        let mut check = command(started_in.path(), &["check", folder.to_str().unwrap()]);
        for file in std::fs::read_dir(&folder).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            for name in reference.captures_iter(&text) {
                check.env(&name[1], "https://example.net/a-value");
            }
        }
        let out = finish(check).await.good();
        assert!(out.ends_with("can be used: 0 errors, 0 warnings\n"), "{out}");
    }
}

/// A folder to start in, with the keys that the issuer of an example is said to keep there.
fn with_keys() -> tempfile::TempDir {
    let tokens = std::fs::read_to_string(root().join("testdata/identity/tokens.json")).unwrap();
    let tokens: serde_json::Value = serde_json::from_str(&tokens).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(folder.path().join("keys/jwks-rs-es.json"), tokens["jwks"].to_string()).unwrap();
    folder
}

/// The commands in the code blocks of a page, without comments.
fn typed(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if code && (line.starts_with("cargo ") || line.starts_with("trackside ")) {
            found.push(line.split(" #").next().unwrap().trim().to_owned());
        }
    }
    found
}

/// Whether the program knows such a command; its error when not.
fn trackside(words: &[&str]) -> Result<(), String> {
    let words = ["trackside"].iter().chain(words);
    trackside::cli::command().try_get_matches_from(words).map(|_| ()).map_err(|error| error.to_string())
}

/// Whether there is such a chore: `xtask` is a program of this workspace whose help lists its chores.
fn xtask(words: &[&str]) -> Result<(), String> {
    let chore = words.first().ok_or("which chore?")?;
    let mut variant = chore[..1].to_uppercase();
    variant.push_str(&chore[1..]);
    let source = std::fs::read_to_string(root().join("xtask/src/main.rs")).map_err(|error| error.to_string())?;
    if source.contains(&format!("Chore::{variant}")) { Ok(()) } else { Err(format!("xtask has no chore `{chore}`")) }
}

/// Whether cargo knows such a command, and what it is to run does too.
fn cargo(words: &[&str]) -> Result<(), String> {
    let split = words.iter().position(|word| *word == "--").unwrap_or(words.len());
    let (own, passed) = (&words[..split], words.get(split + 1..).unwrap_or_default());
    match own.first().copied() {
        // The program is the workspace's default member.
        Some("run") => trackside(passed),
        Some("xtask") => xtask(&own[1..]),
        Some("build" | "test" | "clippy" | "fmt" | "doc" | "bench") => Ok(()),
        Some("install") => {
            let path = own.iter().skip_while(|word| **word != "--path").nth(1).ok_or("it is on no registry: --path")?;
            if root().join(path).join("Cargo.toml").exists() { Ok(()) } else { Err(format!("there is no {path}")) }
        }
        other => Err(format!("is {other:?} a cargo command?")),
    }
}

#[test]
fn every_command_of_the_readme_exists() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let typed = typed(&readme);
    assert!(typed.iter().any(|line| line == "cargo run --release -- demo"), "{typed:?}");
    for line in &typed {
        let words: Vec<&str> = line.split_whitespace().collect();
        let known = if words[0] == "cargo" { cargo(&words[1..]) } else { trackside(&words[1..]) };
        if let Err(problem) = known {
            panic!("README.md says `{line}`: {problem}");
        }
    }
}
