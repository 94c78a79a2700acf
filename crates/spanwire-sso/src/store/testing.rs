//! What every [`UserStore`] has to pass.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use spanwire_protocol::Timestamp;
use spanwire_store::Durability;

use super::{Change, UserStore};
use crate::audit::AuditRecord;
use crate::record::{
    Approval, Attribute, Digest, Field, Link, Owner, Reset, Session, SignUp, User,
};

/// Runs the suite on stores that `open` makes, each empty. `reopen` opens again what it is given.
///
/// # Panics
/// When the store does not do what [`UserStore`] promises.
pub fn contract<S: UserStore>(open: impl Fn() -> S, reopen: impl Fn(S) -> S) {
    users(&open(), &reopen);
    sessions(&open());
    rest(&open());
    let store = open();
    make(&store, &[Change::PutUser { before: None, after: user("zusr1", 1) }]);
    make(
        &store,
        &[Change::PutMeta("key", "value".to_owned()), Change::PutAudit(Box::new(record(1)))],
    );
    let store = reopen(store);
    assert!(store.user("zusr1").is_ok_and(|user| user.is_some()), "a user outlives the process");
    assert_eq!(store.meta("key").ok().flatten().as_deref(), Some("value"));
    assert_eq!(store.last_audit().ok().flatten(), Some(record(1)));
}

fn users<S: UserStore>(store: &S, _: &impl Fn(S) -> S) {
    let (one, two) = (user("zusr1", 1), user("zusr2", 2));
    assert!(found(store.user("zusr1")).is_none() && found(store.user("")).is_none());
    assert!(found(store.user(&"x".repeat(10_000))).is_none(), "an id from outside is no error");
    make(store, &[put(None, &one), put(None, &two)]);
    assert_eq!(found(store.user("zusr1")).as_deref(), Some(&*one));
    assert_eq!(found(store.user_named(digest(1))).as_deref(), Some("zusr1"));
    assert_eq!(found(store.users_with_email(digest(101))), ["zusr1"]);
    assert_eq!(found(store.user_to_confirm(digest(201))).as_deref(), Some("zusr1"));
    assert_eq!(found(store.users(None, 10)).len(), 2);
    assert_eq!(
        found(store.users(Some("zusr1"), 10)).first().map(|user| user.user_id.clone()).as_deref(),
        Some("zusr2")
    );
    // What a user is looked up by follows the user.
    let mut renamed = User::clone(&one);
    renamed.name_digest = digest(3);
    renamed.email_digest = Some(digest(102));
    renamed.confirm_digest = None;
    let renamed = Arc::new(renamed);
    make(store, &[put(Some(&one), &renamed)]);
    assert!(found(store.user_named(digest(1))).is_none());
    assert_eq!(found(store.user_named(digest(3))).as_deref(), Some("zusr1"));
    assert!(found(store.users_with_email(digest(101))).is_empty());
    let mut both = found(store.users_with_email(digest(102)));
    both.sort();
    assert_eq!(both, ["zusr1", "zusr2"], "two users may have one address");
    assert!(found(store.user_to_confirm(digest(201))).is_none());
    make(store, &[Change::DeleteUser(Arc::clone(&renamed))]);
    assert!(found(store.user("zusr1")).is_none() && found(store.user_named(digest(3))).is_none());
    assert_eq!(found(store.users_with_email(digest(102))), ["zusr2"]);
}

fn sessions(store: &impl UserStore) {
    let (first, mut second) = (session(1, "zusr1", 100), session(2, "zusr1", 200));
    second.ext_session_id = Some("basic_auth.crm".to_owned());
    make(store, &[opened(&first), opened(&second), opened(&session(3, "zusr12", 300))]);
    assert_eq!(found(store.session(digest(1))).as_ref(), Some(&first));
    assert_eq!(
        found(store.sessions_of("zusr1")).len(),
        2,
        "and not those of a user with a longer id"
    );
    assert_eq!(found(store.session_of_link("basic_auth.crm")).as_ref(), Some(&second));
    let ended = |at: i64| {
        found(store.sessions_ended(time(at), 10)).iter().map(|it| it.digest).collect::<Vec<_>>()
    };
    assert_eq!(
        (ended(99), ended(100), ended(250)),
        (vec![], vec![digest(1)], vec![digest(1), digest(2)])
    );
    assert_eq!(found(store.sessions_ended(time(999), 1)).len(), 1);
    let renewed = Session { expiration_time: time(900), ..first.clone() };
    make(
        store,
        &[Change::PutSession { before: Some(Box::new(first)), after: Box::new(renewed.clone()) }],
    );
    assert_eq!(ended(250), [digest(2)]);
    make(
        store,
        &[Change::DeleteSession(Box::new(second)), Change::DeleteSession(Box::new(renewed))],
    );
    assert!(found(store.sessions_of("zusr1")).is_empty() && ended(950) == [digest(3)]);
    assert!(found(store.session_of_link("basic_auth.crm")).is_none());
}

fn rest(store: &impl UserStore) {
    let (joe, of_session) = (Owner::User("zusr1".to_owned()), Owner::Session(digest(1)));
    let long = "x".repeat(191);
    for (owner, name) in [
        (&joe, "a"),
        (&joe, long.as_str()),
        (&of_session, "a"),
        (&Owner::User("zusr12".to_owned()), "a"),
    ] {
        make(store, &[Change::PutAttribute(owner.clone(), attribute(name))]);
    }
    assert_eq!(found(store.attributes(&joe)).len(), 2);
    assert_eq!(found(store.attribute(&joe, &long)), Some(attribute(&long)));
    make(
        store,
        &[
            Change::DeleteAttribute(joe.clone(), "a".to_owned()),
            Change::DeleteAttribute(joe.clone(), "no".to_owned()),
        ],
    );
    assert!(found(store.attribute(&joe, "a")).is_none());
    assert!(found(store.attribute(&of_session, "a")).is_some());

    let link = Link {
        user_id: "zusr1".to_owned(),
        auth_type: "basic_auth".to_owned(),
        auth_username: "crm".to_owned(),
        is_active: true,
        creation_time: time(1),
    };
    make(store, &[Change::PutLink(link.clone())]);
    assert_eq!(found(store.link("basic_auth", "crm")).as_ref(), Some(&link));
    assert!(found(store.link("jwt", "crm")).is_none());
    assert_eq!(found(store.links_of("zusr1")), std::slice::from_ref(&link));
    make(store, &[Change::DeleteLink(link)]);
    assert!(
        found(store.links_of("zusr1")).is_empty()
            && found(store.link("basic_auth", "crm")).is_none()
    );

    let reset = Reset {
        digest: digest(9),
        user_id: "zusr1".to_owned(),
        creation_time: time(1),
        expiration_time: time(2),
        key: None,
    };
    let accessed = Reset { key: Some((digest(8), time(3))), ..reset.clone() };
    make(store, &[Change::PutReset(reset)]);
    make(store, &[Change::PutReset(accessed.clone())]);
    assert_eq!(found(store.reset(digest(9))).as_ref(), Some(&accessed));
    assert_eq!(found(store.resets_of("zusr1")), std::slice::from_ref(&accessed));
    make(store, &[Change::DeleteReset(accessed)]);
    assert!(found(store.reset(digest(9))).is_none() && found(store.resets_of("zusr1")).is_empty());

    for seq in 1..=5 {
        make(store, &[Change::PutAudit(Box::new(record(seq)))]);
    }
    assert_eq!(found(store.audit(2, 2)), [record(3), record(4)]);
    make(store, &[Change::DeleteAudit(1)]);
    assert_eq!(found(store.audit(0, 10)).len(), 4);
    assert_eq!(found(store.last_audit()), Some(record(5)));
}

fn found<T>(result: crate::Result<T>) -> T {
    #[allow(clippy::panic, reason = "this is a test")]
    result.unwrap_or_else(|error| panic!("{error}"))
}

fn make(store: &impl UserStore, changes: &[Change]) {
    let (sender, outcome) = sync_channel(1);
    store.submit(changes, Durability::Forced, Box::new(move |result| drop(sender.send(result))));
    assert_eq!(outcome.recv(), Ok(Ok(())));
}

fn put(before: Option<&Arc<User>>, after: &Arc<User>) -> Change {
    Change::PutUser { before: before.map(Arc::clone), after: Arc::clone(after) }
}

fn opened(session: &Session) -> Change {
    Change::PutSession { before: None, after: Box::new(session.clone()) }
}

fn digest(number: u8) -> Digest {
    Digest([number; 32])
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_microseconds(seconds * 1_000_000)
}

fn user(id: &str, number: u8) -> Arc<User> {
    Arc::new(User {
        user_id: id.to_owned(),
        username: format!("user{number}"),
        name_digest: digest(number),
        is_active: true,
        is_internal: false,
        is_super_user: false,
        is_locked: false,
        locked_time: None,
        locked_by: None,
        creation_ctx: "{}".to_owned(),
        approval_status: Approval::Approved,
        approval_status_mod_time: time(1),
        approval_status_mod_by: "auto".to_owned(),
        password: "$".to_owned(),
        password_is_set: true,
        password_must_change: false,
        password_last_set: time(1),
        password_expiry: time(2),
        password_history: Vec::new(),
        sign_up_status: SignUp::Final,
        sign_up_time: time(1),
        sign_up_confirm_time: None,
        confirm_digest: Some(digest(200 + number)),
        email: Some(Field::Plain("a@b.c".to_owned())),
        email_digest: Some(digest(100 + number)),
        display_name: Some("żółw \u{0} \"".to_owned()),
        first_name: None,
        middle_name: None,
        last_name: None,
        is_rate_limit_active: None,
        rate_limit_type: None,
        rate_limit_def: None,
        rate_limit_check_parent_def: None,
        is_totp_enabled: false,
        totp_key: None,
        totp_label: None,
        totp_last_step: Some(u64::MAX),
        apps: Vec::new(),
        was_welcomed: true,
    })
}

fn session(number: u8, user_id: &str, ends: i64) -> Session {
    Session {
        digest: digest(number),
        handle: format!("handle{number}"),
        user_id: user_id.to_owned(),
        creation_time: time(1),
        expiration_time: time(ends),
        auth_time: time(1),
        auth_type: "default".to_owned(),
        auth_principal: "joe".to_owned(),
        remote_addr: String::new(),
        user_agent: String::new(),
        app: "CRM".to_owned(),
        minutes: 5,
        ext_session_id: None,
        changes: Vec::new(),
    }
}

fn attribute(name: &str) -> Attribute {
    Attribute {
        name: name.to_owned(),
        value: Field::Plain("1".to_owned()),
        creation_time: time(1),
        last_modified: time(1),
        expiration_time: None,
    }
}

fn record(seq: u64) -> AuditRecord {
    AuditRecord {
        seq,
        timestamp_utc: time(1),
        cid: "c".to_owned(),
        op: "user.login".to_owned(),
        current_user: String::new(),
        target_user: String::new(),
        result: "ok".to_owned(),
        sub_status: String::new(),
        current_app: String::new(),
        remote_addr: String::new(),
        user_agent: String::new(),
        purpose: String::new(),
        extra: String::new(),
        lost: vec![(7, digest(7))],
        before: digest(1),
        digest: digest(2),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use spanwire_store::{EngineKind, KeyValue, MemoryStore, Options, Store};

    use super::*;
    use crate::store::KeyValueUserStore;

    #[test]
    fn in_memory() {
        let open = || {
            let store: Arc<dyn KeyValue> = Arc::new(MemoryStore::new());
            KeyValueUserStore::new(store)
        };
        contract(open, |store| store);
    }

    #[test]
    fn on_disk_with_every_engine() {
        for engine in [EngineKind::Sled, EngineKind::Redb] {
            let dirs = std::cell::RefCell::new(Vec::new());
            let at = |path: &Path| {
                let mut options = Options::default();
                options.engine = engine;
                let store: Arc<dyn KeyValue> = Arc::new(Store::open(path, options).unwrap());
                KeyValueUserStore::new(store)
            };
            let open = || {
                let dir = tempfile::tempdir().unwrap();
                let store = at(&dir.path().join("store"));
                dirs.borrow_mut().push(dir);
                store
            };
            let reopen = |store: KeyValueUserStore| {
                drop(store);
                at(&dirs.borrow().last().unwrap().path().join("store"))
            };
            contract(open, reopen);
        }
    }
}
