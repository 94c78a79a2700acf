//! Endpoints: who is who, and who may do what. Decides, and stores nothing.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use spanwire_protocol::TopicAccess;

use crate::error::PubSubError;
use crate::id::EndpointId;
use crate::settings::{EndpointKind, EndpointSettings, Role};

/// An endpoint, with what it was found to be allowed to do.
#[derive(Debug)]
pub struct Endpoint {
    settings: EndpointSettings,
    /// Patterns that matched, or that none did, by topic.
    decided: RwLock<Decided>,
}

type Decided = HashMap<(TopicAccess, Arc<str>), Option<Arc<str>>>;

impl Endpoint {
    /// An endpoint of these settings.
    #[must_use]
    pub fn new(settings: EndpointSettings) -> Self {
        Self { settings, decided: RwLock::default() }
    }

    /// The server itself: it may do everything.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(EndpointSettings {
            id: EndpointId::INTERNAL,
            name: "zato.pubsub.internal.default".into(),
            kind: EndpointKind::Internal,
            is_active: true,
            role: Role::PubSub,
            patterns: Vec::new(),
            security_name: None,
            channel_name: None,
            service_name: None,
            bind_to_client: false,
        })
    }

    /// What it was told about itself.
    #[must_use]
    pub fn settings(&self) -> &EndpointSettings {
        &self.settings
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.settings.name
    }

    /// Whether it is the server itself.
    #[must_use]
    pub fn is_internal(&self) -> bool {
        self.settings.id == EndpointId::INTERNAL
    }

    /// The pattern that allows this access to a topic: the role first, then the first pattern that matches.
    ///
    /// # Errors
    /// [`PubSubError::Forbidden`] when none does.
    pub fn allow(&self, access: TopicAccess, topic: &str) -> Result<Arc<str>, PubSubError> {
        if self.is_internal() || self.settings.kind == EndpointKind::Srv {
            let everything = if access == TopicAccess::Publish { "pub=/*" } else { "sub=/*" };
            return match self.settings.is_active {
                true => Ok(everything.into()),
                false => Err(PubSubError::Forbidden),
            };
        }
        let wrong_role = match access {
            TopicAccess::Publish => self.settings.role == Role::SubOnly,
            TopicAccess::Subscribe => self.settings.role == Role::PubOnly,
        };
        if !self.settings.is_active || wrong_role {
            return Err(PubSubError::Forbidden);
        }
        if topic.len() > MAX_TOPIC_NAME {
            return Err(PubSubError::Forbidden);
        }
        let key = (access, Arc::from(topic));
        let decided =
            self.decided.read().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        let decided = decided.unwrap_or_else(|| {
            let matching = self.settings.patterns.iter().find(|it| it.grants(access, topic));
            let matching: Option<Arc<str>> = matching.map(|it| it.as_str().into());
            let mut known = self.decided.write().unwrap_or_else(PoisonError::into_inner);
            // Names come from callers: what they make us remember is bounded.
            if known.len() >= MAX_DECIDED {
                known.clear();
            }
            known.insert(key, matching.clone());
            matching
        });
        decided.ok_or(PubSubError::Forbidden)
    }
}

const MAX_DECIDED: usize = 1_000;
/// No topic has a longer name, in bytes: an object has 200 characters, and a service's topic a prefix.
pub(super) const MAX_TOPIC_NAME: usize = 1024;

/// All endpoints, found by what they are recognised by.
#[derive(Debug)]
pub(crate) struct Endpoints {
    internal: Arc<Endpoint>,
    by_id: HashMap<EndpointId, Arc<Endpoint>>,
    by_security: HashMap<Arc<str>, Arc<Endpoint>>,
    by_channel: HashMap<Arc<str>, Arc<Endpoint>>,
    by_name: HashMap<Arc<str>, Arc<Endpoint>>,
}

impl Endpoints {
    pub(crate) fn new(all: Vec<EndpointSettings>) -> Self {
        let mut endpoints = Self {
            internal: Arc::new(Endpoint::internal()),
            by_id: HashMap::new(),
            by_security: HashMap::new(),
            by_channel: HashMap::new(),
            by_name: HashMap::new(),
        };
        for settings in all {
            let endpoint = Arc::new(Endpoint::new(settings));
            let settings = endpoint.settings();
            endpoints.by_id.insert(settings.id, Arc::clone(&endpoint));
            endpoints.by_name.insert(Arc::clone(&settings.name), Arc::clone(&endpoint));
            if let Some(name) = &settings.security_name {
                endpoints.by_security.insert(Arc::clone(name), Arc::clone(&endpoint));
            }
            if let Some(name) = &settings.channel_name {
                endpoints.by_channel.insert(Arc::clone(name), Arc::clone(&endpoint));
            }
        }
        endpoints
    }

    pub(crate) fn internal(&self) -> &Arc<Endpoint> {
        &self.internal
    }

    pub(crate) fn by_id(&self, id: EndpointId) -> Option<&Arc<Endpoint>> {
        if id == EndpointId::INTERNAL { Some(&self.internal) } else { self.by_id.get(&id) }
    }

    pub(crate) fn by_security(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.by_security.get(name)
    }

    pub(crate) fn by_channel(&self, name: &str) -> Option<&Arc<Endpoint>> {
        self.by_channel.get(name)
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Arc<Endpoint>> {
        match name == &**self.internal.name() {
            true => Some(&self.internal),
            false => self.by_name.get(name),
        }
    }
}
