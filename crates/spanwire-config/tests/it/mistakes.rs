//! Inputs that are refused: one mistake, one message.

use std::fs;

use spanwire_config::{Existing, MAX_FILE, MAX_PROBLEMS, ObjectSet, import, parse_str};

const SECRET: &str = "hunter2-secret";

fn env(name: &str) -> Option<String> {
    (name == "SECRET").then(|| SECRET.to_owned())
}

fn problems(text: &str) -> Vec<String> {
    match parse_str("o.yaml", text, &env, Existing::nothing()) {
        Ok(_) => panic!("accepted: {text}"),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

/// An input with one mistake and how the message begins.
const CASES: &[(&str, &str)] = &[
    // The text itself
    ("security: [", "o.yaml:"),
    ("a: b: c", "o.yaml:1: not valid YAML"),
    ("- a", "o.yaml:1: a file is kinds with lists of objects, like 'security:', not a list"),
    (
        "hello",
        "o.yaml:1: a file is kinds with lists of objects, like 'security:', not a single value",
    ),
    ("security: []\nsecurity: []", "o.yaml:2: key 'security' is given twice"),
    ("security: &a []", "o.yaml:1: anchors (&name) and aliases"),
    ("security: []\n---\nsecurity: []", "o.yaml:2: a second document begins here"),
    // Kinds
    (
        "web_sockets: [{name: x}]",
        "o.yaml:1: unknown kind 'web_sockets', did you mean 'web_socket'?",
    ),
    ("colours: []", "o.yaml:1: unknown kind 'colours': the kinds are security, service, "),
    (
        "scheduler: [{name: x}]",
        "o.yaml:1: there are no 'scheduler' objects in Spanwire: remove them",
    ),
    (
        "security: {name: x}",
        "o.yaml:1: 'security' is a list of objects, each beginning with '- ', not a mapping",
    ),
    (
        "security: x",
        "o.yaml:1: 'security' is a list of objects, each beginning with '- ', not a single value",
    ),
    (
        "security:\n- x",
        "o.yaml:2: security: an object is keys with values, like 'name: x', not a single value",
    ),
    (
        "zato_generic_connection:\n- {name: x, type_: cloud-jira}",
        "o.yaml:2: zato_generic_connection objects must have 'type_: outconn-wsx'",
    ),
    ("include: [x.yaml]", "o.yaml:1: 'x.yaml' cannot be included, as this text is not a file"),
    (
        "security:\n- file://x.yaml",
        "o.yaml:2: 'x.yaml' cannot be included, as this text is not a file",
    ),
    ("include: [{a: b}]", "o.yaml:1: 'include' is a list of files"),
    // Keys
    ("security:\n- type: apikey", "o.yaml:2: security, field 'name': is missing: add it"),
    (
        "security:\n- {name: '', type: apikey}",
        "o.yaml:2: security, field 'name': is empty: write a name",
    ),
    (
        "security:\n- {name: x, type: apikey, pasword: y}",
        "o.yaml:2: security 'x', field 'pasword': unknown key, did you mean 'password'?",
    ),
    (
        "security:\n- {name: x, type: apikey, colour: y}",
        "o.yaml:2: security 'x', field 'colour': unknown key: remove it or correct its spelling",
    ),
    (
        "security:\n- {name: x, type: apikey, password:hunter2-secret}",
        "o.yaml:2: security 'x', field 'password…': unknown key: write a space between ':' and the value",
    ),
    (
        "security:\n- {name: x, type: apikey, password: a, secret: b}",
        "o.yaml:2: security 'x', field 'secret': is another word for 'password', which is given too",
    ),
    (
        "security:\n- name: x\n  type: apikey\n  name: y",
        "o.yaml:4: key 'name' is given twice: keep one of the two",
    ),
    // Security
    (
        "security:\n- {name: x}",
        "o.yaml:2: security 'x', field 'type': is missing: write one of basic_auth, apikey",
    ),
    (
        "security:\n- {name: x, type: jwt}",
        "o.yaml:2: security 'x', field 'type': 'jwt' is not accepted, use one of: basic_auth, apikey",
    ),
    (
        "security:\n- {name: x, type: basic-auth, username: x}",
        "o.yaml:2: security 'x', field 'type': 'basic-auth' is not accepted, use one of: basic_auth, apikey, sso, did you mean 'basic_auth'?",
    ),
    (
        "security:\n- {name: x, type: basic_auth}",
        "o.yaml:2: security 'x', field 'username': is missing: basic_auth needs a username",
    ),
    (
        "security:\n- {name: x, type: basic_auth, username: 'a:b'}",
        "o.yaml:2: security 'x', field 'username': a username of basic_auth has no ':'",
    ),
    (
        "security:\n- {name: x, type: apikey, password: ''}",
        "o.yaml:2: security 'x', field 'password': is empty: leave the key out",
    ),
    (
        "security:\n- {name: x, type: apikey, password: '***'}",
        "o.yaml:2: security 'x', field 'password': '***' stands for a secret",
    ),
    (
        "security:\n- {name: x, type: apikey, password: [hunter2-secret]}",
        "o.yaml:2: security 'x', field 'password': a single value is expected, not a list",
    ),
    (
        "security:\n- {name: x, type: apikey, password: \"hunter2-secret\\n\"}",
        "o.yaml:2: security 'x', field 'password': contains a line break",
    ),
    (
        "security:\n- {name: x, type: apikey, header: 'X Key'}",
        "o.yaml:2: security 'x', field 'header': the name of an HTTP header like X-API-Key is expected, not 'X Key'",
    ),
    (
        "security:\n- {name: x, type: apikey, password: Spanwire_Env.NOPE}",
        "o.yaml:2: security 'x', field 'password': environment variable 'NOPE' is not set",
    ),
    (
        "security:\n- {name: x, type: Spanwire_Env.SECRET}",
        "o.yaml:2: security 'x', field 'type': the value is not accepted, use one of",
    ),
    (
        "security:\n- {name: x, type: apikey}\n- {name: x, type: apikey}",
        "o.yaml:3: security 'x': is defined twice, first in line 2: remove or rename one",
    ),
    // Services and gateways
    ("service:\n- {name: x}", "o.yaml:2: service 'x', field 'url': is missing: add it"),
    (
        "service:\n- {name: x, url: 'ftp://h'}",
        "o.yaml:2: service 'x', field 'url': write a URL that begins with http:// or https://",
    ),
    (
        "service:\n- {name: x, url: 'http://h/?a=b&token=***'}",
        "o.yaml:2: service 'x', field 'url': '***' stands for a secret that is not shown: write the secret",
    ),
    (
        "outgoing_rest:\n- {name: r, host: 'http://h?api_key=***'}",
        "o.yaml:2: outgoing_rest 'r', field 'host': '***' stands for a secret",
    ),
    (
        "outgoing_wsx:\n- {name: o, address: 'ws://h?token=***&x=y'}",
        "o.yaml:2: outgoing_wsx 'o', field 'address': '***' stands for a secret",
    ),
    (
        "service:\n- {name: x, url: 'http://'}",
        "o.yaml:2: service 'x', field 'url': the host is missing after '://'",
    ),
    (
        "service:\n- {name: x, url: 'http://u:hunter2-secret@h'}",
        "o.yaml:2: service 'x', field 'url': credentials do not belong into a URL",
    ),
    (
        "service:\n- {name: x, url: 'http://h:0'}",
        "o.yaml:2: service 'x', field 'url': nobody can be reached at port 0",
    ),
    (
        "service:\n- {name: x, url: 'http://h', timeout: soon}",
        "o.yaml:2: service 'x', field 'timeout': a time from 1ms to 1d, like 5, 5s, 500ms, 2m or 1h (seconds without a unit), is expected, not 'soon'",
    ),
    (
        "service:\n- {name: x, url: 'http://h', timeout: 0}",
        "o.yaml:2: service 'x', field 'timeout': a time from 1ms to 1d",
    ),
    (
        "service:\n- {name: x, url: 'http://h', method: 'GE T'}",
        "o.yaml:2: service 'x', field 'method': an HTTP method like GET or POST is expected, not 'GE T'",
    ),
    (
        "service:\n- {name: x, url: 'http://h', security_name: y}",
        "o.yaml:2: service 'x', field 'security_name': there is no security 'y': define it or correct the name",
    ),
    (
        "wsx_gateway:\n- {name: x, services_allowed: {a: b}}",
        "o.yaml:2: wsx_gateway 'x', field 'services_allowed': a list, or one text with an item per line",
    ),
    (
        "wsx_gateway:\n- {name: x, services_allowed: [[a]]}",
        "o.yaml:2: wsx_gateway 'x', field 'services_allowed': each item must be a text, not a list",
    ),
    // WebSocket channels
    (
        "web_socket:\n- {name: w, address: /w, service: s}",
        "o.yaml:2: web_socket 'w', field 'sec_def': is missing: name a security definition, or write 'zato-no-security'",
    ),
    (
        "web_socket:\n- name: w\n  address: ws://h/w\n  service: s\n  sec_def: zato-no-security",
        "o.yaml:3: web_socket 'w', field 'address': the port is missing",
    ),
    (
        "web_socket:\n- {name: w, address: w, service: s, sec_def: zato-no-security}",
        "o.yaml:2: web_socket 'w', field 'address': write a URL that begins with ws:// or wss://; a path alone",
    ),
    (
        "web_socket:\n- {name: w, address: 'wss://h:1/w', service: s, sec_def: zato-no-security, tls_key_file: k}",
        "o.yaml:2: web_socket 'w', field 'tls_cert_file': is missing: a wss:// address needs it",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, tls_key_file: k}",
        "o.yaml:2: web_socket 'w', field 'tls_key_file': is only for an address that begins with wss://",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, token_tll: 5}",
        "o.yaml:2: web_socket 'w', field 'token_tll': unknown key, did you mean 'token_ttl'?",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, max_in_flight: 0}",
        "o.yaml:2: web_socket 'w', field 'max_in_flight': a whole number from 1 to 65536 is expected, not '0'",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, max_in_flight: 1.5}",
        "o.yaml:2: web_socket 'w', field 'max_in_flight': a whole number",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, max_message_size: 16MB}",
        "o.yaml:2: web_socket 'w', field 'max_message_size': a number of bytes from 1024",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, is_active: perhaps}",
        "o.yaml:2: web_socket 'w', field 'is_active': true or false is expected, not 'perhaps'",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, data_format: xml}",
        "o.yaml:2: web_socket 'w', field 'data_format': 'xml' is not accepted, use one of: json",
    ),
    (
        "web_socket:\n- {name: w, address: /w, service: s, sec_def: zato-no-security, allowed_origins: ['https://a/b']}",
        "o.yaml:2: web_socket 'w', field 'allowed_origins': an origin is a scheme, a host and perhaps a port",
    ),
    (
        "security: [{name: app1, type: apikey}]\nweb_socket:\n- {name: w, address: /w, service: s, sec_def: app2}",
        "o.yaml:3: web_socket 'w', field 'sec_def': there is no security 'app2', did you mean 'app1'?",
    ),
    (
        "security: [{name: k, type: apikey}]\nweb_socket:\n- {name: w, address: /w, service: s, sec_def: k}",
        "o.yaml:3: web_socket 'w', field 'sec_def': names an apikey without a username",
    ),
    (
        "web_socket:\n- {name: v, address: /w, service: s, sec_def: zato-no-security}\n- {name: w, address: /w, service: s, sec_def: zato-no-security}",
        "o.yaml:3: web_socket 'w', field 'address': is used by web_socket 'v' already: change one",
    ),
    (
        "web_socket:\n- {name: v, address: 'ws://h:1/v', service: s, sec_def: zato-no-security}\n- {name: w, address: 'wss://h:1/w', service: s, sec_def: zato-no-security, tls_cert_file: c, tls_key_file: k}",
        "o.yaml:3: web_socket 'w', field 'address': web_socket 'v' speaks ws:// on the same host and port",
    ),
    // REST channels
    (
        "channel_rest:\n- {name: c, url_path: c, service: s}",
        "o.yaml:2: channel_rest 'c', field 'url_path': a path begins with '/'",
    ),
    (
        "channel_rest:\n- {name: c, url_path: '/c/{', service: s}",
        "o.yaml:2: channel_rest 'c', field 'url_path': the braces in the path do not match",
    ),
    (
        "channel_rest:\n- {name: c, url_path: /c}",
        "o.yaml:2: channel_rest 'c', field 'service': is missing: add it",
    ),
    (
        "channel_rest:\n- {name: c, url_path: /c, service: s, security_groups: [g]}",
        "o.yaml:2: channel_rest 'c', field 'security_groups': is not supported, and without it the channel would be more open",
    ),
    (
        "channel_rest:\n- {name: c, url_path: /c, service: s, security_name: x}",
        "o.yaml:2: channel_rest 'c', field 'security_name': there is no security 'x'",
    ),
    (
        "channel_rest:\n- {name: c, url_path: '/c/{id}', method: get, service: s}\n- {name: d, url_path: '/c/{x}', method: GET, service: s}",
        "o.yaml:3: channel_rest 'd', field 'url_path': is used by channel_rest 'c' with the same method already",
    ),
    (
        "channel_rest:\n- {name: c, url_path: /c, service: s, params_pri: msg}",
        "o.yaml:2: channel_rest 'c', field 'params_pri': 'msg' is not accepted, use one of: channel-params-over-msg",
    ),
    // Outgoing connections
    (
        "outgoing_rest:\n- {name: r}",
        "o.yaml:2: outgoing_rest 'r', field 'host': is missing: add it",
    ),
    (
        "outgoing_wsx:\n- {name: o, address: 'http://h'}",
        "o.yaml:2: outgoing_wsx 'o', field 'address': write a URL that begins with ws:// or wss://",
    ),
    (
        "outgoing_wsx:\n- {name: o, address: 'ws://h', pool_size: many}",
        "o.yaml:2: outgoing_wsx 'o', field 'pool_size': a whole number from 1 to 1000 is expected, not 'many'",
    ),
    (
        "outgoing_wsx:\n- {name: o, address: 'ws://h', ping_interval: Spanwire_Env.SECRET}",
        "o.yaml:2: outgoing_wsx 'o', field 'ping_interval': a time from 1s to 1d",
    ),
    (
        "security: [{name: k, type: apikey}]\noutgoing_wsx:\n- {name: o, address: 'ws://h', security_name: k}",
        "o.yaml:3: outgoing_wsx 'o', field 'security_name': must be a basic_auth definition",
    ),
    // Publish/subscribe
    (
        "pubsub_topic:\n- {name: /ü}",
        "o.yaml:2: pubsub_topic '/ü', field 'name': the name of a topic is ASCII only",
    ),
    (
        "pubsub_topic:\n- {name: /t, max_depth_gd: -1}",
        "o.yaml:2: pubsub_topic '/t', field 'max_depth_gd': a whole number from 1",
    ),
    (
        "pubsub_topic:\n- {name: /t, limit_retention: 11 years}",
        "o.yaml:2: pubsub_topic '/t', field 'limit_retention': a time of at most ten years",
    ),
    (
        "pubsub_endpoint:\n- {name: e, endpoint_type: amqp}",
        "o.yaml:2: pubsub_endpoint 'e', field 'endpoint_type': 'amqp' is not accepted, use one of: rest, wsx, srv, internal",
    ),
    (
        "pubsub_endpoint:\n- {name: e, endpoint_type: rest, topic_patterns: pub=/a}",
        "o.yaml:2: pubsub_endpoint 'e', field 'security_name': is missing: without it nobody",
    ),
    (
        "pubsub_endpoint:\n- {name: e, endpoint_type: wsx, ws_channel_name: w, topic_patterns: pub=/a}",
        "o.yaml:2: pubsub_endpoint 'e', field 'ws_channel_name': there is no web_socket 'w'",
    ),
    (
        "security: [{name: s, type: apikey}]\npubsub_endpoint:\n- {name: e, endpoint_type: rest, security_name: s}\n- {name: f, endpoint_type: rest, security_name: s}",
        "o.yaml:4: pubsub_endpoint 'f', field 'security_name': is used by pubsub_endpoint 'e' already",
    ),
    (
        "security: [{name: s, type: apikey}]\npubsub_endpoint:\n- {name: e, endpoint_type: rest, security_name: s}\npubsub_subscription:\n- {endpoint_name: e}",
        "o.yaml:5: pubsub_subscription, field 'topic_name': is missing: add it",
    ),
    (
        "pubsub_topic: [{name: /t}]\npubsub_subscription:\n- {endpoint_name: e, topic_name: /t}",
        "o.yaml:3: pubsub_subscription 'e//t', field 'endpoint_name': there is no pubsub_endpoint 'e'",
    ),
    (
        "pubsub_endpoint: [{name: e, endpoint_type: internal}]\npubsub_subscription:\n- {endpoint_name: e, topic_list: [/t]}",
        "o.yaml:3: pubsub_subscription 'e//t', field 'topic_name': there is no pubsub_topic '/t'",
    ),
    (
        "pubsub_subscription:\n- {endpoint_name: e, topic_list: []}",
        "o.yaml:2: pubsub_subscription, field 'topic_list': is empty: name a topic",
    ),
    (
        "security: [{name: s, type: apikey}]\npubsub_topic: [{name: /t}]\npubsub_endpoint: [{name: e, endpoint_type: rest, security_name: s}]\npubsub_subscription:\n- {endpoint_name: e, topic_name: /t, delivery_method: notify}",
        "o.yaml:5: pubsub_subscription 'e//t', field 'rest_connection': is missing: a rest endpoint",
    ),
];

#[test]
fn each_mistake_has_its_message_and_no_other() {
    for (text, expected) in CASES {
        let found = problems(text);
        assert_eq!(found.len(), 1, "{text}\n{found:#?}");
        assert!(
            found[0].starts_with(expected),
            "{text}\n  found    {}\n  expected {expected}",
            found[0]
        );
        assert!(!found[0].contains(SECRET), "{}", found[0]);
    }
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let found = problems(
        "security:
- {name: a, type: jwt, pasword: hunter2-secret}
web_sockets: []
web_socket:
- name: w
  address: ws
  sec_def: b
  token_ttl: long
  ping_interval: Spanwire_Env.NOPE
channel_rest:
- {name: c, url_path: /c, service: s, security_name: a}
- {name: d, url_path: /c, service: s, security_name: nobody}
",
    );
    let lines: Vec<_> = found.iter().map(|problem| problem.split(' ').next().unwrap()).collect();
    let expected = [2, 2, 3, 5, 6, 7, 8, 9, 12, 12].map(|line| format!("o.yaml:{line}:"));
    assert_eq!(lines, expected, "{found:#?}");
    assert!(!found.concat().contains(SECRET));
}

#[test]
fn mistakes_in_included_files_name_those_files() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    let check = |name: &str, expected: &str| {
        let path = folder.path().join(name);
        let found = import(&[path], &env, Existing::nothing()).unwrap_err();
        assert_eq!(found.len(), 1, "{found:#?}");
        let text = found[0].to_string().replace(&format!("{}/", folder.path().display()), "");
        assert!(text.starts_with(expected), "{text}\n{expected}");
    };
    write("self.yaml", "security: []\ninclude: [self.yaml]\n");
    check("self.yaml", "self.yaml:2: 'self.yaml' includes itself: remove this include");
    write("a.yaml", "include: [b.yaml]\n");
    write("b.yaml", "include:\n- a.yaml\n");
    check("a.yaml", "b.yaml:2: 'a.yaml' includes itself");
    write("missing.yaml", "include: [nowhere.yaml]\n");
    check("missing.yaml", "missing.yaml:1: 'nowhere.yaml' cannot be included: cannot be read (");
    check("nowhere.yaml", "nowhere.yaml: cannot be read (");
    write("bad.yaml", "\n\nsecurity: [{name: x}]\n");
    write("good.yaml", "include: [bad.yaml]\n");
    check("good.yaml", "bad.yaml:3: security 'x', field 'type': is missing");
    write("one.yaml", "security: [{name: x, type: apikey}]\n");
    write("two.yaml", "include: [one.yaml]\nsecurity: [{name: x, type: apikey}]\n");
    check("two.yaml", "two.yaml:2: security 'x': is defined twice, first in line 1 of one.yaml");
    fs::write(folder.path().join("latin.yaml"), b"a: \xe9").unwrap();
    check("latin.yaml", "latin.yaml: is not UTF-8: save it as UTF-8");
    write("large.yaml", &"#".repeat(MAX_FILE + 1));
    check("large.yaml", "large.yaml: is larger than 10 MiB: split it");
}

#[test]
fn stored_objects_take_part() {
    let parse = |text: &str, set: &ObjectSet| {
        parse_str("o.yaml", text, &env, Existing::new(set, &|_, _| false))
    };
    let text = "web_socket: [{name: v, address: /w, service: s, sec_def: zato-no-security}]";
    let set: ObjectSet = parse(text, &ObjectSet::new()).unwrap().objects.into_iter().collect();
    assert!(parse(text, &set).is_ok());
    let found = parse(&text.replace("name: v", "name: w"), &set).unwrap_err();
    assert!(found[0].to_string().contains("is used by web_socket 'v' already"), "{found:?}");
    // The stored channel moves away in the same input.
    let both = "web_socket:
- {name: w, address: /w, service: s, sec_def: zato-no-security}
- {name: v, address: /v, service: s, sec_def: zato-no-security}";
    assert!(parse(both, &set).is_ok());
}

#[test]
fn the_number_of_problems_is_bounded() {
    let text = format!("security:\n{}", "- {nam: x}\n".repeat(50_000));
    assert_eq!(problems(&text).len(), MAX_PROBLEMS);
    let wide: String = (0..50_000).map(|i| format!("  k{i}: 1\n")).collect();
    assert_eq!(problems(&format!("security:\n- name: x\n{wide}")).len(), MAX_PROBLEMS);
}

proptest::proptest! {
    #[test]
    fn any_text_is_accepted_or_refused(
        kind in "security|service|web_socket|channel_rest|outgoing_wsx|pubsub_subscription|include",
        key in "name|type|address|url_path|url|sec_def|topic_list|topic_patterns|token_ttl|password",
        value in "\\PC{0,30}|[\\[\\]{}:,'\"&*#/a1 .-]{0,30}",
    ) {
        let _ = parse_str("x", &value, &env, Existing::nothing());
        let text = format!("{kind}:\n- name: x\n  {key}: {value}\n");
        let _ = parse_str("x", &text, &env, Existing::nothing());
    }
}
