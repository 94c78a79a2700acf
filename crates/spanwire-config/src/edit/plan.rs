//! From edits to the objects that differ, or every reason why not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::{Edit, EditError};
use crate::change::ChangedObject;
use crate::problem::Warning;
use crate::snapshot::Snapshot;
use crate::validate::{self, Edited};
use crate::{Kind, Object, ObjectSet, Password};

/// What edits come to.
pub(crate) struct Plan {
    pub(crate) objects: ObjectSet,
    pub(crate) changes: Vec<ChangedObject>,
    pub(crate) warnings: Vec<Warning>,
}

/// Makes a password that nobody knows.
pub(crate) type NewPassword<'a> = &'a dyn Fn() -> Result<Password, EditError>;

/// Decides about edits; `built_in` tells what exists without being stored.
pub(crate) fn plan(
    base: &Snapshot,
    edits: Vec<Edit>,
    built_in: &dyn Fn(Kind, &str) -> bool,
    new_password: NewPassword<'_>,
) -> Result<Plan, EditError> {
    let mut draft = Draft::new(base, new_password);
    for edit in edits {
        draft.take(edit)?;
    }
    let changes = draft.changes();
    let edited = Edited {
        objects: &draft.objects,
        changed: changes.iter().filter_map(|change| change.after.as_deref()).collect(),
        gone: gone(&changes, &draft.objects, built_in),
        built_in,
    };
    let used = validate::uses_of_what_is_gone(&edited);
    if !used.is_empty() {
        return Err(EditError::InUse(used));
    }
    let warnings = validate::check_edited(&edited).map_err(EditError::Invalid)?;
    Ok(Plan { objects: draft.objects, changes, warnings })
}

/// Names that stood for an object and stand for none any more.
fn gone(
    changes: &[ChangedObject],
    after: &ObjectSet,
    built_in: &dyn Fn(Kind, &str) -> bool,
) -> BTreeSet<(Kind, String)> {
    let names =
        changes.iter().filter_map(|change| Some((change.kind, change.before.as_ref()?.name())));
    names
        .filter(|(kind, name)| after.get(*kind, name).is_none() && !built_in(*kind, name))
        .collect()
}

/// The configuration while edits are applied to it.
struct Draft<'a> {
    base: &'a Snapshot,
    new_password: NewPassword<'a>,
    objects: ObjectSet,
    last_id: u64,
    /// Names that stand for something else than in `base`; `None` for nothing.
    names: HashMap<(Kind, String), Option<u64>>,
    touched: BTreeMap<u64, Touched>,
    /// In the order in which they were touched first.
    order: Vec<u64>,
}

struct Touched {
    kind: Kind,
    last_version: u64,
    before: Option<Arc<Object>>,
    now: Option<Arc<Object>>,
}

impl<'a> Draft<'a> {
    fn new(base: &'a Snapshot, new_password: NewPassword<'a>) -> Self {
        Self {
            base,
            new_password,
            objects: base.objects().clone(),
            last_id: base.last_id(),
            names: HashMap::new(),
            touched: BTreeMap::new(),
            order: Vec::new(),
        }
    }

    fn take(&mut self, edit: Edit) -> Result<(), EditError> {
        match edit {
            Edit::Create(mut object) => {
                let (kind, name) = (object.kind(), object.name());
                let Some(existing) = self.objects.get(kind, &name) else {
                    return self.add(object);
                };
                object.keep_secrets_of(existing);
                if **existing == object { Ok(()) } else { Err(EditError::Exists { kind, name }) }
            }
            Edit::Apply(object) => match self.id(object.kind(), &object.name()) {
                Some(id) => self.put(id, object),
                None => self.add(object),
            },
            Edit::Replace { kind, name, object, expect } => {
                let id = self.expected(kind, name, expect)?;
                self.put(id, object)
            }
            Edit::Delete { kind, name, expect } => {
                let id = self.expected(kind, name, expect)?;
                self.remove(id);
                Ok(())
            }
            Edit::Restore { id, last_version, object } => match (self.now(id), object) {
                (Some(_), Some(object)) => self.put(id, object),
                (Some(_), None) => {
                    self.remove(id);
                    Ok(())
                }
                (None, Some(object)) => self.insert(id, last_version, object),
                (None, None) => Ok(()),
            },
        }
    }

    fn expected(&self, kind: Kind, name: String, expect: Option<u64>) -> Result<u64, EditError> {
        let Some(id) = self.id(kind, &name) else {
            return Err(EditError::NotFound { kind, name });
        };
        let actual = self.base.by_id(id).map_or(0, |(_, meta)| meta.version);
        match expect {
            Some(expected) if expected != actual => {
                Err(EditError::Version { kind, name, expected, actual })
            }
            _ => Ok(id),
        }
    }

    fn id(&self, kind: Kind, name: &str) -> Option<u64> {
        let moved = self.names.get(&(kind, name.to_owned()));
        moved.copied().unwrap_or_else(|| self.base.meta(kind, name).map(|meta| meta.id))
    }

    fn now(&self, id: u64) -> Option<Arc<Object>> {
        match self.touched.get(&id) {
            Some(touched) => touched.now.clone(),
            None => self.base.by_id(id).map(|(object, _)| Arc::clone(object)),
        }
    }

    fn add(&mut self, object: Object) -> Result<(), EditError> {
        self.last_id += 1;
        self.insert(self.last_id, 0, object)
    }

    /// Brings an object in that is not there.
    fn insert(&mut self, id: u64, last_version: u64, mut object: Object) -> Result<(), EditError> {
        let (kind, name) = (object.kind(), object.name());
        if self.id(kind, &name).is_some() {
            return Err(EditError::Exists { kind, name });
        }
        if let Object::Security(security) = &mut object
            && security.password.is_none()
        {
            security.password = Some((self.new_password)()?);
        }
        let object = Arc::new(object);
        self.objects.insert(Arc::clone(&object));
        self.names.insert((kind, name), Some(id));
        self.touch(id, kind, last_version, None).now = Some(object);
        Ok(())
    }

    /// Makes an object that is there another one; what refers to its name follows.
    fn put(&mut self, id: u64, mut object: Object) -> Result<(), EditError> {
        let Some(earlier) = self.now(id) else { return Ok(()) };
        object.keep_secrets_of(&earlier);
        let (kind, old, new) = (object.kind(), earlier.name(), object.name());
        if old != new {
            if self.id(kind, &new).is_some() {
                return Err(EditError::Exists { kind, name: new });
            }
            self.objects.remove(kind, &old);
            self.names.insert((kind, old.clone()), None);
            self.names.insert((kind, new.clone()), Some(id));
        }
        let object = Arc::new(object);
        self.objects.insert(Arc::clone(&object));
        self.touch(id, kind, 0, Some(&earlier)).now = Some(object);
        if old == new {
            return Ok(());
        }
        let followers: Vec<_> = self
            .objects
            .iter()
            .filter_map(|other| Some((other.name(), other.renamed_reference(kind, &old, &new)?)))
            .collect();
        for (name, follower) in followers {
            if let Some(id) = self.id(follower.kind(), &name) {
                self.put(id, follower)?;
            }
        }
        Ok(())
    }

    fn remove(&mut self, id: u64) {
        let Some(earlier) = self.now(id) else { return };
        let (kind, name) = (earlier.kind(), earlier.name());
        self.objects.remove(kind, &name);
        self.names.insert((kind, name), None);
        self.touch(id, kind, 0, Some(&earlier)).now = None;
    }

    fn touch(
        &mut self,
        id: u64,
        kind: Kind,
        last_version: u64,
        before: Option<&Arc<Object>>,
    ) -> &mut Touched {
        self.touched.entry(id).or_insert_with(|| {
            self.order.push(id);
            let known = self.base.by_id(id).map(|(_, meta)| meta.version);
            let last_version = known.unwrap_or(last_version);
            Touched { kind, last_version, before: before.cloned(), now: None }
        })
    }

    /// The objects that differ in the end, in the order in which they were touched.
    fn changes(&self) -> Vec<ChangedObject> {
        let touched = self.order.iter().filter_map(|id| Some((*id, self.touched.get(id)?)));
        let differing = touched.filter(|(_, touched)| touched.before != touched.now);
        let change = |(id, touched): (u64, &Touched)| ChangedObject {
            id,
            kind: touched.kind,
            version: touched.last_version + 1,
            before: touched.before.clone(),
            after: touched.now.clone(),
        };
        differing.map(change).collect()
    }
}
