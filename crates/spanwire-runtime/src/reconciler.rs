//! Wanted against running: puts a configuration to work, and touches only what differs.
//!
//! It knows what it has put to work, so it needs only the new configuration and the objects that changed in it. What
//! cannot be put to work leaves what ran before in place, is shown as failed with its reason, and is tried again.
//!
//! Order of one application: credentials, services, listeners, routes, then the connections that are open. A connection
//! that is being made meanwhile looks at the routes and credentials again once others can see it, so that none slips
//! through.

mod connections;
mod listeners;
mod services;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use spanwire_channel::rest::RestChannel;
use spanwire_config::{ChangedObject, Kind, Object, Snapshot};
use tokio_util::sync::CancellationToken;

pub(crate) use self::listeners::{Addresses, Listeners, Tasks};
use self::services::Services;
use crate::admin::app::AdminApp;
use crate::backend::Host;
use crate::error::StartError;
use crate::settings::Settings;
use crate::wiring::{self, Placed};

/// How often what failed is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// Puts configurations to work, one at a time.
pub(crate) struct Reconciler {
    host: Arc<Host>,
    settings: ArcSwap<Settings>,
    running: Mutex<Running>,
    /// What `running` came to last, for whoever must not wait.
    shown: ArcSwap<Shown>,
    has_failed: AtomicBool,
}

/// What others see of what runs.
struct Shown {
    snapshot: Arc<Snapshot>,
    addresses: Arc<Addresses>,
}

/// What runs.
struct Running {
    snapshot: Arc<Snapshot>,
    services: Services,
    web_sockets: HashMap<u64, Placed>,
    rest: HashMap<u64, Arc<RestChannel>>,
    listeners: Listeners,
    failed: BTreeSet<u64>,
}

/// What came of an application.
#[derive(Debug, Default)]
pub(crate) struct Application {
    /// How many connections were closed, because they would not be let in any more.
    pub(crate) closed: usize,
    /// The objects that could not be put to work, and why.
    pub(crate) failed: BTreeMap<u64, String>,
}

impl Running {
    /// Ends channels that failed and ran on where they were, if that is another channel's now or its listener is gone.
    fn evict(
        &self,
        web_sockets: &mut BTreeMap<u64, Option<Placed>>,
        failed: &BTreeMap<u64, String>,
    ) {
        // Those that were not tried this time are as they were.
        let before = self.failed.iter().filter(|id| !web_sockets.contains_key(id));
        let failed: BTreeSet<u64> = before.chain(failed.keys()).copied().collect();
        if failed.is_empty() {
            return;
        }
        let stay = self.web_sockets.iter().filter(|(id, _)| !web_sockets.contains_key(id));
        let all = web_sockets.iter().filter_map(|(id, placed)| Some((id, placed.as_ref()?)));
        let key = |placed: &Placed| (placed.place.clone(), placed.channel.path.clone());
        let (kept, held): (Vec<_>, Vec<_>) =
            stay.chain(all).partition(|(id, _)| failed.contains(id));
        let held: BTreeSet<_> = held.into_iter().map(|(_, placed)| key(placed)).collect();
        let ends =
            |placed: &Placed| held.contains(&key(placed)) || !self.listeners.has(&placed.place);
        let ended: Vec<u64> =
            kept.into_iter().filter(|(_, placed)| ends(placed)).map(|(id, _)| *id).collect();
        for id in ended {
            web_sockets.insert(id, None);
        }
    }

    fn show(&self) -> Shown {
        let addresses = Arc::new(self.listeners.addresses(self.web_sockets.values()));
        Shown { snapshot: Arc::clone(&self.snapshot), addresses }
    }
}

impl Reconciler {
    /// Nothing runs yet but the main listener.
    pub(crate) fn new(host: Arc<Host>, settings: Settings, listeners: Listeners) -> Self {
        let running = Running {
            snapshot: Arc::default(),
            services: Services::default(),
            web_sockets: HashMap::new(),
            rest: HashMap::new(),
            listeners,
            failed: BTreeSet::new(),
        };
        Self {
            host,
            settings: ArcSwap::from_pointee(settings),
            shown: ArcSwap::from_pointee(running.show()),
            running: Mutex::new(running),
            has_failed: AtomicBool::new(false),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        self.settings.load_full()
    }

    /// Puts a configuration to work that differs from the last one in these objects. Blocks: names are resolved, files
    /// read, sockets bound.
    pub(crate) fn apply(&self, target: &Arc<Snapshot>, changes: &[ChangedObject]) -> Application {
        let mut running = self.lock();
        let mut ids: BTreeSet<u64> = changes.iter().map(|change| change.id).collect();
        ids.extend(self.dependants(target, changes));
        self.work(&mut running, target, &ids, changes)
    }

    /// Tries again what failed, and forgets nothing of what works.
    pub(crate) fn retry(&self) -> Application {
        let mut running = self.lock();
        if running.failed.is_empty() {
            return Application::default();
        }
        let (target, ids) = (Arc::clone(&running.snapshot), running.failed.clone());
        self.work(&mut running, &target, &ids, &[])
    }

    /// Takes other settings: listeners first, because they can fail, then everything whose limits they set.
    pub(crate) fn set_settings(&self, settings: Settings) -> Result<Application, String> {
        let mut running = self.lock();
        let running = &mut *running;
        running.listeners.set_settings(&settings, &running.web_sockets)?;
        self.host.definitions.set_failed_logins(settings.limits.failed_logins);
        if let Some(sso) = &self.host.sso {
            sso.set_settings(&settings);
        }
        self.settings.store(Arc::new(settings));
        let target = Arc::clone(&running.snapshot);
        let channels = [Kind::WebSocket, Kind::ChannelRest].into_iter();
        let channels = channels.flat_map(|kind| target.objects().of_kind(kind));
        let ids = channels.filter_map(|it| Some(target.meta(it.kind(), &it.name())?.id)).collect();
        Ok(self.work(running, &target, &ids, &[]))
    }

    /// Where the server listens.
    pub(crate) fn addresses(&self) -> Arc<Addresses> {
        Arc::clone(&self.shown.load().addresses)
    }

    /// What is put to work.
    pub(crate) fn running(&self) -> Arc<Snapshot> {
        Arc::clone(&self.shown.load().snapshot)
    }

    /// Lets everybody in.
    pub(crate) fn accept(&self) {
        self.lock().listeners.accept();
    }

    /// Binds the admin listener.
    pub(crate) fn bind_admin(&self, app: Arc<AdminApp>) -> Result<(), StartError> {
        let mut running = self.lock();
        running.listeners.bind_admin(app, &self.settings())?;
        self.shown.store(Arc::new(running.show()));
        Ok(())
    }

    /// No new connections from now on.
    pub(crate) fn refuse_upgrades(&self) {
        self.lock().listeners.refuse_upgrades();
    }

    /// Tries again what failed until the server stops, and calls `tried` after each time.
    pub(crate) async fn keep_trying(
        self: Arc<Self>,
        stop: CancellationToken,
        tried: impl Fn(&Self) + Send + Sync + 'static,
    ) {
        let tried = Arc::new(tried);
        let mut interval = tokio::time::interval(RETRY_EVERY);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            if !self.has_failed.load(Ordering::Relaxed) {
                continue;
            }
            let (reconciler, tried) = (Arc::clone(&self), Arc::clone(&tried));
            let work = move || {
                reconciler.retry();
                tried(&reconciler);
            };
            // A panic in it is logged by the runtime; the next round tries again.
            let _ = tokio::task::spawn_blocking(work).await;
        }
    }

    fn work(
        &self,
        running: &mut Running,
        target: &Arc<Snapshot>,
        ids: &BTreeSet<u64>,
        changes: &[ChangedObject],
    ) -> Application {
        let settings = self.settings();
        let mut failed = BTreeMap::new();
        let object = |id: u64| target.by_id(id).map(|(object, _)| Arc::clone(object));

        let mut services = BTreeMap::new();
        let mut web_sockets = BTreeMap::new();
        let mut rest = BTreeMap::new();
        for id in ids {
            match object(*id).as_deref() {
                Some(object @ (Object::Service(_) | Object::WsxGateway(_))) => {
                    match running.services.build(object, target.objects()) {
                        Ok(service) => drop(services.insert(*id, service)),
                        Err(error) => drop(failed.insert(*id, error)),
                    }
                }
                Some(Object::WebSocket(channel)) => {
                    let wanted =
                        channel.is_active.then(|| wiring::web_socket(*id, channel, &settings));
                    web_sockets.insert(*id, wanted);
                }
                Some(Object::ChannelRest(channel)) => {
                    match wiring::rest(channel, target.objects(), &settings) {
                        Ok(channel) => {
                            rest.insert(*id, channel.is_active.then(|| Arc::new(channel)));
                        }
                        Err(error) => drop(failed.insert(*id, error)),
                    }
                }
                Some(_) => {}
                None => {
                    services.insert(*id, None);
                    rest.insert(*id, None);
                    if running.web_sockets.contains_key(id) {
                        web_sockets.insert(*id, None);
                    }
                }
            }
        }
        // What can take long comes before anything is different: new names before those who ask by them, former names
        // until nobody does.
        failed.extend(running.listeners.open(&mut web_sockets, &running.web_sockets, &settings));
        running.evict(&mut web_sockets, &failed);
        let credentials = self.host.definitions.apply(changes);
        let former = running.services.replace(services, self.host.ports.registry());
        for (id, channel) in rest {
            match channel {
                Some(channel) => drop(running.rest.insert(id, channel)),
                None => drop(running.rest.remove(&id)),
            }
        }
        failed.extend(self.host.pubsub.apply(target, ids));
        failed.extend(self.host.outconns.apply(target, ids, &self.host.ports));
        let moves_connections = credentials.any || !web_sockets.is_empty();
        let gone = self.replace_channels(running, web_sockets);
        running.listeners.set_routes(&running.web_sockets, &running.rest);
        let closed = match moves_connections {
            true => self.update_connections(&running.web_sockets, &gone, &credentials.renamed),
            false => 0,
        };
        running.services.forget(&former, self.host.ports.registry());
        self.host.definitions.forget(changes);
        self.forget_links(changes);

        running.failed.retain(|id| !ids.contains(id) && target.by_id(*id).is_some());
        running.failed.extend(failed.keys());
        self.has_failed.store(!running.failed.is_empty(), Ordering::Relaxed);
        running.snapshot = Arc::clone(target);
        self.shown.store(Arc::new(running.show()));
        self.host.statuses.record(ids, target, &failed);
        Application { closed, failed }
    }

    /// Replaces WebSocket channels, and returns those whose connections have to end: they are gone, off, or elsewhere.
    fn replace_channels(
        &self,
        running: &mut Running,
        web_sockets: BTreeMap<u64, Option<Placed>>,
    ) -> BTreeSet<u64> {
        let mut gone = BTreeSet::new();
        for (id, wanted) in web_sockets {
            let before = match wanted {
                Some(wanted) => {
                    let place = wanted.place.clone();
                    let before = running.web_sockets.insert(id, wanted);
                    before.filter(|before| before.place != place)
                }
                None => running.web_sockets.remove(&id),
            };
            if before.is_some() {
                gone.insert(id);
            }
        }
        gone
    }

    /// Users whose credentials are gone, or have another name, are not linked to the next ones of that name.
    fn forget_links(&self, changes: &[ChangedObject]) {
        let Some(sso) = &self.host.sso else { return };
        for change in changes.iter().filter(|change| change.kind == Kind::Security) {
            let before = change.before.as_ref().map(|object| object.name());
            let after = change.after.as_ref().map(|object| object.name());
            if let Some(before) = before.filter(|before| after.as_ref() != Some(before)) {
                sso.forget_definition(&before);
            }
        }
    }

    /// Objects that are not changed themselves, but made of what has changed: what credentials are for.
    fn dependants(&self, target: &Snapshot, changes: &[ChangedObject]) -> BTreeSet<u64> {
        let credentials: BTreeSet<String> = changes
            .iter()
            .filter(|change| change.kind == Kind::Security)
            .filter_map(|change| change.after.as_ref().map(|object| object.name()))
            .collect();
        if credentials.is_empty() {
            return BTreeSet::new();
        }
        let made_of_them = [Kind::Service, Kind::ChannelRest, Kind::OutgoingWsx].into_iter();
        let made_of_them = made_of_them.flat_map(|kind| target.objects().of_kind(kind));
        let uses = |object: &&Arc<Object>| {
            let mut references = object.references().into_iter();
            references.any(|it| it.kind == Kind::Security && credentials.contains(it.name))
        };
        made_of_them
            .filter(uses)
            .filter_map(|object| Some(target.meta(object.kind(), &object.name())?.id))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Reconciler {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reconciler").finish_non_exhaustive()
    }
}
