//! Whatever is asked in whatever order: what holds is valid and stored, the history leads to it, and a refusal changes
//! nothing.

use proptest::prelude::*;
use serde_json::json;
use spanwire_store::MemoryStore;

use super::*;
use crate::store::KeyValueConfigStore;

/// A wish, with small numbers for names so that they collide.
#[derive(Debug, Clone)]
enum Wish {
    Create(usize, usize, usize),
    Apply(usize, usize, usize),
    Rename(usize, usize, usize),
    Delete(usize, usize),
    Restore(usize, usize, u64),
    Undo(u64),
}

const KINDS: [Kind; 5] =
    [Kind::Security, Kind::Service, Kind::WsxGateway, Kind::WebSocket, Kind::ChannelRest];
const NAMES: usize = 4;

fn name(number: usize) -> String {
    format!("n{number}")
}

/// An object that refers to others by the number `other`.
fn object(kind: usize, named: usize, other: usize) -> Object {
    let name = name(named);
    let (kind, json) = match KINDS[kind] {
        Kind::Security => (
            Kind::Security,
            json!({"name": name, "type": "basic_auth", "username": format!("u{other}"), "password": format!("p{other}")}),
        ),
        Kind::Service => (
            Kind::Service,
            json!({"name": name, "url": format!("http://h/{other}"), "security_name": format!("n{other}")}),
        ),
        Kind::WsxGateway => {
            (Kind::WsxGateway, json!({"name": name, "services_allowed": [format!("a{other}")]}))
        }
        Kind::WebSocket => (
            Kind::WebSocket,
            json!({
                "name": name, "address": format!("/ws/{other}"), "service": format!("n{named}"),
                "sec_def": format!("n{other}"),
            }),
        ),
        _ => (
            Kind::ChannelRest,
            json!({
                "name": name, "url_path": format!("/{other}"), "service": format!("n{other}"),
                "security_name": "zato-no-security",
            }),
        ),
    };
    Object::from_json(kind, &json).unwrap()
}

fn wish() -> impl Strategy<Value = Wish> {
    let (kind, number) = (0..KINDS.len(), 0..NAMES);
    prop_oneof![
        3 => (kind.clone(), number.clone(), number.clone()).prop_map(|(k, n, o)| Wish::Create(k, n, o)),
        3 => (kind.clone(), number.clone(), number.clone()).prop_map(|(k, n, o)| Wish::Apply(k, n, o)),
        3 => (kind.clone(), number.clone(), number.clone()).prop_map(|(k, n, o)| Wish::Rename(k, n, o)),
        2 => (kind.clone(), number.clone()).prop_map(|(k, n)| Wish::Delete(k, n)),
        1 => (kind, number, 0..4_u64).prop_map(|(k, n, v)| Wish::Restore(k, n, v)),
        1 => (0..12_u64).prop_map(Wish::Undo),
    ]
}

fn edits(configuration: &Configuration, wish: &Wish) -> Result<Vec<Edit>, EditError> {
    let snapshot = configuration.snapshot();
    Ok(match *wish {
        Wish::Create(kind, named, other) => vec![Edit::Create(object(kind, named, other))],
        Wish::Apply(kind, named, other) => vec![Edit::Apply(object(kind, named, other))],
        Wish::Rename(kind, named, other) => {
            let (kind, name) = (KINDS[kind], name(named));
            let Some(object) = snapshot.objects().get(kind, &name) else { return Ok(Vec::new()) };
            let object = object.renamed(&self::name(other)).unwrap();
            vec![Edit::Replace { kind, name, object, expect: None }]
        }
        Wish::Delete(kind, named) => {
            vec![Edit::Delete { kind: KINDS[kind], name: name(named), expect: None }]
        }
        Wish::Restore(kind, named, version) => {
            vec![configuration.restoring(KINDS[kind], &name(named), version)?]
        }
        Wish::Undo(revision) => configuration.undoing(revision)?,
    })
}

proptest! {
    #[test]
    fn what_holds_is_valid_stored_and_explained_by_its_history(
        changes in proptest::collection::vec(proptest::collection::vec(wish(), 1..4), 1..25),
    ) {
        let (store, keys) = (Arc::new(MemoryStore::new()), Arc::new(KeyRing::ephemeral().unwrap()));
        let open = || {
            let store = Arc::new(KeyValueConfigStore::new(Arc::clone(&store) as _));
            Configuration::open(store, Arc::clone(&keys)).unwrap()
        };
        let configuration = open();
        let (author, now) = (Author::new("a", "b"), Timestamp::from_microseconds(1));
        let none = |_: Kind, _: &str| false;
        for wishes in &changes {
            let before = configuration.snapshot();
            let wanted: Result<Vec<_>, _> = wishes.iter().map(|wish| edits(&configuration, wish)).collect();
            let Ok(wanted) = wanted else { continue };
            let wanted: Vec<Edit> = wanted.into_iter().flatten().collect();
            let result = configuration.change(wanted, &author, now, &none);
            let after = configuration.snapshot();
            match &result {
                Ok(outcome) => {
                    prop_assert_eq!(outcome.revision.is_some(), !outcome.changes.is_empty());
                    prop_assert_eq!(after.revision(), before.revision() + u64::from(outcome.revision.is_some()));
                }
                Err(_) => prop_assert_eq!(after.hash(), before.hash()),
            }
            // Every object refers to what is there: all of them together are an acceptable wish.
            let all = after.objects().iter().map(|object| Edit::Apply(Object::clone(object))).collect();
            let again = configuration.preview(all, &author, now, &none).unwrap();
            prop_assert!(again.changes.is_empty());
            for object in after.objects().iter() {
                for reference in object.references() {
                    prop_assert!(after.objects().get(reference.kind, reference.name).is_some());
                }
                let meta = after.meta(object.kind(), &object.name()).unwrap();
                prop_assert_eq!(after.by_id(meta.id).unwrap().0, object);
                let versions = configuration.versions(meta.id).unwrap();
                prop_assert_eq!(versions.len() as u64, meta.version);
            }
        }
        let (now, stored) = (configuration.snapshot(), open().snapshot());
        prop_assert_eq!(stored.objects(), now.objects());
        prop_assert_eq!(stored.hash(), now.hash());
        prop_assert_eq!(configuration.replay().unwrap().hash(), now.hash());
    }
}
