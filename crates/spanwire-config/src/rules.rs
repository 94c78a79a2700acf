//! What concerns several keys of one object.

use crate::normalise::Checked;
use crate::object::{
    EndpointType, Object, OutgoingWsx, PubSubEndpoint, Security, SecurityType, WebSocketChannel,
};
use crate::problem::Report;
use crate::{WebSocketAddress, value};

/// Checks an object whose keys are valid one by one.
pub(crate) fn check(checked: &Checked, report: &mut Report) {
    match &checked.object {
        Object::Security(security) => check_security(checked, security, report),
        Object::WebSocket(channel) => check_web_socket(checked, channel, report),
        Object::WsxGateway(gateway) => {
            let warning = match gateway.services_allowed.as_slice() {
                [] => "names no service, so that clients can call none: add what they may call",
                list if list.iter().any(|pattern| pattern == "*") => {
                    "'*' lets clients call every service, internal ones included: list what they may call"
                }
                _ => return,
            };
            warn(checked, "services_allowed", warning, report);
        }
        Object::OutgoingWsx(outconn) => check_outgoing_wsx(checked, outconn, report),
        Object::PubsubTopic(topic) if !topic.name.is_ascii() => {
            problem(checked, "name", "the name of a topic is ASCII only: rename it", report);
        }
        Object::PubsubEndpoint(endpoint) => check_endpoint(checked, endpoint, report),
        _ => {}
    }
}

fn check_security(checked: &Checked, security: &Security, report: &mut Report) {
    match (&security.username, security.r#type) {
        (None, SecurityType::BasicAuth) => {
            problem(checked, "username", "is missing: basic_auth needs a username", report);
        }
        (Some(name), SecurityType::BasicAuth) if name.contains(':') || has_control(name) => {
            let message =
                "a username of basic_auth has no ':' and no control characters: change it";
            problem(checked, "username", message, report);
        }
        _ => {}
    }
    // Neither a Basic header nor any other can carry a line break.
    if security.password.as_ref().is_some_and(|password| has_control(password.reveal())) {
        let message = "contains a line break or another control character: remove it";
        problem(checked, "password", message, report);
    }
}

fn has_control(text: &str) -> bool {
    text.chars().any(char::is_control)
}

fn check_web_socket(checked: &Checked, channel: &WebSocketChannel, report: &mut Report) {
    let is_tls = matches!(channel.address, WebSocketAddress::Own { tls: true, .. });
    let files =
        [("tls_cert_file", &channel.tls_cert_file), ("tls_key_file", &channel.tls_key_file)];
    for (key, file) in files {
        if is_tls && file.is_none() {
            problem(checked, key, "is missing: a wss:// address needs it", report);
        } else if !is_tls && file.is_some() {
            let message = "is only for an address that begins with wss://: change the address or \
                           remove this";
            problem(checked, key, message, report);
        }
    }
}

fn check_outgoing_wsx(checked: &Checked, outconn: &OutgoingWsx, report: &mut Report) {
    let has_topics = !outconn.subscription_list.is_empty();
    if !outconn.is_zato && has_topics {
        let message = "has no effect without 'is_zato: true', as a plain peer has no topics";
        warn(checked, "subscription_list", message, report);
    }
    if outconn.is_zato && has_topics && outconn.on_message_service_name.is_none() {
        let message = "needs an on_message_service_name: without one nobody takes the messages, and they stay at the peer";
        warn(checked, "subscription_list", message, report);
    }
    let missing = match (&outconn.tls_cert_file, &outconn.tls_key_file) {
        (Some(_), None) => "tls_key_file",
        (None, Some(_)) => "tls_cert_file",
        _ => return,
    };
    let message = "is missing: a certificate and its key are given together";
    problem(checked, missing, message, report);
}

fn check_endpoint(checked: &Checked, endpoint: &PubSubEndpoint, report: &mut Report) {
    let needed = match endpoint.endpoint_type {
        EndpointType::Rest => Some(("security_name", &endpoint.security_name)),
        EndpointType::Wsx => Some(("ws_channel_name", &endpoint.ws_channel_name)),
        EndpointType::Srv => Some(("service_name", &endpoint.service_name)),
        EndpointType::Internal => None,
    };
    if let Some((key, None)) = needed {
        let message = "is missing: without it nobody is recognised as this endpoint";
        problem(checked, key, message, report);
    }
    let is_client = matches!(endpoint.endpoint_type, EndpointType::Rest | EndpointType::Wsx);
    if is_client && endpoint.topic_patterns.is_empty() {
        let message = "grants nothing: add lines like pub=/customer/** and sub=/customer/**";
        warn(checked, "topic_patterns", message, report);
    }
    for pattern in &endpoint.topic_patterns {
        debug_assert!(value::is_topic_pattern(pattern), "kept by the normal form");
        if matches!(pattern.as_str(), "pub=/*" | "sub=/*") {
            let message =
                format!("'{pattern}' means every topic: name the topics if that is not meant");
            warn(checked, "topic_patterns", &message, report);
        }
    }
}

fn problem(checked: &Checked, key: &str, message: &str, report: &mut Report) {
    report.field(&checked.source, checked.line_of(key), key, message);
}

fn warn(checked: &Checked, key: &str, message: &str, report: &mut Report) {
    report.warn(&checked.source, checked.line_of(key), key, message);
}
