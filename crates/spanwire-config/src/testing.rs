//! The suite every [`ConfigStore`] passes; feature `testing`.

use serde_json::json;

use crate::Kind;
use crate::store::{
    ConfigStore, ConfigStoreError, StoredChange, StoredRevision, StoredState, StoredVersion,
};

/// Runs the suite; `make` gives a new empty store each time it is called.
///
/// # Panics
/// When the implementation breaks a rule; the message names it.
pub fn store_contract(mut make: impl FnMut() -> Box<dyn ConfigStore>) {
    let rules: [(&str, Rule); 6] = [
        ("an empty store has nothing", an_empty_store_has_nothing),
        ("a change is read as it was written", a_change_is_read_as_it_was_written),
        ("versions stay, deleted objects go", versions_stay_and_deleted_objects_go),
        ("only the next revision is taken", only_the_next_revision_is_taken),
        ("a rewrite changes no history", a_rewrite_changes_no_history),
        ("of rivals one wins each revision", of_rivals_one_wins_each_revision),
    ];
    for (name, rule) in rules {
        let store = make();
        let outcome = rule(store.as_ref());
        assert!(outcome.is_ok(), "{name}: {outcome:?}");
    }
}

type Rule = fn(&dyn ConfigStore) -> Result<(), ConfigStoreError>;

fn version(id: u64, version: u64, revision: u64, name: &str) -> StoredVersion {
    let object = Some(json!({"name": name, "password": {"encrypted": "x"}}));
    let (who, name) = ("ada".to_owned(), name.to_owned());
    StoredVersion { id, version, revision, at: 7, who, kind: Kind::Security, name, object }
}

fn change(revision: u64, versions: Vec<StoredVersion>) -> StoredChange {
    let revision = StoredRevision {
        revision,
        at: 7,
        who: "ada".to_owned(),
        from: "test".to_owned(),
        reason: (revision == 1).then(|| "because".to_owned()),
        versions: versions.iter().map(|version| (version.id, version.version)).collect(),
    };
    StoredChange { revision, versions }
}

fn an_empty_store_has_nothing(store: &dyn ConfigStore) -> Result<(), ConfigStoreError> {
    assert_eq!(store.load()?, StoredState::default());
    assert_eq!(store.revision(0)?, None);
    assert_eq!(store.revision(1)?, None);
    assert_eq!(store.versions(1)?, []);
    assert_eq!(store.version(1, 1)?, None);
    Ok(())
}

fn a_change_is_read_as_it_was_written(store: &dyn ConfigStore) -> Result<(), ConfigStoreError> {
    let first = change(1, vec![version(1, 1, 1, "a"), version(2, 1, 1, "ä/%\u{1F600}")]);
    store.commit(&first)?;
    let state = store.load()?;
    assert_eq!((state.head, state.last_id), (1, 2));
    assert_eq!(state.objects, first.versions);
    assert_eq!(store.revision(1)?, Some(first.revision.clone()));
    assert_eq!(store.versions(2)?.first(), first.versions.last());
    assert_eq!(store.version(1, 1)?.as_ref(), first.versions.first());
    // A revision may change nothing that is an object.
    store.commit(&change(2, Vec::new()))?;
    assert_eq!(store.load()?.head, 2);
    Ok(())
}

fn versions_stay_and_deleted_objects_go(store: &dyn ConfigStore) -> Result<(), ConfigStoreError> {
    store.commit(&change(1, vec![version(1, 1, 1, "a"), version(2, 1, 1, "b")]))?;
    store.commit(&change(2, vec![version(1, 2, 2, "renamed")]))?;
    let gone = StoredVersion { object: None, ..version(2, 2, 3, "b") };
    store.commit(&change(3, vec![gone.clone()]))?;
    let state = store.load()?;
    assert_eq!(state.objects, [version(1, 2, 2, "renamed")]);
    assert_eq!(state.last_id, 2, "ids are never given again");
    assert_eq!(store.versions(1)?, [version(1, 1, 1, "a"), version(1, 2, 2, "renamed")]);
    assert_eq!(store.versions(2)?, [version(2, 1, 1, "b"), gone]);
    Ok(())
}

fn only_the_next_revision_is_taken(store: &dyn ConfigStore) -> Result<(), ConfigStoreError> {
    let refused = |number| store.commit(&change(number, vec![version(9, 1, number, "x")]));
    for number in [0, 2, u64::MAX] {
        assert_eq!(refused(number), Err(ConfigStoreError::Conflict), "{number} first");
    }
    store.commit(&change(1, vec![version(1, 1, 1, "a")]))?;
    for number in [0, 1, 3] {
        assert_eq!(refused(number), Err(ConfigStoreError::Conflict), "{number} after 1");
    }
    assert_eq!(store.versions(9)?, []);
    assert_eq!(store.load()?.last_id, 1);
    let again = store.commit(&change(2, vec![version(1, 1, 2, "another")]));
    assert_eq!(again, Err(ConfigStoreError::Conflict), "a version is never given twice");
    assert_eq!(store.load()?.head, 1);
    Ok(())
}

fn a_rewrite_changes_no_history(store: &dyn ConfigStore) -> Result<(), ConfigStoreError> {
    store.commit(&change(1, vec![version(1, 1, 1, "a")]))?;
    store.commit(&change(2, vec![version(1, 2, 2, "b")]))?;
    let again = |mut version: StoredVersion| {
        version.object = Some(json!({"again": true}));
        version
    };
    let (old, new) = (again(version(1, 1, 1, "a")), again(version(1, 2, 2, "b")));
    store.rewrite(std::slice::from_ref(&old))?;
    assert_eq!(store.load()?.objects, [version(1, 2, 2, "b")], "an old version is not the object");
    store.rewrite(&[old.clone(), new.clone()])?;
    assert_eq!(store.load()?.objects.first(), Some(&new));
    assert_eq!(store.versions(1)?, [old, new]);
    let unknown = store.rewrite(&[version(1, 3, 3, "c")]);
    assert_eq!(unknown, Err(ConfigStoreError::Conflict));
    assert_eq!(store.load()?.head, 2);
    Ok(())
}

fn of_rivals_one_wins_each_revision(store: &dyn ConfigStore) -> Result<(), ConfigStoreError> {
    std::thread::scope(|scope| {
        for rival in 1..=4_u64 {
            scope.spawn(move || {
                let mut won = 0;
                while won < 10 {
                    let Ok(head) = store.load().map(|state| state.head) else { return };
                    let made = version(rival, won + 1, head + 1, "x");
                    match store.commit(&change(head + 1, vec![made])) {
                        Ok(()) => won += 1,
                        Err(error) => assert_eq!(error, ConfigStoreError::Conflict),
                    }
                }
            });
        }
    });
    assert_eq!(store.load()?.head, 40);
    for number in 1..=40 {
        let revision = store.revision(number)?;
        let (id, version) = revision.and_then(|it| it.versions.first().copied()).unwrap_or((0, 0));
        let made = store.version(id, version)?.map(|version| version.revision);
        assert_eq!(made, Some(number));
    }
    Ok(())
}
