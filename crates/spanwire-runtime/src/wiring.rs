//! Managed objects as services, channels and routes.

use std::collections::BTreeMap;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use spanwire_builtins::Gateway;
use spanwire_channel::rest::{self, CorsPolicy, PathPattern};
use spanwire_channel::server::Routes;
use spanwire_channel::transport::TlsFiles;
use spanwire_channel::websocket::{OriginPolicy, SocketLimits};
use spanwire_channel::wsx::WsxChannel;
use spanwire_config::{
    DataFormat, HttpService, ObjectSet, ParamsPriority, RestChannel, Security, SecurityType,
    UrlParamsPriority, WebSocketAddress, WebSocketChannel, WsxGateway,
};
use spanwire_crypto::Secret;
use spanwire_protocol::ServicePatterns;
use spanwire_service::http::{Credentials, HttpClient};
use spanwire_service::{Registry, Source};
use spanwire_session::SessionConfig;

use crate::error::StartError;
use crate::settings::{Profile, Settings};

/// A listener that some WebSocket channels have for themselves.
#[derive(Debug)]
pub(crate) struct OwnListener {
    pub(crate) address: SocketAddr,
    pub(crate) tls: Option<TlsFiles>,
    pub(crate) channels: Vec<String>,
    pub(crate) routes: Routes,
}

/// Channels of one address, each with its path and whether it wants TLS.
type Group<'a> = Vec<(&'a WebSocketChannel, &'a str, bool)>;

/// Registers HTTP-backed services and gateways.
pub(crate) fn register_services(
    objects: &ObjectSet,
    registry: &Registry,
) -> Result<(), StartError> {
    let mut clients: BTreeMap<Option<String>, HttpClient> = BTreeMap::new();
    for service in objects.all::<HttpService>().filter(|service| service.is_active) {
        let unusable = |problem: String| StartError::Object {
            kind: "service",
            name: service.name.clone(),
            problem,
        };
        let client = match clients.get(&service.ca_file) {
            Some(client) => client.clone(),
            None => {
                let client = HttpClient::new(service.ca_file.as_deref().map(Path::new));
                let client = client.map_err(|error| unusable(error.to_string()))?;
                clients.insert(service.ca_file.clone(), client.clone());
                client
            }
        };
        let credentials =
            service.security_name.as_deref().and_then(|name| credentials(objects, name));
        let backed = spanwire_service::http::HttpService::new(
            client,
            service.url.reveal(),
            &service.method,
            service.timeout,
            credentials,
        );
        let backed = backed.map_err(|error| unusable(error.to_string()))?;
        registry.insert(&service.name, Source::Http, Arc::new(backed));
    }
    for gateway in objects.all::<WsxGateway>().filter(|gateway| gateway.is_active) {
        let patterns = ServicePatterns::new(&gateway.services_allowed);
        registry.insert(&gateway.name, Source::Builtin, Arc::new(Gateway::new(patterns)));
    }
    Ok(())
}

fn credentials(objects: &ObjectSet, name: &str) -> Option<Credentials> {
    let security = objects.find::<Security>(name)?;
    let password = security.password.as_ref().map(|password| password.reveal().to_owned());
    let password = Secret::new(password.unwrap_or_default());
    Some(match security.r#type {
        SecurityType::ApiKey => {
            Credentials::ApiKey { header: security.header.clone(), key: password }
        }
        _ => {
            Credentials::Basic { username: security.username.clone().unwrap_or_default(), password }
        }
    })
}

/// The routes of the main listener.
pub(crate) fn shared_routes(
    objects: &ObjectSet,
    settings: &Settings,
) -> Result<Routes, StartError> {
    let shared = objects.all::<WebSocketChannel>().filter_map(|channel| match &channel.address {
        WebSocketAddress::Shared { path } => Some(websocket(channel, path, settings)),
        WebSocketAddress::Own { .. } => None,
    });
    let rest = objects.all::<RestChannel>().map(|channel| rest(channel, objects, settings));
    Ok(Routes::shared(shared, rest.collect::<Result<Vec<_>, _>>()?))
}

/// The listeners that WebSocket channels have for themselves; channels of one address share one.
pub(crate) fn own_listeners(
    objects: &ObjectSet,
    settings: &Settings,
) -> Result<Vec<OwnListener>, StartError> {
    let mut groups: BTreeMap<(String, u16), Group<'_>> = BTreeMap::new();
    let active = objects.all::<WebSocketChannel>().filter(|channel| channel.is_active);
    for channel in active {
        if let WebSocketAddress::Own { tls, host, port, path } = &channel.address {
            // Each channel that asks for any port gets one of its own.
            let host_key =
                if *port == 0 { format!("{host} {}", channel.name) } else { host.clone() };
            groups.entry((host_key, *port)).or_default().push((channel, path, *tls));
        }
    }
    let mut listeners = Vec::new();
    for ((host, port), group) in groups {
        let host = host.split(' ').next().unwrap_or_default();
        let names: Vec<String> = group.iter().map(|(channel, ..)| channel.name.clone()).collect();
        let unusable = |problem: String| StartError::Object {
            kind: "web_socket",
            name: names.join(", "),
            problem,
        };
        let address = (host, port).to_socket_addrs().ok().and_then(|mut found| found.next());
        let address =
            address.ok_or_else(|| unusable(format!("`{host}` is no address of this machine")))?;
        let files = group.iter().find_map(|(channel, ..)| tls_files(channel));
        let wants_tls = group.iter().any(|(.., tls)| *tls);
        let tls = match files {
            Some(files) => Some(files),
            None if wants_tls => main_tls(settings),
            None => None,
        };
        if wants_tls && tls.is_none() {
            tracing::warn!(
                channels = names.join(", "),
                "wss without certificate files: TLS must end at a proxy in front of this listener"
            );
        }
        let channels = group.iter().map(|(channel, path, _)| websocket(channel, path, settings));
        listeners.push(OwnListener {
            address,
            tls,
            routes: Routes::wsx_only(channels),
            channels: names,
        });
    }
    Ok(listeners)
}

fn tls_files(channel: &WebSocketChannel) -> Option<TlsFiles> {
    let (certificate, key) = (channel.tls_cert_file.as_ref()?, channel.tls_key_file.as_ref()?);
    Some(TlsFiles { certificate: PathBuf::from(certificate), key: PathBuf::from(key) })
}

/// The certificate files of the main listener.
pub(crate) fn main_tls(settings: &Settings) -> Option<TlsFiles> {
    let (certificate, key) = (settings.tls_certificate.clone()?, settings.tls_key.clone()?);
    Some(TlsFiles { certificate, key })
}

fn websocket(channel: &WebSocketChannel, path: &str, settings: &Settings) -> WsxChannel {
    let bytes = |own: Option<u64>, default: usize| {
        own.map_or(default, |own| usize::try_from(own).unwrap_or(usize::MAX))
    };
    let max_message_size = bytes(channel.max_message_size, settings.limits.message_bytes);
    let ordered =
        channel.ordered_replies.unwrap_or(settings.effective_profile() == Profile::Compat);
    WsxChannel {
        session: SessionConfig {
            new_token_wait_time: channel.new_token_wait_time,
            token_ttl: channel.token_ttl,
            ping_interval: channel.ping_interval,
            ping_timeout: channel.ping_timeout,
            pings_missed_threshold: channel.pings_missed_threshold,
            max_in_flight: usize::try_from(channel.max_in_flight).unwrap_or(usize::MAX),
            max_call_bytes: 2 * max_message_size,
            ordered_replies: ordered,
            ..SessionConfig::default()
        },
        socket: SocketLimits {
            max_message_size,
            outgoing_queue_size: bytes(
                channel.outgoing_queue_size,
                settings.limits.outgoing_queue_bytes,
            ),
            ..SocketLimits::default()
        },
        origins: OriginPolicy::new(channel.allowed_origins.iter().cloned()),
        is_active: channel.is_active,
        service_timeout: channel.service_timeout.unwrap_or(DEFAULT_SERVICE_TIMEOUT),
        security_name: channel.sec_def.as_deref().map(Into::into),
        on_connect: channel.on_connect_service.as_deref().map(Into::into),
        on_disconnect: channel.on_disconnect_service.as_deref().map(Into::into),
        ..WsxChannel::new(&channel.name, path, &channel.service)
    }
}

fn rest(
    channel: &RestChannel,
    objects: &ObjectSet,
    settings: &Settings,
) -> Result<rest::RestChannel, StartError> {
    let unusable = |problem: String| StartError::Object {
        kind: "channel_rest",
        name: channel.name.clone(),
        problem,
    };
    let path = PathPattern::parse(&channel.url_path, channel.match_slash)
        .map_err(|e| unusable(e.to_string()))?;
    let method = match channel.method.as_str() {
        "" => None,
        method => {
            Some(method.parse().map_err(|_| unusable(format!("`{method}` is no HTTP method")))?)
        }
    };
    let security = channel.security_name.as_deref().and_then(|name| objects.find::<Security>(name));
    let security = match (security, channel.security_name.as_deref()) {
        (None, None) => rest::Security::None,
        (None, Some(name)) => {
            return Err(unusable(format!("there is no security definition '{name}'")));
        }
        (Some(definition), _) => match definition.r#type {
            SecurityType::ApiKey => rest::Security::ApiKey { header: definition.header.clone() },
            _ => rest::Security::Basic {
                realm: definition.realm.clone().unwrap_or_else(|| definition.name.clone()),
            },
        },
    };
    if channel.content_type.is_some() {
        tracing::warn!(
            channel = channel.name,
            "content_type is not supported yet: answers have that of their data format"
        );
    }
    if channel.content_encoding.is_some() {
        tracing::warn!(
            channel = channel.name,
            "content_encoding is not supported yet: answers are not compressed"
        );
    }
    Ok(rest::RestChannel {
        method,
        security,
        security_name: channel.security_name.as_deref().map(Into::into),
        data_format: match channel.data_format {
            None | Some(DataFormat::Json) => rest::DataFormat::Json,
            Some(_) => rest::DataFormat::Raw,
        },
        merge_params: channel.merge_url_params_req,
        path_over_query: channel.url_params_pri == UrlParamsPriority::PathOverQs,
        message_over_params: channel.params_pri == ParamsPriority::MsgOverChannelParams,
        timeout: channel.timeout.unwrap_or(DEFAULT_SERVICE_TIMEOUT),
        max_body_size: settings.limits.message_bytes,
        cors: CorsPolicy::new(channel.cors_origins.iter().cloned()),
        is_active: channel.is_active,
        ..rest::RestChannel::new(&channel.name, path, &channel.service)
    })
}

/// How long a call through a channel may take when the channel does not say.
const DEFAULT_SERVICE_TIMEOUT: Duration = Duration::from_secs(30);
