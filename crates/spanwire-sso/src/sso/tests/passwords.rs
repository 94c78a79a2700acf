//! Passwords: their hashes, their end, and new ones.

use serde_json::json;

use super::*;
use crate::sso::passwords::PasswordChange;

const OTHER: &str = "another horse another staple";

fn change(old: Option<&str>, new: &str) -> PasswordChange {
    PasswordChange { new: secret(new), old: old.map(secret), expiry_days: None, must_change: None }
}

#[test]
fn inv_18_a_password_that_expires_soon_warns_and_one_that_has_is_of_no_use() {
    let world = World::new(|_| {});
    let id = world.create("joe");
    let expires_in = |seconds: i64| {
        let at =
            Timestamp::from_microseconds(world.clock.now().as_microseconds() + seconds * 1_000_000);
        world.update(&id, &json!({"password_expiry": at.to_iso().as_str()})).unwrap();
    };
    let threshold = 30 * 86_400;
    expires_in(threshold - 1);
    assert!(world.login("joe").unwrap().warns_of_expiry);
    expires_in(threshold + 1);
    assert!(!world.login("joe").unwrap().warns_of_expiry);
    expires_in(0);
    assert_eq!(code(world.login("joe")), Code::NotAllowed);
    world.set(|it| it.password.inform_if_expired = true);
    assert_eq!(code(world.login("joe")), Code::PasswordExpired);
    assert_eq!(code(world.login_with("joe", "wrong password 12345", None)), Code::NotAllowed);
    expires_in(10);
    world.set(|it| it.password.log_in_if_about_to_expire = false);
    assert_eq!(code(world.login("joe")), Code::PasswordExpiresSoonRefused);
}

#[test]
fn inv_21_a_reset_works_once_each_way_and_for_its_own_user() {
    let world = World::new(|_| {});
    let email = Some("joe@example.com".to_owned());
    world.create_with(&NewUser { email, ..user("joe") });
    let begin = || {
        world.sso.begin_reset(&call(), "joe").unwrap();
        token_of(&world)
    };
    let token = begin();
    let key = world.sso.access_reset(&call(), &token).unwrap();
    assert_eq!(code(world.sso.access_reset(&call(), &token)), Code::ResetNotPossible, "used");
    for (token, key) in [
        (secret("x"), key.clone()),
        (token.clone(), secret("gAAAAx")),
        (token.clone(), token.clone()),
    ] {
        assert_eq!(
            code(world.sso.complete_reset(&call(), &token, &key, &secret(OTHER))),
            Code::ResetNotPossible
        );
    }
    world.sso.complete_reset(&call(), &token, &key, &secret(OTHER)).unwrap();
    assert_eq!(
        code(world.sso.complete_reset(&call(), &token, &key, &secret(GOOD))),
        Code::ResetNotPossible,
        "used"
    );
    world.login_with("joe", OTHER, None).unwrap();
    // Too late, before and after the key was given.
    let token = begin();
    world.pass(3_600);
    assert_eq!(code(world.sso.access_reset(&call(), &token)), Code::ResetNotPossible);
    let token = begin();
    let key = world.sso.access_reset(&call(), &token).unwrap();
    world.pass(1_800);
    assert_eq!(
        code(world.sso.complete_reset(&call(), &token, &key, &secret(GOOD))),
        Code::ResetNotPossible
    );
}

fn token_of(world: &World) -> Secret {
    let text = world.mails().last().unwrap().text.clone();
    let line = text.lines().find(|line| line.starts_with("  ")).unwrap();
    secret(line.trim())
}

#[test]
fn inv_22_hashes_verify_after_the_settings_changed_and_are_made_anew_at_login() {
    let world = World::new(|_| {});
    let id = world.create("joe");
    let stored = || world.sso.store().user(&id).unwrap().unwrap().password.clone();
    let (first, scheme) = (stored(), world.sso.settings().scheme());
    world.login("joe").unwrap();
    assert_eq!(stored(), first, "nothing to do");
    world.set(|it| it.hash.rounds = 2_000);
    world.login("joe").unwrap();
    let hash = world.sso.0.sealer.load_hash(&id, &stored()).unwrap();
    assert!(!scheme.made(&hash) && world.sso.settings().scheme().made(&hash));
    world.set(|it| {
        (it.hash.scheme, it.hash.memory_kib) = (crate::settings::HashScheme::Argon2id, 64)
    });
    world.login("joe").unwrap();
    let hash = world.sso.0.sealer.load_hash(&id, &stored()).unwrap();
    assert!(hash.expose().starts_with("$argon2id$"), "{hash:?}");
    world.set(|it| it.encrypt_password = false);
    world.login("joe").unwrap();
    assert!(stored().starts_with("$argon2id$"));
    world.login("joe").unwrap();
    assert_eq!(code(world.login_with("joe", "wrong password 12345", None)), Code::NotAllowed);
}

#[test]
fn inv_46_a_reset_is_begun_for_those_who_may_have_one_and_nobody_is_told() {
    let world = World::new(|_| {});
    let joe =
        world.create_with(&NewUser { email: Some("joe@example.com".to_owned()), ..user("joe") });
    let locked =
        NewUser { email: Some("l@example.com".to_owned()), is_locked: true, ..user("locked") };
    world.create_with(&locked);
    world.create("mailless");
    let ann =
        world.create_with(&NewUser { email: Some("ann@example.com".to_owned()), ..user("ann") });
    world.sso.reject(&call(), &world.root, &ann).unwrap();
    for name in ["nobody", "locked", "mailless", "ann", ""] {
        world.sso.begin_reset(&call(), name).unwrap();
    }
    assert_eq!(world.mails().len(), 0);
    world.sso.begin_reset(&call(), "JOE").unwrap();
    assert_eq!((world.mails().len(), world.mails()[0].to.as_str()), (1, "joe@example.com"));
    world.set(|it| it.password_reset.user_search_by = crate::settings::SearchBy::Email);
    world.sso.begin_reset(&call(), "joe").unwrap();
    assert_eq!(world.mails().len(), 1);
    world.sso.begin_reset(&call(), "Joe@Example.com").unwrap();
    assert_eq!(world.mails().len(), 2);
    world.sso.delete_user(&call(), &world.root, &joe).unwrap();
    world.sso.begin_reset(&call(), "joe@example.com").unwrap();
    assert_eq!(world.mails().len(), 2);
}

#[test]
fn inv_47_only_the_newest_token_works() {
    let world = World::new(|_| {});
    world.create_with(&NewUser { email: Some("joe@example.com".to_owned()), ..user("joe") });
    world.sso.begin_reset(&call(), "joe").unwrap();
    let first = token_of(&world);
    world.sso.begin_reset(&call(), "joe").unwrap();
    assert_eq!(code(world.sso.access_reset(&call(), &first)), Code::ResetNotPossible);
    world.sso.access_reset(&call(), &token_of(&world)).unwrap();
}

#[test]
fn inv_48_a_bad_new_password_spoils_nothing_and_a_good_one_ends_everything_before() {
    let world = World::new(|_| {});
    world.create_with(&NewUser { email: Some("joe@example.com".to_owned()), ..user("joe") });
    let session = world.login("joe").unwrap().token;
    world.sso.begin_reset(&call(), "joe").unwrap();
    let token = token_of(&world);
    let key = world.sso.access_reset(&call(), &token).unwrap();
    assert_eq!(
        code(world.sso.complete_reset(&call(), &token, &key, &secret("short"))),
        Code::PasswordTooShort
    );
    assert!(world.good(&session));
    world.sso.complete_reset(&call(), &token, &key, &secret(OTHER)).unwrap();
    assert!(!world.good(&session));
}

#[test]
fn inv_50_a_password_that_must_change_lets_nobody_in_without_a_good_new_one() {
    for informs in [true, false] {
        let world = World::new(|it| {
            it.password.inform_if_must_be_changed = informs;
            it.password.inform_if_invalid = informs;
        });
        world.create_with(&NewUser { password_must_change: true, ..user("joe") });
        let login = |new: Option<&str>| {
            let login = Login {
                username: "joe".to_owned(),
                password: secret(GOOD),
                new_password: new.map(secret),
                ..Login::default()
            };
            world.sso.login(&call(), &login)
        };
        let told = |code| if informs { code } else { Code::NotAllowed };
        assert_eq!(code(login(None)), told(Code::PasswordMustSendNew));
        assert_eq!(code(login(Some(""))), told(Code::PasswordMustSendNew));
        assert_eq!(code(login(Some("short"))), told(Code::PasswordTooShort));
        assert_eq!(code(login(Some(GOOD))), told(Code::PasswordInvalid), "the same again");
        assert!(world.sso.sessions_as_operator(&Call::internal("t"), "joe").unwrap().is_empty());
        login(Some(OTHER)).unwrap();
        world.login_with("joe", OTHER, None).unwrap();
        assert_eq!(code(world.login("joe")), Code::NotAllowed);
    }
}

#[test]
fn inv_51_an_expired_password_is_changed_by_a_reset_alone() {
    let world = World::new(|_| {});
    let id =
        world.create_with(&NewUser { email: Some("joe@example.com".to_owned()), ..user("joe") });
    let token = world.login("joe").unwrap().token;
    world.update(&id, &json!({"password_expiry": "2001-01-01"})).unwrap();
    let login = Login {
        username: "joe".to_owned(),
        password: secret(GOOD),
        new_password: Some(secret(OTHER)),
        ..Login::default()
    };
    assert_eq!(code(world.sso.login(&call(), &login)), Code::NotAllowed);
    assert_eq!(
        code(world.sso.change_password(&call(), &token, None, &change(Some(GOOD), OTHER))),
        Code::NotAllowed
    );
    world.sso.begin_reset(&call(), "joe").unwrap();
    let token = token_of(&world);
    let key = world.sso.access_reset(&call(), &token).unwrap();
    world.sso.complete_reset(&call(), &token, &key, &secret(OTHER)).unwrap();
    world.login_with("joe", OTHER, None).unwrap();
}

#[test]
fn a_password_is_changed_by_its_owner_with_the_old_one_or_by_a_super_user() {
    let world = World::new(|_| {});
    let (id, token) = world.joe();
    let second = world.login("joe").unwrap().token;
    let own = |old: Option<&str>, new: &str| {
        world.sso.change_password(&call(), &token, None, &change(old, new))
    };
    assert_eq!(code(own(Some("wrong password 12345"), OTHER)), Code::NotAllowed);
    assert_eq!(code(own(None, OTHER)), Code::NotAllowed);
    assert_eq!(code(own(Some(GOOD), "short")), Code::NotAllowed);
    own(Some(GOOD), OTHER).unwrap();
    assert!(world.good(&token) && !world.good(&second), "the others end, this one does not");
    // History: not the one before, either.
    assert_eq!(code(own(Some(OTHER), GOOD)), Code::NotAllowed);
    let by_root = |new: &str, days| {
        let change =
            PasswordChange { expiry_days: days, must_change: Some(true), ..change(None, new) };
        world.sso.change_password(&call(), &world.root, Some(&id), &change)
    };
    assert_eq!(code(by_root("short", None)), Code::PasswordTooShort);
    by_root("yet another long staple", Some(10)).unwrap();
    let full = world.sso.user(&call(), &world.root, &id).unwrap().full.unwrap();
    assert!(full.password_must_change);
    let left = full.password_expiry.as_microseconds() - world.clock.now().as_microseconds();
    assert_eq!(left, 10 * 86_400 * 1_000_000);
    let ann = world.create("ann");
    let token = world.login("ann").unwrap().token;
    assert_eq!(
        code(world.sso.change_password(&call(), &token, Some(&id), &change(None, OTHER))),
        Code::InvalidInput
    );
    world.sso.change_password(&call(), &token, Some(&ann), &change(Some(GOOD), OTHER)).unwrap();
    let unknown =
        world.sso.change_password(&call(), &world.root, Some("zusrnobody"), &change(None, OTHER));
    assert_eq!(code(unknown), Code::UserIdInvalid);
}

#[test]
fn whoever_warns_is_told_whose_password_expires() {
    let world = World::new(|_| {});
    let id =
        world.create_with(&NewUser { email: Some("joe@example.com".to_owned()), ..user("joe") });
    let locked = world.create("ann");
    for (id, expiry) in [(&id, "2023-11-20T00:00:00"), (&locked, "2001-01-01T00:00:00")] {
        world.update(id, &json!({ "password_expiry": expiry })).unwrap();
    }
    world.update(&locked, &json!({"is_locked": true})).unwrap();
    let found = world.sso.expiring_passwords(&Call::internal("test")).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].username.as_str(), found[0].email.as_deref()),
        ("joe", Some("joe@example.com"))
    );
    assert!(!found[0].is_password_expired);
    world.pass(10 * 86_400);
    assert!(world.sso.expiring_passwords(&Call::internal("test")).unwrap()[0].is_password_expired);
}

#[test]
fn passwords_that_many_have_are_none() {
    let world = World::new(|it| it.password.min_length = Some(8));
    for common in ["iloveyou1", "sunshine1", "abcdefgh", "charlie1"] {
        let new = NewUser { password: Some(secret(common)), ..user("joe") };
        assert_eq!(
            code(world.sso.create_user(&call(), &world.root, new)),
            Code::PasswordInvalid,
            "{common}"
        );
    }
    world.set(|it| it.password.reject_common = Some(false));
    let new = NewUser { password: Some(secret("iloveyou1")), ..user("joe") };
    world.sso.create_user(&call(), &world.root, new).unwrap();
}
