//! What ends by itself, keys, and the records of the audit.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use spanwire_protocol::Timestamp;
use spanwire_store::Durability;

use super::{Sso, days, lock};
use crate::audit::{AuditRecord, ChainProblem, Verifier};
use crate::call::Call;
use crate::error::{Result, SsoError};
use crate::record::{Owner, Session, User};
use crate::store::Change;

/// How a look at the chain of records ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// How many records there are.
    pub count: u64,
    /// What is wrong.
    pub problems: Vec<ChainProblem>,
}

impl Sso {
    /// Removes sessions that have ended, attributes and password resets that have expired, and records past their time;
    /// tells how many. Call it every few minutes.
    ///
    /// # Errors
    /// When the store fails; what was removed so far stays removed.
    pub fn clean_up(&self) -> Result<usize> {
        let now = self.now();
        let mut count = 0;
        loop {
            let ended = self.store().sessions_ended(now, BATCH)?;
            if ended.is_empty() {
                break;
            }
            let before = count;
            for session in &ended {
                count += self.remove_ended(session, now)?;
            }
            if count == before {
                // All were renewed meanwhile.
                break;
            }
        }
        let mut after: Option<String> = None;
        loop {
            let users = self.store().users(after.as_deref(), BATCH)?;
            let Some(last) = users.last() else { break };
            after = Some(last.user_id.clone());
            for user in &users {
                count += self.remove_expired(user)?;
            }
        }
        Ok(count + self.remove_old_records()?)
    }

    fn remove_ended(&self, session: &Session, now: Timestamp) -> Result<usize> {
        let _one_at_a_time = self.lock(&session.user_id);
        // It may have been renewed since.
        match self.store().session(session.digest)? {
            Some(session) if session.expiration_time <= now => {
                let changes = self.end_session(session)?;
                self.make(&changes)?;
                Ok(1)
            }
            _ => Ok(0),
        }
    }

    fn remove_expired(&self, user: &User) -> Result<usize> {
        let now = self.now();
        let owner = Owner::User(user.user_id.clone());
        let _one_at_a_time = self.lock(&user.user_id);
        let attributes =
            self.store().attributes(&owner)?.into_iter().filter(|it| !it.is_there(now));
        let mut changes: Vec<_> =
            attributes.map(|it| Change::DeleteAttribute(owner.clone(), it.name)).collect();
        let resets = self
            .store()
            .resets_of(&user.user_id)?
            .into_iter()
            .filter(|it| it.expiration_time <= now);
        changes.extend(resets.map(Change::DeleteReset));
        if !changes.is_empty() {
            self.make(&changes)?;
        }
        Ok(changes.len())
    }

    fn remove_old_records(&self) -> Result<usize> {
        let retention = self.settings().audit.retention;
        if retention == 0 {
            return Ok(0);
        }
        let kept = i64::try_from(days(retention).saturating_mul(1_000_000)).unwrap_or(i64::MAX);
        let oldest = self.now().as_microseconds().saturating_sub(kept);
        let mut count = 0;
        self.flush_audit();
        loop {
            let last = lock(&self.0.audit).seq;
            let page = self.store().audit(0, BATCH)?;
            let old = page
                .iter()
                .take_while(|it| it.timestamp_utc.as_microseconds() < oldest && it.seq != last);
            let mut changes: Vec<_> = old.map(|record| Change::DeleteAudit(record.seq)).collect();
            let Some(Change::DeleteAudit(newest)) = changes.last() else { return Ok(count) };
            let first = newest + 1;
            count += changes.len();
            changes.push(Change::PutMeta(FIRST_AUDIT, self.first_audit(first)));
            self.make(&changes)?;
        }
    }

    /// What says that the records begin with this number, in words that only this server finds.
    fn first_audit(&self, first: u64) -> String {
        let proof = self.0.sealer.digest(FIRST_AUDIT, &first.to_string()).to_hex();
        format!("{first} {proof}")
    }

    /// Makes changes that no call asked for, and tells who depends on them.
    fn make(&self, changes: &[Change]) -> Result<()> {
        let (sender, outcome) = sync_channel(1);
        let done = move |result| drop(sender.send(result));
        self.store().submit(changes, Durability::Forced, Box::new(done));
        match outcome.recv() {
            Ok(Ok(())) => {
                self.announce(changes);
                Ok(())
            }
            Ok(Err(error)) => Err(error.into()),
            Err(_) => {
                Err(SsoError::Unreadable { what: "a change", why: "nobody answered".to_owned() })
            }
        }
    }

    /// Encrypts everything with the newest key of the ring, after a rotation; tells how many values that were.
    ///
    /// # Errors
    /// When something cannot be read or stored; what was done so far stays done, and can be gone on with.
    pub fn encrypt_again(&self) -> Result<usize> {
        let mut count = 0;
        if let Some(sealed) = self.store().meta(super::DIGEST_KEY)?
            && let Some(again) = self.0.sealer.again(&sealed)?
        {
            self.make(&[Change::PutMeta(super::DIGEST_KEY, again)])?;
            count += 1;
        }
        let mut after: Option<String> = None;
        loop {
            let users = self.store().users(after.as_deref(), BATCH)?;
            let Some(last) = users.last() else { return Ok(count) };
            after = Some(last.user_id.clone());
            for user in &users {
                let _one_at_a_time = self.lock(&user.user_id);
                if let Some(user) = self.store().user(&user.user_id)? {
                    let changes = self.sealed_again(&user)?;
                    count += changes.len();
                    if !changes.is_empty() {
                        self.make(&changes)?;
                    }
                }
            }
        }
    }

    fn sealed_again(&self, before: &Arc<User>) -> Result<Vec<Change>> {
        let sealer = &self.0.sealer;
        let mut user = User::clone(before);
        for field in
            [&mut user.email, &mut user.totp_key, &mut user.totp_label].into_iter().flatten()
        {
            if let Some(again) = sealer.seal_again(field)? {
                *field = again;
            }
        }
        for hash in std::iter::once(&mut user.password).chain(&mut user.password_history) {
            if !hash.starts_with('$')
                && let Some(again) = sealer.again(hash)?
            {
                *hash = again;
            }
        }
        let mut changes = Vec::new();
        if user != **before {
            changes.push(Change::PutUser { before: Some(Arc::clone(before)), after: user.into() });
        }
        let sessions = self
            .store()
            .sessions_of(&before.user_id)?
            .into_iter()
            .map(|it| Owner::Session(it.digest));
        for owner in std::iter::once(Owner::User(before.user_id.clone())).chain(sessions) {
            for mut attribute in self.store().attributes(&owner)? {
                if let Some(again) = sealer.seal_again(&attribute.value)? {
                    attribute.value = again;
                    changes.push(Change::PutAttribute(owner.clone(), attribute));
                }
            }
        }
        Ok(changes)
    }

    /// Records of the audit after this number, of which `wanted` says yes, the oldest first.
    ///
    /// # Errors
    /// When the store fails.
    pub fn audit(
        &self,
        after: u64,
        limit: usize,
        wanted: impl Fn(&AuditRecord) -> bool,
    ) -> Result<Vec<AuditRecord>> {
        self.flush_audit();
        let mut found = Vec::new();
        let mut from = after;
        while found.len() < limit {
            let page = self.store().audit(from, BATCH)?;
            let Some(last) = page.last() else { break };
            from = last.seq;
            let room = limit - found.len();
            found.extend(page.into_iter().filter(|record| wanted(record)).take(room));
        }
        Ok(found)
    }

    /// All records about a person, or of what that person did. That they were exported is one more.
    ///
    /// # Errors
    /// [`Code::UserIdInvalid`](crate::Code::UserIdInvalid), and those of the store.
    pub fn audit_of(&self, call: &Call, username: &str) -> Result<Vec<AuditRecord>> {
        self.record(call, "audit.export", |trail| {
            let id = self.user_named(trail, username)?.user_id.clone();
            self.audit(0, usize::MAX, |record| {
                record.target_user == id || record.current_user == id
            })
        })
    }

    /// Whether no record was changed or removed.
    ///
    /// # Errors
    /// When the store fails.
    pub fn verify_audit(&self) -> Result<Verified> {
        let last = {
            let mut head = lock(&self.0.audit);
            self.store_waiting(&mut head);
            head.seq
        };
        // What was recorded without waiting is stored then.
        self.make(&[])?;
        let mut verifier = Verifier::new(&self.0.sealer.digests);
        let mut from = 0;
        while from < last {
            let page = self.store().audit(from, BATCH)?;
            let Some(newest) = page.last() else { break };
            from = newest.seq;
            page.iter()
                .filter(|record| record.seq <= last)
                .for_each(|record| verifier.next(record));
        }
        let (count, mut problems) = verifier.finish(Some(last));
        let first = self.store().audit(0, 1)?.first().map_or(1, |first| first.seq);
        let is_first = match self.store().meta(FIRST_AUDIT)? {
            None => first == 1,
            Some(said) => said == self.first_audit(first),
        };
        if !is_first {
            problems
                .push(ChainProblem { seq: first, problem: "older records are missing".to_owned() });
        }
        Ok(Verified { count, problems })
    }
}

const BATCH: usize = 500;
const FIRST_AUDIT: &str = "first_audit";
