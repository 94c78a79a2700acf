//! One change of the configuration: who wants it, and which objects differ by it.

use std::sync::Arc;

use crate::{Kind, Object};

/// Who wants a change, from where and why; stored with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Author {
    /// A user, or what acts for nobody in particular, such as `spanwire-server`.
    pub who: String,
    /// An address, a program, a file.
    pub from: String,
    /// As far as somebody said.
    pub reason: Option<String>,
}

impl Author {
    /// Names the author, without a reason.
    #[must_use]
    pub fn new(who: impl Into<String>, from: impl Into<String>) -> Self {
        Self { who: who.into(), from: from.into(), reason: None }
    }

    /// Adds the reason.
    #[must_use]
    pub fn because(mut self, reason: Option<String>) -> Self {
        self.reason = reason;
        self
    }
}

/// One object that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangedObject {
    /// The object.
    pub id: u64,
    /// Its kind.
    pub kind: Kind,
    /// The version that it got.
    pub version: u64,
    /// What it was; `None` if it is new.
    pub before: Option<Arc<Object>>,
    /// What it is; `None` if it is gone.
    pub after: Option<Arc<Object>>,
}

impl ChangedObject {
    /// Returns the name, the new one after a rename.
    #[must_use]
    pub fn name(&self) -> String {
        let object = self.after.as_ref().or(self.before.as_ref());
        object.map(|object| object.name()).unwrap_or_default()
    }
}
