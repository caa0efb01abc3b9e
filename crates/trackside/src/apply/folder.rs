//! Replaces the configuration files of a folder, all or none, and keeps the ones before.
//!
//! Other files in the folder and its sub-folders are left alone; the folder itself is never moved, because it may be a
//! mount. The new files are complete in `.next` before an old one is touched; from then on the change is finished by
//! whoever comes next ([`complete`]), so a crash ends with all of the new files. The ones before are in `.previous`.

use crate::config::{FILE_BYTES, FILES, Problem, Problems, SourceFile, Spot, is_configuration};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// The new files, while they are written.
const BUILDING: &str = ".next.tmp";
/// The new files, complete: the change will happen.
const NEXT: &str = ".next";
/// The new files that are not in their place yet; all old ones are gone from it.
const PLACING: &str = ".placing";
/// The old files, while they are collected.
const SAVING: &str = ".previous.tmp";
/// The files before the last change.
const PREVIOUS: &str = ".previous";

/// Checks what was uploaded: names that can stand in a folder, each once; sizes within the bounds of a folder.
pub(super) fn check(files: &[SourceFile]) -> Result<(), Problems> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
    let mut wrong = |name: &str, problem: String| {
        let spot = Spot { file: PathBuf::from(name), line: 0, column: 0, path: String::new() };
        problems.push(Problem { spot, problem, suggestion: None });
    };
    if files.is_empty() || files.len() > FILES {
        wrong("", format!("there are {} files; 1 to {FILES} make a configuration", files.len()));
    }
    for file in files {
        let name = file.name.as_str();
        let plain = !name.starts_with('.')
            && name.len() <= 255
            && !name.contains(['/', '\\', ':'])
            && !name.chars().any(char::is_control);
        if !plain {
            wrong(name, "is not the name of a file in a folder".to_owned());
        } else if !is_configuration(name) {
            wrong(name, "does not end in .yaml, .yml, .json or .cedar".to_owned());
        }
        if !names.insert(name.to_lowercase()) {
            wrong(name, "stands twice; names that differ only in case cannot be told apart everywhere".to_owned());
        }
        if file.text.len() as u64 > FILE_BYTES {
            wrong(name, format!("has {} bytes, at most {FILE_BYTES} are read", file.text.len()));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(Problems(problems)) }
}

/// Puts these files in the place of the configuration files of a folder.
///
/// # Errors
/// When they cannot be written; the old ones are then still there. An error after the point of no return leaves the
/// rest to [`complete`].
pub(super) fn replace(folder: &Path, files: &[SourceFile]) -> io::Result<()> {
    complete(folder)?;
    let building = folder.join(BUILDING);
    remove(&building)?;
    fs::create_dir(&building)?;
    for file in files {
        let path = building.join(&file.name);
        let mut new = File::create_new(&path)?;
        if let Ok(old) = fs::metadata(folder.join(&file.name)) {
            fs::set_permissions(&path, old.permissions())?;
        }
        new.write_all(file.text.as_bytes())?;
        new.sync_all()?;
    }
    sync(&building)?;
    fs::rename(&building, folder.join(NEXT))?;
    sync(folder)?;
    complete(folder)
}

/// Finishes a change that was begun, if there is one.
///
/// # Errors
/// When a file cannot be moved. It can be tried again.
pub(super) fn complete(folder: &Path) -> io::Result<()> {
    let (next, placing) = (folder.join(NEXT), folder.join(PLACING));
    let (saving, previous) = (folder.join(SAVING), folder.join(PREVIOUS));
    if next.is_dir() {
        fs::create_dir_all(&saving)?;
        for name in files_in(folder)?.into_iter().filter(|name| is_configuration(name)) {
            fs::rename(folder.join(&name), saving.join(&name))?;
        }
        sync(&saving)?;
        fs::rename(&next, &placing)?;
        sync(folder)?;
    }
    if placing.is_dir() {
        for name in files_in(&placing)? {
            fs::rename(placing.join(&name), folder.join(&name))?;
        }
        if saving.is_dir() {
            remove(&previous)?;
            fs::rename(&saving, &previous)?;
        }
        fs::remove_dir(&placing)?;
        sync(folder)?;
    }
    Ok(())
}

/// What to tell of a folder that cannot be written, and what to do.
pub(super) fn unwritable(folder: &Path, error: &io::Error) -> String {
    let shown = folder.display();
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => format!(
            "the files are good, but the server cannot write its configuration folder {shown} ({error}). Give its user \
             the right to (with systemd: ReadWritePaths={shown}), or put the files there yourself and send the server \
             a SIGHUP"
        ),
        _ => format!("the files are good, but they cannot be written to {shown}: {error}"),
    }
}

fn files_in(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Makes what was done in a folder survive a power cut.
fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(name: &str, text: &str) -> SourceFile {
        SourceFile { name: name.to_owned(), text: text.to_owned() }
    }

    /// Names and contents of the files in a folder and its sub-folders.
    fn content(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![folder.to_owned()];
        while let Some(next) = folders.pop() {
            for entry in fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    let name = path.strip_prefix(folder).unwrap().display().to_string();
                    found.push(format!("{name}={}", fs::read_to_string(&path).unwrap()));
                }
            }
        }
        found.sort();
        found
    }

    fn filled(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
            fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    #[test]
    fn files_are_replaced_and_the_ones_before_are_kept() {
        let folder = filled(&[("a.yaml", "1"), ("b.yml", "1"), ("secrets.env", "s"), ("sub/a.yaml", "x")]);
        replace(folder.path(), &[source("a.yaml", "2"), source("c.json", "2")]).unwrap();
        let expect =
            [".previous/a.yaml=1", ".previous/b.yml=1", "a.yaml=2", "c.json=2", "secrets.env=s", "sub/a.yaml=x"];
        assert_eq!(content(folder.path()), expect);
        replace(folder.path(), &[source("a.yaml", "3")]).unwrap();
        let expect = [".previous/a.yaml=2", ".previous/c.json=2", "a.yaml=3", "secrets.env=s", "sub/a.yaml=x"];
        assert_eq!(content(folder.path()), expect);
    }

    #[test]
    fn a_change_that_was_begun_is_finished_wherever_it_stopped() {
        let expect = [".previous/a.yaml=1", ".previous/b.yaml=1", "b.yaml=2", "c.yaml=2"];
        let states: [&[(&str, &str)]; 6] = [
            &[
                ("a.yaml", "1"),
                ("b.yaml", "1"),
                (".next/b.yaml", "2"),
                (".next/c.yaml", "2"),
                (".previous/a.yaml", "0"),
            ],
            &[(".previous.tmp/a.yaml", "1"), ("b.yaml", "1"), (".next/b.yaml", "2"), (".next/c.yaml", "2")],
            &[
                (".previous.tmp/a.yaml", "1"),
                (".previous.tmp/b.yaml", "1"),
                (".next/b.yaml", "2"),
                (".next/c.yaml", "2"),
            ],
            &[(".previous.tmp/a.yaml", "1"), (".previous.tmp/b.yaml", "1"), (".placing/b.yaml", "2"), ("c.yaml", "2")],
            &[(".previous.tmp/a.yaml", "1"), (".previous.tmp/b.yaml", "1"), ("b.yaml", "2"), ("c.yaml", "2")],
            &[(".previous/a.yaml", "1"), (".previous/b.yaml", "1"), ("b.yaml", "2"), ("c.yaml", "2")],
        ];
        for (index, state) in states.into_iter().enumerate() {
            let folder = filled(state);
            // What is all in its place is still marked as being placed.
            if index >= 4 {
                fs::create_dir(folder.path().join(PLACING)).unwrap();
            }
            complete(folder.path()).unwrap();
            assert_eq!(content(folder.path()), expect, "{index}");
            assert!(!folder.path().join(PLACING).exists() && !folder.path().join(SAVING).exists(), "{index}");
        }
    }

    #[test]
    fn what_was_only_being_written_is_dropped() {
        let folder = filled(&[("a.yaml", "1"), (".next.tmp/a.yaml", "half")]);
        complete(folder.path()).unwrap();
        assert_eq!(content(folder.path()), [".next.tmp/a.yaml=half", "a.yaml=1"]);
        replace(folder.path(), &[source("a.yaml", "2")]).unwrap();
        assert_eq!(content(folder.path()), [".previous/a.yaml=1", "a.yaml=2"]);
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for (name, expect) in [
            ("../a.yaml", "is not the name of a file in a folder"),
            (".hidden.yaml", "is not the name of a file in a folder"),
            ("a/b.yaml", "is not the name of a file in a folder"),
            ("a.toml", "does not end in .yaml, .yml, .json or .cedar"),
        ] {
            let problems = check(&[source(name, "")]).unwrap_err();
            assert_eq!(problems.to_string(), format!("{name}: {expect}"));
        }
        assert!(check(&[]).is_err());
        assert!(check(&[source("a.yaml", ""), source("A.yaml", "")]).unwrap_err().to_string().contains("stands twice"));
        assert!(check(&[source("a.yaml", ""), source("b.json", "")]).is_ok());
    }
}
