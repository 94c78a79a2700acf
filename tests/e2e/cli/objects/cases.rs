//! One object of every kind, and a key of it that is changed.

use serde_json::{Value, json};

/// What the objects refer to.
pub(super) const BASE: &str = "\
    security:\n\
    - {name: base, type: basic_auth, username: base, password: secret0}\n\
    - {name: app1, type: basic_auth, username: app1, password: secret1}\n\
    pubsub_topic: [{name: /base}, {name: /topic.subscribed}]\n\
    pubsub_endpoint:\n\
    - {name: base.endpoint, endpoint_type: rest, security_name: base, topic_patterns: 'sub=/**'}\n\
    pubsub_subscription: [{endpoint_name: base.endpoint, topic_name: /base}]\n";

/// An object of a kind.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) noun: &'static str,
    /// The word of the type, where a noun has several.
    word: &'static [&'static str],
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    create: &'static [&'static str],
    edit: &'static [&'static str],
    /// The key that the edit changes.
    pub(super) key: &'static str,
    pub(super) edited: fn() -> Value,
    pub(super) unset: fn() -> Value,
}

impl Case {
    /// A verb about the object.
    pub(super) fn verb<'a>(&self, verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        [&[self.noun, verb], rest].concat()
    }

    /// A verb that says the type in a word of its own.
    pub(super) fn typed<'a>(&self, verb: &'a str, rest: &[&'a str]) -> Vec<&'a str> {
        [&[self.noun, verb], self.word, rest].concat()
    }

    pub(super) fn create<'a>(&self, rest: &[&'a str]) -> Vec<&'a str> {
        // The name of a subscription is what it connects.
        let name: &[&str] = if self.noun == "subscription" { &[] } else { &[self.name] };
        self.typed("create", &[name, self.create, rest].concat())
    }

    pub(super) fn edit<'a>(&self, rest: &[&'a str]) -> Vec<&'a str> {
        self.typed("edit", &[&[self.name], self.edit, rest].concat())
    }

    /// What a list shows of the name.
    pub(super) fn part(&self) -> &'static str {
        if self.noun == "subscription" { "topic.subscribed" } else { self.name }
    }
}

pub(super) const CASES: &[Case] = &[
    Case {
        noun: "security",
        word: &[],
        kind: "security",
        name: "partner",
        create: &["--type", "apikey"],
        edit: &["--header", "X-Other"],
        key: "header",
        edited: || json!("X-Other"),
        unset: || json!("X-API-Key"),
    },
    Case {
        noun: "service",
        word: &[],
        kind: "service",
        name: "crm.get-customer",
        create: &["--url", "http://127.0.0.1:9/customers"],
        edit: &["--timeout", "1m"],
        key: "timeout",
        edited: || json!(60),
        unset: || json!(10),
    },
    Case {
        noun: "gateway",
        word: &[],
        kind: "wsx_gateway",
        name: "crm.gateway",
        create: &["--services-allowed", "zato.ping"],
        edit: &["--services-allowed", "crm.*", "--services-allowed", "zato.helpers.echo"],
        key: "services_allowed",
        edited: || json!(["crm.*", "zato.helpers.echo"]),
        unset: || json!([]),
    },
    Case {
        noun: "channel",
        word: &["wsx"],
        kind: "web_socket",
        name: "crm.wsx",
        create: &["--address", "/ws/crm", "--service", "zato.ping", "--sec-def", "app1"],
        edit: &["--token-ttl", "10m"],
        key: "token_ttl",
        edited: || json!(600),
        unset: || json!(3600),
    },
    Case {
        noun: "channel",
        word: &["rest"],
        kind: "channel_rest",
        name: "customer.get",
        create: &["--url-path", "/api/customer/{id}", "--service", "zato.ping"],
        edit: &["--method", "GET"],
        key: "method",
        edited: || json!("GET"),
        unset: || json!(""),
    },
    Case {
        noun: "outconn",
        word: &["rest"],
        kind: "outgoing_rest",
        name: "billing",
        create: &["--host", "http://127.0.0.1:9", "--security-name", "app1"],
        edit: &["--pool-size", "7"],
        key: "pool_size",
        edited: || json!(7),
        unset: || json!(20),
    },
    Case {
        noun: "outconn",
        word: &["wsx"],
        kind: "outgoing_wsx",
        name: "cluster-b",
        create: &["--address", "ws://127.0.0.1:9/ws", "--is-zato", "true"],
        edit: &["--has-auto-reconnect", "false"],
        key: "has_auto_reconnect",
        edited: || json!(false),
        unset: || json!(true),
    },
    Case {
        noun: "topic",
        word: &[],
        kind: "pubsub_topic",
        name: "/customer/new",
        create: &["--has-gd", "true"],
        edit: &["--limit-retention", "2h"],
        key: "limit_retention",
        edited: || json!(7200),
        unset: || Value::Null,
    },
    Case {
        noun: "endpoint",
        word: &[],
        kind: "pubsub_endpoint",
        name: "publisher",
        create: &[
            "--endpoint-type",
            "rest",
            "--security-name",
            "app1",
            "--topic-patterns",
            "pub=/customer/**",
        ],
        edit: &["--role", "pub-only"],
        key: "role",
        edited: || json!("pub-only"),
        unset: || json!("pub-sub"),
    },
    Case {
        noun: "subscription",
        word: &[],
        kind: "pubsub_subscription",
        name: "base.endpoint//topic.subscribed",
        create: &["--endpoint-name", "base.endpoint", "--topic-name", "/topic.subscribed"],
        edit: &["--delivery-batch-size", "5"],
        key: "delivery_batch_size",
        edited: || json!(5),
        unset: || json!(500),
    },
];
