//! Users: made, found, deleted.

use serde_json::json;

use super::*;
use crate::sso::search::Search;
use crate::{AttributeInput, Scope, SignupRequest};

#[test]
fn inv_11_nothing_is_left_of_a_deleted_user() {
    let world = World::new(|_| {});
    let id =
        world.create_with(&NewUser { email: Some("joe@example.com".to_owned()), ..user("joe") });
    let token = world.login("joe").unwrap().token;
    let attribute = AttributeInput {
        name: "a".to_owned(),
        value: Some(json!("of joe")),
        ..AttributeInput::default()
    };
    world
        .sso
        .create_attributes(&call(), &token, &Scope::User(None), std::slice::from_ref(&attribute))
        .unwrap();
    world
        .sso
        .create_attributes(&call(), &token, &Scope::Session(token.clone()), &[attribute])
        .unwrap();
    world.sso.create_link(&call(), &world.root, &id, "basic_auth", "crm", true, true).unwrap();
    opened(&world, "crm");
    world.sso.begin_reset(&call(), "joe").unwrap();
    world.sso.delete_user(&call(), &world.root, &id).unwrap();
    use spanwire_store::KeyValue as _;
    for tree in TREES.iter().filter(|tree| !matches!(**tree, "sso_audit" | "sso_meta")) {
        for (key, value) in world.store.scan(tree, b"").unwrap() {
            let all = [key, value].concat();
            assert!(!contains(&all, &id) && !contains(&all, "of joe"), "{tree}");
        }
    }
    // The name is free again.
    world.create("joe");
    assert_eq!(code(world.sso.delete_user(&call(), &world.root, &id)), Code::InvalidOperation);
}

#[test]
fn inv_17_dates_come_back_as_they_were_given() {
    let world = World::new(|_| {});
    let id = world.create("joe");
    for (given, shown) in [
        ("2345-12-27T11:22:33", "2345-12-27T11:22:33.000000"),
        ("2345-12-27 11:22:33", "2345-12-27T11:22:33.000000"),
        ("2345-12-27T11:22:33.5", "2345-12-27T11:22:33.500000"),
        ("2345-12-27", "2345-12-27T00:00:00.000000"),
        ("2345-12-27T11:22:33+02:00", "2345-12-27T09:22:33.000000"),
    ] {
        world.update(&id, &json!({ "password_expiry": given })).unwrap();
        let full = world.sso.user(&call(), &world.root, &id).unwrap().full.unwrap();
        assert_eq!(full.password_expiry.to_iso().as_str(), shown);
    }
    for odd in ["", "soon", "2345-13-01"] {
        assert_eq!(code(world.update(&id, &json!({ "password_expiry": odd }))), Code::InvalidInput);
    }
}

#[test]
fn inv_20_and_58_pages_have_everybody_once_in_order() {
    let world = World::new(|_| {});
    for number in 0..25 {
        let display_name = Some(format!("Name {:02}", 24 - number));
        world.create_with(&NewUser {
            display_name,
            last_name: Some("Same".to_owned()),
            ..user(&format!("user{number}"))
        });
    }
    let find = |search: &Search| world.sso.search(&call(), &world.root, search).unwrap();
    let mut seen = Vec::new();
    for cur_page in 1..=3 {
        let search = Search {
            last_name: Some("SAME".to_owned()),
            cur_page,
            page_size: Some(10),
            ..Search::default()
        };
        let page = find(&search);
        assert_eq!(
            (page.total, page.num_pages, page.cur_page),
            (25, 3, u64::try_from(cur_page).unwrap())
        );
        seen.extend(page.result.into_iter().map(|user| user.display_name.unwrap()));
    }
    let expected: Vec<_> = (0..25).map(|number| format!("Name {number:02}")).collect();
    assert_eq!(seen, expected);
    for (page_size, expected) in
        [(Some(-1), 50), (Some(0), 50), (Some(1_000_000_000), 100), (None, 50), (Some(7), 7)]
    {
        let page = find(&Search { page_size, ..Search::default() });
        assert_eq!((page.page_size, page.total), (expected, 26));
    }
    let beyond = find(&Search { cur_page: i64::MAX, ..Search::default() });
    assert!(beyond.result.is_empty() && beyond.total == 26);
    assert_eq!(find(&Search { cur_page: -5, ..Search::default() }).cur_page, 1);
    // An id before a name before everything else.
    let id = find(&Search { username: Some("USER7".to_owned()), ..Search::default() }).result[0]
        .full
        .clone()
        .unwrap()
        .user_id;
    let search = Search {
        user_id: Some(id.clone()),
        username: Some("user8".to_owned()),
        last_name: Some("nobody".to_owned()),
        ..Search::default()
    };
    assert_eq!(find(&search).result[0].username, "user7");
    assert_eq!(find(&Search { user_id: None, ..search }).result[0].username, "user8");
}

#[test]
fn inv_23_of_many_users_with_one_name_there_is_one() {
    let world = World::new(|_| {});
    let made: usize = std::thread::scope(|scope| {
        let create = |number: usize| {
            let name = if number.is_multiple_of(2) { "Joe" } else { "ＪＯＥ" };
            world.sso.create_user_as_operator(&Call::internal("test"), &user(name), true).is_ok()
        };
        let threads: Vec<_> = (0..100).map(|number| scope.spawn(move || create(number))).collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    assert_eq!((made, world.sso.count()), (1, 2));
    assert_eq!(
        code(world.sso.create_user(&call(), &world.root, user("joe"))),
        Code::UsernameExists
    );
    let ann = world.create("ann");
    assert_eq!(code(world.update(&ann, &json!({"username": "JOE"}))), Code::UsernameExists);
    world.update(&ann, &json!({"username": "Ann"})).unwrap();
    world.login("ann").unwrap();
}

#[test]
fn inv_26_an_encrypted_address_is_found_by_its_digest_alone() {
    let world = World::new(|_| {});
    let email = |text: &str| Some(text.to_owned());
    world.create_with(&NewUser { email: email("Joe.O'Neil@example.com"), ..user("joe") });
    assert!(!contains(&world.dump(), "Neil") && !contains(&world.dump(), "example.com"));
    let find = |text: &str| {
        world.sso.search(&call(), &world.root, &Search { email: email(text), ..Search::default() })
    };
    let found = find("joe.o'neil@EXAMPLE.com").unwrap();
    assert_eq!(found.result[0].email.as_deref(), Some("Joe.O'Neil@example.com"));
    assert_eq!(find("joe@example.com").unwrap().total, 0);
    let twice = NewUser { email: email("JOE.O'NEIL@example.com"), ..user("ann") };
    assert_eq!(code(world.sso.create_user(&call(), &world.root, twice)), Code::EmailExists);
    world.set(|it| it.email_index = false);
    assert_eq!(code(find("joe.o'neil@example.com")), Code::InvalidInput);
}

#[test]
fn inv_42_names_are_texts_and_nothing_else() {
    let world = World::new(|_| {});
    for (number, name) in
        ["100%", "under_score", "quo'te\"", "\u{202e}rtl", "a\\b"].into_iter().enumerate()
    {
        world.create_with(&NewUser {
            first_name: Some(name.to_owned()),
            ..user(&format!("user{number}"))
        });
        let find = |is_name_exact| {
            let search =
                Search { first_name: Some(name.to_owned()), is_name_exact, ..Search::default() };
            world.sso.search(&call(), &world.root, &search).unwrap().total
        };
        assert_eq!((find(true), find(false)), (1, 1), "{name}");
    }
    let any =
        Search { first_name: Some("%".to_owned()), is_name_exact: false, ..Search::default() };
    assert_eq!(world.sso.search(&call(), &world.root, &any).unwrap().total, 1);
    let nul = NewUser { first_name: Some("a\0b".to_owned()), ..user("nul") };
    assert_eq!(code(world.sso.create_user(&call(), &world.root, nul)), Code::InvalidInput);
    let either = Search {
        first_name: Some("100%".to_owned()),
        last_name: Some("nobody".to_owned()),
        any_name: true,
        ..Search::default()
    };
    assert_eq!(world.sso.search(&call(), &world.root, &either).unwrap().total, 1);
    assert_eq!(
        world
            .sso
            .search(&call(), &world.root, &Search { any_name: false, ..either })
            .unwrap()
            .total,
        0
    );
}

fn request(name: &str) -> SignupRequest {
    SignupRequest {
        username: name.to_owned(),
        password: secret(GOOD),
        email: Some(format!("{name}@example.com")),
        app_list: Vec::new(),
    }
}

#[test]
fn inv_43_signing_up_is_for_applications_that_allow_it() {
    let world = World::new(|it| it.apps.all.push("ERP".to_owned()));
    let sign_up = |app: &str, list: &[&str]| {
        let list = list.iter().map(|it| (*it).to_owned()).collect();
        let request = SignupRequest { app_list: list, ..request("joe") };
        world.sso.signup(&Call { current_app: app.to_owned(), ..call() }, &request, true)
    };
    assert_eq!(code(sign_up("ERP", &[])), Code::AppNoSignup);
    assert_eq!(code(sign_up("Other", &[])), Code::AppInvalid);
    assert_eq!(code(sign_up("CRM", &["Other"])), Code::AppInvalid);
    assert_eq!(code(sign_up("CRM", &["ERP"])), Code::AppNoSignup);
    sign_up("CRM", &["CRM"]).unwrap();
}

#[test]
fn inv_45_a_sign_up_is_confirmed_once() {
    let world = World::new(|_| {});
    let signed = world.sso.signup(&call(), &request("joe"), true).unwrap();
    let token = signed.confirm_token;
    assert_eq!(code(world.login("joe")), Code::NotConfirmed);
    assert_eq!(code(world.sso.confirm_signup(&call(), &secret("nonsense"))), Code::NotAllowed);
    let confirmed: usize = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.sso.confirm_signup(&call(), &token).is_ok()))
            .collect();
        threads.into_iter().map(|thread| usize::from(thread.join().unwrap())).sum()
    });
    assert_eq!(confirmed, 1);
    assert_eq!(code(world.login("joe")), Code::NotApproved);
    world.set(|it| it.login.inform_if_not_approved = false);
    assert_eq!(code(world.login("joe")), Code::NotAllowed);
    // The welcome comes with the last of both.
    let subjects = || world.mails().iter().map(|mail| mail.subject.clone()).collect::<Vec<_>>();
    assert_eq!(subjects(), ["Confirm your account at site"]);
    world.sso.approve(&call(), &world.root, &signed.user_id).unwrap();
    assert_eq!(subjects(), ["Confirm your account at site", "Welcome to site"]);
    world.login("joe").unwrap();
    // A name that is taken is told only where the settings say so.
    assert_eq!(code(world.sso.signup(&call(), &request("JOE"), true)), Code::NotAllowed);
    world.set(|it| it.signup.inform_if_user_exists = true);
    assert_eq!(code(world.sso.signup(&call(), &request("JOE"), true)), Code::UsernameExists);
    world.set(|it| it.signup.always_return_confirm_token = Some(false));
    assert!(!world.sso.signup(&call(), &request("ann"), true).unwrap().shows_token);
}

#[test]
fn names_are_made_of_their_parts() {
    let world = World::new(|_| {});
    let parts = NewUser {
        first_name: Some(" Joe ".to_owned()),
        middle_name: Some(String::new()),
        last_name: Some("Smith".to_owned()),
        ..user("joe")
    };
    let id = world.create_with(&parts);
    let made = world.sso.user(&call(), &world.root, &id).unwrap();
    assert_eq!((made.display_name.as_deref(), made.middle_name), (Some("Joe Smith"), None));
    let search = Search { display_name: Some("joe smith".to_owned()), ..Search::default() };
    assert_eq!(world.sso.search(&call(), &world.root, &search).unwrap().total, 1);
    // A restart finds the same.
    assert_eq!(world.again().search(&call(), &world.root, &search).unwrap().total, 1);
}
