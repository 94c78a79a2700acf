//! The port of a store of users, and its implementation on key-value stores.

mod key_value;
#[cfg(any(test, feature = "testing"))]
pub mod testing;

use std::fmt;
use std::sync::Arc;

use spanwire_protocol::Timestamp;
use spanwire_store::{Durability, StoreError};

pub use key_value::KeyValueUserStore;

use crate::audit::AuditRecord;
use crate::error::Result;
use crate::record::{Attribute, Digest, Link, Owner, Reset, Session, User};

/// Gets the outcome of changes that were submitted.
pub type Done = Box<dyn FnOnce(std::result::Result<(), StoreError>) + Send>;

/// Where users and all that belongs to them are kept. Every call blocks.
///
/// What each method promises is tested for every implementation by `store::testing::contract`. Whoever reads before it
/// writes holds a lock of its own: [`Sso`](crate::Sso) does.
pub trait UserStore: fmt::Debug + Send + Sync {
    /// The user of an id.
    ///
    /// # Errors
    /// When the store fails or what it has cannot be read; so for all of them.
    fn user(&self, id: &str) -> Result<Option<Arc<User>>>;

    /// The id of the user with this name.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn user_named(&self, name: Digest) -> Result<Option<String>>;

    /// Ids of the users with this e-mail address.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn users_with_email(&self, email: Digest) -> Result<Vec<String>>;

    /// The id of the user whose sign-up this token confirms.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn user_to_confirm(&self, token: Digest) -> Result<Option<String>>;

    /// Users by id, after this one.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<Arc<User>>>;

    /// The session of a token.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn session(&self, token: Digest) -> Result<Option<Session>>;

    /// All sessions of a user, whether they have ended or not.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn sessions_of(&self, user_id: &str) -> Result<Vec<Session>>;

    /// The session that linked credentials have open.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn session_of_link(&self, ext_session_id: &str) -> Result<Option<Session>>;

    /// Sessions that have ended by now, the earliest first.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn sessions_ended(&self, now: Timestamp, limit: usize) -> Result<Vec<Session>>;

    /// One attribute, whether it has expired or not.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn attribute(&self, owner: &Owner, name: &str) -> Result<Option<Attribute>>;

    /// All attributes, in no particular order.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn attributes(&self, owner: &Owner) -> Result<Vec<Attribute>>;

    /// All links of a user.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn links_of(&self, user_id: &str) -> Result<Vec<Link>>;

    /// The link of a security definition.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn link(&self, auth_type: &str, auth_username: &str) -> Result<Option<Link>>;

    /// The password reset of a token.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn reset(&self, token: Digest) -> Result<Option<Reset>>;

    /// All password resets of a user.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn resets_of(&self, user_id: &str) -> Result<Vec<Reset>>;

    /// Records of the audit, after this number, ascending.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn audit(&self, after: u64, limit: usize) -> Result<Vec<AuditRecord>>;

    /// The newest record of the audit.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn last_audit(&self) -> Result<Option<AuditRecord>>;

    /// A small value by its name.
    ///
    /// # Errors
    /// As [`user`](Self::user).
    fn meta(&self, name: &str) -> Result<Option<String>>;

    /// Hands in changes, which are made together or not at all, in the order in which they were handed in; `done` gets the
    /// outcome once, perhaps within this call. A forced success says that every earlier change is on disk, too.
    fn submit(&self, changes: &[Change], durability: Durability, done: Done);
}

/// One change. What it is looked up by is changed with it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Change {
    /// A user is made or changed.
    PutUser {
        /// As it was.
        before: Option<Arc<User>>,
        /// As it is.
        after: Arc<User>,
    },
    /// A user is gone.
    DeleteUser(Arc<User>),
    /// A session is opened or changed.
    PutSession {
        /// As it was.
        before: Option<Box<Session>>,
        /// As it is.
        after: Box<Session>,
    },
    /// A session is gone. Its attributes are changes of their own.
    DeleteSession(Box<Session>),
    /// An attribute is made or changed.
    PutAttribute(Owner, Attribute),
    /// An attribute is gone.
    DeleteAttribute(Owner, String),
    /// A link is made or changed.
    PutLink(Link),
    /// A link is gone.
    DeleteLink(Link),
    /// A password reset is begun or goes on.
    PutReset(Reset),
    /// A password reset is over.
    DeleteReset(Reset),
    /// A record of the audit.
    PutAudit(Box<AuditRecord>),
    /// A record of the audit is not kept any longer.
    DeleteAudit(u64),
    /// A small value.
    PutMeta(&'static str, String),
}
