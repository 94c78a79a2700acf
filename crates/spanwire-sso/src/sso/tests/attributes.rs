//! Attributes.

use serde_json::{Value, json};

use super::*;
use crate::sso::attributes::{AttributeInput, Scope};

fn input(name: &str, value: Value) -> AttributeInput {
    AttributeInput { name: name.to_owned(), value: Some(value), ..AttributeInput::default() }
}

fn own() -> Scope {
    Scope::User(None)
}

struct Attributes<'a> {
    world: &'a World,
    token: Secret,
}

impl Attributes<'_> {
    fn get(&self, scope: &Scope, name: &str) -> Option<Value> {
        let found = self
            .world
            .sso
            .attributes(&call(), &self.token, scope, &[name.to_owned()], true)
            .unwrap();
        found.into_iter().next().unwrap().map(|found| found.value)
    }

    fn create(&self, inputs: &[AttributeInput]) -> Result<(), SsoError> {
        self.world.sso.create_attributes(&call(), &self.token, &own(), inputs)
    }

    fn update(&self, inputs: &[AttributeInput]) -> Result<(), SsoError> {
        self.world.sso.update_attributes(&call(), &self.token, &own(), inputs)
    }

    fn set(&self, inputs: &[AttributeInput]) -> Result<(), SsoError> {
        self.world.sso.set_attributes(&call(), &self.token, &own(), inputs)
    }
}

fn attributes(world: &World) -> Attributes<'_> {
    Attributes { world, token: world.joe().1 }
}

#[test]
fn inv_13_names_are_unique_and_scopes_are_worlds_of_their_own() {
    let world = World::new(|_| {});
    let joe = attributes(&world);
    joe.create(&[input("a", json!(1))]).unwrap();
    assert_eq!(code(joe.create(&[input("a", json!(2))])), Code::AttributeExists);
    let session = Scope::Session(joe.token.clone());
    world
        .sso
        .create_attributes(&call(), &joe.token, &session, &[input("a", json!("of the session"))])
        .unwrap();
    let other = Scope::Session(world.login("joe").unwrap().token);
    assert_eq!(joe.get(&own(), "a"), Some(json!(1)));
    assert_eq!(joe.get(&session, "a"), Some(json!("of the session")));
    assert_eq!(joe.get(&other, "a"), None);
    // With the session its attributes go.
    world.sso.logout(&call(), &joe.token).unwrap();
    assert!(!contains(&world.dump(), "of the session"));
}

#[test]
fn inv_14_what_has_expired_is_not_there() {
    let world = World::new(|_| {});
    let joe = attributes(&world);
    joe.create(&[AttributeInput { expiration: Some(10), ..input("a", json!(1)) }]).unwrap();
    assert_eq!(joe.get(&own(), "a"), Some(json!(1)));
    world.pass(10);
    assert_eq!(joe.get(&own(), "a"), None);
    let names = || world.sso.attribute_names(&call(), &joe.token, &own()).unwrap();
    let exist = world.sso.attributes_exist(&call(), &joe.token, &own(), &["a".to_owned()]).unwrap();
    assert_eq!((names(), exist), (vec![], vec![false]));
    assert_eq!(code(joe.update(&[input("a", json!(2))])), Code::NoSuchAttribute);
    joe.create(&[input("a", json!(3))]).unwrap();
    assert_eq!(joe.get(&own(), "a"), Some(json!(3)));
    // An expiry can be changed without the value.
    joe.update(&[AttributeInput {
        name: "a".to_owned(),
        expiration: Some(5),
        ..AttributeInput::default()
    }])
    .unwrap();
    assert_eq!(joe.get(&own(), "a"), Some(json!(3)));
    world.pass(5);
    assert_eq!(joe.get(&own(), "a"), None);
    assert_eq!(world.sso.clean_up().unwrap(), 1);
}

#[test]
fn inv_15_and_52_what_is_encrypted_stays_so_until_somebody_says_otherwise() {
    let world = World::new(|_| {});
    let joe = attributes(&world);
    let encrypted =
        |name: &str, text: &str| AttributeInput { encrypt: Some(true), ..input(name, json!(text)) };
    joe.create(&[encrypted("a", "secret-one"), input("plain", json!("open-one"))]).unwrap();
    let stored = |text: &str| contains(&world.dump(), text);
    assert!(!stored("secret-one") && stored("open-one"));
    joe.update(&[input("a", json!("secret-two"))]).unwrap();
    joe.set(&[input("a", json!("secret-three"))]).unwrap();
    joe.update(&[AttributeInput {
        name: "a".to_owned(),
        expiration: Some(100),
        ..AttributeInput::default()
    }])
    .unwrap();
    assert!(!stored("secret-two") && !stored("secret-three"));
    assert_eq!(joe.get(&own(), "a"), Some(json!("secret-three")));
    joe.set(&[encrypted("plain", "open-one")]).unwrap();
    assert!(!stored("open-one"));
    // Without being decrypted it is shown as it is stored.
    let found =
        world.sso.attributes(&call(), &joe.token, &own(), &["a".to_owned()], false).unwrap();
    let found = found[0].as_ref().unwrap();
    assert!(found.is_encrypted && found.value.as_str().unwrap().starts_with("gAAAA"));
    joe.update(&[AttributeInput { encrypt: Some(false), ..input("a", json!("no more")) }]).unwrap();
    assert!(stored("no more"));
}

#[test]
fn inv_16_several_are_all_or_none() {
    let world = World::new(|_| {});
    let joe = attributes(&world);
    joe.create(&[input("b", json!(0))]).unwrap();
    assert_eq!(
        code(joe.create(&[input("a", json!(1)), input("b", json!(2)), input("c", json!(3))])),
        Code::AttributeExists
    );
    assert_eq!(world.sso.attribute_names(&call(), &joe.token, &own()).unwrap(), ["b"]);
    let large = input("d", json!("x".repeat(9_000)));
    assert_eq!(code(joe.set(&[input("c", json!(1)), large])), Code::InvalidInput);
    assert_eq!(code(joe.set(&[])), Code::InvalidInput);
    assert_eq!(code(joe.set(&[input("", json!(1))])), Code::InvalidInput);
    assert_eq!(code(joe.set(&[input(&"x".repeat(192), json!(1))])), Code::InvalidInput);
    assert_eq!(world.sso.attribute_names(&call(), &joe.token, &own()).unwrap(), ["b"]);
}

#[test]
fn items_may_be_of_several_users_for_super_users() {
    let world = World::new(|_| {});
    let (joe, token) = world.joe();
    let ann = world.create("ann");
    let of = |id: &str, name: &str| AttributeInput {
        user_id: Some(id.to_owned()),
        ..input(name, json!(name))
    };
    let items = [of(&joe, "a"), of(&ann, "b"), input("c", json!(1)), of(&joe, "d")];
    assert_eq!(
        code(world.sso.create_attributes(&call(), &token, &own(), &items)),
        Code::NotAllowed
    );
    world.sso.create_attributes(&call(), &world.root, &own(), &items).unwrap();
    let names = |id: &str| {
        world.sso.attribute_names(&call(), &world.root, &Scope::User(Some(id.to_owned()))).unwrap()
    };
    assert_eq!(
        (names(&joe), names(&ann)),
        (vec!["a".to_owned(), "d".to_owned()], vec!["b".to_owned()])
    );
    assert_eq!(world.sso.attribute_names(&call(), &world.root, &own()).unwrap(), ["c"]);
}

#[test]
fn inv_53_setting_one_name_at_once_is_no_error() {
    let world = World::new(|_| {});
    let joe = attributes(&world);
    std::thread::scope(|scope| {
        for number in 0..100 {
            let joe = &joe;
            scope.spawn(move || joe.set(&[input("a", json!(number))]).unwrap());
        }
    });
    assert_eq!(world.sso.attribute_names(&call(), &joe.token, &own()).unwrap(), ["a"]);
    assert!(joe.get(&own(), "a").unwrap().as_u64().unwrap() < 100);
}
