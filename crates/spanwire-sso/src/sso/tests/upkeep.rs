//! Records, keys, and what ends by itself.

use serde_json::json;

use super::*;
use crate::import::ImportedUser;
use crate::{AttributeInput, PasswordChange, Scope};

#[test]
fn inv_01_and_03_nothing_that_is_stored_opens_anything() {
    let world = World::new(|_| {});
    let key = totp::new_key().unwrap();
    let email = Some("joe@example.com".to_owned());
    let id = world.create_with(&NewUser { totp_key: Some(key.clone()), email, ..user("joe") });
    let token = world.login("joe").unwrap().token;
    let attribute = AttributeInput {
        name: "tag".to_owned(),
        value: Some(json!("attribute-secret")),
        encrypt: Some(true),
        ..AttributeInput::default()
    };
    world.sso.create_attributes(&call(), &token, &Scope::User(None), &[attribute]).unwrap();
    world.sso.begin_reset(&call(), "joe").unwrap();
    let mail = world.mails().pop().unwrap().text;
    let reset = secret(mail.lines().find(|line| line.starts_with("  ")).unwrap().trim());
    let reset_key = world.sso.access_reset(&call(), &reset).unwrap();
    let plain = world.sso.0.sealer.unwrap(token.expose(), "zust").unwrap();
    let plain_key = world.sso.0.sealer.unwrap(reset_key.expose(), "zprtrkey").unwrap();
    let dump = world.dump();
    for secret in [
        GOOD,
        token.expose(),
        plain.expose(),
        key.expose(),
        "joe@example.com",
        "attribute-secret",
        reset.expose(),
        reset_key.expose(),
        plain_key.expose(),
    ] {
        assert!(!contains(&dump, secret), "{secret}");
    }
    // Every text of the store as a token, as a reset and as a password.
    let text = String::from_utf8_lossy(&dump);
    let parts: std::collections::BTreeSet<&str> = text
        .split(|c: char| !c.is_alphanumeric() && !"-_=$./".contains(c))
        .filter(|part| part.len() > 3)
        .collect();
    for part in parts {
        let part = secret(part);
        assert!(world.sso.current_user(&call(), &part).is_err());
        assert!(world.sso.access_reset(&call(), &part).is_err());
        assert!(world.sso.confirm_signup(&call(), &part).is_err());
    }
    assert!(world.sso.user(&call(), &world.root, &id).is_ok());
}

#[test]
fn inv_24_every_call_has_one_record_with_its_id() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    let before = world.sso.audit(0, 10_000, |_| true).unwrap().last().unwrap().seq;
    let as_call = |cid: &str| Call { cid: cid.to_owned(), purpose: "a test".to_owned(), ..call() };
    world.sso.current_user(&as_call("c1"), &token).unwrap();
    world.sso.user(&as_call("c2"), &token, &id).unwrap_err();
    world.sso.user(&as_call("c3"), &world.root, &id).unwrap();
    world.sso.lock_user(&as_call("c4"), &world.root, &id).unwrap();
    world.sso.current_user(&as_call("c5"), &token).unwrap_err();
    world.sso.unlock_user(&as_call("c6"), &world.root, &id).unwrap();
    world
        .sso
        .login(
            &as_call("c7"),
            &Login { username: "joe".to_owned(), password: secret("x"), ..Login::default() },
        )
        .unwrap_err();
    world.sso.logout(&as_call("c8"), &token).unwrap();
    let records = world.sso.audit(before, 10_000, |_| true).unwrap();
    let rows: Vec<_> = records
        .iter()
        .map(|it| (it.cid.as_str(), it.op.as_str(), it.result.as_str(), it.sub_status.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            ("c1", "user.get_current_user", "ok", ""),
            ("c2", "user.get_user_by_id", "error", "E005001"),
            ("c3", "user.get_user_by_id", "ok", ""),
            ("c4", "user.lock_user", "ok", ""),
            ("c5", "user.get_current_user", "error", "E005002"),
            ("c6", "user.unlock_user", "ok", ""),
            ("c7", "user.login", "error", "E005001"),
            ("c8", "user.logout", "ok", ""),
        ]
    );
    assert!(records.iter().all(|it| it.purpose == "a test"
        && it.current_app == "CRM"
        && it.remote_addr == "192.0.2.1"));
    assert!(records[3].current_user.starts_with("zusr") && records[3].target_user == id);
    assert_eq!(world.sso.verify_audit().unwrap().problems, []);
    // Of one person, with the export itself recorded.
    let of_joe = world.sso.audit_of(&Call::internal("test"), "joe").unwrap();
    assert!(of_joe.iter().all(|it| it.target_user == id || it.current_user == id));
    assert!(of_joe.len() >= 7);
    // A restart goes on where the chain ended; an edit on disk is found.
    let again = world.again();
    again.current_user(&call(), &world.root).unwrap();
    assert_eq!(again.verify_audit().unwrap().problems, []);
    use spanwire_store::KeyValue as _;
    let (key, value) = world.store.scan("sso_audit", b"").unwrap().into_iter().nth(3).unwrap();
    let edited = String::from_utf8(value).unwrap().replace("\"ok\"", "\"no\"");
    world.store.put("sso_audit", &key, edited.as_bytes()).unwrap();
    assert_eq!(world.again().verify_audit().unwrap().problems.len(), 1);
    world.store.delete("sso_audit", &key).unwrap();
    assert_eq!(world.again().verify_audit().unwrap().problems.len(), 1);
}

#[test]
fn inv_25_keys_rotate_and_the_old_one_can_be_thrown_away() {
    let dir = tempfile::tempdir().unwrap();
    let ring = dir.path().join("secret.key");
    let keys = Arc::new(KeyRing::open_or_create(&ring).unwrap());
    let store = Arc::new(MemoryStore::new());
    let open = |keys: &Arc<KeyRing>| {
        let users = Arc::new(KeyValueUserStore::new(Arc::clone(&store) as _));
        Sso::open(users, Arc::clone(keys), settings(|_| {})).unwrap()
    };
    let sso = open(&keys);
    let email = Some("joe@example.com".to_owned());
    sso.create_user_as_operator(&Call::internal("t"), &NewUser { email, ..user("joe") }, true)
        .unwrap();
    let login = || Login { username: "joe".to_owned(), password: secret(GOOD), ..Login::default() };
    let token = sso.login(&call(), &login()).unwrap().token;
    let sealed = AttributeInput {
        name: "a".to_owned(),
        value: Some(json!("x")),
        encrypt: Some(true),
        ..AttributeInput::default()
    };
    sso.create_attributes(&call(), &token, &Scope::User(None), std::slice::from_ref(&sealed))
        .unwrap();
    sso.create_attributes(&call(), &token, &Scope::Session(token.clone()), &[sealed]).unwrap();
    keys.rotate().unwrap();
    // Old and new are both readable.
    assert!(sso.current_user(&call(), &token).is_ok());
    let newer = sso.login(&call(), &login()).unwrap().token;
    assert_eq!(sso.encrypt_again().unwrap(), 4, "the digest key, the user, two attributes");
    assert_eq!(sso.encrypt_again().unwrap(), 0);
    let text = std::fs::read_to_string(&ring).unwrap();
    let newest: Vec<_> = text.lines().take(2).collect();
    std::fs::write(&ring, newest.join("\n") + "\n").unwrap();
    let sso = open(&Arc::new(KeyRing::open_or_create(&ring).unwrap()));
    assert!(sso.current_user(&call(), &token).is_err(), "a token is of its own key");
    let user = sso.current_user(&call(), &newer).unwrap();
    assert_eq!(user.email.as_deref(), Some("joe@example.com"));
    let found =
        sso.attributes(&call(), &newer, &Scope::User(None), &["a".to_owned()], true).unwrap();
    assert_eq!(found[0].as_ref().unwrap().value, json!("x"));
    sso.login(&call(), &login()).unwrap();
    assert_eq!(sso.verify_audit().unwrap().problems, []);
}

#[test]
fn what_has_ended_is_removed_and_nothing_else() {
    let world = World::new(|it| it.audit.retention = 1);
    let (_, token) = world.joe();
    world.pass(1_800);
    let later = world.login("joe").unwrap().token;
    world.pass(1_800);
    // Those of `root` and `joe` from the beginning.
    assert_eq!(world.sso.clean_up().unwrap(), 2);
    assert!(!world.good(&token) && world.good(&later));
    world.pass(2 * 86_400);
    let count = world.sso.verify_audit().unwrap().count;
    assert!(world.sso.clean_up().unwrap() > 0);
    let verified = world.sso.verify_audit().unwrap();
    assert!(verified.count < count && verified.problems.is_empty(), "{verified:?}");
}

#[test]
fn users_of_other_systems_come_with_their_hashes() {
    let world = World::new(|_| {});
    let import = |user: ImportedUser, is_dry_run| {
        world.sso.import(&Call::internal("t"), 1, user, is_dry_run)
    };
    let hash = secret("$2b$04$NEy1Jo0dd.BxtPGBdwSIL.Rb2CnYFIiSJRbh0LrOAlsNzWzqoNd0a");
    let bcrypt = || ImportedUser {
        username: "joe".to_owned(),
        password_hash: Some(hash.clone()),
        ..ImportedUser::default()
    };
    assert_eq!(import(bcrypt(), true).result, "would be created");
    assert_eq!(world.sso.count(), 1);
    assert_eq!(import(bcrypt(), false).result, "created");
    assert_eq!(import(bcrypt(), false).result, "exists");
    let bad = ImportedUser {
        username: "ann".to_owned(),
        password_hash: Some(secret("md5:x")),
        ..ImportedUser::default()
    };
    let report = import(bad, false);
    assert!(report.result == "failed" && report.problem.contains("known scheme"), "{report:?}");
    let short = ImportedUser {
        username: "ann".to_owned(),
        password: Some(secret("short")),
        ..ImportedUser::default()
    };
    assert_eq!(import(short, true).problem, "E003002");
}

#[test]
fn whoever_depends_on_a_user_is_told_of_changes() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    let told = || std::mem::take(&mut world.seen.0.lock().unwrap().0);
    told();
    world.sso.current_user(&call(), &token).unwrap();
    assert_eq!(told(), [""; 0]);
    world.sso.renew(&call(), &token).unwrap();
    assert_eq!(told(), [id.as_str()]);
    let change = PasswordChange {
        new: secret("another horse another staple"),
        old: None,
        expiry_days: None,
        must_change: None,
    };
    world.sso.change_password(&call(), &world.root, Some(&id), &change).unwrap();
    assert!(told().contains(&id));
}
