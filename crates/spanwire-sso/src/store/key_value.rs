//! Users on a key-value store: one tree for each kind of record, and one for each thing it is looked up by.
//!
//! A record is a byte for its format, 1, and JSON. Keys are ids and digests, so that no text from outside is in one.

use std::ops::Bound;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use spanwire_protocol::Timestamp;
use spanwire_store::{Batch, Durability, KeyValue};

use super::{Change, Done, UserStore};
use crate::audit::AuditRecord;
use crate::error::{Result, SsoError};
use crate::record::{Attribute, Digest, Link, Owner, Reset, Session, User};

/// Users on a key-value store.
#[derive(Clone, Debug)]
pub struct KeyValueUserStore {
    store: Arc<dyn KeyValue>,
}

impl KeyValueUserStore {
    /// On this store, which may have other things beside.
    #[must_use]
    pub fn new(store: Arc<dyn KeyValue>) -> Self {
        Self { store }
    }

    fn read<T: DeserializeOwned>(&self, tree: &'static str, key: &[u8]) -> Result<Option<T>> {
        self.store.get(tree, key)?.map(|value| decode(tree, &value)).transpose()
    }

    fn text(&self, tree: &'static str, key: &[u8]) -> Result<Option<String>> {
        let value = self.store.get(tree, key)?;
        value
            .map(|value| String::from_utf8(value).map_err(|error| unreadable(tree, &error)))
            .transpose()
    }

    /// The records that an index names: what follows the prefix in each of its keys is the key of a record.
    fn indexed<T: DeserializeOwned>(
        &self,
        index: &'static str,
        prefix: &[u8],
        tree: &'static str,
    ) -> Result<Vec<T>> {
        let entries = self.store.scan(index, prefix)?;
        let keys: Vec<_> = entries
            .iter()
            .map(|(key, _)| key.get(prefix.len()..).unwrap_or_default().to_vec())
            .collect();
        let values = self.store.get_many(tree, &keys)?;
        values.into_iter().flatten().map(|value| decode(tree, &value)).collect()
    }
}

impl UserStore for KeyValueUserStore {
    fn user(&self, id: &str) -> Result<Option<Arc<User>>> {
        if !is_key(id) {
            return Ok(None);
        }
        Ok(self.read(USERS, id.as_bytes())?.map(Arc::new))
    }

    fn user_named(&self, name: Digest) -> Result<Option<String>> {
        self.text(NAMES, &name.0)
    }

    fn users_with_email(&self, email: Digest) -> Result<Vec<String>> {
        let entries = self.store.scan(EMAILS, &email.0)?;
        let id = |key: &[u8]| Some(std::str::from_utf8(key.get(32..)?).ok()?.to_owned());
        Ok(entries.iter().filter_map(|(key, _)| id(key)).collect())
    }

    fn user_to_confirm(&self, token: Digest) -> Result<Option<String>> {
        self.text(CONFIRMATIONS, &token.0)
    }

    fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<User>>> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_bytes()));
        let page = self.store.scan_range(USERS, from, Bound::Unbounded, limit)?;
        page.iter().map(|(_, value)| decode(USERS, value).map(Arc::new)).collect()
    }

    fn session(&self, token: Digest) -> Result<Option<Session>> {
        self.read(SESSIONS, &token.0)
    }

    fn sessions_of(&self, user_id: &str) -> Result<Vec<Session>> {
        self.indexed(SESSIONS_OF, &of(user_id), SESSIONS)
    }

    fn session_of_link(&self, ext_session_id: &str) -> Result<Option<Session>> {
        match self.store.get(SESSIONS_OF_LINKS, &sha256(ext_session_id.as_bytes()))? {
            Some(digest) => self.read(SESSIONS, &digest),
            None => Ok(None),
        }
    }

    fn sessions_ended(&self, now: Timestamp, limit: usize) -> Result<Vec<Session>> {
        let until = ending(now, &[0xff; 32]);
        let page = self.store.scan_range(
            SESSION_ENDS,
            Bound::Unbounded,
            Bound::Included(until.as_slice()),
            limit,
        )?;
        let keys: Vec<_> =
            page.iter().map(|(key, _)| key.get(8..).unwrap_or_default().to_vec()).collect();
        let values = self.store.get_many(SESSIONS, &keys)?;
        values.into_iter().flatten().map(|value| decode(SESSIONS, &value)).collect()
    }

    fn attribute(&self, owner: &Owner, name: &str) -> Result<Option<Attribute>> {
        self.read(ATTRIBUTES, &attribute(owner, name))
    }

    fn attributes(&self, owner: &Owner) -> Result<Vec<Attribute>> {
        let entries = self.store.scan(ATTRIBUTES, &owner_key(owner))?;
        entries.iter().map(|(_, value)| decode(ATTRIBUTES, value)).collect()
    }

    fn links_of(&self, user_id: &str) -> Result<Vec<Link>> {
        self.indexed(LINKS_OF, &of(user_id), LINKS)
    }

    fn link(&self, auth_type: &str, auth_username: &str) -> Result<Option<Link>> {
        self.read(LINKS, &link(auth_type, auth_username))
    }

    fn reset(&self, token: Digest) -> Result<Option<Reset>> {
        self.read(RESETS, &token.0)
    }

    fn resets_of(&self, user_id: &str) -> Result<Vec<Reset>> {
        self.indexed(RESETS_OF, &of(user_id), RESETS)
    }

    fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>> {
        let from = after.to_be_bytes();
        let page =
            self.store.scan_range(AUDIT, Bound::Excluded(&from[..]), Bound::Unbounded, limit)?;
        page.iter().map(|(_, value)| decode(AUDIT, value)).collect()
    }

    fn last_audit(&self) -> Result<Option<AuditRecord>> {
        match self.store.get(META, LAST_AUDIT)? {
            Some(key) => match self.read(AUDIT, &key)? {
                Some(last) => Ok(Some(last)),
                None => {
                    Err(unreadable(AUDIT, &"the newest record is gone: it was removed by hand"))
                }
            },
            None => Ok(None),
        }
    }

    fn meta(&self, name: &str) -> Result<Option<String>> {
        self.text(META, name.as_bytes())
    }

    fn submit(&self, changes: &[Change], durability: Durability, done: Done) {
        let mut batch = Batch::new();
        for change in changes {
            add(&mut batch, change);
        }
        self.store.submit(batch, durability, done);
    }
}

fn add(batch: &mut Batch, change: &Change) {
    match change {
        Change::PutUser { before, after } => {
            if let Some(before) = before {
                drop_lookups(batch, before);
            }
            let id = after.user_id.as_bytes();
            batch.put(USERS, id, encode(after.as_ref()));
            batch.put(NAMES, &after.name_digest.0, id);
            if let Some(email) = after.email_digest {
                batch.put(EMAILS, &[&email.0, id].concat(), []);
            }
            if let Some(token) = after.confirm_digest {
                batch.put(CONFIRMATIONS, &token.0, id);
            }
        }
        Change::DeleteUser(user) => {
            drop_lookups(batch, user);
            batch.delete(USERS, user.user_id.as_bytes());
        }
        Change::PutSession { before, after } => {
            if let Some(before) = before {
                batch.delete(SESSION_ENDS, &ending(before.expiration_time, &before.digest.0));
            }
            batch.put(SESSIONS, &after.digest.0, encode(after.as_ref()));
            batch.put(SESSIONS_OF, &[&of(&after.user_id), &after.digest.0[..]].concat(), []);
            batch.put(SESSION_ENDS, &ending(after.expiration_time, &after.digest.0), []);
            if let Some(external) = &after.ext_session_id {
                batch.put(SESSIONS_OF_LINKS, &sha256(external.as_bytes()), after.digest.0);
            }
        }
        Change::DeleteSession(session) => {
            batch.delete(SESSIONS, &session.digest.0);
            batch.delete(SESSIONS_OF, &[&of(&session.user_id), &session.digest.0[..]].concat());
            batch.delete(SESSION_ENDS, &ending(session.expiration_time, &session.digest.0));
            if let Some(external) = &session.ext_session_id {
                batch.delete(SESSIONS_OF_LINKS, &sha256(external.as_bytes()));
            }
        }
        Change::PutAttribute(owner, value) => {
            batch.put(ATTRIBUTES, &attribute(owner, &value.name), encode(value));
        }
        Change::DeleteAttribute(owner, name) => {
            batch.delete(ATTRIBUTES, &attribute(owner, name));
        }
        Change::PutLink(value) => {
            let key = link(&value.auth_type, &value.auth_username);
            batch.put(LINKS, &key, encode(value));
            batch.put(LINKS_OF, &[of(&value.user_id), key].concat(), []);
        }
        Change::DeleteLink(value) => {
            let key = link(&value.auth_type, &value.auth_username);
            batch.delete(LINKS, &key);
            batch.delete(LINKS_OF, &[of(&value.user_id), key].concat());
        }
        Change::PutReset(reset) => {
            batch.put(RESETS, &reset.digest.0, encode(reset));
            batch.put(RESETS_OF, &[&of(&reset.user_id), &reset.digest.0[..]].concat(), []);
        }
        Change::DeleteReset(reset) => {
            batch.delete(RESETS, &reset.digest.0);
            batch.delete(RESETS_OF, &[&of(&reset.user_id), &reset.digest.0[..]].concat());
        }
        Change::PutAudit(record) => {
            let key = record.seq.to_be_bytes();
            batch.put(AUDIT, &key, encode(record.as_ref()));
            batch.put(META, LAST_AUDIT, key);
        }
        Change::DeleteAudit(seq) => {
            batch.delete(AUDIT, &seq.to_be_bytes());
        }
        Change::PutMeta(name, value) => {
            batch.put(META, name.as_bytes(), value.as_bytes());
        }
    }
}

fn drop_lookups(batch: &mut Batch, user: &User) {
    batch.delete(NAMES, &user.name_digest.0);
    if let Some(email) = user.email_digest {
        batch.delete(EMAILS, &[&email.0, user.user_id.as_bytes()].concat());
    }
    if let Some(token) = user.confirm_digest {
        batch.delete(CONFIRMATIONS, &token.0);
    }
}

fn encode(record: &impl Serialize) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    // Records have texts for keys: nothing in them cannot be written.
    let _ = serde_json::to_writer(&mut bytes, record);
    bytes
}

fn decode<T: DeserializeOwned>(tree: &'static str, bytes: &[u8]) -> Result<T> {
    match bytes.split_first() {
        Some((&FORMAT, json)) => {
            serde_json::from_slice(json).map_err(|error| unreadable(tree, &error))
        }
        Some((format, _)) => {
            let newer =
                format!("it has format {format}: use the release that wrote it, or a later one");
            Err(unreadable(tree, &newer))
        }
        None => Err(unreadable(tree, &"it is empty")),
    }
}

fn unreadable(what: &'static str, why: &dyn std::fmt::Display) -> SsoError {
    SsoError::Unreadable { what, why: why.to_string() }
}

/// Ids come from outside, too: one that cannot be a key is nobody's.
fn is_key(id: &str) -> bool {
    (1..=64).contains(&id.len())
}

fn of(user_id: &str) -> Vec<u8> {
    [user_id.as_bytes(), &[0]].concat()
}

fn ending(time: Timestamp, digest: &[u8; 32]) -> Vec<u8> {
    // Before 1970 nothing ends.
    let micros = u64::try_from(time.as_microseconds()).unwrap_or_default();
    [&micros.to_be_bytes()[..], digest].concat()
}

fn owner_key(owner: &Owner) -> Vec<u8> {
    match owner {
        Owner::User(id) => [b"u", of(id).as_slice()].concat(),
        Owner::Session(digest) => [b"s", &digest.0[..]].concat(),
    }
}

fn attribute(owner: &Owner, name: &str) -> Vec<u8> {
    [owner_key(owner), sha256(name.as_bytes()).to_vec()].concat()
}

fn link(auth_type: &str, auth_username: &str) -> Vec<u8> {
    sha256([auth_type, "\0", auth_username].concat().as_bytes()).to_vec()
}

/// Names of any length as keys.
fn sha256(bytes: &[u8]) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).into()
}

const FORMAT: u8 = 1;

const USERS: &str = "sso_users";
const NAMES: &str = "sso_user_names";
const EMAILS: &str = "sso_user_emails";
const CONFIRMATIONS: &str = "sso_user_confirmations";
const SESSIONS: &str = "sso_sessions";
const SESSIONS_OF: &str = "sso_sessions_of_users";
const SESSIONS_OF_LINKS: &str = "sso_sessions_of_links";
const SESSION_ENDS: &str = "sso_session_ends";
const ATTRIBUTES: &str = "sso_attributes";
const LINKS: &str = "sso_links";
const LINKS_OF: &str = "sso_links_of_users";
const RESETS: &str = "sso_resets";
const RESETS_OF: &str = "sso_resets_of_users";
const AUDIT: &str = "sso_audit";
const META: &str = "sso_meta";
const LAST_AUDIT: &[u8] = b"last_audit";
