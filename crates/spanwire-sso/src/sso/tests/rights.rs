//! Who may do what, and when a session is good.

use serde_json::json;

use super::*;
use crate::call::LoginMetadata;
use crate::record::Approval;
use crate::sso::attributes::Scope;
use crate::sso::links::LinkedAuth;

#[test]
fn inv_05_an_unknown_application_is_refused_before_anything_else() {
    let world = World::new(|_| {});
    let unknown = Call { current_app: "Other".to_owned(), ..call() };
    assert_eq!(code(world.sso.current_user(&unknown, &world.root)), Code::AppInvalid);
    assert_eq!(code(world.sso.current_user(&unknown, &secret("nonsense"))), Code::AppInvalid);
    assert_eq!(code(world.sso.logout(&unknown, &world.root)), Code::AppInvalid);
    world.set(|it| it.apps.inform_if_app_invalid = false);
    assert_eq!(code(world.sso.current_user(&unknown, &world.root)), Code::NotAllowed);
    assert!(world.good(&world.root));
}

#[test]
fn inv_06_a_regular_user_sees_nothing_of_what_is_for_super_users() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    assert_eq!(world.sso.current_user(&call(), &token).unwrap().full, None);
    assert_eq!(
        code(world.sso.user(&call(), &token, &id)),
        Code::NotAllowed,
        "not even by the own id"
    );
    let full = world.sso.user(&call(), &world.root, &id).unwrap().full.unwrap();
    assert_eq!(full.user_id, id);
}

/// Each of these alone makes every use of a session fail, and its opposite makes it good again.
#[test]
fn inv_08_a_session_is_good_only_while_everything_is() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    let bad = |why: &str| assert!(!world.good(&token), "{why}");
    let good = || assert!(world.good(&token));
    good();
    for (fields, back) in [
        (json!({"is_locked": true}), json!({"is_locked": false})),
        (json!({"approval_status": "rejected"}), json!({"approval_status": "approved"})),
        (json!({"approval_status": "before_decision"}), json!({"approval_status": "approved"})),
        (json!({"sign_up_status": "before_confirmation"}), json!({"sign_up_status": "final"})),
        (
            json!({"password_expiry": "2001-01-01T00:00:00"}),
            json!({"password_expiry": "2100-01-01T00:00:00"}),
        ),
    ] {
        world.update(&id, &fields.clone()).unwrap();
        bad(&fields.to_string());
        world.update(&id, &back).unwrap();
        good();
    }
    world.set(|it| {
        drop(it.user_address_list.insert("JOE".to_owned(), vec!["198.51.100.0/24".to_owned()]))
    });
    bad("address");
    assert!(world.sso.current_user(&from("198.51.100.7"), &token).is_ok());
    world.set(|it| it.user_address_list.clear());
    good();
    world.pass(3_600);
    bad("expired");
    let again = world.login("joe").unwrap().token;
    world.sso.logout(&call(), &again).unwrap();
    assert!(!world.good(&again));
    // Back in time, nothing comes to life that was logged out.
    world.pass(-10);
    assert!(!world.good(&again));
}

#[test]
fn inv_09_a_logout_always_works_and_is_for_ever() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    // A user who is locked logs out all the same.
    world.update(&id, &json!({"is_locked": true})).unwrap();
    for _ in 0..3 {
        world.sso.logout(&call(), &token).unwrap();
    }
    world.update(&id, &json!({"is_locked": false})).unwrap();
    assert!(!world.good(&token));
    world.sso.logout(&call(), &secret("nonsense")).unwrap();
    assert_eq!(code(world.sso.current_user(&call(), &token)), Code::NoSuchSession);
}

#[test]
fn inv_10_looking_at_a_session_does_not_renew_it() {
    let world = World::new(|it| it.session.max_lifetime = Some(90));
    let (_, token) = world.joe();
    let end = || world.sso.get_session(&call(), &token, &world.root).unwrap().expiration_time;
    let first = end();
    world.pass(600);
    assert!(world.sso.verify(&call(), &token, &world.root).unwrap());
    world.good(&token);
    assert_eq!(end(), first);
    let renewed = world.sso.renew(&call(), &token).unwrap();
    assert_eq!(renewed.as_microseconds() - world.clock.now().as_microseconds(), 3_600_000_000);
    // A hook may have said otherwise, and then a renewal does.
    let login = Login { username: "joe".to_owned(), password: secret(GOOD), ..Login::default() };
    let short =
        world.sso.login_for(&call(), &login, |name| (name == "joe").then_some(5)).unwrap().token;
    let end = world.sso.renew(&call(), &short).unwrap();
    assert_eq!(end.as_microseconds() - world.clock.now().as_microseconds(), 300_000_000);
    // Not beyond its longest life: 90 minutes after the login.
    world.sso.renew(&call(), &token).unwrap();
    world.pass(3_000);
    let last = world.sso.renew(&call(), &token).unwrap();
    assert_eq!(last.as_microseconds() - first.as_microseconds(), 30 * 60 * 1_000_000);
    world.pass(1_800);
    assert_eq!(code(world.sso.renew(&call(), &token)), Code::NoSuchSession);
}

#[test]
fn inv_12_a_session_remembers_its_last_hundred_changes() {
    let world = World::new(|it| it.session.max_lifetime = Some(0));
    let (_, token) = world.joe();
    for _ in 0..150 {
        world.sso.renew(&call(), &token).unwrap();
    }
    let sessions = world.sso.sessions(&call(), &token, None).unwrap();
    let changes = &sessions[0].session_state_change_list;
    assert_eq!(changes.len(), 100);
    let numbers: Vec<u64> = changes.iter().map(|change| change.idx).collect();
    assert_eq!(numbers, (52..=151).collect::<Vec<_>>());
}

#[test]
fn inv_19_deciding_twice_is_deciding_once_and_a_rejection_ends_sessions() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    let status = || world.sso.user(&call(), &world.root, &id).unwrap().full.unwrap();
    world.sso.approve(&call(), &world.root, &id).unwrap();
    let before = status();
    world.pass(10);
    world.sso.approve(&call(), &world.root, &id).unwrap();
    assert_eq!(status(), before);
    world.sso.reject(&call(), &world.root, &id).unwrap();
    assert_eq!(status().approval_status, Approval::Rejected);
    assert!(!world.good(&token));
    assert_eq!(code(world.sso.approve(&call(), &world.root, "zusrnobody")), Code::UserIdInvalid);
    assert_eq!(code(world.sso.approve(&call(), &token, &id)), Code::NotApproved);
}

#[test]
fn inv_33_only_some_applications_say_where_a_user_is() {
    let world = World::new(|it| {
        it.apps.all = vec!["CRM".to_owned(), "Front".to_owned()];
        it.apps.login_allowed = it.apps.all.clone();
        it.apps.login_metadata_allowed = vec!["Front".to_owned()];
        it.user_address_list.insert("joe".to_owned(), vec!["203.0.113.0/24".to_owned()]);
    });
    world.create("joe");
    let login = |app: &str, address: Option<&str>| {
        let metadata = LoginMetadata { remote_addr: address.map(str::to_owned), user_agent: None };
        let login = Login {
            username: "joe".to_owned(),
            password: secret(GOOD),
            metadata: Some(metadata),
            ..Login::default()
        };
        world.sso.login(&Call { current_app: app.to_owned(), ..call() }, &login)
    };
    assert_eq!(code(login("CRM", Some("203.0.113.7"))), Code::MetadataNotAllowed);
    assert_eq!(code(login("CRM", None)), Code::NotAllowed);
    let opened = login("Front", Some("203.0.113.7, 203.0.113.8")).unwrap();
    assert_eq!(
        code(login("Front", Some("203.0.113.7, 10.0.0.1"))),
        Code::NotAllowed,
        "every address counts"
    );
    assert_eq!(code(login("Front", Some("nowhere"))), Code::InvalidInput);
    let session = world.sso.get_session(&call(), &opened.token, &world.root).unwrap();
    assert_eq!(session.remote_addr, "203.0.113.7, 203.0.113.8");
}

#[test]
fn inv_37_tokens_of_others_open_nothing() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    assert_eq!(code(World::new(|_| {}).sso.current_user(&call(), &token)), Code::NoSuchSession);
    world.sso.delete_user(&call(), &world.root, &id).unwrap();
    assert_eq!(code(world.sso.current_user(&call(), &token)), Code::NoSuchSession);
}

#[test]
fn inv_38_a_regular_user_changes_nobody_else_and_no_role() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    let other = world.create("ann");
    let before = world.sso.user(&call(), &world.root, &id).unwrap();
    let update = |user_id: Option<&str>, fields: serde_json::Value| {
        code(world.sso.update_user(&call(), &token, user_id, fields.as_object().unwrap()))
    };
    assert_eq!(update(Some(&other), json!({"first_name": "x"})), Code::InvalidInput);
    for fields in [
        json!({"is_locked": false}),
        json!({"approval_status": "approved"}),
        json!({"sign_up_status": "final"}),
        json!({"password_must_change": false}),
        json!({"password_expiry": "2100-01-01T00:00:00"}),
        json!({"first_name": "x", "is_locked": false}),
        json!({"apps": []}),
    ] {
        assert_eq!(update(None, fields), Code::InvalidInput);
    }
    assert_eq!(
        update(None, json!({"is_super_user": true, "user_id": "zusr1", "creation_ctx": "x"})),
        Code::MissingInput
    );
    assert_eq!(code(world.sso.user(&call(), &token, &other)), Code::NotAllowed);
    assert_eq!(code(world.sso.delete_user(&call(), &token, &other)), Code::NotAllowed);
    assert_eq!(code(world.sso.approve(&call(), &token, &id)), Code::InvalidInput);
    assert_eq!(code(world.sso.lock_user(&call(), &token, &other)), Code::NotAllowed);
    assert_eq!(world.sso.user(&call(), &world.root, &id).unwrap(), before);
    // Its own id is its own.
    world
        .sso
        .update_user(&call(), &token, Some(&id), json!({"first_name": "Joe"}).as_object().unwrap())
        .unwrap();
}

#[test]
fn inv_39_what_is_no_field_is_ignored_whoever_sends_it() {
    let world = World::new(|_| {});
    let id = world.create("joe");
    let fields = json!({"is_super_user": true, "user_id": "zusr1", "password_is_set": false, "middle_name": "M"});
    world.update(&id, &fields).unwrap();
    let updated = world.sso.user(&call(), &world.root, &id).unwrap();
    let full = updated.full.unwrap();
    assert!(!full.is_super_user && full.password_is_set && full.user_id == id);
    assert_eq!(updated.middle_name.as_deref(), Some("M"));
    // A super-user makes no super-users over the API.
    let new = NewUser { is_super_user: true, ..user("eve") };
    let made = world.sso.create_user(&call(), &world.root, new).unwrap();
    assert!(!made.full.unwrap().is_super_user);
}

#[test]
fn inv_40_links_are_listed_for_their_own_user() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    let other = world.create("ann");
    let link = |user: &str, name: &str| {
        world.sso.create_link(&call(), &world.root, user, "basic_auth", name, true, true)
    };
    link(&other, "a").unwrap();
    assert_eq!(world.sso.links(&call(), &token, None).unwrap(), []);
    link(&id, "b").unwrap();
    assert_eq!(world.sso.links(&call(), &token, None).unwrap().len(), 1);
    assert_eq!(code(world.sso.links(&call(), &token, Some(&other))), Code::NotAllowed);
    assert_eq!(world.sso.links(&call(), &world.root, Some(&other)).unwrap().len(), 1);
}

#[test]
fn inv_41_a_list_of_sessions_opens_none() {
    let world = World::new(|_| {});
    let (_, token) = world.joe();
    let listed = world.sso.sessions(&call(), &world.root, Some(&token)).unwrap();
    assert_eq!(listed.len(), 1);
    for text in [&listed[0].handle, &listed[0].user_id] {
        assert!(!world.good(&secret(text)));
    }
    assert_eq!(code(world.sso.sessions(&call(), &token, Some(&world.root))), Code::NotAllowed);
}

#[test]
fn inv_54_a_definition_is_linked_to_one_user() {
    let world = World::new(|_| {});
    let (joe, ann) = (world.create("joe"), world.create("ann"));
    let link = |user: &str, known| {
        world.sso.create_link(&call(), &world.root, user, "basic_auth", "crm", true, known)
    };
    assert_eq!(code(link(&joe, false)), Code::InvalidInput);
    link(&joe, true).unwrap();
    assert_eq!(code(link(&ann, true)), Code::InvalidInput);
    assert_eq!(code(link(&joe, true)), Code::InvalidInput);
    assert_eq!(
        code(world.sso.create_link(&call(), &world.root, &ann, "ntlm", "x", true, true)),
        Code::InvalidInput
    );
}

#[test]
fn inv_55_unlinking_ends_the_sessions_of_that_link_alone() {
    let world = World::new(|_| {});
    let joe = world.create("joe");
    let names = ["crm", "crm1", "crm2", "crm.x"];
    for name in names {
        world.sso.create_link(&call(), &world.root, &joe, "basic_auth", name, true, true).unwrap();
    }
    let open = |name: &str| opened(&world, name).token;
    let tokens = names.map(open);
    assert!(tokens.iter().all(|token| world.good(token)));
    // The same session again, under the same token inside.
    let again = open("crm");
    assert_eq!(world.sso.sessions(&call(), &again, None).unwrap().len(), 4);
    world.sso.delete_link(&call(), &world.root, &joe, "basic_auth", "crm").unwrap();
    let good = tokens.each_ref().map(|token| world.good(token));
    assert_eq!(good, [false, true, true, true]);
    assert!(matches!(
        world.sso.on_linked_auth(&call(), "basic_auth", "crm"),
        Ok(LinkedAuth::Unlinked)
    ));
    assert_eq!(
        code(world.sso.delete_link(&call(), &world.root, &joe, "basic_auth", "crm")),
        Code::InvalidInput
    );
}

#[test]
fn inv_56_where_a_super_user_is_says_nothing_about_the_target() {
    let world = World::new(|it| {
        drop(it.user_address_list.insert("joe".to_owned(), vec!["198.51.100.1".to_owned()]))
    });
    world.create("joe");
    let login = Login { username: "joe".to_owned(), password: secret(GOOD), ..Login::default() };
    let token = world.sso.login(&from("198.51.100.1"), &login).unwrap().token;
    assert!(!world.good(&token), "joe is not here");
    assert!(world.sso.verify(&call(), &token, &world.root).unwrap());
    assert!(!world.sso.verify(&call(), &secret("nonsense"), &world.root).unwrap());
    assert_eq!(code(world.sso.verify(&call(), &secret(""), &world.root)), Code::NoSuchSession);
}

#[test]
fn inv_59_there_is_always_a_super_user() {
    let world = World::new(|_| {});
    let root = world.sso.current_user(&call(), &world.root).unwrap().full.unwrap().user_id;
    let invalid = Code::InvalidOperation;
    assert_eq!(code(world.sso.delete_user(&call(), &world.root, &root)), invalid);
    assert_eq!(code(world.sso.lock_user(&call(), &world.root, &root)), invalid);
    assert_eq!(code(world.sso.reject(&call(), &world.root, &root)), invalid);
    assert_eq!(code(world.update(&root, &json!({"is_locked": true}))), invalid);
    assert_eq!(code(world.sso.delete_user_as_operator(&Call::internal("t"), "root")), invalid);
    assert_eq!(code(world.sso.lock_as_operator(&Call::internal("t"), "root", true)), invalid);
    // With a second one it can be done, except to oneself.
    let second = world.create_with(&NewUser { is_super_user: true, ..user("second") });
    world.sso.lock_user(&call(), &world.root, &second).unwrap();
    assert_eq!(code(world.sso.reject(&call(), &world.root, &root)), invalid, "the other is locked");
    world.sso.unlock_user(&call(), &world.root, &second).unwrap();
    world.sso.lock_user(&call(), &world.root, &root).unwrap();
    assert!(!world.good(&world.root));
}

#[test]
fn inv_60_a_clock_that_goes_back_revives_nothing_and_keeps_the_order_of_records() {
    let world = World::new(|_| {});
    let (_, token) = world.joe();
    world.pass(3_700);
    assert!(!world.good(&token));
    world.sso.clean_up().unwrap();
    world.pass(-3_600);
    assert!(!world.good(&token));
    let verified = world.sso.verify_audit().unwrap();
    assert_eq!(verified.problems, []);
    let records = world.sso.audit(0, 1_000, |_| true).unwrap();
    assert!(records.windows(2).all(|pair| pair[0].seq + 1 == pair[1].seq));
}

#[test]
fn attributes_of_others_are_for_super_users() {
    let world = World::new(|_| {});
    let (joe, token) = world.joe();
    let ann = world.create("ann");
    let names = |token: &Secret, id: &str| {
        world.sso.attribute_names(&call(), token, &Scope::User(Some(id.to_owned())))
    };
    assert_eq!(names(&token, &joe).unwrap(), [""; 0]);
    assert_eq!(code(names(&token, &ann)), Code::NotAllowed);
    assert_eq!(names(&world.root, &ann).unwrap(), [""; 0]);
    assert_eq!(code(names(&world.root, "zusrnobody")), Code::NotAllowed);
    let session = Scope::Session(world.root.clone());
    assert_eq!(code(world.sso.attribute_names(&call(), &token, &session)), Code::NotAllowed);
}

#[test]
fn users_may_be_limited_to_applications() {
    let world = World::new(|it| {
        it.apps.all = vec!["CRM".to_owned(), "ERP".to_owned()];
        it.apps.login_allowed = it.apps.all.clone();
    });
    let id = world.create("joe");
    world.update(&id, &json!({"apps": ["ERP"]})).unwrap();
    assert_eq!(code(world.login("joe")), Code::AppInvalid);
    let login = Login { username: "joe".to_owned(), password: secret(GOOD), ..Login::default() };
    world.sso.login(&Call { current_app: "ERP".to_owned(), ..call() }, &login).unwrap();
    assert_eq!(code(world.update(&id, &json!({"apps": ["Other"]}))), Code::AppInvalid);
}

#[test]
fn linked_credentials_call_as_often_as_their_user_may() {
    let world = World::new(|_| {});
    let limited = NewUser {
        is_rate_limit_active: Some(true),
        rate_limit_def: Some("192.0.2.0/24=2/m".to_owned()),
        ..user("joe")
    };
    let id = world.create_with(&limited);
    world.sso.create_link(&call(), &world.root, &id, "basic_auth", "crm", true, true).unwrap();
    let ask = |from: &Call| world.sso.on_linked_auth(from, "basic_auth", "crm");
    for _ in 0..2 {
        assert!(matches!(ask(&call()), Ok(LinkedAuth::Opened(_))));
    }
    assert!(matches!(ask(&call()), Ok(LinkedAuth::TooMany)));
    assert_eq!(code(ask(&from("198.51.100.1"))), Code::NotAllowed);
    world.pass(60);
    assert!(matches!(ask(&call()), Ok(LinkedAuth::Opened(_))));
    let wrong = NewUser { rate_limit_def: Some("many".to_owned()), ..user("ann") };
    assert_eq!(code(world.sso.create_user(&call(), &world.root, wrong)), Code::InvalidInput);
}
