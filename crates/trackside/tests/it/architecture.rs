//! Rules of the house that can be checked: heads, sizes, where I/O may be, what depends on what.

use std::path::{Path, PathBuf};

/// Longest source file, in lines.
const LINES: usize = 520;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

fn all_sources() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap() {
        sources(&entry.unwrap().path().join("src"), &mut found);
    }
    sources(&root().join("sim/src"), &mut found);
    sources(&root().join("xtask/src"), &mut found);
    assert!(found.len() > 50, "the sources were found");
    found
}

#[test]
fn every_file_says_what_it_is_for_and_stays_small() {
    let mut wrong = Vec::new();
    for path in all_sources() {
        let text = std::fs::read_to_string(&path).unwrap();
        let shown = path.strip_prefix(root()).unwrap().display().to_string();
        let is_test = shown.ends_with("/tests.rs") || shown.contains("/tests/");
        if !text.starts_with("//!") && !is_test {
            wrong.push(format!("{shown} has no head"));
        }
        if text.lines().count() > LINES && !is_test {
            wrong.push(format!("{shown} has {} lines", text.lines().count()));
        }
        if shown.ends_with("/mod.rs") {
            wrong.push(format!("{shown} is a mod.rs; write foo.rs beside foo/"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_core_knows_no_time_randomness_or_io() {
    let manifest = std::fs::read_to_string(root().join("crates/core/Cargo.toml")).unwrap();
    let dependencies = manifest.split_once("[dependencies]").unwrap().1;
    let dependencies = dependencies.split("\n[").next().unwrap();
    for forbidden in ["tokio", "reqwest", "rusqlite", "rand", "axum", "hyper", "tracing"] {
        assert!(!dependencies.contains(forbidden), "the core does not depend on {forbidden}");
    }
    let mut found = Vec::new();
    sources(&root().join("crates/core/src"), &mut found);
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        // Unsorted iteration would make a replay differ; the clock and the disk are the shell's.
        for forbidden in
            ["std::fs", "std::net", "std::time::", "std::env", "HashMap", "HashSet", "Timestamp::now", "async fn"]
        {
            assert!(!text.contains(forbidden), "{} uses {forbidden}", path.display());
        }
    }
}

#[test]
fn dependencies_point_inwards() {
    // Each crate and the crates of this project it may use.
    let allowed: [(&str, &[&str]); 9] = [
        ("crates/core", &[]),
        ("crates/store", &["core"]),
        ("crates/identity", &["core"]),
        ("crates/connect", &["core", "identity"]),
        ("crates/policy", &["core", "identity"]),
        ("crates/gateway", &["core", "identity"]),
        ("crates/web", &["core", "store", "identity", "connect"]),
        ("crates/trackside", &["core", "store", "identity", "policy", "connect", "gateway", "web", "sim"]),
        ("sim", &["core"]),
    ];
    for (folder, allowed) in allowed {
        let manifest = std::fs::read_to_string(root().join(folder).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split_once("[dependencies]").unwrap().1.split("\n[").next().unwrap();
        for line in dependencies.lines().filter(|line| line.starts_with("trackside-")) {
            let name = line.trim_start_matches("trackside-").split(['.', ' ']).next().unwrap();
            assert!(allowed.contains(&name), "{folder} must not depend on {name}");
        }
    }
}
