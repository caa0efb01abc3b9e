//! The documentation, held to the program: examples load, links lead somewhere, named tests exist, and the reference
//! pages leave nothing out.
//!
//! A fenced `yaml` block whose first line is `# check` is a whole configuration folder of one file; one that begins with
//! `# check: a part` is loaded beside [`BASE`], which declares the teams.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use trackside::config::{self, Sections};

/// What stands beside an example that is only a part.
const BASE: &str = "\
teams:
  payments: {}
  ml: {}
  platform: {}
owners: {default: platform}
";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every Markdown page a reader may start from.
fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"]
        .iter()
        .map(|name| root().join(name))
        .collect();
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "md") {
                pages.push(path);
            }
        }
    }
    pages.sort();
    pages
}

fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap()
}

/// The fenced `yaml` blocks of a page whose first line is a marker, with the line they begin at.
fn examples(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut block: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut block {
            None if line.trim_start() == "```yaml" => block = Some((index + 1, String::new())),
            Some(_) if line.trim_start() == "```" => found.extend(block.take()),
            Some((_, text)) => {
                text.push_str(line);
                text.push('\n');
            }
            None => {}
        }
    }
    found.retain(|(_, text)| text.starts_with("# check"));
    found
}

#[test]
fn every_marked_example_can_be_used() {
    let mut checked = 0;
    for page in pages() {
        for (line, text) in examples(&std::fs::read_to_string(&page).unwrap()) {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join("example.yaml"), &text).unwrap();
            if text.starts_with("# check: a part") {
                std::fs::write(folder.path().join("base.yaml"), BASE).unwrap();
            }
            if let Err(problems) = config::load(folder.path()) {
                panic!("{}:{line}: {problems}", page.display());
            }
            checked += 1;
        }
    }
    assert!(checked > 10, "the marker is found");
}

/// What follows the line `# examples/PATH` at the beginning of a fenced block, with that path.
fn shown(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if !line.starts_with("```") {
            continue;
        }
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        let named = block.iter().take(2).position(|line| line.starts_with("# examples/"));
        if let Some(at) = named {
            found.push((block[at][2..].to_owned(), block[at + 1..].join("\n") + "\n"));
        }
    }
    found
}

#[test]
fn what_a_page_shows_of_an_example_is_the_example() {
    let mut compared = BTreeSet::new();
    for page in pages() {
        for (path, shown) in shown(&std::fs::read_to_string(&page).unwrap()) {
            assert_eq!(read(&path), shown, "{} shows another {path}", page.display());
            compared.insert(path);
        }
    }
    for name in ["jobs.yaml", "features_api.py", "features_dag.py"] {
        assert!(compared.contains(&format!("examples/airflow-fastapi/{name}")), "the guide shows all of {name}");
    }
}

/// The targets of the links `](target)` of a page, without those in code.
fn links(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        } else if !code {
            found.extend(line.split("](").skip(1).filter_map(|rest| rest.split(')').next()).map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    for page in pages() {
        for link in links(&std::fs::read_to_string(&page).unwrap()) {
            let (path, place) = link.split_once('#').unwrap_or((&link, ""));
            if path.contains("://") || path.starts_with("mailto:") {
                continue;
            }
            let target = if path.is_empty() { page.clone() } else { page.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: there is no {link}", page.display());
            if !place.is_empty() {
                let anchors: BTreeSet<String> =
                    std::fs::read_to_string(&target).unwrap().lines().filter_map(anchor).collect();
                assert!(anchors.contains(place), "{}: {link} names no heading", page.display());
            }
        }
    }
}

/// The anchor of a heading, as GitHub makes it.
fn anchor(line: &str) -> Option<String> {
    let heading = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let lower = heading.to_lowercase();
    let kept: String = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect();
    Some(kept.replace(' ', "-"))
}

/// What stands between backticks on a page.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

#[test]
fn every_test_that_a_page_names_exists() {
    let mut named = 0;
    for page in pages() {
        let text = std::fs::read_to_string(&page).unwrap();
        for (file, test) in quoted(&text).into_iter().filter_map(|code| code.split_once(".rs::")) {
            let source = root().join(format!("{file}.rs"));
            let source = std::fs::read_to_string(&source)
                .unwrap_or_else(|error| panic!("{}: {}: {error}", page.display(), source.display()));
            assert!(source.contains(&format!("fn {test}(")), "{}: no test {test} in {file}.rs", page.display());
            named += 1;
        }
    }
    assert!(named > 20, "the architecture names the tests that hold its invariants");
}

#[test]
fn the_http_reference_names_every_route() {
    let page = read("docs/reference/http.md");
    let quoted = quoted(&page);
    let routes = trackside_web::routes().into_iter().map(|route| format!("{} {}", route.method, route.path));
    let missing: Vec<String> = routes.filter(|line| !quoted.contains(line.as_str())).collect();
    assert!(missing.is_empty(), "docs/reference/http.md does not name\n{}", missing.join("\n"));
}

/// The names of all properties in a JSON Schema.
fn properties(schema: &serde_json::Value, names: &mut BTreeSet<String>) {
    match schema {
        serde_json::Value::Object(members) => {
            for (keyword, value) in members {
                match value {
                    // Its members are names of fields; one of them may be called `properties` itself.
                    serde_json::Value::Object(fields) if keyword == "properties" => {
                        names.extend(fields.keys().cloned());
                        fields.values().for_each(|field| properties(field, names));
                    }
                    value => properties(value, names),
                }
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|value| properties(value, names)),
        _ => {}
    }
}

#[test]
fn the_configuration_reference_names_every_field() {
    let mut names = BTreeSet::new();
    properties(&serde_json::to_value(schemars::schema_for!(Sections)).unwrap(), &mut names);
    let page = read("docs/reference/configuration.md");
    let words: BTreeSet<&str> =
        quoted(&page).into_iter().flat_map(|code| code.split(|c: char| c != '_' && !c.is_alphanumeric())).collect();
    names.retain(|name| !words.contains(name.as_str()));
    assert!(names.is_empty(), "docs/reference/configuration.md does not name {names:?}");
}

/// Every command with its options that does not stand on the page.
fn missing(command: &clap::Command, path: &str, page: &str, found: &mut Vec<String>) {
    for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
        let path = format!("{path} {}", sub.get_name());
        if !page.contains(path.trim_start_matches("trackside ")) {
            found.push(path.clone());
        }
        let options =
            sub.get_arguments().filter_map(clap::Arg::get_long).filter(|long| !matches!(*long, "help" | "version"));
        let unnamed = options.filter(|option| !page.contains(&format!("--{option}")));
        found.extend(unnamed.map(|option| format!("{path} --{option}")));
        missing(sub, &path, page, found);
    }
}

#[test]
fn the_command_line_reference_names_every_command() {
    let mut found = Vec::new();
    missing(&trackside::cli::command(), "trackside", &read("docs/reference/cli.md"), &mut found);
    assert!(found.is_empty(), "docs/reference/cli.md does not name\n{}", found.join("\n"));
}
