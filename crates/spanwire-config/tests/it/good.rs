//! Inputs that are accepted.

use std::fs;
use std::path::{Path, PathBuf};

use spanwire_config::{
    Existing, Import, Kind, Object, ObjectSet, OutgoingWsx, PubSubEndpoint, PubSubSubscription,
    Security, WebSocketAddress, WebSocketChannel, import, parse_str,
};

fn env(name: &str) -> Option<String> {
    match name {
        "PUBLISHER_PASSWORD" => Some("s3cret".to_owned()),
        "HOST" => Some("example.com".to_owned()),
        "PORT" => Some("48902".to_owned()),
        "NULL" => Some("null".to_owned()),
        _ => None,
    }
}

fn parse(text: &str) -> Import {
    parse_str("objects.yaml", text, &env, Existing::nothing())
        .unwrap_or_else(|problems| panic!("{problems:#?}"))
}

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/objects-example.yaml")
}

#[test]
fn the_example_imports_without_a_warning_but_for_services_that_are_built_in() {
    let set = ObjectSet::new();
    let built_in = |kind: Kind, name: &str| kind == Kind::Service && name.starts_with("zato.");
    let import = import(&[example()], &env, Existing::new(&set, &built_in)).unwrap();
    assert_eq!(import.warnings, []);
    assert_eq!(import.objects.len(), 15);

    let mut set = ObjectSet::new();
    assert_eq!(set.apply(import.objects.clone()).created, 15);
    let again = set.apply(import.objects);
    assert_eq!((again.created, again.updated, again.unchanged), (0, 0, 15));

    for kind in Kind::ALL {
        assert!(set.of_kind(kind).next().is_some(), "the example shows no {kind}");
    }
    let publisher = set.find::<Security>("publisher").unwrap();
    assert_eq!(publisher.password.as_ref().unwrap().reveal(), "s3cret");
    let channel = set.find::<WebSocketChannel>("crm.wsx").unwrap();
    assert_eq!(channel.address, WebSocketAddress::Shared { path: "/ws/crm".to_owned() });
    assert_eq!(channel.ping_interval.as_secs(), 25);
    let outconn = set.find::<OutgoingWsx>("cluster-b").unwrap();
    assert_eq!(outconn.subscription_list, ["/customer/new", "/customer/updated"]);
    let endpoint = set.find::<PubSubEndpoint>("publisher").unwrap();
    assert_eq!(endpoint.topic_patterns, ["pub=/customer/**", "sub=/customer/**"]);
    assert!(set.find::<PubSubSubscription>("publisher//customer/new").is_some());

    // The same once more, with everything there already.
    let stored = Existing::new(&set, &built_in);
    assert_eq!(spanwire_config::import(&[example()], &env, stored).unwrap().warnings, []);
}

#[test]
fn the_example_is_the_same_as_json() {
    let yaml = import(&[example()], &env, Existing::nothing()).unwrap();
    let mut sections = serde_json::Map::new();
    for object in &yaml.objects {
        let list = sections.entry(object.kind().as_str()).or_insert_with(|| serde_json::json!([]));
        list.as_array_mut().unwrap().push(object.to_revealed());
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("objects.json");
    fs::write(&path, serde_json::to_string_pretty(&sections).unwrap()).unwrap();
    let json = import(&[path], &env, Existing::nothing()).unwrap();
    assert_eq!(json.objects, yaml.objects);
}

#[test]
fn older_words_are_accepted() {
    let import = parse(
        "def_sec:
- {name: a, type: basic_auth, username: a, id: 7, opaque1: null}
outconn_plain_http:
- {name: r, host: 'http://h', connection: outgoing, transport: plain_http, security: ZATO_NONE}
channel_plain_http:
- {name: c, url_path: /c, service: s, sec_def: a, is_rate_limit_active: false, security_groups: [], has_rbac: false}
zato_generic_connection:
- {name: o, type_: outconn-wsx, address: 'ws://h:1/x', is_channel: true, pool_size: '1', security_def: a}
service:
- {name: s, url: 'http://h'}
scheduler: []
pubsub_topic:
",
    );
    assert_eq!(import.warnings, []);
    let kinds: Vec<_> = import.objects.iter().map(Object::kind).collect();
    use Kind::{ChannelRest, OutgoingRest, OutgoingWsx, Security, Service};
    assert_eq!(kinds, [Security, Service, ChannelRest, OutgoingRest, OutgoingWsx]);
}

#[test]
fn values_come_from_the_environment() {
    let import = parse(
        "security:
- name: a
  type: apikey
  password: {Zato_Enmasse_Env.PUBLISHER_PASSWORD}
- {name: b, type: apikey, password: ZatoEnmasseEnv.NULL}
outgoing_wsx:
- name: o
  address: ws://{Spanwire_Env.HOST}:{SpanwireEnv.PORT}/ws
",
    );
    let set: ObjectSet = import.objects.into_iter().collect();
    let password = |name| set.find::<Security>(name).unwrap().password.as_ref().unwrap().reveal();
    assert_eq!((password("a"), password("b")), ("s3cret", "null"));
    assert_eq!(set.find::<OutgoingWsx>("o").unwrap().address.reveal(), "ws://example.com:48902/ws");
}

#[test]
fn files_include_each_other_by_relative_paths() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    fs::create_dir(folder.path().join("sub")).unwrap();
    write(
        "main.yaml",
        "include: [sub/more.yaml, 'file://sub/more.yaml', shared.json]
security:
- file://sub/one.yaml
- {name: b, type: apikey}
pubsub_topic: file://sub/topics.yaml
",
    );
    write("sub/more.yaml", "include: [../shared.json]\nsecurity: [{name: c, type: apikey}]\n");
    write("sub/one.yaml", "name: a\ntype: apikey\n");
    write("sub/topics.yaml", "- name: /x\n- name: /y\n");
    write("shared.json", "\u{feff}{\n\t\"security\": [{\"name\": \"d\", \"type\": \"apikey\"}]\n}");
    let import = import(&[folder.path().join("main.yaml")], &env, Existing::nothing()).unwrap();
    let mut names: Vec<_> = import.objects.iter().map(Object::name).collect();
    names.sort();
    assert_eq!(names, ["/x", "/y", "a", "b", "c", "d"]);
}

#[test]
fn references_may_lead_to_what_exists() {
    let stored: ObjectSet = parse("security: [{name: app1, type: basic_auth, username: x}]")
        .objects
        .into_iter()
        .collect();
    let built_in = |kind: Kind, name: &str| kind == Kind::Service && name == "zato.ping";
    let text = "web_socket: [{name: w, address: /w, service: zato.ping, sec_def: app1}]";
    let import = parse_str("x", text, &env, Existing::new(&stored, &built_in)).unwrap();
    assert_eq!(import.warnings, []);
}

#[test]
fn a_list_of_topics_becomes_subscriptions() {
    let import = parse(
        "security: [{name: s, type: basic_auth, username: s}]
pubsub_topic: [{name: /a}, {name: /b}]
pubsub_endpoint: [{name: e, endpoint_type: rest, security_name: s, topic_patterns: [sub=/a, sub=/b]}]
pubsub_subscription:
- {name: Subscription.1, endpoint_name: e, delivery_method: pull, topic_list: [/a, /b]}
",
    );
    let names: Vec<_> = import.objects.iter().map(Object::name).collect();
    assert!(names.ends_with(&["e//a".to_owned(), "e//b".to_owned()]), "{names:?}");
}

#[test]
fn warnings_say_what_is_probably_not_meant() {
    let text = "wsx_gateway:
- {name: g, services_allowed: ['*']}
- {name: h}
web_socket: [{name: w, address: /w, service: nope, sec_def: zato-no-security, is_audit_log_sent_active: true}]
outgoing_wsx: [{name: o, address: 'ws://h', subscription_list: /a, on_message_service_name: 'o:remote'}]
pubsub_endpoint:
- {name: e, endpoint_type: internal, topic_patterns: 'pub=/*'}
- {name: f, endpoint_type: srv, service_name: 'x:y', topic_patterns: ['sub=/a', 'subs=/b']}
";
    let warnings: Vec<_> = parse(text).warnings.iter().map(ToString::to_string).collect();
    let expected = [
        "objects.yaml:2: wsx_gateway 'g', field 'services_allowed': '*' lets clients call every service",
        "objects.yaml:3: wsx_gateway 'h', field 'services_allowed': names no service",
        "objects.yaml:4: web_socket 'w', field 'is_audit_log_sent_active': is not supported and has no effect",
        "objects.yaml:4: web_socket 'w', field 'service': there is no service 'nope' yet",
        "objects.yaml:5: outgoing_wsx 'o', field 'subscription_list': has no effect without 'is_zato: true'",
        "objects.yaml:7: pubsub_endpoint 'e', field 'topic_patterns': 'pub=/*' means every topic",
        "objects.yaml:8: pubsub_endpoint 'f', field 'topic_patterns': 'subs=/b' begins neither",
        "objects.yaml:8: pubsub_endpoint 'f', field 'service_name': there is no service 'x:y' yet",
    ];
    assert_eq!(warnings.len(), expected.len(), "{warnings:#?}");
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(expected), "{warning}");
    }
}

#[test]
fn an_empty_input_is_an_empty_import() {
    for text in ["", "# nothing\n", "{}", "security:\n", "security: []\n"] {
        assert_eq!(parse(text), Import::default(), "{text:?}");
    }
}
