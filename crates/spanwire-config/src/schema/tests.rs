use jsonschema::Validator;

use super::*;
use crate::document::{Content, Node};
use crate::object::Object;
use crate::object::tests::full;
use crate::problem::{Report, Source};
use crate::{Existing, parse_str};

fn compiled(schema: &Json) -> Validator {
    jsonschema::draft202012::meta::validate(schema).unwrap_or_else(|error| panic!("{error}"));
    jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("{error}"))
}

fn why(validator: &Validator, value: &Json) -> Vec<String> {
    validator.iter_errors(value).map(|it| format!("{}: {it}", it.instance_path())).collect()
}

/// Objects with nothing but what is required.
fn minimal() -> Vec<(Kind, Json)> {
    vec![
        (Kind::Security, json!({"name": "s", "type": "apikey"})),
        (Kind::Service, json!({"name": "x", "url": "http://h"})),
        (Kind::WsxGateway, json!({"name": "g"})),
        (
            Kind::WebSocket,
            json!({"name": "w", "address": "/", "service": "x", "sec_def": "zato-no-security"}),
        ),
        (Kind::ChannelRest, json!({"name": "c", "url_path": "/", "service": "o:x"})),
        (Kind::OutgoingRest, json!({"name": "r", "host": "https://[::1]:8080"})),
        (Kind::OutgoingWsx, json!({"name": "o", "address": "ws://ü.example/ws?x=1"})),
        (Kind::PubsubTopic, json!({"name": "/t"})),
        (Kind::PubsubEndpoint, json!({"name": "e", "endpoint_type": "internal"})),
        (Kind::PubsubSubscription, json!({"endpoint_name": "e", "topic_name": "/t"})),
    ]
}

#[test]
fn objects_in_their_normal_form_satisfy_their_schemas() {
    for (kind, value) in full().into_iter().chain(minimal()) {
        let made = Object::from_json(kind, &value).unwrap();
        let (body, patch) = (compiled(&object(kind)), compiled(&patch(kind)));
        let whole = made.to_revealed();
        assert_eq!(why(&body, &whole), [""; 0], "{whole}");
        assert_eq!(why(&patch, &whole), [""; 0], "{whole}");
        assert!(patch.is_valid(&json!({})));
        let mut masked = made.to_masked();
        masked["version"] = 7.into();
        assert_eq!(why(&compiled(&shown(kind)), &masked), [""; 0], "{masked}");
    }
    for (kind, value) in minimal() {
        assert_eq!(why(&compiled(&object(kind)), &value), [""; 0], "{value}");
    }
}

#[test]
fn what_must_be_given_is_required_and_not_null() {
    for (kind, value) in full() {
        let (body, patch) = (compiled(&object(kind)), compiled(&patch(kind)));
        let whole = Object::from_json(kind, &value).unwrap().to_revealed();
        for field in applied(kind) {
            let (mut without, mut null) = (whole.clone(), whole.clone());
            without.as_object_mut().unwrap().remove(field.key);
            null[field.key] = Json::Null;
            let is_accepted = Object::from_json(kind, &without).is_ok();
            for value in [&without, &null] {
                assert_eq!(body.is_valid(value), is_accepted, "{kind}.{}", field.key);
            }
            assert!(patch.is_valid(&without));
            assert_eq!(patch.is_valid(&null), !field.required, "{kind}.{}", field.key);
        }
    }
}

#[test]
fn schema_and_validation_agree_about_values() {
    let long = |n: usize| Json::from("x".repeat(n));
    let mut values = vec![
        json!(true),
        json!(0),
        json!(1),
        json!(-1),
        json!(7),
        json!(1023),
        json!(1024),
        json!(86_400),
        json!(86_401),
        json!(1_000_000_001),
        json!(u64::MAX),
        json!(1.5),
        json!(""),
        json!("x"),
        json!("***"),
        json!("a b"),
        json!("a\nb"),
        json!("é"),
        json!("yes"),
        json!("json"),
        json!("/"),
        json!("/a/{id}"),
        json!("/a/{id}.{x}"),
        json!("/a{"),
        json!("/{a}{b}"),
        json!("/a?b"),
        json!("/a b"),
        json!("http://h"),
        json!("http://h:0"),
        json!("http://h:80"),
        json!("http://u@h"),
        json!("http://h/#x"),
        json!("http://h/?key=***"),
        json!("ftp://h"),
        json!("http://h?a=b"),
        json!("ws://h"),
        json!("ws://h:0/"),
        json!("wss://[::1]:1/x"),
        json!("ws://h:1/x?y"),
        json!("ws://h:1/{x}"),
        json!("GET"),
        json!("G T"),
        json!("0"),
        json!("5s"),
        json!("1500ms"),
        json!("5 weeks"),
        json!("64KiB"),
        json!("1 TiB"),
        json!("*"),
        json!("a\u{0}b"),
        json!("rest"),
        json!("zato-no-security"),
        json!(["a"]),
        json!([]),
        json!(["a b"]),
        json!(["https://a.b:8", "*"]),
        json!(["https://a.b/"]),
        json!(["sub=/a"]),
        json!(["sub="]),
        json!([[]]),
        json!([{}]),
        json!({}),
        json!({"a": 1}),
        json!((0..33).map(|n| n.to_string()).collect::<Vec<_>>()),
    ];
    values.extend([long(63), long(64), long(65), long(200), long(201)]);
    for (kind, value) in full() {
        let body = compiled(&object(kind));
        for field in applied(kind) {
            for value_of_field in &values {
                let mut value = Object::from_json(kind, &value).unwrap().to_revealed();
                value[field.key] = value_of_field.clone();
                let made = Object::from_json(kind, &value);
                let is_strict = body.is_valid(&value);
                let about = format!("{kind}.{} = {value_of_field}", field.key);
                match &made {
                    Err(problems) => assert!(!is_strict, "{about}: {problems:?}"),
                    Ok(made) if made.to_revealed() == value => {
                        assert!(is_strict, "{about}: {:?}", why(&body, &value));
                    }
                    Ok(_) => {}
                }
            }
        }
    }
}

#[test]
fn broken_bodies_are_refused_by_both() {
    let broken = [
        (Kind::Security, json!({"name": "s", "type": "basic_auth"})),
        (Kind::Security, json!({"name": "s", "type": "basic_auth", "username": "a:b"})),
        (Kind::Security, json!({"name": "s", "type": "jwt"})),
        (Kind::Security, json!({"name": "s", "type": "apikey", "password": ""})),
        (Kind::Security, json!({"name": "s", "type": "apikey", "password": "***"})),
        (Kind::Service, json!({"name": "x", "url": "http://h?token=***"})),
        (Kind::Service, json!({"name": "x", "url": "http://h", "timeout": "soon"})),
        (Kind::Service, json!({"name": "", "url": "http://h"})),
        (Kind::WsxGateway, json!({"name": "g", "services": []})),
        (Kind::WsxGateway, json!([])),
        (Kind::WebSocket, json!({"name": "w", "address": "/w", "service": "x"})),
        (
            Kind::WebSocket,
            json!({"name": "w", "address": "wss://h:1/", "service": "x", "sec_def": "s"}),
        ),
        (
            Kind::WebSocket,
            json!({"name": "w", "address": "/", "service": "x", "sec_def": "s", "tls_key_file": "f"}),
        ),
        (Kind::ChannelRest, json!({"name": "c", "url_path": "c", "service": "x"})),
        (
            Kind::ChannelRest,
            json!({"name": "c", "url_path": "/", "service": "x", "has_rbac": true}),
        ),
        (Kind::OutgoingRest, json!({"name": "r", "host": "http://h", "pool_size": 0})),
        (Kind::OutgoingWsx, json!({"name": "o", "address": "http://h"})),
        (Kind::OutgoingWsx, json!({"name": "o", "address": "wss://h", "tls_cert_file": "c"})),
        (Kind::OutgoingWsx, json!({"name": "o", "address": "wss://h", "tls_key_file": "k"})),
        (Kind::PubsubTopic, json!({"name": "/ü"})),
        (Kind::PubsubTopic, json!({"name": "/t", "labels": ["a b"]})),
        (Kind::PubsubEndpoint, json!({"name": "e", "endpoint_type": "rest"})),
        (Kind::PubsubEndpoint, json!({"name": "e", "endpoint_type": "wsx", "security_name": "s"})),
        (Kind::PubsubSubscription, json!({"endpoint_name": "e", "topic_name": null})),
        (
            Kind::PubsubSubscription,
            json!({"endpoint_name": "e", "topic_name": "/t", "delivery_method": "push"}),
        ),
    ];
    for (kind, value) in broken {
        assert!(!compiled(&object(kind)).is_valid(&value), "{kind}: {value}");
        assert!(Object::from_json(kind, &value).is_err(), "{kind}: {value}");
    }
}

/// The value that an editor sees; plain scalars as YAML's core schema reads them.
fn as_an_editor_sees_it(node: &Node) -> Json {
    match &node.content {
        Content::Scalar(_) if node.is_null() => Json::Null,
        Content::Scalar(scalar) if scalar.is_plain => {
            let number = || scalar.text.parse::<i64>().ok().map(Json::from);
            let boolean = || scalar.text.parse::<bool>().ok().map(Json::from);
            number().or_else(boolean).unwrap_or_else(|| scalar.text.clone().into())
        }
        Content::Scalar(scalar) => scalar.text.clone().into(),
        Content::List(items) => items.iter().map(as_an_editor_sees_it).collect(),
        Content::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.clone(), as_an_editor_sees_it(&entry.value)))
            .collect(),
    }
}

fn seen(text: &str) -> Json {
    let node = Node::parse(text, &Source::default(), &mut Report::default());
    as_an_editor_sees_it(&node.unwrap())
}

#[test]
fn files_that_import_satisfy_the_schema_of_files() {
    let schema = compiled(&file());
    let files = [
        include_str!("../../examples/objects-example.yaml"),
        "",
        "include: [a.yaml, 'file://b.yaml']\nsecurity: file://c.yaml\nscheduler: []\nservice:\n",
        "include: a.yaml\nsecurity:\n- file://one.yaml\n",
        "def_sec:
- {name: 7, type_: basic_auth, username: yes, password: 12345, id: 7, opaque1: null}
outconn_plain_http:
- {name: r, host: 'http://h', connection: outgoing, security: ZATO_NONE, pool_size: '5', timeout: 2 m}
channel_plain_http:
- {name: c, url_path: /c, service_name: s, sec_def: a, is_rate_limit_active: true, security_groups: [], has_rbac: false}
zato_generic_connection:
- {name: o, type_: outconn-wsx, address: 'ws://{Spanwire_Env.HOST}:1/x', is_zato: Yes, labels: a}
security:
- name: a
  type: apikey
  password: {Zato_Enmasse_Env.PASSWORD}
  is_active: Spanwire_Env.ACTIVE
pubsub_subscription:
- {name: Subscription.1, endpoint: e, delivery_method: '', topic_list: [/a, /b]}
",
    ];
    for text in files {
        assert_eq!(why(&schema, &seen(text)), [""; 0], "{text}");
    }
}

#[test]
fn files_with_mistakes_do_not_satisfy_it() {
    let schema = compiled(&file());
    let files = [
        "- a",
        "colours: []",
        "scheduler: [{name: x}]",
        "security: {name: x}",
        "security:\n- x",
        "security:\n- {name: x}",
        "security:\n- {name: x, type: jwt}",
        "security:\n- {name: x, type: apikey, pasword: y}",
        "security:\n- {name: x, type: apikey, type_: apikey}",
        "security:\n- {name: x, type: apikey, labels: {a: b}}",
        "service:\n- {name: x, url: 'ftp://h'}",
        "outgoing_rest:\n- {name: r, host: 'http://h', pool_size: many}",
        "channel_rest:\n- {name: c, url_path: /c, service: s, has_rbac: true}",
        "zato_generic_connection:\n- {name: x, type_: cloud-jira}",
        "include: [{a: b}]",
    ];
    for text in files {
        assert!(!schema.is_valid(&seen(text)), "{text}");
        assert!(parse_str("x", text, &|_| None, Existing::nothing()).is_err(), "{text}");
    }
}
