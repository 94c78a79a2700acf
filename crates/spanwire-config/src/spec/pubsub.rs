//! `pubsub_topic`, `pubsub_endpoint` and `pubsub_subscription`.

use super::shared::{STORED, is_active, is_internal, labels, name};
use super::{Fallback, FieldSpec, KindSpec, ValueType};
use crate::Kind;

pub(super) const PUBSUB_TOPIC: KindSpec = KindSpec {
    kind: Kind::PubsubTopic,
    doc: "A topic that messages are published to.",
    groups: &[TOPIC_FIELDS, TOPIC_LEGACY, STORED],
};

const TOPIC_FIELDS: &[FieldSpec] = &[
    name("The name of the topic: ASCII, by custom a path like /customer/new."),
    is_active("Whether messages may be published."),
    is_internal(),
    labels(),
    FieldSpec::new(
        "has_gd",
        ValueType::Bool,
        "Whether delivery is guaranteed where a message does not say.",
    )
    .or(Fallback::Bool(false)),
    FieldSpec::new(
        "is_api_sub_allowed",
        ValueType::Bool,
        "Whether others than administrators may subscribe.",
    )
    .or(Fallback::Bool(true)),
    FieldSpec::new("max_depth_gd", DEPTH, "How many guaranteed messages may wait.")
        .or(Fallback::Integer(10_000)),
    FieldSpec::new("max_depth_non_gd", DEPTH, "How many other messages may wait.")
        .or(Fallback::Integer(1_000)),
    FieldSpec::new(
        "depth_check_freq",
        ValueType::Integer { min: 1, max: 1_000_000 },
        "Accepted from existing files: depths are exact, and checked with each publication.",
    )
    .or(Fallback::Integer(100)),
    FieldSpec::new(
        "limit_retention",
        ValueType::TimeLimit,
        "How long messages are kept, in seconds; until delivered or expired if not given.",
    ),
    FieldSpec::new(
        "limit_message_expiry",
        ValueType::TimeLimit,
        "The longest expiration of a message, in seconds; without a bound if not given.",
    ),
    FieldSpec::new(
        "limit_sub_inactivity",
        ValueType::TimeLimit,
        "After how long inactive subscriptions end, in seconds.",
    )
    .or(Fallback::Integer(86_400)),
    FieldSpec::new(
        "hook_service_name",
        ValueType::ServiceName,
        "Called around publication and delivery.",
    ),
    FieldSpec::new(
        "on_no_subs_pub",
        ValueType::Choice(&["accept", "drop"]),
        "What becomes of messages while nobody is subscribed.",
    )
    .or(Fallback::Text("accept")),
    FieldSpec::new(
        "target_service_name",
        ValueType::ServiceName,
        "The service that the topic was made for.",
    ),
];

const TOPIC_LEGACY: &[FieldSpec] = &[
    FieldSpec::ignored("pub_buffer_size_gd", "Reserved."),
    FieldSpec::ignored("task_sync_interval", "Delivery is immediate."),
    FieldSpec::ignored("task_delivery_interval", "Delivery is immediate."),
    FieldSpec::ignored("hook_service_id", "A number given by another system."),
];

pub(super) const PUBSUB_ENDPOINT: KindSpec = KindSpec {
    kind: Kind::PubsubEndpoint,
    doc: "An application that publishes or subscribes, and what it may.",
    groups: &[ENDPOINT_FIELDS, ENDPOINT_LEGACY, STORED],
};

const ENDPOINT_FIELDS: &[FieldSpec] = &[
    name("The name of the endpoint."),
    is_active("Whether the endpoint may publish and subscribe."),
    is_internal(),
    labels(),
    FieldSpec::new(
        "endpoint_type",
        ValueType::Choice(&["rest", "wsx", "srv", "internal"]),
        "How the application takes part: REST, WebSockets, as a service, or as the server itself.",
    )
    .required(),
    FieldSpec::new(
        "role",
        ValueType::Choice(&["pub-only", "sub-only", "pub-sub"]),
        "Whether it publishes, subscribes, or both.",
    )
    .or(Fallback::Text("pub-sub")),
    FieldSpec::new(
        "topic_patterns",
        ValueType::TopicPatterns,
        "Topics it may publish to (pub=…) and subscribe to (sub=…), one per line; the first match \
         counts.",
    ),
    FieldSpec::new(
        "security_name",
        ValueType::Reference(Kind::Security, &[]),
        "The credentials by which a rest endpoint is recognised.",
    )
    .aliases(&["sec_def", "security", "security_def", "sec_name"]),
    FieldSpec::new(
        "ws_channel_name",
        ValueType::Reference(Kind::WebSocket, &[]),
        "The channel by which a wsx endpoint is recognised.",
    )
    .aliases(&["ws_channel", "web_socket"]),
    FieldSpec::new("service_name", ValueType::ServiceName, "The service that a srv endpoint is.")
        .aliases(&["service"]),
    FieldSpec::new(
        "bind_to_client",
        ValueType::Bool,
        "Whether a subscription key works only for the client id that it was given to.",
    )
    .or(Fallback::Bool(false)),
];

const ENDPOINT_LEGACY: &[FieldSpec] = &[
    FieldSpec::ignored("tags", "Reserved."),
    FieldSpec::ignored("pub_tag_patterns", "Reserved."),
    FieldSpec::ignored("message_tag_patterns", "Reserved."),
    FieldSpec::ignored("ws_channel_id", "A number given by another system; the name counts."),
    FieldSpec::ignored("last_seen", "Observed, not configured."),
    FieldSpec::ignored("last_pub_time", "Observed, not configured."),
    FieldSpec::ignored("last_sub_time", "Observed, not configured."),
    FieldSpec::ignored("last_deliv_time", "Observed, not configured."),
];

pub(super) const PUBSUB_SUBSCRIPTION: KindSpec = KindSpec {
    kind: Kind::PubsubSubscription,
    doc: "The subscription of an endpoint to a topic; its name is endpoint_name/topic_name.",
    groups: &[SUBSCRIPTION_FIELDS, SUBSCRIPTION_DELIVERY, SUBSCRIPTION_LEGACY, STORED],
};

const SUBSCRIPTION_FIELDS: &[FieldSpec] = &[
    FieldSpec::new(
        "endpoint_name",
        ValueType::Reference(Kind::PubsubEndpoint, &[]),
        "The endpoint that subscribes.",
    )
    .aliases(&["endpoint"])
    .required(),
    FieldSpec::new(
        "topic_name",
        ValueType::Reference(Kind::PubsubTopic, &[]),
        "The topic that is subscribed to. In files, topic_list takes several, each of which becomes \
         a subscription.",
    )
    .aliases(&["topic"])
    .required(),
    is_active("Whether the subscription exists."),
    is_internal(),
    labels(),
    FieldSpec::new(
        "active_status",
        ValueType::Choice(&["pub-sub", "pub-only", "sub-only", "disabled"]),
        "Whether messages are queued and consumed, only queued, only consumed, or neither.",
    )
    .or(Fallback::Text("pub-sub")),
    FieldSpec::new(
        "delivery_method",
        ValueType::Choice(&["pull", "notify", "web-socket"]),
        "How messages get to the endpoint; if not given, pull for rest, web-socket for wsx and \
         notify for srv endpoints.",
    ),
    FieldSpec::new(
        "rest_connection",
        ValueType::Reference(Kind::OutgoingRest, &[]),
        "The connection by which a rest endpoint is notified.",
    )
    .aliases(&["out_rest", "outgoing_rest"]),
    FieldSpec::new("rest_method", ValueType::Method, "The HTTP method of notifications.")
        .aliases(&["out_http_method"])
        .or(Fallback::Text("POST")),
    FieldSpec::new("service_name", ValueType::ServiceName, "The service that is notified.")
        .aliases(&["service"]),
];

const SUBSCRIPTION_DELIVERY: &[FieldSpec] = &[
    FieldSpec::new(
        "delivery_batch_size",
        ValueType::Integer { min: 1, max: 100_000 },
        "How many messages are delivered at once at most.",
    )
    .or(Fallback::Integer(500)),
    FieldSpec::new(
        "wrap_one_msg_in_list",
        ValueType::Bool,
        "Whether a single message is delivered in an array; if not given, not to WebSocket clients.",
    ),
    FieldSpec::new(
        "delivery_max_retry",
        ValueType::Integer { min: 1, max: u32::MAX as u64 },
        "After how many attempts a message is given up.",
    )
    .or(Fallback::Integer(123_456_789)),
    FieldSpec::new("wait_sock_err", PAUSE, "The pause after a network error, in seconds.")
        .or(Fallback::Integer(10)),
    FieldSpec::new("wait_non_sock_err", PAUSE, "The pause after another error, in seconds.")
        .or(Fallback::Integer(3)),
    FieldSpec::new(
        "delivery_err_should_block",
        ValueType::Bool,
        "Whether a message that fails holds the others of its queue up.",
    )
    .or(Fallback::Bool(true)),
    FieldSpec::new(
        "unsub_on_wsx_close",
        ValueType::Bool,
        "Whether the subscription ends with the connection of its client.",
    )
    .or(Fallback::Bool(false)),
];

const SUBSCRIPTION_LEGACY: &[FieldSpec] = &[
    FieldSpec::ignored("name", "Derived from the endpoint and the topic."),
    FieldSpec::ignored("endpoint_type", "Known from the endpoint."),
    FieldSpec::ignored("endpoint_id", "A number given by another system."),
    FieldSpec::ignored("topic_id", "A number given by another system."),
    FieldSpec::ignored("sub_key", "Given by the server."),
    FieldSpec::ignored("server_id", "Given by the server."),
    FieldSpec::ignored("creation_time", "Given by the server."),
    FieldSpec::ignored("sub_pattern_matched", "Given by the server."),
    FieldSpec::ignored("ext_client_id", "Given by the client."),
    FieldSpec::ignored("is_durable", "Always true."),
    FieldSpec::ignored("has_gd", "Known from the topic and the message."),
    FieldSpec::ignored("is_staging_enabled", "Unused."),
    FieldSpec::ignored("delivery_data_format", "Unused."),
    FieldSpec::ignored("delivery_max_size", "Unused."),
    FieldSpec::ignored("delivery_endpoint", "Unused."),
    FieldSpec::ignored("deliver_by", "Unused."),
    FieldSpec::ignored("hook_service_id", "Unused: hooks are per topic."),
    FieldSpec::ignored("ws_channel_id", "Known from the endpoint."),
    FieldSpec::ignored("ws_channel_name", "Known from the endpoint."),
    FieldSpec::ignored("out_http_soap_id", "A number given by another system."),
    FieldSpec::ignored("should_ignore_if_sub_exists", "Imports always do."),
    FieldSpec::unsupported("should_delete_all", "Imports delete nothing."),
    FieldSpec::unsupported("out_amqp_id", "Delivery by AMQP."),
    FieldSpec::ignored("amqp_exchange", "Delivery by AMQP."),
    FieldSpec::ignored("amqp_routing_key", "Delivery by AMQP."),
];

const DEPTH: ValueType = ValueType::Integer { min: 1, max: 1_000_000_000 };
const PAUSE: ValueType = ValueType::Duration { min_ms: 1, max_ms: 86_400_000 };
