//! The hand-made histories: each wrong one is reported under what its first line names and
//! nothing else, each right one is not reported.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests may fail the test")]

use std::path::PathBuf;

use spanwire_checker::{History, Report, check};

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn read(file: &PathBuf) -> (History, Report) {
    let history = History::open(&[file]).unwrap_or_else(|error| panic!("{error}"));
    let report = check(&history);
    (history, report)
}

#[test]
fn every_wrong_history_is_reported_under_its_invariant_and_no_other() {
    let files = files("wrong");
    assert!(files.len() >= 60);
    let mut wrong = Vec::new();
    for file in &files {
        let (history, report) = read(file);
        let (text, expected) = history.notes().next().expect("a note in the first line");
        assert!(!text.is_empty() && !expected.is_empty(), "{}", file.display());
        if report.broken() != expected {
            wrong.push(format!("{}: {expected:?}, got {:#?}", file.display(), report.violations));
        }
        for violation in &report.violations {
            assert!(!violation.events.is_empty() && !violation.message.is_empty());
            assert!(violation.events.iter().all(|place| place.file == *file && place.line > 1));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn right_histories_that_look_suspicious_are_not_reported() {
    let files = files("right");
    assert!(files.len() >= 15);
    for file in files {
        let (history, report) = read(&file);
        assert!(history.notes().next().is_some_and(|(_, violates)| violates.is_empty()));
        assert!(report.is_clean(), "{}: {:#?}", file.display(), report.violations);
    }
}
