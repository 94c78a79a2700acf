//! A set of managed objects, found by kind and name.
//!
//! It is a value: it stores nothing and tells nobody. Versions and history are the store's.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Kind;
use crate::object::{
    HttpService, Object, OutgoingRest, OutgoingWsx, PubSubEndpoint, PubSubSubscription,
    PubSubTopic, RestChannel, Security, WebSocketChannel, WsxGateway,
};

/// Managed objects, each found by its kind and name.
///
/// Iteration is in the order of [`Kind::ALL`], then of names, which puts an object after those that
/// it refers to. A clone shares the objects, and the names of the kinds that are not changed after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectSet {
    objects: BTreeMap<Kind, Arc<Named>>,
}

/// The objects of one kind, by name.
type Named = BTreeMap<Arc<str>, Arc<Object>>;

impl ObjectSet {
    /// Returns an empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { objects: BTreeMap::new() }
    }

    /// Creates or replaces objects and says what has changed.
    ///
    /// Security definitions without a password keep the one they have. Applying the same objects
    /// again changes nothing.
    pub fn apply(&mut self, objects: impl IntoIterator<Item = Object>) -> Applied {
        let mut applied = Applied::default();
        for mut object in objects {
            let (kind, name) = (object.kind(), object.name());
            let action = match self.get(kind, &name) {
                None => Action::Created,
                Some(earlier) => {
                    object.keep_secrets_of(earlier);
                    if **earlier == object { Action::Unchanged } else { Action::Updated }
                }
            };
            match action {
                Action::Created => applied.created += 1,
                Action::Updated => applied.updated += 1,
                Action::Unchanged => applied.unchanged += 1,
            }
            if action != Action::Unchanged {
                self.insert(object);
                applied.changes.push(Change { kind, name, action });
            }
        }
        applied
    }

    /// Adds an object and returns the one that had its kind and name.
    pub fn insert(&mut self, object: impl Into<Arc<Object>>) -> Option<Arc<Object>> {
        let object = object.into();
        let named = Arc::make_mut(self.objects.entry(object.kind()).or_default());
        named.insert(object.name().into(), object)
    }

    /// Removes an object and returns it.
    pub fn remove(&mut self, kind: Kind, name: &str) -> Option<Arc<Object>> {
        let named = self.objects.get_mut(&kind)?;
        let removed = named.contains_key(name).then(|| Arc::make_mut(named).remove(name))?;
        // Equal sets are equal however they came about.
        if named.is_empty() {
            self.objects.remove(&kind);
        }
        removed
    }

    /// Returns an object.
    #[must_use]
    pub fn get(&self, kind: Kind, name: &str) -> Option<&Arc<Object>> {
        self.objects.get(&kind)?.get(name)
    }

    /// Returns an object in its typed form: `set.find::<Security>("app1")`.
    #[must_use]
    pub fn find<T: Managed>(&self, name: &str) -> Option<&T> {
        self.get(T::KIND, name).and_then(|object| T::from_object(object))
    }

    /// Returns the objects of a kind.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.get(&kind).into_iter().flat_map(|named| named.values())
    }

    /// Returns the objects of a kind in their typed form: `set.all::<Security>()`.
    pub fn all<T: Managed + 'static>(&self) -> impl Iterator<Item = &T> {
        self.of_kind(T::KIND).filter_map(|object| T::from_object(object))
    }

    /// Returns every object.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values().flat_map(|named| named.values())
    }

    /// Returns how many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.objects.values().map(|named| named.len()).sum()
    }

    /// Returns whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.objects.values().all(|named| named.is_empty())
    }
}

impl FromIterator<Object> for ObjectSet {
    fn from_iter<I: IntoIterator<Item = Object>>(objects: I) -> Self {
        let mut set = Self::new();
        for object in objects {
            set.insert(object);
        }
        set
    }
}

/// What [`ObjectSet::apply`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// How many objects are new.
    pub created: usize,
    /// How many objects differ from what they were.
    pub updated: usize,
    /// How many objects are as they were.
    pub unchanged: usize,
    /// The objects that are new or differ, in the order in which they were applied.
    pub changes: Vec<Change>,
}

/// One object that was created or updated.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Change {
    /// The kind of the object.
    pub kind: Kind,
    /// The name of the object.
    pub name: String,
    /// What happened to it.
    pub action: Action,
}

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It is new.
    Created,
    /// It differs from what it was.
    Updated,
    /// It is as it was.
    Unchanged,
}

/// The typed form of objects of one kind.
pub trait Managed {
    /// The kind.
    const KIND: Kind;

    /// Returns the typed form, or `None` for an object of another kind.
    fn from_object(object: &Object) -> Option<&Self>;
}

macro_rules! managed {
    ($($variant:ident => $type:ty),+ $(,)?) => {$(
        impl Managed for $type {
            const KIND: Kind = Kind::$variant;

            fn from_object(object: &Object) -> Option<&Self> {
                match object {
                    Object::$variant(it) => Some(it),
                    _ => None,
                }
            }
        }
    )+};
}

managed! {
    Security => Security,
    Service => HttpService,
    WsxGateway => WsxGateway,
    WebSocket => WebSocketChannel,
    ChannelRest => RestChannel,
    OutgoingRest => OutgoingRest,
    OutgoingWsx => OutgoingWsx,
    PubsubTopic => PubSubTopic,
    PubsubEndpoint => PubSubEndpoint,
    PubsubSubscription => PubSubSubscription,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn security(password: Option<&str>) -> Object {
        let mut value = json!({"name": "app1", "type": "basic_auth", "username": "app1"});
        if let Some(password) = password {
            value["password"] = password.into();
        }
        Object::from_json(Kind::Security, &value).unwrap()
    }

    #[test]
    fn applying_twice_changes_nothing() {
        let mut set = ObjectSet::new();
        let first = set.apply([security(Some("one"))]);
        assert_eq!((first.created, first.updated, first.unchanged), (1, 0, 0));
        let again = set.apply([security(Some("one"))]);
        assert_eq!((again.created, again.updated, again.unchanged), (0, 0, 1));
        assert!(again.changes.is_empty());
        let changed = set.apply([security(Some("two"))]);
        assert_eq!((changed.created, changed.updated, changed.unchanged), (0, 1, 0));
        assert_eq!(changed.changes[0].action, Action::Updated);
    }

    #[test]
    fn a_definition_without_a_password_keeps_the_one_it_has() {
        let mut set: ObjectSet = [security(Some("one"))].into_iter().collect();
        assert_eq!(set.apply([security(None)]).unchanged, 1);
        let kept = set.find::<Security>("app1").unwrap();
        assert_eq!(kept.password.as_ref().unwrap().reveal(), "one");
    }

    #[test]
    fn objects_are_found_by_kind_and_name() {
        let mut set: ObjectSet = [security(None)].into_iter().collect();
        assert_eq!((set.len(), set.is_empty()), (1, false));
        assert_eq!(set.all::<Security>().count(), 1);
        assert_eq!(set.all::<WsxGateway>().count(), 0);
        assert!(set.find::<WsxGateway>("app1").is_none());
        assert!(set.remove(Kind::Security, "app1").is_some());
        assert!(set.is_empty() && set.iter().next().is_none());
    }
}
