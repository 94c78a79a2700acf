use serde_json::json;
use spanwire_store::MemoryStore;

use super::*;
use crate::store::KeyValueConfigStore;
use crate::{Existing, ObjectSet, Security, parse_str};

struct World {
    folder: tempfile::TempDir,
    store: Arc<MemoryStore>,
    configuration: Configuration,
}

impl World {
    fn new() -> Self {
        let (folder, store) = (tempfile::tempdir().unwrap(), Arc::new(MemoryStore::new()));
        let configuration = open(&folder, &store);
        Self { folder, store, configuration }
    }

    fn with(yaml: &str) -> Self {
        let world = Self::new();
        world.apply(yaml);
        world
    }

    fn again(&self) -> Configuration {
        open(&self.folder, &self.store)
    }

    fn apply(&self, yaml: &str) -> Outcome {
        let snapshot = self.configuration.snapshot();
        let import = parse_str("t.yaml", yaml, &|_| None, Existing::new(snapshot.objects(), &none));
        self.change(import.unwrap().objects.into_iter().map(Edit::Apply).collect()).unwrap()
    }

    fn change(&self, edits: Vec<Edit>) -> Result<Outcome, EditError> {
        let author = Author::new("ada", "test").because(Some("because".to_owned()));
        self.configuration.change(edits, &author, Timestamp::from_microseconds(7), &none)
    }

    fn id(&self, kind: Kind, name: &str) -> u64 {
        self.configuration.snapshot().meta(kind, name).unwrap().id
    }

    fn object(&self, kind: Kind, name: &str) -> Object {
        Object::clone(self.configuration.snapshot().objects().get(kind, name).unwrap())
    }

    fn edit(&self, kind: Kind, name: &str, key: &str, value: Json) -> Edit {
        let mut json = self.object(kind, name).to_revealed();
        json[key] = value;
        let object = Object::from_json(kind, &json).unwrap();
        Edit::Replace { kind, name: name.to_owned(), object, expect: None }
    }
}

fn open(folder: &tempfile::TempDir, store: &Arc<MemoryStore>) -> Configuration {
    let keys = Arc::new(KeyRing::open_or_create(folder.path().join("secret.key")).unwrap());
    let store = Arc::clone(store);
    Configuration::open(Arc::new(KeyValueConfigStore::new(store)), keys).unwrap()
}

fn none(_: Kind, _: &str) -> bool {
    false
}

fn delete(kind: Kind, name: &str) -> Edit {
    Edit::Delete { kind, name: name.to_owned(), expect: None }
}

const CHANNEL: &str = "security: [{name: app1, type: basic_auth, username: app1, password: one}]\n\
                       wsx_gateway: [{name: gate, services_allowed: [zato.ping]}]\n\
                       web_socket: [{name: crm, address: /ws/crm, service: gate, sec_def: app1}]\n";

#[test]
fn a_change_is_stored_with_its_author_and_read_again() {
    let world = World::with(CHANNEL);
    let snapshot = world.configuration.snapshot();
    assert_eq!((snapshot.revision(), snapshot.objects().len(), snapshot.last_id()), (1, 3, 3));
    let again = world.again().snapshot();
    assert_eq!(again.objects(), snapshot.objects());
    assert_eq!(again.hash(), snapshot.hash());
    assert_eq!(again.meta(Kind::WebSocket, "crm"), snapshot.meta(Kind::WebSocket, "crm"));
    let revision = world.configuration.revision(1).unwrap().unwrap();
    assert_eq!((&*revision.who, &*revision.from), ("ada", "test"));
    assert_eq!(revision.reason.as_deref(), Some("because"));
    assert_eq!(revision.changes.len(), 3);
    assert!(revision.changes.iter().all(|change| change.before.is_none()));
    assert_eq!(world.configuration.revision(2).unwrap(), None);
    assert_eq!(world.apply(CHANNEL).revision, None, "nothing differs");
}

#[test]
fn secrets_are_stored_encrypted() {
    let world = World::with(CHANNEL);
    use spanwire_store::KeyValue as _;
    for tree in ["objects", "object_versions", "revisions"] {
        for (_, value) in world.store.scan(tree, &[]).unwrap() {
            assert!(!String::from_utf8_lossy(&value).contains("\"one\""));
        }
    }
    let password =
        world.again().snapshot().objects().find::<Security>("app1").unwrap().password.clone();
    assert_eq!(password.unwrap().reveal(), "one");
}

#[test]
fn a_rename_keeps_the_identity_and_what_refers_follows() {
    let world = World::with(CHANNEL);
    let ids = [world.id(Kind::Security, "app1"), world.id(Kind::WebSocket, "crm")];
    let outcome = world
        .change(vec![
            world.edit(Kind::Security, "app1", "name", json!("app2")),
            world.edit(Kind::WsxGateway, "gate", "name", json!("gateway")),
        ])
        .unwrap();
    assert_eq!(outcome.changes.len(), 3);
    assert_eq!(ids, [world.id(Kind::Security, "app2"), world.id(Kind::WebSocket, "crm")]);
    let channel = world.object(Kind::WebSocket, "crm").to_masked();
    assert_eq!((&channel["sec_def"], &channel["service"]), (&json!("app2"), &json!("gateway")));
    let password = world.object(Kind::Security, "app2").to_revealed();
    assert_eq!(password["password"], "one");
    assert_eq!(world.again().snapshot().hash(), world.configuration.snapshot().hash());
    let versions = world.configuration.versions(ids[0]).unwrap();
    assert_eq!(versions.iter().map(|it| &*it.name).collect::<Vec<_>>(), ["app2", "app1"]);
}

#[test]
fn names_can_be_swapped_and_taken_over_in_one_change() {
    let world =
        World::with("service: [{name: a, url: 'http://h/a'}, {name: b, url: 'http://h/b'}]");
    let (a, b) = (world.id(Kind::Service, "a"), world.id(Kind::Service, "b"));
    let rename = |from: &str, to: &str| world.edit(Kind::Service, from, "name", json!(to));
    let taken = world.change(vec![rename("a", "b")]).unwrap_err();
    assert!(matches!(taken, EditError::Exists { .. }), "{taken}");
    // Each wish names the object by the name that it has at that point.
    let object = |from: &str, name: &str| {
        let Edit::Replace { object, .. } = rename(from, name) else { panic!() };
        object
    };
    let replace = |name: &str, object| Edit::Replace {
        kind: Kind::Service,
        name: name.to_owned(),
        object,
        expect: None,
    };
    let edits = vec![
        replace("a", object("a", "x")),
        replace("b", object("b", "a")),
        replace("x", object("a", "b")),
    ];
    world.change(edits).unwrap();
    assert_eq!((world.id(Kind::Service, "b"), world.id(Kind::Service, "a")), (a, b));
    assert_eq!(world.again().snapshot().hash(), world.configuration.snapshot().hash());
    assert_eq!(world.configuration.replay().unwrap().hash(), world.configuration.snapshot().hash());
}

#[test]
fn what_is_in_use_is_not_deleted_and_the_users_are_named() {
    let world = World::with(CHANNEL);
    for (kind, name, field) in
        [(Kind::Security, "app1", "sec_def"), (Kind::WsxGateway, "gate", "service")]
    {
        let Err(EditError::InUse(uses)) = world.change(vec![delete(kind, name)]) else { panic!() };
        let text = uses[0].to_string();
        assert!(text.contains("web_socket 'crm'") && text.contains(field), "{text}");
    }
    assert_eq!(world.configuration.snapshot().revision(), 1);
    let all = [(Kind::Security, "app1"), (Kind::WsxGateway, "gate"), (Kind::WebSocket, "crm")];
    world.change(all.map(|(kind, name)| delete(kind, name)).into()).unwrap();
    assert!(world.configuration.snapshot().objects().is_empty());
    assert!(world.again().snapshot().objects().is_empty());
}

#[test]
fn what_others_rely_on_is_checked_with_them() {
    let world = World::with(CHANNEL);
    let mut json = world.object(Kind::Security, "app1").to_revealed();
    json["type"] = json!("apikey");
    json.as_object_mut().unwrap().remove("username");
    let object = Object::from_json(Kind::Security, &json).unwrap();
    let edit =
        Edit::Replace { kind: Kind::Security, name: "app1".to_owned(), object, expect: None };
    let Err(EditError::Invalid(problems)) = world.change(vec![edit]) else { panic!() };
    assert!(problems[0].to_string().contains("web_socket 'crm', field 'sec_def'"), "{problems:?}");
    let Err(EditError::Invalid(problems)) =
        world.change(vec![world.edit(Kind::WebSocket, "crm", "sec_def", json!("nobody"))])
    else {
        panic!()
    };
    assert!(problems[0].to_string().contains("there is no security 'nobody'"), "{problems:?}");
}

#[test]
fn versions_are_compared_before_a_change() {
    let world = World::with(CHANNEL);
    let expecting = |expect| match world.edit(Kind::WebSocket, "crm", "token_ttl", json!(60)) {
        Edit::Replace { kind, name, object, .. } => {
            Edit::Replace { kind, name, object, expect: Some(expect) }
        }
        other => other,
    };
    let refused = world.change(vec![expecting(2)]).unwrap_err();
    assert!(matches!(refused, EditError::Version { expected: 2, actual: 1, .. }), "{refused}");
    assert_eq!(world.change(vec![expecting(1)]).unwrap().changes[0].version, 2);
    assert!(world.change(vec![expecting(1)]).is_err());
    let missing = world.change(vec![delete(Kind::WebSocket, "none")]).unwrap_err();
    assert_eq!(missing.to_string(), "there is no web_socket 'none'");
}

#[test]
fn a_create_can_be_repeated_and_takes_no_name_that_is_taken() {
    let world = World::new();
    let object = |username: &str| {
        let json = json!({"name": "a", "type": "basic_auth", "username": username});
        Edit::Create(Object::from_json(Kind::Security, &json).unwrap())
    };
    assert_eq!(world.change(vec![object("u")]).unwrap().revision, Some(1));
    assert_eq!(world.change(vec![object("u")]).unwrap().revision, None);
    assert!(matches!(world.change(vec![object("v")]), Err(EditError::Exists { .. })));
    // It got a password that nobody knows.
    let made = world.object(Kind::Security, "a").to_revealed();
    assert!(made["password"].as_str().unwrap().len() >= 20);
}

#[test]
fn any_version_can_be_gone_back_to() {
    let world = World::with(CHANNEL);
    let (id, first) = (world.id(Kind::WebSocket, "crm"), world.object(Kind::WebSocket, "crm"));
    world.change(vec![world.edit(Kind::WebSocket, "crm", "token_ttl", json!(60))]).unwrap();
    world.change(vec![world.edit(Kind::WebSocket, "crm", "name", json!("new"))]).unwrap();
    let edit = world.configuration.restoring(Kind::WebSocket, "new", 1).unwrap();
    world.change(vec![edit]).unwrap();
    assert_eq!(world.object(Kind::WebSocket, "crm"), first);
    assert_eq!(world.configuration.snapshot().by_id(id).unwrap().1.version, 4);
    assert!(world.configuration.restoring(Kind::WebSocket, "crm", 9).is_err());

    // A delete is undone by its revision, and so is what a whole change did.
    let deleted = world.change(vec![delete(Kind::WebSocket, "crm")]).unwrap().revision.unwrap();
    let edits = world.configuration.undoing(deleted).unwrap();
    world.change(edits).unwrap();
    assert_eq!(world.id(Kind::WebSocket, "crm"), id);
    assert_eq!(world.object(Kind::WebSocket, "crm"), first);
    // What was changed since is not undone with it.
    world.change(vec![world.edit(Kind::WebSocket, "crm", "token_ttl", json!(90))]).unwrap();
    let since = world.configuration.undoing(1).unwrap_err();
    assert!(since.to_string().contains("web_socket 'crm' was changed after revision 1"), "{since}");
    let all = [(Kind::Security, "app1"), (Kind::WsxGateway, "gate"), (Kind::WebSocket, "crm")];
    let gone = world.change(all.map(|(kind, name)| delete(kind, name)).into()).unwrap();
    // Deleted objects are found under their names, and former ones.
    for name in ["crm", "new"] {
        assert_eq!(
            world.configuration.identify(Kind::WebSocket, name).unwrap(),
            Some(id),
            "{name}"
        );
    }
    world.change(world.configuration.undoing(gone.revision.unwrap()).unwrap()).unwrap();
    world.change(all.map(|(kind, name)| delete(kind, name)).into()).unwrap();
    assert_eq!(world.configuration.replay().unwrap().hash(), world.configuration.snapshot().hash());
    assert_eq!(world.again().snapshot().last_id(), 3);
}

#[test]
fn a_restore_that_comes_late_makes_a_version_of_its_own() {
    let world = World::with(CHANNEL);
    let id = world.id(Kind::WebSocket, "crm");
    let late = world.configuration.restoring(Kind::WebSocket, "crm", 1).unwrap();
    world.change(vec![delete(Kind::WebSocket, "crm")]).unwrap();
    world.change(vec![late]).unwrap();
    let versions = world.configuration.versions(id).unwrap();
    let made: Vec<_> = versions.iter().map(|it| (it.version, it.after.is_some())).collect();
    assert_eq!(made, [(3, true), (2, false), (1, true)]);
}

#[test]
fn services_and_gateways_share_their_names_and_listeners_their_tls() {
    let world = World::with(CHANNEL);
    let service = json!({"name": "gate", "url": "http://h"});
    let service = Object::from_json(Kind::Service, &service).unwrap();
    let Err(EditError::Invalid(problems)) = world.change(vec![Edit::Create(service)]) else {
        panic!()
    };
    assert!(problems[0].to_string().contains("is used by wsx_gateway 'gate'"), "{problems:?}");
    let channel = |name: &str, address: &str| {
        let mut json =
            json!({"name": name, "address": address, "service": "gate", "sec_def": "app1"});
        if address.starts_with("wss") {
            json["tls_cert_file"] = json!("/c.pem");
            json["tls_key_file"] = json!("/k.pem");
        }
        Edit::Create(Object::from_json(Kind::WebSocket, &json).unwrap())
    };
    world.change(vec![channel("a", "ws://0.0.0.0:9000/a")]).unwrap();
    let Err(EditError::Invalid(problems)) =
        world.change(vec![channel("b", "wss://0.0.0.0:9000/b")])
    else {
        panic!()
    };
    assert!(problems[0].to_string().contains("web_socket 'a' speaks ws://"), "{problems:?}");
    world.change(vec![channel("c", "wss://0.0.0.0:9001/c")]).unwrap();
    let Err(EditError::Invalid(problems)) = world.change(vec![channel("d", "ws://0.0.0.0:9001/d")])
    else {
        panic!()
    };
    assert!(problems[0].to_string().contains("web_socket 'c' speaks wss://"), "{problems:?}");
}

#[test]
fn a_preview_changes_nothing() {
    let world = World::with(CHANNEL);
    let edits = vec![world.edit(Kind::WebSocket, "crm", "token_ttl", json!(60))];
    let (author, now) = (Author::new("a", "b"), Timestamp::from_microseconds(1));
    let outcome = world.configuration.preview(edits, &author, now, &none).unwrap();
    assert_eq!((outcome.revision, outcome.changes.len()), (None, 1));
    assert_ne!(outcome.after.hash(), outcome.before.hash());
    assert_eq!(world.configuration.snapshot().revision(), 1);
    assert_eq!(world.again().snapshot().hash(), outcome.before.hash());
}

#[test]
fn secrets_of_all_versions_are_encrypted_again_after_a_rotation() {
    let world = World::with(CHANNEL);
    world.change(vec![world.edit(Kind::Security, "app1", "password", json!("two"))]).unwrap();
    assert_eq!(world.configuration.encrypt_again().unwrap(), 0);
    world.configuration.keys.rotate().unwrap();
    assert_eq!(world.configuration.encrypt_again().unwrap(), 2);
    assert_eq!(world.configuration.encrypt_again().unwrap(), 0);
    let id = world.id(Kind::Security, "app1");
    let passwords: Vec<_> = world
        .again()
        .versions(id)
        .unwrap()
        .into_iter()
        .map(|version| {
            let object = Object::clone(&version.after.unwrap());
            object.to_revealed()["password"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(passwords, ["two", "one"]);
}

#[test]
fn the_hash_tells_versions_and_names_but_no_secrets() {
    let hash = |world: &World| world.configuration.snapshot().hash();
    let (a, b) = (World::with(CHANNEL), World::with(CHANNEL));
    assert_eq!(hash(&a), hash(&b));
    assert_eq!(hash(&a).to_string().len(), 64);
    a.change(vec![a.edit(Kind::Security, "app1", "password", json!("two"))]).unwrap();
    assert_ne!(hash(&a), hash(&b), "another version");
    b.change(vec![b.edit(Kind::Security, "app1", "password", json!("three"))]).unwrap();
    assert_eq!(hash(&a), hash(&b));
    let _: &ObjectSet = a.configuration.snapshot().objects();
}
