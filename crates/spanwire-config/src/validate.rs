//! What concerns several objects: names, addresses and references.
//!
//! Objects of an input are checked together with those that exist already, except for the ones that
//! the input replaces.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

#[cfg(feature = "store")]
mod edited;

#[cfg(feature = "store")]
pub(crate) use self::edited::{Edited, check_edited, uses_of_what_is_gone};
use crate::address::path_shape;
use crate::import::Existing;
use crate::normalise::{Checked, RawObject};
use crate::object::{DeliveryMethod, EndpointType, Object, PubSubEndpoint, Security, SecurityType};
use crate::problem::{Report, Source, did_you_mean, shown};
use crate::spec::{Effect, KindSpec, ValueType};
use crate::{Kind, WebSocketAddress};

/// Every name that an input gives, whether or not the object is valid otherwise.
pub(crate) type Names = BTreeSet<(Kind, String)>;

/// Reports objects that are defined twice and returns all names.
pub(crate) fn check_names(objects: &[RawObject], report: &mut Report) -> Names {
    let mut seen: BTreeMap<(Kind, &str), (&Source, usize)> = BTreeMap::new();
    for raw in objects {
        let (Some(kind), Some(name)) = (raw.source.kind, &raw.source.name) else {
            continue;
        };
        match seen.get(&(kind, name.as_str())) {
            None => {
                seen.insert((kind, name), (&raw.source, raw.line));
            }
            Some((first, line)) => {
                let file = if first.file == raw.source.file { None } else { first.file.as_deref() };
                let file = file.map_or_else(String::new, |file| format!(" of {file}"));
                let message =
                    format!("is defined twice, first in line {line}{file}: remove or rename one");
                report.problem(&raw.source, raw.line, message);
            }
        }
    }
    seen.into_keys().map(|(kind, name)| (kind, name.to_owned())).collect()
}

/// Checks valid objects against each other and against those that exist.
pub(crate) fn check(
    objects: &[Checked],
    invalid: &[&RawObject],
    names: &Names,
    existing: Existing<'_>,
    report: &mut Report,
) {
    check_unique(objects, names, existing, report);
    let objects_by_name = objects
        .iter()
        .filter_map(|it| Some(((it.object.kind(), it.source.name.as_deref()?), &it.object)))
        .collect();
    let all = All { objects: objects_by_name, names, existing };
    for checked in objects {
        check_references(checked, &all, report);
        check_fitness(checked, &all, report);
    }
    for raw in invalid {
        check_written_references(raw, &all, report);
    }
}

/// References of an object that is wrong in other ways, so that one correction is enough.
fn check_written_references(raw: &RawObject, all: &All<'_>, report: &mut Report) {
    let Some(spec) = raw.source.kind.map(KindSpec::of) else { return };
    for field in spec.fields().filter(|field| field.effect == Effect::Applied) {
        if let ValueType::Reference(kind, none) = field.value
            && let Some((name, line)) = raw.written(field)
            && !none.contains(&name)
            && !all.contains(kind, name)
        {
            report.field(&raw.source, line, field.key, missing_reference(kind, name, all));
        }
    }
}

fn missing_reference(kind: Kind, name: &str, all: &All<'_>) -> String {
    let hint = match all.nearest(kind, name) {
        hint if hint.is_empty() => ": define it or correct the name".to_owned(),
        hint => hint,
    };
    format!("there is no {kind} '{}'{hint}", shown(name))
}

/// The objects that there will be.
struct All<'a> {
    objects: BTreeMap<(Kind, &'a str), &'a Object>,
    names: &'a Names,
    existing: Existing<'a>,
}

impl All<'_> {
    fn contains(&self, kind: Kind, name: &str) -> bool {
        self.names.contains(&(kind, name.to_owned())) || self.existing.contains(kind, name)
    }

    fn get(&self, kind: Kind, name: &str) -> Option<&Object> {
        let new = self.objects.get(&(kind, name)).copied();
        // What the input replaces, validly or not, does not count.
        let replaced = self.names.contains(&(kind, name.to_owned()));
        let old = || self.existing.objects.get(kind, name).map(AsRef::as_ref);
        new.or_else(|| old().filter(|_| !replaced))
    }

    fn security(&self, name: Option<&String>) -> Option<&Security> {
        match self.get(Kind::Security, name?)? {
            Object::Security(security) => Some(security),
            _ => None,
        }
    }

    fn endpoint(&self, name: &str) -> Option<&PubSubEndpoint> {
        match self.get(Kind::PubsubEndpoint, name)? {
            Object::PubsubEndpoint(endpoint) => Some(endpoint),
            _ => None,
        }
    }

    fn nearest(&self, kind: Kind, name: &str) -> String {
        let new =
            self.names.iter().filter(|(other, _)| *other == kind).map(|(_, name)| name.clone());
        let old = self.existing.objects.of_kind(kind).map(|object| object.name());
        // Beyond that many names a hint is not worth the search.
        let known: Vec<String> = new.chain(old).take(2_000).collect();
        did_you_mean(name, known.iter().map(String::as_str))
    }
}

fn check_references(checked: &Checked, all: &All<'_>, report: &mut Report) {
    let fields = checked.object.fields();
    for field in KindSpec::of(checked.object.kind()).fields() {
        if field.effect != Effect::Applied {
            continue;
        }
        let Some(name) = fields.get(field.key).and_then(|value| value.as_str()) else {
            continue;
        };
        let line = checked.line_of(field.key);
        match field.value {
            ValueType::Reference(kind, none)
                if !none.contains(&name) && !all.contains(kind, name) =>
            {
                let message = missing_reference(kind, name, all);
                report.field(&checked.source, line, field.key, message);
            }
            ValueType::ServiceName if !is_service(name, all) => {
                let message = format!(
                    "there is no service '{}' yet: calls fail until there is one",
                    shown(name)
                );
                report.warn(&checked.source, line, field.key, message);
            }
            _ => {}
        }
    }
}

fn is_service(name: &str, all: &All<'_>) -> bool {
    let is_local = all.contains(Kind::Service, name) || all.contains(Kind::WsxGateway, name);
    let is_remote = || {
        name.split_once(':').is_some_and(|(outconn, service)| {
            !service.is_empty() && all.contains(Kind::OutgoingWsx, outconn)
        })
    };
    is_local || is_remote()
}

/// Checks that what an object refers to is of use to it.
fn check_fitness(checked: &Checked, all: &All<'_>, report: &mut Report) {
    let (key, message) = match &checked.object {
        Object::WebSocket(channel) => match all.security(channel.sec_def.as_ref()) {
            Some(security)
                if security.r#type == SecurityType::ApiKey && security.username.is_none() =>
            {
                (
                    "sec_def",
                    "names an apikey without a username, but WebSocket clients log in with a username: \
                 name a basic_auth definition",
                )
            }
            _ => return,
        },
        Object::OutgoingWsx(outconn) => match all.security(outconn.security_name.as_ref()) {
            Some(security) if security.r#type != SecurityType::BasicAuth => (
                "security_name",
                "must be a basic_auth definition: its username and password are sent to the peer",
            ),
            _ => return,
        },
        Object::ChannelRest(_) | Object::Service(_) | Object::OutgoingRest(_) => {
            let references = checked.object.references();
            let name =
                references.iter().find(|it| it.kind == Kind::Security).map(|it| it.name.to_owned());
            match all.security(name.as_ref()) {
                Some(security) if security.r#type == SecurityType::Sso => (
                    "security_name",
                    "names users of single sign-on, who are for WebSocket channels: REST callers of the API send \
                     their token in the message",
                ),
                _ => return,
            }
        }
        Object::PubsubSubscription(subscription) => {
            let endpoint = all.endpoint(&subscription.endpoint_name).map(|it| it.endpoint_type);
            match (endpoint, subscription.delivery_method) {
                (Some(EndpointType::Rest), Some(DeliveryMethod::Notify))
                    if subscription.rest_connection.is_none() =>
                {
                    (
                        "rest_connection",
                        "is missing: a rest endpoint is notified through an outgoing_rest connection",
                    )
                }
                (Some(EndpointType::Rest | EndpointType::Srv), Some(DeliveryMethod::WebSocket)) => {
                    ("delivery_method", "web-socket is for wsx endpoints: use pull or notify")
                }
                _ => return,
            }
        }
        _ => return,
    };
    report.field(&checked.source, checked.line_of(key), key, message);
}

/// Checks what only one object may have.
fn check_unique(objects: &[Checked], names: &Names, existing: Existing<'_>, report: &mut Report) {
    let mut taken: BTreeMap<Claim, (Kind, String)> = BTreeMap::new();
    let stays = |object: &&Arc<Object>| !names.contains(&(object.kind(), object.name()));
    for object in existing.objects.iter().filter(stays) {
        for (_, claim) in claims(object) {
            taken.insert(claim, (object.kind(), object.name()));
        }
    }
    for checked in objects {
        let own = (checked.object.kind(), checked.object.name());
        for (key, claim) in claims(&checked.object) {
            match taken.get(&claim) {
                // Defined twice, which is reported as that.
                Some(other) if *other == own => {}
                Some((kind, other)) => {
                    let message =
                        format!("is used by {} already: change one", claim.owner(*kind, other));
                    report.field(&checked.source, checked.line_of(key), key, message);
                }
                None => {
                    taken.insert(claim, own.clone());
                }
            }
        }
    }
    check_listeners(objects, names, existing, report);
}

/// Something that at most one object may have.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// Services and gateways are called by the same names.
    Callable(String),
    Route {
        path: String,
        method: String,
    },
    Address(String),
    EndpointSecurity(String),
    EndpointChannel(String),
    EndpointService(String),
}

impl Claim {
    fn owner(&self, kind: Kind, name: &str) -> String {
        match self {
            Self::Callable(_) => format!("{kind} '{name}'"),
            Self::Route { .. } => format!("channel_rest '{name}' with the same method"),
            Self::Address(_) => format!("web_socket '{name}'"),
            Self::EndpointSecurity(_) | Self::EndpointChannel(_) | Self::EndpointService(_) => {
                format!("pubsub_endpoint '{name}'")
            }
        }
    }
}

fn claims(object: &Object) -> Vec<(&'static str, Claim)> {
    match object {
        Object::Service(it) => vec![("name", Claim::Callable(it.name.clone()))],
        Object::WsxGateway(it) => vec![("name", Claim::Callable(it.name.clone()))],
        Object::ChannelRest(it) => {
            let route = Claim::Route { path: path_shape(&it.url_path), method: it.method.clone() };
            vec![("url_path", route)]
        }
        Object::WebSocket(it) => {
            // One socket cannot be bound twice, whatever is spoken on it.
            let address = match &it.address {
                WebSocketAddress::Own { port: 0, .. } => return Vec::new(),
                WebSocketAddress::Own { host, port, path, .. } => format!("{host} {port} {path}"),
                WebSocketAddress::Shared { path } => path.clone(),
            };
            vec![("address", Claim::Address(address))]
        }
        Object::PubsubEndpoint(it) => {
            let security = it.security_name.clone().map(Claim::EndpointSecurity);
            let channel = it.ws_channel_name.clone().map(Claim::EndpointChannel);
            let service = it.service_name.clone().map(Claim::EndpointService);
            let claims = [
                ("security_name", security),
                ("ws_channel_name", channel),
                ("service_name", service),
            ];
            claims.into_iter().filter_map(|(key, claim)| Some((key, claim?))).collect()
        }
        _ => Vec::new(),
    }
}

/// Checks that channels which share a host and port agree on TLS.
fn check_listeners(
    objects: &[Checked],
    names: &Names,
    existing: Existing<'_>,
    report: &mut Report,
) {
    let listener = |object: &Object| match object {
        Object::WebSocket(it) => match &it.address {
            WebSocketAddress::Own { tls, host, port, .. } if *port != 0 => {
                Some((host.clone(), *port, *tls))
            }
            _ => None,
        },
        _ => None,
    };
    let stays = |object: &&Arc<Object>| !names.contains(&(object.kind(), object.name()));
    let stay = existing.objects.of_kind(Kind::WebSocket).filter(stays).map(AsRef::as_ref);
    let mut known: BTreeMap<(String, u16, bool), String> = BTreeMap::new();
    for object in stay.chain(objects.iter().map(|checked| &checked.object)) {
        if let Some(key) = listener(object) {
            known.insert(key, object.name());
        }
    }
    let word = |tls: bool| if tls { "wss://" } else { "ws://" };
    for checked in objects {
        let Some((host, port, tls)) = listener(&checked.object) else { continue };
        // Of two new ones that disagree, the one with TLS is told.
        let both_new = |other: &str| names.contains(&(Kind::WebSocket, other.to_owned()));
        if let Some(other) = known.get(&(host, port, !tls)).filter(|it| tls || !both_new(it)) {
            let message = format!(
                "web_socket '{other}' speaks {} on the same host and port: use {} for both, or another port",
                word(!tls),
                word(true),
            );
            report.field(&checked.source, checked.line_of("address"), "address", message);
        }
    }
}
