//! From the objects of files to edits: what an import is to do with what exists.

use std::collections::BTreeSet;

use super::Edit;
use crate::problem::Warning;
use crate::snapshot::Snapshot;
use crate::{Import, Kind, Object, Selection};

/// What an import does with what exists.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Whether existing objects are updated; otherwise those that differ stay as they are, with a warning.
    pub replace: bool,
    /// Whether objects that have the label and are not in the files are deleted. Needs [`ImportOptions::label`].
    pub prune: bool,
    /// A label that every imported object gets.
    pub label: Option<String>,
    /// Which objects of the files count, and which may be pruned.
    pub selection: Selection,
}

/// The edits that an import comes to, and what is left out, as sentences.
///
/// # Errors
/// A sentence when the options do not go together, or an object has too many labels already.
pub fn import_edits(
    import: Import,
    options: &ImportOptions,
    snapshot: &Snapshot,
) -> Result<(Vec<Edit>, Vec<String>), String> {
    if options.prune && options.label.is_none() {
        let text = "prune needs a label: only objects that an import with the same label made are \
                    deleted";
        return Err(text.to_owned());
    }
    let concerns = |warning: &&Warning| match (warning.0.kind, &warning.0.name) {
        (Some(kind), Some(name)) => options.selection.contains(kind, name),
        _ => true,
    };
    let warnings = import.warnings.iter().filter(concerns);
    let mut warnings: Vec<String> = warnings.map(ToString::to_string).collect();
    let mut edits = Vec::new();
    let mut named: BTreeSet<(Kind, String)> = BTreeSet::new();
    for mut object in import.objects {
        let (kind, name) = (object.kind(), object.name());
        if !options.selection.contains(kind, &name) {
            continue;
        }
        if let Some(label) = &options.label {
            object.add_label(label)?;
        }
        match snapshot.objects().get(kind, &name) {
            Some(existing) if !options.replace => {
                if differs(&object, existing) {
                    warnings.push(format!(
                        "{kind} '{name}' exists already and stays as it is: import with replace to update it"
                    ));
                }
            }
            // Whoever makes one of the name meanwhile must not be overwritten.
            None if !options.replace => edits.push(Edit::Create(object)),
            _ => edits.push(Edit::Apply(object)),
        }
        named.insert((kind, name));
    }
    if let (true, Some(label)) = (options.prune, &options.label) {
        let left = snapshot.objects().iter().filter(|object| {
            let (kind, name) = (object.kind(), object.name());
            object.labels().contains(label)
                && options.selection.contains(kind, &name)
                && !named.contains(&(kind, name))
        });
        edits.extend(left.map(|object| {
            let (kind, name) = (object.kind(), object.name());
            // As it was looked at: somebody may have taken its label away.
            let expect = snapshot.meta(kind, &name).map(|meta| meta.version);
            Edit::Delete { kind, name, expect }
        }));
    }
    Ok((edits, warnings))
}

fn differs(object: &Object, existing: &Object) -> bool {
    let mut object = object.clone();
    object.keep_secrets_of(existing);
    object != *existing
}

#[cfg(test)]
mod tests {
    use spanwire_protocol::Timestamp;

    use super::*;
    use crate::change::Author;
    use crate::edit::plan;
    use crate::{Existing, parse_str};

    fn read(yaml: &str, snapshot: &Snapshot) -> Import {
        let existing = Existing::new(snapshot.objects(), &|_, _| false);
        parse_str("t.yaml", yaml, &|_| None, existing).unwrap()
    }

    fn imported(yaml: &str, options: &ImportOptions, base: &Snapshot) -> (Snapshot, Vec<String>) {
        let (edits, warnings) = import_edits(read(yaml, base), options, base).unwrap();
        let plan = plan(base, edits, &|_, _| false, &|| Ok(crate::Password::new("x"))).unwrap();
        let now = Timestamp::from_microseconds(1);
        let after = base.after(plan.objects, &plan.changes, 1, &Author::new("a", "b"), now);
        (after, warnings)
    }

    fn names(snapshot: &Snapshot) -> Vec<String> {
        snapshot.objects().iter().map(|object| object.name()).collect()
    }

    const TWO: &str = "service: [{name: a, url: 'http://h/a'}, {name: b, url: 'http://h/b'}]";

    #[test]
    fn existing_objects_are_updated_only_when_asked_for() {
        let (base, _) = imported(TWO, &ImportOptions::default(), &Snapshot::default());
        let other = "service: [{name: a, url: 'http://h/other'}, {name: c, url: 'http://h/c'}]";
        let (after, warnings) = imported(other, &ImportOptions::default(), &base);
        assert_eq!(names(&after), ["a", "b", "c"]);
        assert_eq!(after.objects().get(Kind::Service, "a"), base.objects().get(Kind::Service, "a"));
        assert!(warnings[0].contains("'a' exists already"), "{warnings:?}");
        let replace = ImportOptions { replace: true, ..ImportOptions::default() };
        let (after, warnings) = imported(other, &replace, &base);
        assert!(warnings.is_empty());
        assert_ne!(after.objects().get(Kind::Service, "a"), base.objects().get(Kind::Service, "a"));
        let (_, warnings) = imported(TWO, &ImportOptions::default(), &base);
        assert!(warnings.is_empty(), "equal objects are not worth a warning");
    }

    #[test]
    fn what_carries_the_label_and_is_not_in_the_files_is_pruned() {
        let labelled = |prune| ImportOptions {
            label: Some("team-a".to_owned()),
            replace: true,
            prune,
            ..ImportOptions::default()
        };
        let (base, _) = imported(
            "service: [{name: z, url: 'http://h/z'}]",
            &ImportOptions::default(),
            &Snapshot::default(),
        );
        let (base, _) = imported(TWO, &labelled(false), &base);
        let one = "service: [{name: a, url: 'http://h/a'}]";
        assert_eq!(names(&imported(one, &labelled(false), &base).0), ["a", "b", "z"]);
        assert_eq!(names(&imported(one, &labelled(true), &base).0), ["a", "z"]);
        assert_eq!(names(&imported("", &labelled(true), &base).0), ["z"]);
        let only_b = Selection::parse(&[], &["b".to_owned()]).unwrap();
        let options = ImportOptions { selection: only_b, ..labelled(true) };
        assert_eq!(names(&imported("", &options, &base).0), ["a", "z"]);
        let prune = ImportOptions { prune: true, ..ImportOptions::default() };
        assert!(import_edits(Import::default(), &prune, &base).unwrap_err().contains("label"));
    }
}
