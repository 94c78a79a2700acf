//! What an object mentions: other objects and services, by their names.
//!
//! One table says which fields do. Reading and renaming go through it; a test holds it against
//! [`crate::spec`]. Lists of patterns (`services_allowed`, `topic_patterns`) are not mentions: they
//! say which names are allowed, whatever the names stand for.

use super::Object;
use crate::Kind;
use crate::spec::{KindSpec, ValueType};

/// A mention of an object that must exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference<'a> {
    /// The key of the field.
    pub field: &'static str,
    /// The kind of what is mentioned.
    pub kind: Kind,
    /// The name of what is mentioned.
    pub name: &'a str,
}

/// What a field mentions.
#[derive(Debug, Clone, Copy)]
enum Target {
    Object(Kind),
    Service,
}

/// A field that mentions something: a text that may be missing.
trait Mention {
    fn name(&self) -> Option<&str>;
    fn name_mut(&mut self) -> Option<&mut String>;
}

impl Mention for String {
    fn name(&self) -> Option<&str> {
        Some(self)
    }

    fn name_mut(&mut self) -> Option<&mut String> {
        Some(self)
    }
}

impl Mention for Option<String> {
    fn name(&self) -> Option<&str> {
        self.as_deref()
    }

    fn name_mut(&mut self) -> Option<&mut String> {
        self.as_mut()
    }
}

macro_rules! mentions {
    ($($variant:ident { $($field:ident: $target:expr),* $(,)? })+) => {
        impl Object {
            fn mentions(&self) -> Vec<(&'static str, Target, Option<&str>)> {
                match self {$(
                    Self::$variant(_it) => {
                        vec![$((stringify!($field), $target, Mention::name(&_it.$field))),*]
                    }
                )+}
            }

            fn mentions_mut(&mut self) -> Vec<(Target, Option<&mut String>)> {
                match self {$(
                    Self::$variant(_it) => vec![$(($target, _it.$field.name_mut())),*],
                )+}
            }
        }
    };
}

mentions! {
    Security {}
    Service { security_name: Target::Object(Kind::Security) }
    WsxGateway {}
    WebSocket {
        service: Target::Service,
        sec_def: Target::Object(Kind::Security),
        on_connect_service: Target::Service,
        on_disconnect_service: Target::Service,
    }
    ChannelRest {
        service: Target::Service,
        security_name: Target::Object(Kind::Security),
    }
    OutgoingRest { security_name: Target::Object(Kind::Security) }
    OutgoingWsx {
        security_name: Target::Object(Kind::Security),
        on_connect_service_name: Target::Service,
        on_message_service_name: Target::Service,
        on_close_service_name: Target::Service,
        on_subscribe_service_name: Target::Service,
    }
    PubsubTopic {
        hook_service_name: Target::Service,
        target_service_name: Target::Service,
    }
    PubsubEndpoint {
        security_name: Target::Object(Kind::Security),
        ws_channel_name: Target::Object(Kind::WebSocket),
        service_name: Target::Service,
    }
    PubsubSubscription {
        endpoint_name: Target::Object(Kind::PubsubEndpoint),
        topic_name: Target::Object(Kind::PubsubTopic),
        rest_connection: Target::Object(Kind::OutgoingRest),
        service_name: Target::Service,
    }
}

impl Object {
    /// Returns the objects that this one refers to and that must exist.
    #[must_use]
    pub fn references(&self) -> Vec<Reference<'_>> {
        let reference = |(field, target, name)| match (target, name) {
            (Target::Object(kind), Some(name)) => Some(Reference { field, kind, name }),
            _ => None,
        };
        self.mentions().into_iter().filter_map(reference).collect()
    }

    /// Returns the fields that name a service, and the names.
    ///
    /// A name stands for a service, for a gateway, or is `outconn:service`. It need not exist.
    #[must_use]
    pub fn service_names(&self) -> Vec<(&'static str, &str)> {
        let service = |(field, target, name)| match (target, name) {
            (Target::Service, Some(name)) => Some((field, name)),
            _ => None,
        };
        self.mentions().into_iter().filter_map(service).collect()
    }

    /// Returns the same object, secrets included, under another name.
    ///
    /// `None` if the name is not one that an object of the kind can have, and for a
    /// [`Kind::PubsubSubscription`], whose name is made of its endpoint and topic. Credentials cannot
    /// take a name that means none, such as `zato-no-security`: what refers to them would be open.
    #[must_use]
    pub fn renamed(&self, new: &str) -> Option<Self> {
        if self.kind() == Kind::Security && means_none(new) {
            return None;
        }
        let mut object = self.clone();
        let name = match &mut object {
            Self::Security(it) => &mut it.name,
            Self::Service(it) => &mut it.name,
            Self::WsxGateway(it) => &mut it.name,
            Self::WebSocket(it) => &mut it.name,
            Self::ChannelRest(it) => &mut it.name,
            Self::OutgoingRest(it) => &mut it.name,
            Self::OutgoingWsx(it) => &mut it.name,
            Self::PubsubTopic(it) => &mut it.name,
            Self::PubsubEndpoint(it) => &mut it.name,
            Self::PubsubSubscription(_) => return None,
        };
        new.clone_into(name);
        object.if_valid()
    }

    /// Returns the object, secrets included, with every mention of another object under its new name.
    ///
    /// References and names of services compare exactly. The name of a [`Kind::OutgoingWsx`] is also
    /// followed where it stands before the `:` of a service. A subscription gets another name with
    /// its endpoint or topic. `None` if nothing mentions the object, or if `new` is not a name that
    /// [`Object::renamed`] accepts or makes a service name too long.
    #[must_use]
    pub fn renamed_reference(&self, kind: Kind, old: &str, new: &str) -> Option<Self> {
        if kind == Kind::Security && means_none(new) {
            return None;
        }
        let mut object = self.clone();
        let mut is_mentioned = false;
        for (target, name) in object.mentions_mut() {
            let Some(name) = name else { continue };
            if let Some(renamed) = follow(target, name, kind, old, new) {
                *name = renamed;
                is_mentioned = true;
            }
        }
        if is_mentioned { object.if_valid() } else { None }
    }

    /// Returns the object if the check of imported ones takes it as it is.
    fn if_valid(self) -> Option<Self> {
        let checked = Self::from_json(self.kind(), &self.to_revealed()).ok()?;
        (checked == self).then_some(self)
    }
}

/// Returns what a mention becomes, or `None` if it is of something else.
fn follow(target: Target, name: &str, kind: Kind, old: &str, new: &str) -> Option<String> {
    match (target, kind) {
        (Target::Object(of), _) if of == kind && name == old => Some(new.to_owned()),
        (Target::Service, Kind::Service | Kind::WsxGateway) if name == old => Some(new.to_owned()),
        (Target::Service, Kind::OutgoingWsx) => {
            let service = name.strip_prefix(old)?.strip_prefix(':')?;
            Some(format!("{new}:{service}"))
        }
        _ => None,
    }
}

/// Returns whether a reference to credentials of this name would mean no credentials.
fn means_none(name: &str) -> bool {
    let fields = Kind::ALL.into_iter().flat_map(|kind| KindSpec::of(kind).fields());
    fields.into_iter().any(|field| match field.value {
        ValueType::Reference(Kind::Security, none) => none.contains(&name),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::object::tests::full;
    use crate::spec::Effect;

    fn object(kind: Kind, value: &Json) -> Object {
        Object::from_json(kind, value).unwrap()
    }

    #[test]
    fn the_table_agrees_with_the_description() {
        for (kind, value) in full() {
            let object = object(kind, &value);
            let (mut references, mut services) = (Vec::new(), Vec::new());
            for field in KindSpec::of(kind).fields().filter(|it| it.effect == Effect::Applied) {
                let name = value.get(field.key).and_then(Json::as_str);
                match field.value {
                    ValueType::Reference(of, _) => {
                        references.push(Reference {
                            field: field.key,
                            kind: of,
                            name: name.unwrap(),
                        });
                    }
                    ValueType::ServiceName => services.push((field.key, name.unwrap())),
                    _ => {}
                }
            }
            let by_field = |list: &mut Vec<Reference<'_>>| list.sort_by_key(|it| it.field);
            let mut found = object.references();
            by_field(&mut found);
            by_field(&mut references);
            assert_eq!(found, references, "{kind}");
            let mut found = object.service_names();
            found.sort_unstable();
            services.sort_unstable();
            assert_eq!(found, services, "{kind}");
        }
    }

    #[test]
    fn what_is_not_given_is_not_mentioned() {
        let open = json!({"name": "w", "address": "/w", "service": "g", "sec_def": "ZATO_NONE"});
        let open = object(Kind::WebSocket, &open);
        assert_eq!(open.references(), []);
        assert_eq!(open.service_names(), [("service", "g")]);
    }

    #[test]
    fn every_mention_follows_a_new_name_and_secrets_survive() {
        for (kind, value) in full() {
            let before = object(kind, &value);
            for reference in before.references() {
                let after =
                    before.renamed_reference(reference.kind, reference.name, "new").unwrap();
                assert!(after.references().iter().all(|it| {
                    let is_renamed = it.kind == reference.kind;
                    if is_renamed { it.name == "new" } else { before.references().contains(it) }
                }));
                let back = after.renamed_reference(reference.kind, "new", reference.name).unwrap();
                assert_eq!(back, before, "{kind}: the same again, secrets included");
                assert_eq!(before.renamed_reference(reference.kind, "other", "new"), None);
            }
            if !before.service_names().iter().any(|(_, name)| *name == "x") {
                continue;
            }
            let after = before.renamed_reference(Kind::Service, "x", "y").unwrap();
            assert!(after.service_names().iter().all(|(_, name)| *name != "x"), "{after:?}");
            assert_eq!(before.renamed_reference(Kind::ChannelRest, "x", "y"), None);
        }
    }

    #[test]
    fn services_behind_a_connection_follow_it() {
        let value = json!({"name": "c", "url_path": "/c", "service": "out:a:b"});
        let before = object(Kind::ChannelRest, &value);
        let after = before.renamed_reference(Kind::OutgoingWsx, "out", "other").unwrap();
        assert_eq!(after.service_names(), [("service", "other:a:b")]);
        for (kind, old) in [(Kind::OutgoingWsx, "ou"), (Kind::OutgoingWsx, "out:a:b")] {
            assert_eq!(before.renamed_reference(kind, old, "other"), None, "{old}");
        }
        let exact = before.renamed_reference(Kind::WsxGateway, "out:a:b", "g").unwrap();
        assert_eq!(exact.service_names(), [("service", "g")]);
        assert_eq!(before.renamed_reference(Kind::OutgoingWsx, "out", &"x".repeat(200)), None);
    }

    #[test]
    fn objects_are_renamed_with_all_they_have() {
        for (kind, value) in full() {
            let before = object(kind, &value);
            let Some(after) = before.renamed("/new") else {
                assert_eq!(kind, Kind::PubsubSubscription);
                continue;
            };
            assert_eq!(after.name(), "/new");
            assert_eq!(after.renamed(&before.name()), Some(before));
        }
    }

    #[test]
    fn names_that_nothing_may_have_are_refused() {
        let security = object(Kind::Security, &full()[0].1);
        for name in ["", " ", " x", "a\nb", "zato-no-security", "ZATO_NONE", &"x".repeat(201)] {
            assert_eq!(security.renamed(name), None, "{name:?}");
        }
        let topic = object(Kind::PubsubTopic, &json!({"name": "/t"}));
        assert_eq!(topic.renamed("/ü"), None, "topics have ASCII names");
        // To follow this name would let everyone in.
        let channel = object(Kind::WebSocket, &full()[3].1);
        assert_eq!(channel.renamed_reference(Kind::Security, "s", "zato-no-security"), None);
    }
}
