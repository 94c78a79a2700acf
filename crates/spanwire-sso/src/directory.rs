//! Users in the order of search results, in memory, with what they are searched by.

mod name;

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use self::name::{Name, Wanted};
use crate::record::{Approval, Digest, SignUp, User};

/// All users.
#[derive(Debug, Default)]
pub(crate) struct Directory {
    entries: RwLock<Entries>,
}

#[derive(Debug, Default)]
pub(crate) struct Entries {
    /// By display name, user name, time of the sign-up and id.
    ordered: BTreeMap<Arc<Key>, Entry>,
    keys: HashMap<Box<str>, Arc<Key>>,
    /// Super-users that can log in, as far as a super-user decides that.
    super_users: usize,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    display_name: Option<Box<str>>,
    username: Box<str>,
    sign_up_time: i64,
    pub(crate) user_id: Box<str>,
}

/// What a user is searched by.
#[derive(Debug)]
pub(crate) struct Entry {
    /// Display, first, middle and last name.
    pub(crate) names: [Option<Name>; 4],
    pub(crate) email: Option<Digest>,
    pub(crate) plain_email: Option<Box<str>>,
    pub(crate) sign_up: SignUp,
    pub(crate) approval: Approval,
    is_super_user: bool,
}

/// A super-user that nothing keeps out.
pub(crate) fn is_able_super_user(user: &User) -> bool {
    user.is_super_user
        && !user.is_locked
        && user.approval_status == Approval::Approved
        && user.sign_up_status == SignUp::Final
}

impl Directory {
    pub(crate) fn put(&self, user: &User) {
        let entry = Entry {
            names: [&user.display_name, &user.first_name, &user.middle_name, &user.last_name]
                .map(|name| name.as_deref().map(Name::new)),
            email: user.email_digest,
            plain_email: match &user.email {
                Some(crate::record::Field::Plain(text)) => Some(text.as_str().into()),
                _ => None,
            },
            sign_up: user.sign_up_status,
            approval: user.approval_status,
            is_super_user: is_able_super_user(user),
        };
        let key = Arc::new(Key {
            display_name: user.display_name.as_deref().map(Into::into),
            username: user.username.as_str().into(),
            sign_up_time: user.sign_up_time.as_microseconds(),
            user_id: user.user_id.as_str().into(),
        });
        let mut entries = self.write();
        entries.remove(&user.user_id);
        entries.super_users += usize::from(entry.is_super_user);
        entries.keys.insert(user.user_id.as_str().into(), Arc::clone(&key));
        entries.ordered.insert(key, entry);
    }

    pub(crate) fn remove(&self, user_id: &str) {
        self.write().remove(user_id);
    }

    /// How many super-users can log in.
    pub(crate) fn super_users(&self) -> usize {
        self.read().super_users
    }

    /// Those that match, from one on, at most so many; and how many match altogether.
    pub(crate) fn find(
        &self,
        matches: impl Fn(&Entry) -> bool,
        skip: usize,
        limit: usize,
    ) -> (usize, Vec<String>) {
        let entries = self.read();
        let mut total = 0;
        let mut page = Vec::new();
        for (key, entry) in &entries.ordered {
            if matches(entry) {
                if total >= skip && page.len() < limit {
                    page.push(key.user_id.to_string());
                }
                total += 1;
            }
        }
        (total, page)
    }

    pub(crate) fn len(&self) -> usize {
        self.read().ordered.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn remove(&mut self, user_id: &str) {
        let Some(key) = self.keys.remove(user_id) else { return };
        if let Some(entry) = self.ordered.remove(&key) {
            self.super_users -= usize::from(entry.is_super_user);
        }
    }
}
