//! One managed object as what runs it: a service, a WebSocket channel, a REST channel.
//!
//! Nothing is started here. What an object refers to is looked up in the configuration it belongs to.

use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use spanwire_builtins::Gateway;
use spanwire_channel::rest::{self, CorsPolicy, PathPattern};
use spanwire_channel::transport::TlsFiles;
use spanwire_channel::websocket::{OriginPolicy, SocketLimits};
use spanwire_channel::wsx::WsxChannel;
use spanwire_config::{
    DataFormat, HttpService, Object, ObjectSet, ParamsPriority, RestChannel, Security,
    SecurityType, UrlParamsPriority, WebSocketAddress, WebSocketChannel, WsxGateway,
};
use spanwire_crypto::Secret;
use spanwire_protocol::ServicePatterns;
use spanwire_service::http::{Credentials, HttpClient};
use spanwire_service::{PayloadService, Source};
use spanwire_session::SessionConfig;

use crate::outconns;
use crate::settings::{Profile, Settings};

/// A service that comes from the configuration.
pub(crate) type Configured = (Source, Arc<dyn PayloadService>);

/// A service behind HTTP. Services with the same `ca_file` can share a client, which `client` may give.
pub(crate) fn http_service(
    service: &HttpService,
    objects: &ObjectSet,
    client: &mut dyn FnMut(Option<&Path>) -> Result<HttpClient, String>,
) -> Result<Configured, String> {
    let client = client(service.ca_file.as_deref().map(Path::new))?;
    let credentials = service.security_name.as_deref().and_then(|name| credentials(objects, name));
    let backed = spanwire_service::http::HttpService::new(
        client,
        service.url.reveal(),
        &service.method,
        service.timeout,
        credentials,
    );
    let backed = backed.map_err(|error| error.to_string())?;
    Ok((Source::Http, Arc::new(backed)))
}

/// A gateway.
pub(crate) fn gateway(gateway: &WsxGateway) -> Configured {
    let patterns = ServicePatterns::new(&gateway.services_allowed);
    (Source::Gateway, Arc::new(Gateway::new(patterns)))
}

/// The credentials of a definition, as they are presented to a peer.
pub(crate) fn credentials(objects: &ObjectSet, name: &str) -> Option<Credentials> {
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

/// Where a WebSocket channel is served.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Place {
    /// On the main listener.
    Main,
    /// On a listener of its own, which it may share with other channels of the same host and port.
    Own {
        /// As configured.
        host: String,
        /// As configured; 0 lets the system choose.
        port: u16,
        /// The channel, when the system chooses the port: each gets one for itself.
        alone: Option<u64>,
    },
}

/// A WebSocket channel, and what it wants of its listener.
#[derive(Clone, Debug)]
pub(crate) struct Placed {
    pub(crate) channel: Arc<WsxChannel>,
    pub(crate) place: Place,
    /// Whether the address says `wss`.
    pub(crate) wants_tls: bool,
    /// Certificate files of the channel itself.
    pub(crate) tls: Option<TlsFiles>,
}

impl Placed {
    /// The channel as it is now, where it was before.
    pub(crate) fn kept_at(self, before: &Self) -> Self {
        let path = before.channel.path.clone();
        let channel = Arc::new(WsxChannel { path, ..(*self.channel).clone() });
        Self { channel, ..before.clone() }
    }
}

/// A WebSocket channel.
pub(crate) fn web_socket(id: u64, channel: &WebSocketChannel, settings: &Settings) -> Placed {
    let (place, path, wants_tls) = match &channel.address {
        WebSocketAddress::Shared { path } => (Place::Main, path, false),
        WebSocketAddress::Own { tls, host, port, path } => {
            let alone = (*port == 0).then_some(id);
            (Place::Own { host: host.clone(), port: *port, alone }, path, *tls)
        }
    };
    let tls = channel.tls_cert_file.as_ref().zip(channel.tls_key_file.as_ref());
    let tls = tls.map(|(certificate, key)| TlsFiles {
        certificate: PathBuf::from(certificate),
        key: PathBuf::from(key),
    });
    let channel = Arc::new(WsxChannel { id, ..websocket(channel, path, settings) });
    Placed { channel, place, wants_tls, tls }
}

/// The address that a host and a port stand for on this machine. Names are looked up for a limited time, and others
/// wait for it meanwhile.
pub(crate) fn resolve(host: &str, port: u16) -> Result<SocketAddr, String> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let (found, name) = (Arc::new(OnceLock::new()), host.to_owned());
    let (answer, answered) = std::sync::mpsc::sync_channel(1);
    let result = Arc::clone(&found);
    std::thread::spawn(move || {
        let address = (&*name, port).to_socket_addrs().ok().and_then(|mut all| all.next());
        let _ = result.set(address);
        // Whoever asked may have given up.
        let _ = answer.send(());
    });
    let _ = answered.recv_timeout(RESOLVE_TIMEOUT);
    let address = found.get().copied().flatten();
    address.ok_or_else(|| format!("`{host}` is no address of this machine: correct the address"))
}

const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The certificate files of the main listener.
pub(crate) fn main_tls(settings: &Settings) -> Option<TlsFiles> {
    let (certificate, key) = (settings.tls_certificate.clone()?, settings.tls_key.clone()?);
    Some(TlsFiles { certificate, key })
}

/// The certificate files of the admin listener.
pub(crate) fn admin_tls(settings: &Settings) -> Option<TlsFiles> {
    let files = settings.admin_tls_certificate.clone().zip(settings.admin_tls_key.clone());
    files.map(|(certificate, key)| TlsFiles { certificate, key })
}

/// Whether an object can be put to work as far as that can be known without doing it.
pub(crate) fn check(
    object: &Object,
    objects: &ObjectSet,
    settings: &Settings,
) -> Result<(), String> {
    match object {
        Object::Service(service) if service.is_active => {
            let mut client =
                |file: Option<&Path>| HttpClient::new(file).map_err(|error| error.to_string());
            http_service(service, objects, &mut client).map(drop)
        }
        Object::OutgoingWsx(outconn) if outconn.is_active => outconns::check(outconn, objects),
        Object::ChannelRest(channel) => rest(channel, objects, settings).map(drop),
        Object::WebSocket(channel) if channel.is_active => {
            match web_socket(0, channel, settings).place {
                Place::Main => Ok(()),
                Place::Own { host, port, .. } => resolve(&host, port).map(drop),
            }
        }
        _ => Ok(()),
    }
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

/// A REST channel.
pub(crate) fn rest(
    channel: &RestChannel,
    objects: &ObjectSet,
    settings: &Settings,
) -> Result<rest::RestChannel, String> {
    let path = PathPattern::parse(&channel.url_path, channel.match_slash)
        .map_err(|error| error.to_string())?;
    let method = match channel.method.as_str() {
        "" => None,
        method => Some(method.parse().map_err(|_| format!("`{method}` is no HTTP method"))?),
    };
    let security = channel.security_name.as_deref().and_then(|name| objects.find::<Security>(name));
    let security = match (security, channel.security_name.as_deref()) {
        (None, None) => rest::Security::None,
        (None, Some(name)) => {
            return Err(format!("there is no security definition '{name}'"));
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
        errors: settings.protocol.errors(),
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
