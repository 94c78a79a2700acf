//! Files of objects, as text.

use spanwire_config::{Existing, MAX_PROBLEMS, ObjectSet, parse_str};

/// Imports the bytes as a file, in an environment where no variable is set.
///
/// # Panics
/// When a refusal names no problem or too many, or when importing the same objects again changes
/// something.
pub fn run(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    match parse_str("fuzz.yaml", &text, &|_| None, Existing::nothing()) {
        Ok(import) => {
            let mut set = ObjectSet::new();
            set.apply(import.objects.clone());
            let before = format!("{set:?}");
            let again = set.apply(import.objects);
            assert_eq!(again.created, 0, "created twice");
            assert_eq!(before, format!("{set:?}"));
            for warning in import.warnings {
                assert!(!warning.to_string().is_empty());
            }
        }
        Err(problems) => {
            assert!((1..=MAX_PROBLEMS).contains(&problems.len()), "{} problems", problems.len());
            for problem in problems {
                assert!(!problem.to_string().is_empty());
            }
        }
    }
}
