//! Every committed seed of every target, on stable.
#![expect(clippy::unwrap_used, reason = "helpers of tests are not seen as tests")]

use std::fs;
use std::path::{Path, PathBuf};

use spanwire_fuzz_targets::{TARGETS, run};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

fn fuzzer() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

#[test]
fn every_seed_keeps_the_invariants() {
    for (target, _) in TARGETS {
        let seeds = files(&fuzzer().join("seeds").join(target));
        assert!(!seeds.is_empty(), "{target} has no seeds");
        for seed in seeds {
            // Shown when the test fails.
            println!("{}", seed.display());
            run(target, &fs::read(&seed).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_binary_and_every_folder_of_seeds_a_target() {
    for folder in ["fuzz_targets", "seeds"] {
        let found: Vec<_> = files(&fuzzer().join(folder))
            .iter()
            .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
            .collect();
        assert_eq!(found, TARGETS.iter().map(|(name, _)| *name).collect::<Vec<_>>(), "{folder}");
    }
}
