//! Every listener of a server. They are bound before anything is stored, and accept once everything is well; after that
//! they come, change and go with the configuration and the settings.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use spanwire_channel::backend::Backend;
use spanwire_channel::rest::RestChannel;
use spanwire_channel::server::{ChannelServer, Routes};
use spanwire_channel::transport::{
    AddressLimits, HttpApp, Listener, ListenerControl, ListenerSettings, ListenerUpdate, TlsError,
    TlsFiles, TrustedProxies,
};
use spanwire_channel::wsx::WsxChannel;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admin::app::AdminApp;
use crate::backend::{ChannelBackend, Host, Refusals};
use crate::error::StartError;
use crate::settings::Settings;
use crate::wiring::{self, Place, Placed};

/// All listeners.
pub(crate) struct Listeners {
    host: Arc<Host>,
    backend: Arc<dyn Backend>,
    limits: Arc<AddressLimits>,
    /// Of their own: whoever fills the others must not lock administrators out.
    admin_limits: Arc<AddressLimits>,
    tasks: Tasks,
    main: OpenListener<ChannelServer>,
    admin: Option<OpenListener<AdminApp>>,
    own: HashMap<Place, OpenListener<ChannelServer>>,
    accepting: bool,
    refuses_upgrades: bool,
    /// REST channels that are no managed objects.
    built_in: Vec<Arc<RestChannel>>,
}

/// What connections and requests run as.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    pub(crate) stop: CancellationToken,
    pub(crate) requests: TaskTracker,
    pub(crate) connections: TaskTracker,
}

/// One listener with what answers behind it.
struct OpenListener<A> {
    configured: SocketAddr,
    address: SocketAddr,
    app: Arc<A>,
    control: ListenerControl,
    /// Ends accepting; requests under way are answered.
    close: CancellationToken,
    /// Bound, and not accepting yet.
    listener: Option<Listener>,
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Addresses {
    pub(crate) main: SocketAddr,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) channels: BTreeMap<String, SocketAddr>,
}

impl Addresses {
    /// The content of `listen.json` (DESIGN 4).
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let channels: BTreeMap<&str, String> =
            self.channels.iter().map(|(name, address)| (&**name, address.to_string())).collect();
        let admin = self.admin.map(|address| address.to_string());
        json!({"listen": self.main.to_string(), "admin": admin, "channels": channels})
    }
}

impl<A: HttpApp> OpenListener<A> {
    fn bind(
        address: SocketAddr,
        app: Arc<A>,
        settings: ListenerSettings,
        stop: &CancellationToken,
    ) -> Result<Self, StartError> {
        let listener = Listener::bind(address, settings)?;
        Ok(Self {
            configured: address,
            address: listener.local_address().map_err(StartError::data)?,
            app,
            control: listener.control(),
            close: stop.child_token(),
            listener: Some(listener),
        })
    }

    /// Binds another address for the same application. If only this listener is in the way, it is closed first.
    fn moved(
        &self,
        address: SocketAddr,
        settings: &ListenerSettings,
        stop: &CancellationToken,
    ) -> Result<Self, String> {
        let bind = || Self::bind(address, Arc::clone(&self.app), settings.clone(), stop);
        match bind() {
            Err(StartError::Bind(error))
                if error.is_taken() && address.port() == self.address.port() =>
            {
                self.close.cancel();
                retried(|| bind().map_err(|error| error.to_string()))
            }
            bound => bound.map_err(|error| error.to_string()),
        }
    }

    /// Binds the same address again after it was closed; accepts nothing yet.
    fn reopen(&mut self, stop: &CancellationToken) -> Result<(), String> {
        if !self.close.is_cancelled() {
            return Ok(());
        }
        let settings = self.control.settings();
        // The address that the system chose, where it chose.
        let again = || {
            let listener =
                Self::bind(self.address, Arc::clone(&self.app), (*settings).clone(), stop);
            listener.map_err(|error| error.to_string())
        };
        let configured = self.configured;
        *self = retried(again)?;
        self.configured = configured;
        Ok(())
    }

    fn accept(&mut self, tasks: &TaskTracker) {
        if let Some(listener) = self.listener.take() {
            tasks.spawn(listener.serve(Arc::clone(&self.app), self.close.clone(), tasks.clone()));
        }
    }
}

impl<A> Drop for OpenListener<A> {
    fn drop(&mut self) {
        self.close.cancel();
    }
}

impl Listeners {
    /// Binds the main listener.
    pub(crate) fn bind(
        host: Arc<Host>,
        settings: &Settings,
        tasks: Tasks,
    ) -> Result<Self, StartError> {
        let limits = AddressLimits::new(settings.limit_settings());
        let backend: Arc<dyn Backend> = Arc::new(ChannelBackend(Arc::clone(&host)));
        let wanted = listener_settings(settings, wiring::main_tls(settings), &host, &limits)
            .map_err(|problem| StartError::Settings(vec![problem]))?;
        let server = ChannelServer::new(
            Routes::shared([] as [Arc<WsxChannel>; 0], [] as [Arc<RestChannel>; 0]),
            Arc::clone(&backend),
            tasks.connections.clone(),
        );
        let main = OpenListener::bind(settings.listen, Arc::new(server), wanted, &tasks.stop)?;
        Ok(Self {
            host,
            backend,
            limits,
            admin_limits: AddressLimits::new(settings.limit_settings()),
            tasks,
            main,
            admin: None,
            own: HashMap::new(),
            accepting: false,
            refuses_upgrades: false,
            built_in: built_in(settings)?,
        })
    }

    /// Binds the admin listener.
    pub(crate) fn bind_admin(
        &mut self,
        app: Arc<AdminApp>,
        settings: &Settings,
    ) -> Result<(), StartError> {
        let wanted = self.admin_settings(settings).map_err(|it| StartError::Settings(vec![it]))?;
        self.admin =
            Some(OpenListener::bind(settings.admin_listen, app, wanted, &self.tasks.stop)?);
        Ok(())
    }

    /// Lets everybody in, from now on also through listeners that are opened later.
    pub(crate) fn accept(&mut self) {
        self.accepting = true;
        self.main.accept(&self.tasks.requests);
        if let Some(admin) = &mut self.admin {
            admin.accept(&self.tasks.requests);
        }
        self.own.values_mut().for_each(|listener| listener.accept(&self.tasks.requests));
    }

    /// No new WebSocket connections from now on, and no way back: the server stops.
    pub(crate) fn refuse_upgrades(&mut self) {
        self.refuses_upgrades = true;
        self.main.app.refuse_upgrades();
        self.own.values().for_each(|listener| listener.app.refuse_upgrades());
        // What answers there holds on to us.
        self.admin = None;
    }

    pub(super) fn addresses<'a>(&self, channels: impl Iterator<Item = &'a Placed>) -> Addresses {
        let own = channels.filter_map(|placed| {
            let listener = self.own.get(&placed.place)?;
            Some((placed.channel.name.to_string(), listener.address))
        });
        Addresses {
            main: self.main.address,
            admin: self.admin.as_ref().map(|listener| listener.address),
            channels: own.collect(),
        }
    }

    /// Opens what channels want for themselves. A channel whose listener cannot be opened is returned with the reason;
    /// it stays where it ran before, if it did, and is otherwise as it is wanted now.
    pub(super) fn open(
        &mut self,
        wanted: &mut BTreeMap<u64, Option<Placed>>,
        running: &HashMap<u64, Placed>,
        settings: &Settings,
    ) -> BTreeMap<u64, String> {
        let is_own = |place: &Place| *place != Place::Main;
        let places = wanted.values().flatten().map(|placed| placed.place.clone());
        let places: BTreeSet<Place> = places.filter(is_own).collect();
        let mut failed = BTreeMap::new();
        for place in &places {
            let Err(error) = self.open_one(place, wanted, running, settings) else { continue };
            for (id, placed) in wanted.iter_mut() {
                if placed.as_ref().is_some_and(|placed| placed.place == *place) {
                    failed.insert(*id, error.clone());
                    *placed = placed.take().zip(running.get(id)).map(|(new, old)| new.kept_at(old));
                }
            }
        }
        // What others have left may need other certificates now.
        let left = wanted.keys().filter_map(|id| Some(running.get(id)?.place.clone()));
        for place in left.filter(|place| is_own(place) && !places.contains(place)) {
            if let Some(listener) = self.own.get(&place)
                && let Ok(config) = self.settings_of(&place, wanted, running, settings)
            {
                match listener.control.prepare(config) {
                    Ok(update) => update.commit(),
                    Err(error) => {
                        tracing::error!(%error, "a listener keeps its former certificate")
                    }
                }
            }
        }
        failed
    }

    /// Whether there is a listener for a place.
    pub(super) fn has(&self, place: &Place) -> bool {
        *place == Place::Main || self.own.contains_key(place)
    }

    fn settings_of(
        &self,
        place: &Place,
        wanted: &BTreeMap<u64, Option<Placed>>,
        running: &HashMap<u64, Placed>,
        settings: &Settings,
    ) -> Result<ListenerSettings, String> {
        let stay = running.iter().filter(|(id, _)| !wanted.contains_key(id)).map(|(_, it)| it);
        let members: Vec<&Placed> =
            stay.chain(wanted.values().flatten()).filter(|it| it.place == *place).collect();
        listener_settings(settings, tls_of(&members, settings), &self.host, &self.limits)
    }

    fn open_one(
        &mut self,
        place: &Place,
        wanted: &BTreeMap<u64, Option<Placed>>,
        running: &HashMap<u64, Placed>,
        settings: &Settings,
    ) -> Result<(), String> {
        let Place::Own { host, port, .. } = place else { return Ok(()) };
        let config = self.settings_of(place, wanted, running, settings)?;
        if let Some(listener) = self.own.get(place) {
            listener.control.prepare(config).map_err(|error| error.to_string())?.commit();
            return Ok(());
        }
        let address = wiring::resolve(host, *port)?;
        let server = Arc::new(self.server());
        let stop = self.tasks.stop.clone();
        let bind = || OpenListener::bind(address, Arc::clone(&server), config.clone(), &stop);
        let listener = match bind() {
            Err(StartError::Bind(error)) if error.is_taken() => {
                // Perhaps by a listener that nobody needs after this change.
                let left = self.take_left(*port, wanted, running);
                let listener = match left.is_empty() {
                    true => Err(error.to_string()),
                    false => retried(|| bind().map_err(|error| error.to_string())),
                };
                if listener.is_err() {
                    self.reopen(left);
                }
                listener
            }
            bound => bound.map_err(|error| error.to_string()),
        }?;
        tracing::info!(address = %listener.address, "listener opened");
        self.own.insert(place.clone(), listener);
        Ok(())
    }

    fn server(&self) -> ChannelServer {
        let routes = Routes::wsx_only([] as [Arc<WsxChannel>; 0]);
        let (backend, connections) = (Arc::clone(&self.backend), self.tasks.connections.clone());
        let server = ChannelServer::new(routes, backend, connections);
        if self.refuses_upgrades {
            server.refuse_upgrades();
        }
        server
    }

    /// Closes the listeners of a port that no channel has after the change.
    fn take_left(
        &mut self,
        port: u16,
        wanted: &BTreeMap<u64, Option<Placed>>,
        running: &HashMap<u64, Placed>,
    ) -> Vec<(Place, OpenListener<ChannelServer>)> {
        let is_left = |place: &Place| {
            let here = |placed: &Placed| placed.place == *place;
            running.iter().all(|(id, placed)| !here(placed) || wanted.contains_key(id))
                && !wanted.values().flatten().any(here)
        };
        let left = self
            .own
            .iter()
            .filter(|(place, listener)| listener.address.port() == port && is_left(place));
        let left: Vec<Place> = left.map(|(place, _)| place.clone()).collect();
        let listeners = left.into_iter().filter_map(|place| {
            let listener = self.own.remove(&place)?;
            listener.close.cancel();
            Some((place, listener))
        });
        listeners.collect()
    }

    /// Opens listeners again that were closed in vain.
    fn reopen(&mut self, closed: Vec<(Place, OpenListener<ChannelServer>)>) {
        for (place, mut listener) in closed {
            match listener.reopen(&self.tasks.stop) {
                Ok(()) => drop(self.own.insert(place, listener)),
                Err(error) => tracing::error!(error, "a listener could not be opened again"),
            }
        }
    }

    /// Gives each listener its channels, and closes those that have none left.
    pub(super) fn set_routes(
        &mut self,
        web_sockets: &HashMap<u64, Placed>,
        rest: &HashMap<u64, Arc<RestChannel>>,
    ) {
        let mut by_place: HashMap<&Place, Vec<Arc<WsxChannel>>> = HashMap::new();
        for placed in web_sockets.values() {
            by_place.entry(&placed.place).or_default().push(Arc::clone(&placed.channel));
        }
        let shared = by_place.remove(&Place::Main).unwrap_or_default();
        let rest = rest.values().chain(&self.built_in).map(Arc::clone);
        self.main.app.set_routes(Routes::shared(shared, rest));
        self.own.retain(|place, listener| match by_place.remove(place) {
            Some(channels) => {
                listener.app.set_routes(Routes::wsx_only(channels));
                true
            }
            None => {
                // Requests that are under way find nothing any more.
                listener.app.set_routes(Routes::wsx_only([] as [Arc<WsxChannel>; 0]));
                tracing::info!(address = %listener.address, "listener closed");
                false
            }
        });
        if self.accepting {
            self.own.values_mut().for_each(|listener| listener.accept(&self.tasks.requests));
        }
    }

    /// Takes other settings; on an error everything is as before.
    pub(super) fn set_settings(
        &mut self,
        settings: &Settings,
        channels: &HashMap<u64, Placed>,
    ) -> Result<(), String> {
        let text = |error: TlsError| error.to_string();
        let main =
            listener_settings(settings, wiring::main_tls(settings), &self.host, &self.limits)?;
        let admin = self.admin_settings(settings)?;
        // Everything that can fail comes first: files, then addresses.
        let mut updates = Vec::new();
        for place in self.own.keys() {
            let config = self.settings_of(place, &BTreeMap::new(), channels, settings)?;
            if let Some(listener) = self.own.get(place) {
                updates.push(listener.control.prepare(config).map_err(text)?);
            }
        }
        if self.main.configured == settings.listen {
            updates.push(self.main.control.prepare(main.clone()).map_err(text)?);
        }
        if let Some(listener) =
            self.admin.as_ref().filter(|it| it.configured == settings.admin_listen)
        {
            updates.push(listener.control.prepare(admin.clone()).map_err(text)?);
        }
        let moved = self.rebind(settings, &main, &admin);
        let (new_main, new_admin) = match moved {
            Ok(moved) => moved,
            Err(error) => {
                self.come_back();
                return Err(error);
            }
        };
        updates.into_iter().for_each(ListenerUpdate::commit);
        self.limits.set(settings.limit_settings());
        self.admin_limits.set(settings.limit_settings());
        if let Some(mut listener) = new_main {
            listener.accept(&self.tasks.requests);
            self.main = listener;
        }
        if let Some(mut listener) = new_admin {
            listener.accept(&self.tasks.requests);
            self.admin = Some(listener);
        }
        Ok(())
    }

    /// Binds what has another address now.
    #[expect(clippy::type_complexity, reason = "two listeners of two kinds")]
    fn rebind(
        &self,
        settings: &Settings,
        main: &ListenerSettings,
        admin: &ListenerSettings,
    ) -> Result<(Option<OpenListener<ChannelServer>>, Option<OpenListener<AdminApp>>), String> {
        let stop = &self.tasks.stop;
        let new_main = match self.main.configured == settings.listen {
            true => None,
            false => Some(self.main.moved(settings.listen, main, stop)?),
        };
        let new_admin = match &self.admin {
            Some(listener) if listener.configured != settings.admin_listen => {
                Some(listener.moved(settings.admin_listen, admin, stop)?)
            }
            _ => None,
        };
        Ok((new_main, new_admin))
    }

    /// Opens the main and the admin listener again, if a move in vain has closed them.
    fn come_back(&mut self) {
        let (stop, requests) = (&self.tasks.stop, &self.tasks.requests);
        let mut reopened = self.main.reopen(stop);
        self.main.accept(requests);
        if let Some(admin) = &mut self.admin {
            reopened = reopened.and(admin.reopen(stop));
            admin.accept(requests);
        }
        if let Err(error) = reopened {
            tracing::error!(error, "a listener could not be opened again");
        }
    }

    fn admin_settings(&self, settings: &Settings) -> Result<ListenerSettings, String> {
        let tls = wiring::admin_tls(settings);
        let wanted = listener_settings(settings, tls, &self.host, &self.admin_limits)?;
        Ok(ListenerSettings { proxy_protocol: false, ..wanted })
    }
}

/// REST channels that are no managed objects.
fn built_in(settings: &Settings) -> Result<Vec<Arc<RestChannel>>, StartError> {
    let mut channels = crate::pubsub::channels(settings).map_err(StartError::data)?;
    channels.extend(crate::sso::channels(settings).map_err(StartError::data)?);
    Ok(channels)
}

fn listener_settings(
    settings: &Settings,
    tls: Option<TlsFiles>,
    host: &Host,
    limits: &Arc<AddressLimits>,
) -> Result<ListenerSettings, String> {
    Ok(ListenerSettings {
        tls,
        proxy_protocol: settings.proxy_protocol,
        trusted_proxies: Arc::new(TrustedProxies::parse(&settings.trusted_proxies)?),
        handshake_timeout: settings.limits.handshake_timeout,
        header_timeout: settings.limits.header_timeout,
        write_timeout: settings.limits.write_timeout,
        max_headers: settings.limits.headers,
        max_header_bytes: settings.limits.header_bytes,
        observer: Arc::new(Refusals(Arc::clone(&host.metrics))),
        ..ListenerSettings::new(Arc::clone(limits))
    })
}

/// The certificate files of a listener: those of its channels, or of the main listener if one of them wants TLS.
fn tls_of(members: &[&Placed], settings: &Settings) -> Option<TlsFiles> {
    let own = members.iter().find_map(|placed| placed.tls.clone());
    let wants_tls = members.iter().any(|placed| placed.wants_tls);
    let tls = own.or_else(|| wants_tls.then(|| wiring::main_tls(settings)).flatten());
    if wants_tls && tls.is_none() {
        let channels: Vec<&str> = members.iter().map(|placed| &*placed.channel.name).collect();
        tracing::warn!(
            channels = channels.join(", "),
            "wss without certificate files: TLS must end at a proxy in front of this listener"
        );
    }
    tls
}

/// A listener that was told to close needs a moment.
#[expect(
    clippy::disallowed_methods,
    reason = "runs where blocking is allowed; the system has no event for it"
)]
fn retried<T>(mut attempt: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let mut result = attempt();
    for _ in 0..CLOSING_TRIES {
        if result.is_ok() {
            break;
        }
        std::thread::sleep(CLOSING_PAUSE);
        result = attempt();
    }
    result
}

const CLOSING_TRIES: u32 = 100;
const CLOSING_PAUSE: Duration = Duration::from_millis(10);
