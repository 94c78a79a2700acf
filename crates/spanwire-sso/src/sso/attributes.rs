//! Attributes of users and of sessions (reference sso 1.6).

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;
use spanwire_crypto::Secret;
use spanwire_protocol::Timestamp;

use super::{LONGEST_NAME, Sso, Trail, after};
use crate::call::Call;
use crate::error::{Result, SsoError, not_allowed};
use crate::operation::Operation;
use crate::record::{Attribute, Field, Owner};
use crate::seal::Place;
use crate::status::Code;
use crate::store::Change;

/// Whose attributes.
#[derive(Clone, Debug)]
pub enum Scope {
    /// A user's: the caller's without an id.
    User(Option<String>),
    /// The session's with this token.
    Session(Secret),
}

/// One attribute to be.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AttributeInput {
    /// Its name.
    pub name: String,
    /// Its value; `None` leaves that of a change as it is, and is null for a new one.
    pub value: Option<Value>,
    /// Seconds from now until it is gone; not changed, or never, if `None`.
    pub expiration: Option<u64>,
    /// Whether it is encrypted; as it was, or not, if `None`.
    pub encrypt: Option<bool>,
    /// Another user's, for super-users.
    pub user_id: Option<String>,
}

/// An attribute as readers see it.
#[derive(Clone, Debug, PartialEq)]
pub struct AttributeView {
    /// Its name.
    pub name: String,
    /// Its value; encrypted if it is and nobody asked for more.
    pub value: Value,
    /// When it was made.
    pub creation_time: Timestamp,
    /// When it was changed.
    pub last_modified: Timestamp,
    /// Until when it is there.
    pub expiration_time: Option<Timestamp>,
    /// Whether it is encrypted at rest.
    pub is_encrypted: bool,
}

/// How attributes are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Create,
    Update,
    Set,
}

/// Somebody's attributes, and whose lock is theirs.
struct Target {
    owner: Owner,
    user_id: String,
}

impl Target {
    /// What fields are bound to.
    fn place(&self) -> String {
        match &self.owner {
            Owner::User(id) => id.clone(),
            Owner::Session(digest) => digest.to_hex(),
        }
    }
}

impl Sso {
    /// Creates attributes: all, or none.
    ///
    /// # Errors
    /// [`Code::AttributeExists`], [`Code::InvalidInput`], [`Code::NotAllowed`] for another user's.
    pub fn create_attributes(
        &self,
        call: &Call,
        token: &Secret,
        scope: &Scope,
        inputs: &[AttributeInput],
    ) -> Result<()> {
        let operation = scope.pick(Operation::UserAttrCreate, Operation::SessionAttrCreate);
        self.write(call, operation, token, scope, inputs, Mode::Create)
    }

    /// Changes values or expiry of attributes: all, or none. What is encrypted stays so unless the input says otherwise.
    ///
    /// # Errors
    /// [`Code::NoSuchAttribute`], [`Code::InvalidInput`], [`Code::NotAllowed`].
    pub fn update_attributes(
        &self,
        call: &Call,
        token: &Secret,
        scope: &Scope,
        inputs: &[AttributeInput],
    ) -> Result<()> {
        let operation = scope.pick(Operation::UserAttrUpdate, Operation::SessionAttrUpdate);
        self.write(call, operation, token, scope, inputs, Mode::Update)
    }

    /// Creates or changes attributes: all, or none.
    ///
    /// # Errors
    /// [`Code::InvalidInput`], [`Code::NotAllowed`].
    pub fn set_attributes(
        &self,
        call: &Call,
        token: &Secret,
        scope: &Scope,
        inputs: &[AttributeInput],
    ) -> Result<()> {
        let operation = scope.pick(Operation::UserAttrSet, Operation::SessionAttrSet);
        self.write(call, operation, token, scope, inputs, Mode::Set)
    }

    /// Deletes attributes; unknown names are no error.
    ///
    /// # Errors
    /// [`Code::InvalidInput`], [`Code::NotAllowed`].
    pub fn delete_attributes(
        &self,
        call: &Call,
        token: &Secret,
        scope: &Scope,
        names: &[String],
    ) -> Result<()> {
        let operation = scope.pick(Operation::UserAttrDelete, Operation::SessionAttrDelete);
        self.run(call, operation, |trail| {
            let target = self.target(trail, token, scope)?;
            check_names(trail, names.iter().map(String::as_str))?;
            let _one_at_a_time = self.lock(&target.user_id);
            self.still_there(&target)?;
            let delete =
                |name: &String| Change::DeleteAttribute(target.owner.clone(), name.clone());
            self.commit(trail, names.iter().map(delete).collect())
        })
    }

    /// Attributes by name, `None` where there is none.
    ///
    /// # Errors
    /// [`Code::InvalidInput`], [`Code::NotAllowed`].
    pub fn attributes(
        &self,
        call: &Call,
        token: &Secret,
        scope: &Scope,
        names: &[String],
        decrypts: bool,
    ) -> Result<Vec<Option<AttributeView>>> {
        let operation = scope.pick(Operation::UserAttrGet, Operation::SessionAttrGet);
        self.run(call, operation, |trail| {
            let target = self.target(trail, token, scope)?;
            check_names(trail, names.iter().map(String::as_str))?;
            names.iter().map(|name| self.view_attribute(&target, name, decrypts)).collect()
        })
    }

    /// Whether there are attributes of these names.
    ///
    /// # Errors
    /// [`Code::InvalidInput`], [`Code::NotAllowed`].
    pub fn attributes_exist(
        &self,
        call: &Call,
        token: &Secret,
        scope: &Scope,
        names: &[String],
    ) -> Result<Vec<bool>> {
        let operation = scope.pick(Operation::UserAttrExists, Operation::SessionAttrExists);
        self.run(call, operation, |trail| {
            let target = self.target(trail, token, scope)?;
            check_names(trail, names.iter().map(String::as_str))?;
            names.iter().map(|name| Ok(self.attribute_now(&target, name)?.is_some())).collect()
        })
    }

    /// The names of all attributes, sorted.
    ///
    /// # Errors
    /// [`Code::NotAllowed`].
    pub fn attribute_names(
        &self,
        call: &Call,
        token: &Secret,
        scope: &Scope,
    ) -> Result<Vec<String>> {
        let operation = scope.pick(Operation::UserAttrNames, Operation::SessionAttrNames);
        self.run(call, operation, |trail| {
            let target = self.target(trail, token, scope)?;
            let now = self.now();
            let all = self.store().attributes(&target.owner)?;
            let mut names: Vec<_> =
                all.into_iter().filter(|it| it.is_there(now)).map(|it| it.name).collect();
            names.sort();
            Ok(names)
        })
    }

    fn write(
        &self,
        call: &Call,
        operation: Operation,
        token: &Secret,
        scope: &Scope,
        inputs: &[AttributeInput],
        mode: Mode,
    ) -> Result<()> {
        self.run(call, operation, |trail| {
            check_names(trail, inputs.iter().map(|input| input.name.as_str()))?;
            // Items of a list may be of several users. Each is a target of its own, and all go with one change.
            let default = Arc::new(self.target(trail, token, scope)?);
            let mut targets: Vec<(Arc<Target>, Vec<&AttributeInput>)> = Vec::new();
            for input in inputs {
                let target = match (&input.user_id, scope) {
                    (Some(id), Scope::User(_)) => {
                        Arc::new(self.target(trail, token, &Scope::User(Some(id.clone())))?)
                    }
                    _ => Arc::clone(&default),
                };
                match targets.iter_mut().find(|(known, _)| known.owner == target.owner) {
                    Some((_, list)) => list.push(input),
                    None => targets.push((target, vec![input])),
                }
            }
            // In one order, so that two calls never wait for each other.
            let mut owners: Vec<_> = targets
                .iter()
                .map(|(target, _)| self.0.locks.users.index(&target.user_id.as_str()))
                .collect();
            owners.sort_unstable();
            owners.dedup();
            let _one_at_a_time: Vec<_> =
                owners.into_iter().map(|index| self.0.locks.users.at(index)).collect();
            let mut changes = Vec::new();
            for (target, list) in &targets {
                let names: BTreeSet<&str> = list.iter().map(|input| input.name.as_str()).collect();
                if names.len() < list.len() {
                    return Err(SsoError::Refused(Code::InvalidInput));
                }
                self.still_there(target)?;
                for input in list {
                    changes.push(self.written(target, input, mode)?);
                }
            }
            self.commit(trail, changes)
        })
    }

    fn written(&self, target: &Target, input: &AttributeInput, mode: Mode) -> Result<Change> {
        let now = self.now();
        let before = self.attribute_now(target, &input.name)?;
        match (mode, &before) {
            (Mode::Create, Some(_)) => return Err(SsoError::Refused(Code::AttributeExists)),
            (Mode::Update, None) => return Err(SsoError::Refused(Code::NoSuchAttribute)),
            _ => {}
        }
        let encrypts = input.encrypt.unwrap_or_else(|| {
            before.as_ref().is_some_and(|before| matches!(before.value, Field::Sealed(_)))
        });
        let place = target.place();
        let place = Place { owner: &place, column: &input.name };
        let value = match (&input.value, &before) {
            (Some(value), _) => Secret::new(value.to_string()),
            (None, Some(before)) => self.0.sealer.open(place, &before.value)?,
            (None, None) => Secret::new("null".to_owned()),
        };
        if value.expose().len() > LARGEST_VALUE {
            return Err(SsoError::Refused(Code::InvalidInput));
        }
        let value = match encrypts {
            true => self.0.sealer.seal(place, value.expose()),
            false => Field::Plain(value.expose().to_owned()),
        };
        let expiration_time = match input.expiration {
            Some(seconds @ 1..) => Some(after(now, seconds)),
            _ => before.as_ref().and_then(|before| before.expiration_time),
        };
        let creation_time = before.map_or(now, |before| before.creation_time);
        let attribute = Attribute {
            name: input.name.clone(),
            value,
            creation_time,
            last_modified: now,
            expiration_time,
        };
        Ok(Change::PutAttribute(target.owner.clone(), attribute))
    }

    fn attribute_now(&self, target: &Target, name: &str) -> Result<Option<Attribute>> {
        let found = self.store().attribute(&target.owner, name)?;
        Ok(found.filter(|it| it.is_there(self.now())))
    }

    fn view_attribute(
        &self,
        target: &Target,
        name: &str,
        decrypts: bool,
    ) -> Result<Option<AttributeView>> {
        let Some(found) = self.attribute_now(target, name)? else { return Ok(None) };
        let place = target.place();
        let value = match &found.value {
            Field::Sealed(sealed) if !decrypts => Value::String(sealed.clone()),
            field => {
                let text = self.0.sealer.open(Place { owner: &place, column: name }, field)?;
                serde_json::from_str(text.expose()).map_err(|error| SsoError::Unreadable {
                    what: "an attribute",
                    why: error.to_string(),
                })?
            }
        };
        Ok(Some(AttributeView {
            value,
            is_encrypted: matches!(found.value, Field::Sealed(_)),
            name: found.name,
            creation_time: found.creation_time,
            last_modified: found.last_modified,
            expiration_time: found.expiration_time,
        }))
    }

    /// Whose attributes a caller means, if the caller may see them: one's own, or anybody's for super-users.
    fn target(&self, trail: &mut Trail<'_>, token: &Secret, scope: &Scope) -> Result<Target> {
        let caller = self.caller(trail, token)?;
        let target = match scope {
            Scope::User(id) => {
                let user_id = id.clone().unwrap_or_else(|| caller.user.user_id.clone());
                if user_id != caller.user.user_id && !caller.user.is_super_user {
                    return Err(not_allowed());
                }
                if self.store().user(&user_id)?.is_none() {
                    return Err(not_allowed());
                }
                Target { owner: Owner::User(user_id.clone()), user_id }
            }
            Scope::Session(session) => {
                let found = self.find_session(session)?;
                if found.user.user_id != caller.user.user_id && !caller.user.is_super_user {
                    return Err(not_allowed());
                }
                Target {
                    owner: Owner::Session(found.session.digest),
                    user_id: found.user.user_id.clone(),
                }
            }
        };
        trail.target.clone_from(&target.user_id);
        Ok(target)
    }

    /// Nothing is left behind by a user or a session that is gone meanwhile. The caller holds the user's lock.
    fn still_there(&self, target: &Target) -> Result<()> {
        let is_there = match &target.owner {
            Owner::User(id) => self.store().user(id)?.is_some(),
            Owner::Session(digest) => {
                self.store().session(*digest)?.is_some_and(|it| it.expiration_time > self.now())
            }
        };
        if is_there { Ok(()) } else { Err(SsoError::Refused(Code::NoSuchSession)) }
    }
}

impl Scope {
    fn pick(&self, user: Operation, session: Operation) -> Operation {
        match self {
            Self::User(_) => user,
            Self::Session(_) => session,
        }
    }
}

fn check_names<'a>(trail: &mut Trail<'_>, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut all = Vec::new();
    for name in names {
        if name.is_empty() || name.chars().count() > LONGEST_NAME || all.len() >= MOST_ITEMS {
            return Err(SsoError::Refused(Code::InvalidInput));
        }
        all.push(name);
    }
    if all.is_empty() {
        return Err(SsoError::Refused(Code::InvalidInput));
    }
    trail.extra = all.join(",");
    Ok(())
}

/// Bytes of JSON (W35).
const LARGEST_VALUE: usize = 8 * 1_024;
/// Of one call (W35).
const MOST_ITEMS: usize = 1_000;
