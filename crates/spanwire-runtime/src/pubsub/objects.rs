//! Managed objects as topics, endpoints and subscriptions of the broker. Starts nothing.

use spanwire_config::{
    ActiveStatus, DeliveryMethod, EndpointType, NoSubscribers, PubSubEndpoint, PubSubSubscription,
    PubSubTopic, Role,
};
use spanwire_protocol::TopicPattern;
use spanwire_pubsub::settings::{
    self, Delivery, EndpointKind, EndpointSettings, SubscriptionSettings,
};
use spanwire_pubsub::{EndpointId, settings::TopicSettings};

/// A topic. `default_expiry` is what messages expire after where the topic says nothing.
pub(super) fn topic(
    object: &PubSubTopic,
    default_expiry: Option<std::time::Duration>,
) -> TopicSettings {
    TopicSettings {
        is_active: object.is_active,
        has_gd: object.has_gd,
        is_api_sub_allowed: object.is_api_sub_allowed,
        max_depth_gd: depth(object.max_depth_gd),
        max_depth_non_gd: depth(object.max_depth_non_gd),
        limit_retention: object.limit_retention,
        limit_message_expiry: object.limit_message_expiry.or(default_expiry),
        limit_sub_inactivity: object.limit_sub_inactivity,
        keeps_without_subscribers: object.on_no_subs_pub == NoSubscribers::Accept,
        hook: object.hook_service_name.as_deref().map(Into::into),
    }
}

/// An endpoint, with the number of its object.
pub(super) fn endpoint(id: u64, object: &PubSubEndpoint) -> EndpointSettings {
    let patterns = object.topic_patterns.iter().filter_map(|line| match TopicPattern::parse(line) {
        Ok(pattern) => Some(pattern),
        Err(error) => {
            // What allows nothing is the safe reading of what cannot be read.
            tracing::warn!(endpoint = object.name, line, %error, "a pattern of topics is left out");
            None
        }
    });
    EndpointSettings {
        id: EndpointId(id),
        name: object.name.as_str().into(),
        kind: kind(object.endpoint_type),
        is_active: object.is_active,
        role: match object.role {
            Role::PubOnly => settings::Role::PubOnly,
            Role::SubOnly => settings::Role::SubOnly,
            _ => settings::Role::PubSub,
        },
        patterns: patterns.collect(),
        security_name: object.security_name.as_deref().map(Into::into),
        channel_name: object.ws_channel_name.as_deref().map(Into::into),
        service_name: object.service_name.as_deref().map(Into::into),
        bind_to_client: object.bind_to_client,
    }
}

/// A subscription of an endpoint.
pub(super) fn subscription(
    object: &PubSubSubscription,
    endpoint: &PubSubEndpoint,
) -> SubscriptionSettings {
    SubscriptionSettings {
        delivery: delivery(object, endpoint),
        active_status: match object.active_status {
            ActiveStatus::PubOnly => settings::ActiveStatus::PubOnly,
            ActiveStatus::SubOnly => settings::ActiveStatus::SubOnly,
            ActiveStatus::Disabled => settings::ActiveStatus::Disabled,
            _ => settings::ActiveStatus::PubSub,
        },
        batch_size: usize::try_from(object.delivery_batch_size).unwrap_or(usize::MAX),
        wrap_one: object.wrap_one_msg_in_list,
        max_attempts: object.delivery_max_retry,
        wait_network_error: object.wait_sock_err,
        wait_other_error: object.wait_non_sock_err,
        blocks_on_error: object.delivery_err_should_block,
        ends_with_connection: object.unsub_on_wsx_close,
        ..SubscriptionSettings::default()
    }
}

fn delivery(object: &PubSubSubscription, endpoint: &PubSubEndpoint) -> Delivery {
    let service = object.service_name.as_ref().or(endpoint.service_name.as_ref());
    let notify = || match (&object.rest_connection, service) {
        (Some(connection), _) => {
            let (connection, method) = (connection.clone(), object.rest_method.clone());
            Delivery::Rest { connection, method }
        }
        (None, Some(name)) => Delivery::Service { name: name.clone() },
        (None, None) => Delivery::Pull,
    };
    match (object.delivery_method, endpoint.endpoint_type) {
        (Some(DeliveryMethod::Pull), _) => Delivery::Pull,
        (Some(DeliveryMethod::WebSocket), _) | (None, EndpointType::Wsx) => Delivery::WebSocket,
        (Some(DeliveryMethod::Notify), _) | (None, EndpointType::Srv) => notify(),
        _ if object.rest_connection.is_some() => notify(),
        _ => Delivery::Pull,
    }
}

fn kind(kind: EndpointType) -> EndpointKind {
    match kind {
        EndpointType::Rest => EndpointKind::Rest,
        EndpointType::Wsx => EndpointKind::Wsx,
        EndpointType::Srv => EndpointKind::Srv,
        _ => EndpointKind::Internal,
    }
}

fn depth(depth: u64) -> usize {
    usize::try_from(depth).unwrap_or(usize::MAX)
}
