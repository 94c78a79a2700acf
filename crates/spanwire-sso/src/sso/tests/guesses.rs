//! Guessing passwords and codes.

use serde_json::json;
use spanwire_crypto::totp;

use super::*;

fn with_totp(world: &World) -> Secret {
    let key = totp::new_key().unwrap();
    world.create_with(&NewUser {
        is_totp_enabled: true,
        totp_key: Some(key.clone()),
        ..user("joe")
    });
    key
}

#[test]
fn inv_07_without_a_code_nobody_with_codes_logs_in() {
    let world = World::new(|_| {});
    let key = with_totp(&world);
    assert_eq!(code(world.login("joe")), Code::TotpMissing);
    assert_eq!(code(world.login_with("joe", "wrong password 12345", None)), Code::NotAllowed);
    assert_eq!(code(world.login_with("joe", GOOD, Some("000000x"))), Code::NotAllowed);
    world.set(|it| it.login.inform_if_totp_missing = false);
    assert_eq!(code(world.login("joe")), Code::NotAllowed);
    let right = world.totp(&key, 0);
    world.login_with("joe", GOOD, Some(&right)).unwrap();
}

#[test]
fn inv_28_wrong_passwords_are_slowed_down_and_lock_nobody_out() {
    let world = World::new(|_| {});
    world.create("joe");
    for _ in 0..1_000 {
        assert_eq!(code(world.login_with("joe", "wrong password 12345", None)), Code::NotAllowed);
    }
    // Not even the right one is looked at here; from elsewhere it is.
    assert_eq!(code(world.login("joe")), Code::NotAllowed);
    let login = || Login { username: "joe".to_owned(), password: secret(GOOD), ..Login::default() };
    world.sso.login(&from("198.51.100.9"), &login()).unwrap();
    world.pass(61);
    world.login("joe").unwrap();
}

/// Existing applications fail a few times in a row without being slowed down (reference sso 3).
#[test]
fn a_few_failures_delay_nobody() {
    let world = World::new(|_| {});
    world.create("joe");
    for _ in 0..50 {
        for _ in 0..4 {
            world.login_with("joe", "wrong password 12345", None).unwrap_err();
        }
        world.pass(2);
        world.login("joe").unwrap();
    }
}

#[test]
fn inv_29_one_address_guesses_for_many_users_for_a_while_only() {
    let world = World::new(|it| it.login.failures_per_address = 50);
    world.create("joe");
    for number in 0..200 {
        world.login_with(&format!("user{number}"), "Spring password 2026", None).unwrap_err();
    }
    assert_eq!(code(world.login("joe")), Code::NotAllowed);
    world.pass(61);
    world.login("joe").unwrap();
}

#[test]
fn inv_30_codes_are_not_guessed() {
    let world = World::new(|_| {});
    let key = with_totp(&world);
    let mut looked_at = 0;
    // Each from another address: whoever has the password is not slowed down by addresses alone.
    for number in 0..1_000_u32 {
        let login = Login {
            username: "joe".to_owned(),
            password: secret(GOOD),
            totp_code: Some(format!("{number:06}")),
            ..Login::default()
        };
        let address = std::net::Ipv4Addr::from(0x0a00_0000 + number).to_string();
        let result = world.sso.login(&from(&address), &login);
        looked_at += usize::from(matches!(result, Err(SsoError::Refused(_))));
    }
    assert!(looked_at <= 6, "{looked_at} codes were looked at");
    world.pass(31);
    let right = world.totp(&key, 0);
    world.login_with("joe", GOOD, Some(&right)).unwrap();
}

#[test]
fn inv_31_a_code_works_once() {
    let world = World::new(|_| {});
    let key = with_totp(&world);
    let right = world.totp(&key, 0);
    world.login_with("joe", GOOD, Some(&right)).unwrap();
    assert_eq!(code(world.login_with("joe", GOOD, Some(&right))), Code::NotAllowed);
    // A restart does not forget it.
    let login = Login {
        username: "joe".to_owned(),
        password: secret(GOOD),
        totp_code: Some(right.clone()),
        ..Login::default()
    };
    assert_eq!(code(world.again().login(&call(), &login)), Code::NotAllowed);
    world.pass(30);
    world.login_with("joe", GOOD, Some(&world.totp(&key, 0))).unwrap();
    world.set(|it| it.totp.reject_replay = Some(false));
    let right = world.totp(&key, 1);
    for _ in 0..2 {
        world.login_with("joe", GOOD, Some(&right)).unwrap();
    }
}

#[test]
fn inv_31_of_two_logins_at_once_with_one_code_one_succeeds() {
    let world = World::new(|_| {});
    let key = with_totp(&world);
    let right = world.totp(&key, 0);
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| world.login_with("joe", GOOD, Some(&right)).is_ok()))
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(results.iter().filter(|is_ok| **is_ok).count(), 1);
}

#[test]
fn inv_32_codes_come_in_many_forms() {
    let world = World::new(|it| it.totp.reject_replay = Some(false));
    let key = with_totp(&world);
    let right = world.totp(&key, 0);
    world.login_with("joe", GOOD, Some(&format!(" {right}"))).unwrap();
    world
        .login_with("joe", GOOD, Some(&format!("{} {}", right.split_at(3).0, right.split_at(3).1)))
        .unwrap();
    for odd in [None, Some(""), Some("   ")] {
        assert_eq!(code(world.login_with("joe", GOOD, odd)), Code::TotpMissing);
    }
    for odd in [right.split_at(5).0, &format!("{right}0"), "１２３４５６", "-12345", "1e5000"]
    {
        world.pass(31);
        assert_eq!(code(world.login_with("joe", GOOD, Some(odd))), Code::NotAllowed, "{odd}");
    }
}

#[test]
fn inv_44_signing_up_has_a_limit_for_each_address() {
    let world = World::new(|it| it.signup.per_address = 3);
    let sign_up = |name: &str| {
        let request = crate::SignupRequest {
            username: name.to_owned(),
            password: secret(GOOD),
            email: Some(format!("{name}@example.com")),
            app_list: Vec::new(),
        };
        world.sso.signup(&call(), &request, true)
    };
    for name in ["a1", "a2", "a3"] {
        sign_up(name).unwrap();
    }
    assert_eq!(code(sign_up("a4")), Code::NotAllowed);
    world.pass(3_601);
    sign_up("a4").unwrap();
}

/// W14: whoever finds an open session does not take the second factor away.
#[test]
fn codes_are_turned_off_by_a_fresh_login_or_a_code() {
    let world = World::new(|_| {});
    let key = with_totp(&world);
    let token = world.login_with("joe", GOOD, Some(&world.totp(&key, 0))).unwrap().token;
    world.pass(20 * 60);
    let update = |fields: serde_json::Value| {
        world.sso.update_user(&call(), &token, None, fields.as_object().unwrap())
    };
    let reset =
        |code: Option<&str>| world.sso.reset_totp_key(&call(), &token, None, "", "phone", code);
    assert_eq!(code(update(json!({"is_totp_enabled": false}))), Code::NotAllowed);
    assert_eq!(code(reset(None)), Code::NotAllowed);
    assert_eq!(code(reset(Some("000000"))), Code::NotAllowed);
    let new = reset(Some(&world.totp(&key, 0))).unwrap();
    assert_ne!(new.expose(), key.expose());
    update(json!({"is_totp_enabled": false, "totp_code": world.totp(&new, 0)})).unwrap();
    world.login("joe").unwrap();
}

/// Coarse: what the bench measures within two parts of a hundred.
#[test]
fn inv_27_time_does_not_tell_who_exists() {
    let world = World::new(|it| {
        it.hash.rounds = 20_000;
        (it.login.failures, it.login.failures_per_address) = (100_000, 1_000_000);
    });
    world.create("joe");
    world.create_with(&NewUser { is_locked: true, ..user("locked") });
    let cases =
        [("nobody", "wrong password 12345"), ("joe", "wrong password 12345"), ("locked", GOOD)];
    let mut took = cases.map(|_| Vec::new());
    for _ in 0..31 {
        for ((name, password), took) in cases.iter().zip(&mut took) {
            let begun = Instant::now();
            world.login_with(name, password, None).unwrap_err();
            took.push(begun.elapsed());
        }
    }
    let medians = took.map(|mut all| {
        all.sort();
        all[all.len() / 2].as_secs_f64()
    });
    // Without a hash for who does not exist it would be a thousandth.
    assert!(medians.iter().all(|it| (0.5..2.0).contains(&(it / medians[1]))), "{medians:?}");
}
