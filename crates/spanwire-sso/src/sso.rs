//! The core: every operation checked, carried out and recorded.
//!
//! | file | what is there |
//! |---|---|
//! | `login` | who somebody is: password, code, throttling |
//! | `sessions` | checks of a session at each use, renewal, lists, the end |
//! | `users`, `update` | creating, reading, changing, deleting |
//! | `decisions` | approval, locks |
//! | `passwords`, `totp`, `resets` | secrets of users |
//! | `signup` | how users make themselves |
//! | `attributes`, `links`, `search`, `expiring` | |
//! | `upkeep` | what ends by itself, keys, the audit's records |
//!
//! What belongs to one user is changed under that user's lock, what is unique under a lock of its own; a lock is held
//! until the change is on disk, and changes of different users share their way there.

pub(crate) mod attributes;
mod decisions;
pub(crate) mod expiring;
pub(crate) mod links;
pub(crate) mod login;
pub(crate) mod passwords;
mod resets;
pub(crate) mod search;
pub(crate) mod sessions;
pub(crate) mod signup;
#[cfg(test)]
mod tests;
mod totp;
mod update;
pub(crate) mod upkeep;
pub(crate) mod users;

use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use spanwire_crypto::password::Scheme;
use spanwire_crypto::throttle::Throttle;
use spanwire_crypto::{DigestKey, KeyRing, Secret};
use spanwire_protocol::Timestamp;
use spanwire_store::{Durability, StoreError};

use crate::audit::{AuditRecord, Head};
use crate::budget::AddressBudget;
use crate::call::{Call, Clock, SystemClock};
use crate::directory::Directory;
use crate::error::{Result, SsoError, told_if};
use crate::mail::{Mail, MailBudget};
use crate::operation::Operation;
use crate::rate::RateLimits;
use crate::record::{Digest, Session, User};
use crate::seal::Sealer;
use crate::settings::Settings;
use crate::status::Code;
use crate::store::{Change, UserStore};

/// Is told what happens, at once and without waiting: it must not block.
pub trait Observer: Send + Sync + std::fmt::Debug {
    /// Something about a user changed on which open connections may depend: a session ended or was renewed, the user was
    /// locked, deleted, or has another role.
    fn changed(&self, user_id: &str);

    /// A mail is to be sent.
    fn mail(&self, mail: Mail);
}

/// Nobody.
#[derive(Debug)]
struct Nobody;

impl Observer for Nobody {
    fn changed(&self, _: &str) {}

    fn mail(&self, _: Mail) {}
}

/// Single sign-on. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Sso(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Arc<dyn UserStore>,
    sealer: Sealer,
    settings: ArcSwap<Settings>,
    clock: Arc<dyn Clock>,
    observer: ArcSwap<Box<dyn Observer>>,
    directory: Directory,
    /// Of one user and address, of one address, of one user's codes, and sign-ups.
    throttles: Throttles,
    mails: MailBudget,
    rates: RateLimits,
    /// What the passwords of unknown users are compared with.
    dummy: ArcSwap<Dummy>,
    audit: Mutex<Head>,
    /// Records that were refused by the store, for the next one to admit.
    lost: Arc<Mutex<Vec<(u64, Digest)>>>,
    /// The latest time that was seen: a clock that is set back revives nothing.
    latest: AtomicI64,
    locks: Locks,
}

/// Taken in this order, each at most once.
#[derive(Debug)]
struct Locks {
    /// Super-users are counted, and kept, by one change at a time.
    super_users: Mutex<()>,
    users: Stripes,
    names: Stripes,
    emails: Stripes,
}

/// A bounded number of locks for any number of things.
#[derive(Debug)]
struct Stripes {
    locks: [Mutex<()>; LOCKS],
    hasher: RandomState,
}

impl Locks {
    fn new() -> Self {
        let stripes = || Stripes {
            locks: std::array::from_fn(|_| Mutex::new(())),
            hasher: RandomState::new(),
        };
        Self { super_users: Mutex::new(()), users: stripes(), names: stripes(), emails: stripes() }
    }
}

impl Stripes {
    fn lock(&self, what: &impl std::hash::Hash) -> MutexGuard<'_, ()> {
        self.at(self.index(what))
    }

    fn index(&self, what: &impl std::hash::Hash) -> usize {
        usize::try_from(self.hasher.hash_one(what) % (LOCKS as u64)).unwrap_or_default()
    }

    fn at(&self, index: usize) -> MutexGuard<'_, ()> {
        let [first, ..] = &self.locks;
        lock(self.locks.get(index).unwrap_or(first))
    }
}

#[derive(Debug)]
struct Throttles {
    pair: Throttle,
    address: AddressBudget,
    codes: Throttle,
    signups: AddressBudget,
}

#[derive(Debug)]
struct Dummy {
    scheme: Scheme,
    hash: Secret,
}

/// What is recorded of a call while it runs.
pub(crate) struct Trail<'a> {
    pub(crate) call: &'a Call,
    op: &'static str,
    pub(crate) actor: String,
    pub(crate) target: String,
    pub(crate) extra: String,
    is_recorded: bool,
}

impl Sso {
    /// On a store, with a ring of keys and settings that were [resolved](Settings::resolve).
    ///
    /// Reads every user once, for searching.
    ///
    /// # Errors
    /// When the store or what is in it cannot be read, also with these keys.
    pub fn open(store: Arc<dyn UserStore>, keys: Arc<KeyRing>, settings: Settings) -> Result<Self> {
        Self::open_with(store, keys, settings, Arc::new(SystemClock))
    }

    /// With a clock of one's own.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_with(
        store: Arc<dyn UserStore>,
        keys: Arc<KeyRing>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let digests = digest_key(store.as_ref(), &keys)?;
        let directory = Directory::default();
        let mut after: Option<String> = None;
        loop {
            let page = store.users(after.as_deref(), PAGE)?;
            page.iter().for_each(|user| directory.put(user));
            match page.last() {
                Some(last) => after = Some(last.user_id.clone()),
                None => break,
            }
        }
        let head = Head::of(store.last_audit()?.as_ref());
        let dummy = Dummy::new(settings.scheme())?;
        Ok(Self(Arc::new(Inner {
            sealer: Sealer::new(keys, digests),
            throttles: Throttles {
                pair: Throttle::new(settings.login.failures),
                address: AddressBudget::per_minute(settings.login.failures_per_address),
                codes: Throttle::new(settings.login.failures),
                signups: AddressBudget::per_hour(settings.signup.per_address),
            },
            mails: MailBudget::new(&settings.mail),
            rates: RateLimits::default(),
            settings: ArcSwap::from_pointee(settings),
            clock,
            observer: ArcSwap::from_pointee(Box::new(Nobody)),
            directory,
            dummy: ArcSwap::from_pointee(dummy),
            audit: Mutex::new(head),
            lost: Arc::default(),
            latest: AtomicI64::new(i64::MIN),
            locks: Locks::new(),
            store,
        })))
    }

    /// Tells somebody what happens from now on, and nobody else.
    pub fn observe(&self, observer: impl Observer + 'static) {
        self.0.observer.store(Arc::new(Box::new(observer)));
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.0.settings.load_full()
    }

    /// Takes other settings, for the next calls.
    ///
    /// # Errors
    /// When no password can be hashed with them; then the former ones stay.
    pub fn set_settings(&self, settings: Settings) -> Result<()> {
        if self.0.dummy.load().scheme != settings.scheme() {
            self.0.dummy.store(Arc::new(Dummy::new(settings.scheme())?));
        }
        self.0.throttles.pair.set_free(settings.login.failures);
        self.0.throttles.codes.set_free(settings.login.failures);
        self.0.throttles.address.set(settings.login.failures_per_address);
        self.0.throttles.signups.set(settings.signup.per_address);
        self.0.mails.set(&settings.mail);
        self.0.settings.store(Arc::new(settings));
        Ok(())
    }

    /// How many users there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.directory.len()
    }

    pub(crate) fn may_send(&self, call: &Call, to: &Secret) -> bool {
        self.0.mails.take(to.expose(), call.addresses.first().copied(), self.0.clock.instant())
    }

    pub(crate) fn hand_on(&self, mail: Mail) {
        self.0.observer.load().mail(mail);
    }

    fn now(&self) -> Timestamp {
        let now = self.0.clock.now().as_microseconds();
        let before = self.0.latest.fetch_max(now, Ordering::Relaxed);
        Timestamp::from_microseconds(now.max(before))
    }

    fn store(&self) -> &dyn UserStore {
        self.0.store.as_ref()
    }

    /// Runs one operation: the application first, then the work; one record at the end.
    fn run<T>(
        &self,
        call: &Call,
        operation: Operation,
        work: impl FnOnce(&mut Trail<'_>) -> Result<T>,
    ) -> Result<T> {
        self.record(call, operation.endpoint().audit, |trail| {
            self.check_app(call)?;
            work(trail)
        })
    }

    /// The same for what operators do, who have no application.
    fn record<T>(
        &self,
        call: &Call,
        op: &'static str,
        work: impl FnOnce(&mut Trail<'_>) -> Result<T>,
    ) -> Result<T> {
        let mut trail = Trail {
            call,
            op,
            actor: call.operator.clone(),
            target: String::new(),
            extra: String::new(),
            is_recorded: false,
        };
        let result = work(&mut trail);
        match &result {
            Ok(_) if trail.is_recorded => {}
            Ok(_) => self.append(&trail, None),
            Err(error) => self.append(&trail, Some(error)),
        }
        result
    }

    fn check_app(&self, call: &Call) -> Result<()> {
        let settings = self.0.settings.load();
        if !settings.apps.all.contains(&call.current_app) {
            return Err(told_if(settings.apps.inform_if_app_invalid, Code::AppInvalid));
        }
        Ok(())
    }

    /// Appends a record without waiting for the disk: what it is about is there already, or did not happen. Records go to the
    /// store together: with the next change, when there are many, or with [`flush_audit`](Self::flush_audit).
    fn append(&self, trail: &Trail<'_>, error: Option<&SsoError>) {
        let mut head = lock(&self.0.audit);
        let record = self.next_record(&mut head, trail, error);
        head.waiting.push(record);
        if head.waiting.len() >= MOST_WAITING {
            self.store_waiting(&mut head);
        }
    }

    /// Hands what was recorded of reads and refusals to the store. Call it every moment, and before the end.
    pub fn flush_audit(&self) {
        self.store_waiting(&mut lock(&self.0.audit));
    }

    /// Whether [`flush_audit`](Self::flush_audit) has something to do.
    #[must_use]
    pub fn has_unstored_records(&self) -> bool {
        !lock(&self.0.audit).waiting.is_empty()
    }

    fn store_waiting(&self, head: &mut Head) {
        if head.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut head.waiting);
        let ids: Vec<_> = waiting.iter().map(|record| (record.seq, record.digest)).collect();
        let changes: Vec<_> =
            waiting.into_iter().map(|record| Change::PutAudit(Box::new(record))).collect();
        let lost = Arc::clone(&self.0.lost);
        let done = move |result: std::result::Result<(), StoreError>| {
            if let Err(error) = result {
                lock(&lost).extend(ids);
                tracing::error!(%error, "records of the audit could not be stored");
            }
        };
        self.store().submit(&changes, Durability::Lazy, Box::new(done));
    }

    fn next_record(
        &self,
        head: &mut Head,
        trail: &Trail<'_>,
        error: Option<&SsoError>,
    ) -> AuditRecord {
        let record = AuditRecord {
            lost: std::mem::take(&mut *lock(&self.0.lost)),
            ..self.audit_record(trail, error)
        };
        head.append(&self.0.sealer.digests, record)
    }

    /// Records what was refused before it came to an operation.
    pub fn record_refusal(&self, call: &Call, operation: Operation, code: Code) -> SsoError {
        let refuse = |_: &mut Trail<'_>| Err::<(), _>(SsoError::Hidden(code));
        self.record(call, operation.endpoint().audit, refuse)
            .err()
            .unwrap_or(SsoError::Hidden(code))
    }

    /// Makes changes together with their record, and returns when all of it is on disk.
    fn commit(&self, trail: &mut Trail<'_>, mut changes: Vec<Change>) -> Result<()> {
        let (sender, outcome) = sync_channel(1);
        {
            let mut head = lock(&self.0.audit);
            // In the order of the chain.
            self.store_waiting(&mut head);
            let record = self.next_record(&mut head, trail, None);
            let (id, lost) = ((record.seq, record.digest), Arc::clone(&self.0.lost));
            changes.push(Change::PutAudit(Box::new(record)));
            let done = move |result: std::result::Result<(), StoreError>| {
                if result.is_err() {
                    lock(&lost).push(id);
                }
                // Somebody waits below.
                let _ = sender.send(result);
            };
            self.store().submit(&changes, Durability::Forced, Box::new(done));
        }
        let result = outcome.recv().unwrap_or_else(|_| {
            Err(StoreError::Poisoned { why: "the write was given up without an answer".to_owned() })
        });
        result?;
        trail.is_recorded = true;
        self.announce(&changes);
        Ok(())
    }

    /// Has memory follow the disk, and tells who depends on it.
    fn announce(&self, changes: &[Change]) {
        let mut users: Vec<&str> = Vec::new();
        for change in changes {
            match change {
                Change::PutUser { before, after } => {
                    self.0.directory.put(after);
                    if before.is_some() {
                        users.push(&after.user_id);
                    }
                }
                Change::DeleteUser(user) => {
                    self.0.directory.remove(&user.user_id);
                    users.push(&user.user_id);
                }
                Change::PutSession { before: Some(_), after } => users.push(&after.user_id),
                Change::DeleteSession(session) => users.push(&session.user_id),
                _ => {}
            }
        }
        users.dedup();
        let observer = self.0.observer.load();
        users.into_iter().for_each(|user_id| observer.changed(user_id));
    }

    fn audit_record(&self, trail: &Trail<'_>, error: Option<&SsoError>) -> AuditRecord {
        let call = trail.call;
        let short = |text: &str| text.chars().take(LONGEST_AUDIT_TEXT).collect::<String>();
        AuditRecord {
            seq: 0,
            timestamp_utc: self.now(),
            cid: call.cid.clone(),
            op: trail.op.to_owned(),
            current_user: short(&trail.actor),
            target_user: short(&trail.target),
            result: if error.is_some() { "error" } else { "ok" }.to_owned(),
            sub_status: error.map(SsoError::reason).unwrap_or_default(),
            current_app: short(&call.current_app),
            remote_addr: short(&call.remote_addr(";")),
            user_agent: short(&call.user_agent),
            purpose: short(&call.purpose),
            extra: short(&trail.extra),
            lost: Vec::new(),
            before: Digest([0; 32]),
            digest: Digest([0; 32]),
        }
    }

    /// Of everything that belongs to one user.
    fn lock(&self, user_id: &str) -> MutexGuard<'_, ()> {
        self.0.locks.users.lock(&user_id)
    }

    /// The changes that leave nothing of a session.
    fn end_session(&self, session: Session) -> Result<Vec<Change>> {
        let owner = crate::record::Owner::Session(session.digest);
        let attributes = self.store().attributes(&owner)?;
        let mut changes: Vec<_> = attributes
            .into_iter()
            .map(|it| Change::DeleteAttribute(owner.clone(), it.name))
            .collect();
        changes.push(Change::DeleteSession(Box::new(session)));
        Ok(changes)
    }

    /// The changes that end all sessions of a user but one.
    fn end_sessions(&self, user: &User, but: Option<Digest>) -> Result<Vec<Change>> {
        let mut changes = Vec::new();
        for session in self.store().sessions_of(&user.user_id)? {
            if Some(session.digest) != but {
                changes.extend(self.end_session(session)?);
            }
        }
        Ok(changes)
    }
}

impl Drop for Inner {
    /// The last records go to the store, which may have been poisoned: then they are lost like everything after.
    fn drop(&mut self) {
        let waiting = std::mem::take(
            &mut self.audit.get_mut().unwrap_or_else(PoisonError::into_inner).waiting,
        );
        let changes: Vec<_> =
            waiting.into_iter().map(|record| Change::PutAudit(Box::new(record))).collect();
        if !changes.is_empty() {
            self.store.submit(&changes, Durability::Lazy, Box::new(|_| ()));
        }
    }
}

impl Dummy {
    fn new(scheme: Scheme) -> Result<Self> {
        Ok(Self { scheme, hash: scheme.decoy()? })
    }
}

/// The key of digests: made once, kept encrypted.
fn digest_key(store: &dyn UserStore, keys: &KeyRing) -> Result<DigestKey> {
    let unreadable = |why: String| SsoError::Unreadable { what: "the key of digests", why };
    if let Some(sealed) = store.meta(DIGEST_KEY)? {
        let bytes = keys.decrypt(&sealed).map_err(|error| {
            unreadable(format!("{error}: use the secret.key that this data was written with"))
        })?;
        return DigestKey::from_bytes(&bytes)
            .ok_or_else(|| unreadable("it has another length".to_owned()));
    }
    if !store.users(None, 1)?.is_empty() || store.last_audit()?.is_some() {
        return Err(unreadable(
            "it is gone, and nothing can be found without it: restore a backup".to_owned(),
        ));
    }
    let key = DigestKey::generate()?;
    let (sender, outcome) = sync_channel(1);
    let done = move |result| drop(sender.send(result));
    let change = Change::PutMeta(DIGEST_KEY, keys.encrypt(key.expose()));
    store.submit(&[change], Durability::Forced, Box::new(done));
    match outcome.recv() {
        Ok(Ok(())) => Ok(key),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(unreadable("it could not be stored".to_owned())),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A time so many seconds later.
fn after(now: Timestamp, seconds: u64) -> Timestamp {
    let micros = i64::try_from(seconds.saturating_mul(1_000_000)).unwrap_or(i64::MAX);
    Timestamp::from_microseconds(now.as_microseconds().saturating_add(micros))
}

fn minutes(count: u32) -> u64 {
    u64::from(count) * 60
}

fn days(count: u32) -> u64 {
    u64::from(count) * 86_400
}

const DIGEST_KEY: &str = "digest_key";
const PAGE: usize = 1_000;
const LOCKS: usize = 256;
/// Records that wait for the store.
const MOST_WAITING: usize = 128;
const LONGEST_AUDIT_TEXT: usize = 1_000;
/// What identifies things, in characters (W35).
const LONGEST_NAME: usize = 191;
