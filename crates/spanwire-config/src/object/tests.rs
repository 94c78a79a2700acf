use std::collections::BTreeSet;

use super::*;
use crate::spec::Effect;
use crate::{Existing, parse_str};

/// One object of each kind, with every key that has no default or cannot have every value.
pub(crate) fn full() -> Vec<(Kind, Json)> {
    let mut objects = without_labels();
    for (_, object) in &mut objects {
        object["labels"] = json!(["team/crm"]);
    }
    objects
}

fn without_labels() -> Vec<(Kind, Json)> {
    vec![
        (
            Kind::Security,
            json!({"name": "s", "type": "basic_auth", "username": "u", "password": "hunter2", "realm": "r"}),
        ),
        (
            Kind::Service,
            json!({"name": "x", "url": "https://h/x?api_key=hunter2", "security_name": "s", "ca_file": "ca.pem"}),
        ),
        (Kind::WsxGateway, json!({"name": "g", "services_allowed": ["a.*"]})),
        (
            Kind::WebSocket,
            json!({"name": "w", "address": "wss://[::1]:1/w", "service": "g", "sec_def": "s",
                "tls_cert_file": "c", "tls_key_file": "k", "service_timeout": "1500ms",
                "ordered_replies": true, "max_message_size": "1MiB", "outgoing_queue_size": 65536,
                "unsub_on_wsx_close": false, "on_connect_service": "x", "on_disconnect_service": "x",
                "allowed_origins": ["https://a.b"]}),
        ),
        (
            Kind::ChannelRest,
            json!({"name": "c", "url_path": "/a/{id}", "service": "x", "security_name": "s", "data_format": "json",
                "timeout": 5, "content_type": "text/plain", "content_encoding": "gzip",
                "cors_origins": "*", "url_params_pri": "path-over-qs", "params_pri": "msg-over-channel-params"}),
        ),
        (
            Kind::OutgoingRest,
            json!({"name": "r", "host": "http://h", "security_name": "s", "ca_file": "f", "data_format": "form",
                "content_type": "a/b"}),
        ),
        (
            Kind::OutgoingWsx,
            json!({"name": "o", "address": "wss://h/x?token=hunter2", "security_name": "s", "data_format": "json",
                "ca_file": "f", "tls_cert_file": "c", "tls_key_file": "k", "tls_check_host_name": false,
                "on_connect_service_name": "x", "on_message_service_name": "x",
                "on_close_service_name": "x", "on_subscribe_service_name": "x", "max_connect_attempts": 7,
                "subscription_list": "/a\n/b", "is_zato": true}),
        ),
        (
            Kind::PubsubTopic,
            json!({"name": "/t", "limit_retention": "1d", "limit_message_expiry": 60, "hook_service_name": "x",
                "target_service_name": "x", "on_no_subs_pub": "drop"}),
        ),
        (
            Kind::PubsubEndpoint,
            json!({"name": "e", "endpoint_type": "rest", "security_name": "s", "ws_channel_name": "w",
                "service_name": "x", "topic_patterns": "pub=/t", "role": "pub-only"}),
        ),
        (
            Kind::PubsubSubscription,
            json!({"endpoint_name": "e", "topic_name": "/t", "delivery_method": "notify", "rest_connection": "r",
                "service_name": "x", "wrap_one_msg_in_list": true, "active_status": "disabled"}),
        ),
    ]
}

fn object(kind: Kind, value: &Json) -> Object {
    Object::from_json(kind, value).unwrap_or_else(|problems| panic!("{kind}: {problems:?}"))
}

#[test]
fn the_structs_have_exactly_the_keys_of_the_description() {
    for (kind, value) in full() {
        let fields: BTreeSet<_> = object(kind, &value).fields().keys().cloned().collect();
        let mut expected: BTreeSet<_> = KindSpec::of(kind)
            .fields()
            .filter(|field| field.effect == Effect::Applied)
            .map(|field| field.key.to_owned())
            .collect();
        assert_eq!(fields, std::mem::take(&mut expected), "{kind}");
    }
}

#[test]
fn every_word_of_a_choice_and_every_bound_is_accepted() {
    for (kind, value) in full() {
        for field in KindSpec::of(kind).fields().filter(|field| field.effect == Effect::Applied) {
            let values: Vec<Json> = match field.value {
                ValueType::Choice(words) => words.iter().map(|word| (*word).into()).collect(),
                ValueType::Integer { min, max } | ValueType::Size { min, max } => {
                    vec![min.into(), max.into()]
                }
                ValueType::Duration { min_ms, max_ms } => {
                    vec![format!("{min_ms}ms").into(), format!("{max_ms}ms").into()]
                }
                _ => continue,
            };
            for candidate in values {
                let mut value = value.clone();
                value[field.key] = candidate;
                let made = object(kind, &value);
                assert_eq!(object(kind, &made.to_revealed()), made);
            }
        }
    }
}

#[test]
fn objects_survive_every_form() {
    let encrypt = |text: &str| Ok::<_, String>(text.chars().rev().collect::<String>());
    for (kind, value) in full() {
        let made = object(kind, &value);
        assert_eq!(made.kind(), kind);
        assert_eq!(object(kind, &made.to_revealed()), made);
        let stored = made.to_stored(&encrypt).unwrap();
        assert!(!stored.to_string().contains("hunter2"), "{stored}");
        assert_eq!(Object::from_stored(kind, &stored, &encrypt).unwrap(), made);
    }
}

#[test]
fn minimal_objects_survive_every_form() {
    let minimal = [
        (Kind::Security, json!({"name": "s", "type": "apikey"})),
        (
            Kind::WebSocket,
            json!({"name": "w", "address": "/w", "service": "g", "sec_def": "zato-no-security"}),
        ),
        (
            Kind::ChannelRest,
            json!({"name": "c", "url_path": "/", "service": "x", "security_name": "ZATO_NONE"}),
        ),
        (
            Kind::PubsubTopic,
            json!({"name": "/t", "limit_retention": 0, "limit_sub_inactivity": null}),
        ),
    ];
    let plain = |text: &str| Ok::<_, String>(text.to_owned());
    for (kind, value) in minimal {
        let made = object(kind, &value);
        let stored = made.to_stored(&plain).unwrap();
        assert_eq!(Object::from_stored(kind, &stored, &plain).unwrap(), made, "{stored}");
    }
}

#[test]
fn secrets_are_masked_where_objects_are_shown() {
    for (kind, value) in full() {
        let made = object(kind, &value);
        assert!(!format!("{made:?}").contains("hunter2"), "{made:?}");
        assert!(!made.to_masked().to_string().contains("hunter2"));
    }
    let masked = object(Kind::Security, &full()[0].1).to_masked();
    assert_eq!(masked["password"], "***");
    let url = object(Kind::OutgoingWsx, &full()[6].1).to_masked();
    assert_eq!(url["address"], "wss://h/x?token=***");
}

#[test]
fn masks_are_not_taken_for_secrets() {
    for (kind, value) in full() {
        let made = object(kind, &value);
        if made.secrets().is_empty() {
            continue;
        }
        let problems = Object::from_json(kind, &made.to_masked()).unwrap_err();
        assert!(problems[0].to_string().contains("stands for"), "{problems:?}");
    }
}

#[test]
fn what_cannot_be_read_from_the_store_is_an_error_without_secrets() {
    let stored = json!({"name": "s", "type": "apikey", "password": {"encrypted": "x"}});
    let failing = |_: &str| Err::<String, _>("no key".to_owned());
    let error = Object::from_stored(Kind::Security, &stored, &failing).unwrap_err();
    assert!(error.to_string().contains("restore the key"), "{error}");
    let ok = |_: &str| Ok::<_, String>("hunter2\n".to_owned());
    let error = Object::from_stored(Kind::Security, &stored, &ok).unwrap_err().to_string();
    assert!(
        error.contains("field 'password': contains a line break") && !error.contains("hunter2")
    );
    for value in [json!(null), json!([]), json!("x"), json!({"name": {"a": 1}})] {
        assert!(Object::from_stored(Kind::Security, &value, &ok).is_err());
    }
}

#[test]
fn json_takes_nothing_from_the_environment() {
    let value = json!({"name": "s", "type": "apikey", "password": "Spanwire_Env.HOME"});
    let Object::Security(security) = object(Kind::Security, &value) else { panic!() };
    assert_eq!(security.password.unwrap().reveal(), "Spanwire_Env.HOME");
}

#[test]
fn defaults_are_those_of_the_reference() {
    let text = "web_socket:\n- {name: w, address: /w, service: g, sec_def: zato-no-security}\n\
                outgoing_wsx:\n- {name: o, address: 'ws://h'}\n\
                service:\n- {name: g, url: 'http://h'}\n\
                security:\n- {name: s, type: apikey}\n";
    let import = parse_str("x", text, &|_| None, Existing::nothing()).unwrap();
    let set: crate::ObjectSet = import.objects.into_iter().collect();
    let channel = set.find::<WebSocketChannel>("w").unwrap();
    let seconds = [
        channel.new_token_wait_time,
        channel.token_ttl,
        channel.ping_interval,
        channel.ping_timeout,
    ];
    assert_eq!(seconds.map(|time| time.as_secs()), [5, 3600, 45, 5]);
    assert_eq!((channel.pings_missed_threshold, channel.max_in_flight), (2, 64));
    assert_eq!((channel.sec_def.as_ref(), channel.ordered_replies), (None, None));
    let outconn = set.find::<OutgoingWsx>("o").unwrap();
    assert_eq!((outconn.pool_size, outconn.pings_missed_threshold), (1, 1));
    assert!(outconn.has_auto_reconnect && !outconn.is_zato);
    let service = set.find::<HttpService>("g").unwrap();
    assert_eq!((service.method.as_str(), service.timeout.as_secs()), ("POST", 10));
    let security = set.find::<Security>("s").unwrap();
    assert_eq!((security.header.as_str(), &security.password), ("X-API-Key", &None));
}
