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
    AddressLimits, HttpApp, Listener, ListenerControl, ListenerSettings, TlsFiles, TrustedProxies,
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
pub(crate) struct Doors {
    host: Arc<Host>,
    backend: Arc<dyn Backend>,
    limits: Arc<AddressLimits>,
    tasks: Tasks,
    main: Door<ChannelServer>,
    admin: Option<Door<AdminApp>>,
    own: HashMap<Place, Door<ChannelServer>>,
    accepting: bool,
    refuses_upgrades: bool,
}

/// What connections and requests run as.
#[derive(Clone, Debug)]
pub(crate) struct Tasks {
    pub(crate) stop: CancellationToken,
    pub(crate) requests: TaskTracker,
    pub(crate) connections: TaskTracker,
}

/// One listener with what answers behind it.
struct Door<A> {
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

impl<A: HttpApp> Door<A> {
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

    fn accept(&mut self, tasks: &TaskTracker) {
        if let Some(listener) = self.listener.take() {
            tasks.spawn(listener.serve(Arc::clone(&self.app), self.close.clone(), tasks.clone()));
        }
    }
}

impl<A> Drop for Door<A> {
    fn drop(&mut self) {
        self.close.cancel();
    }
}

impl Doors {
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
        let main = Door::bind(settings.listen, Arc::new(server), wanted, &tasks.stop)?;
        Ok(Self {
            host,
            backend,
            limits,
            tasks,
            main,
            admin: None,
            own: HashMap::new(),
            accepting: false,
            refuses_upgrades: false,
        })
    }

    /// Binds the admin listener.
    pub(crate) fn bind_admin(
        &mut self,
        app: Arc<AdminApp>,
        settings: &Settings,
    ) -> Result<(), StartError> {
        let wanted = self.admin_settings(settings).map_err(|it| StartError::Settings(vec![it]))?;
        self.admin = Some(Door::bind(settings.admin_listen, app, wanted, &self.tasks.stop)?);
        Ok(())
    }

    /// Lets everybody in, from now on also through listeners that are opened later.
    pub(crate) fn accept(&mut self) {
        self.accepting = true;
        self.main.accept(&self.tasks.requests);
        if let Some(admin) = &mut self.admin {
            admin.accept(&self.tasks.requests);
        }
        self.own.values_mut().for_each(|door| door.accept(&self.tasks.requests));
    }

    /// No new WebSocket connections from now on, and no way back: the server stops.
    pub(crate) fn refuse_upgrades(&mut self) {
        self.refuses_upgrades = true;
        self.main.app.refuse_upgrades();
        self.own.values().for_each(|door| door.app.refuse_upgrades());
        // What answers there holds on to us.
        self.admin = None;
    }

    pub(super) fn addresses<'a>(&self, channels: impl Iterator<Item = &'a Placed>) -> Addresses {
        let own = channels.filter_map(|placed| {
            let door = self.own.get(&placed.place)?;
            Some((placed.channel.name.to_string(), door.address))
        });
        Addresses {
            main: self.main.address,
            admin: self.admin.as_ref().map(|door| door.address),
            channels: own.collect(),
        }
    }

    /// Opens what channels want for themselves. A channel whose listener cannot be opened is taken out of `wanted`, so
    /// that what ran before stays, and returned with the reason.
    pub(super) fn open(
        &mut self,
        wanted: &mut BTreeMap<u64, Option<Placed>>,
        running: &HashMap<u64, Placed>,
        settings: &Settings,
    ) -> BTreeMap<u64, String> {
        let places: BTreeSet<Place> = wanted
            .values()
            .flatten()
            .map(|placed| placed.place.clone())
            .filter(|place| *place != Place::Main)
            .collect();
        let mut failed = BTreeMap::new();
        for place in places {
            let stays = running.iter().filter(|(id, _)| !wanted.contains_key(id)).map(|(_, it)| it);
            let members: Vec<&Placed> =
                stays.chain(wanted.values().flatten()).filter(|it| it.place == place).collect();
            let tls = tls_of(&members, settings);
            let opened = self.open_one(&place, tls, settings, wanted, running);
            let Err(error) = opened else { continue };
            let here = |it: &Option<Placed>| it.as_ref().is_some_and(|it| it.place == place);
            let ids: Vec<u64> =
                wanted.iter().filter(|(_, it)| here(it)).map(|(id, _)| *id).collect();
            for id in ids {
                wanted.remove(&id);
                failed.insert(id, error.clone());
            }
        }
        failed
    }

    fn open_one(
        &mut self,
        place: &Place,
        tls: Option<TlsFiles>,
        settings: &Settings,
        wanted: &BTreeMap<u64, Option<Placed>>,
        running: &HashMap<u64, Placed>,
    ) -> Result<(), String> {
        let Place::Own { host, port, .. } = place else { return Ok(()) };
        let listener = listener_settings(settings, tls, &self.host, &self.limits)?;
        if let Some(door) = self.own.get(place) {
            return door.control.update(listener).map_err(|error| error.to_string());
        }
        let address = wiring::resolve(host, *port)?;
        let server = || {
            let routes = Routes::wsx_only([] as [Arc<WsxChannel>; 0]);
            let server = ChannelServer::new(
                routes,
                Arc::clone(&self.backend),
                self.tasks.connections.clone(),
            );
            if self.refuses_upgrades {
                server.refuse_upgrades();
            }
            Arc::new(server)
        };
        let bind = |listener| Door::bind(address, server(), listener, &self.tasks.stop);
        let mut door = bind(listener.clone()).map_err(|error| error.to_string());
        if door.is_err() {
            // The port may be one that a listener holds which nobody needs after this change.
            let leaves = |other: &Place| {
                let same = |it: &Placed| it.place == *other;
                running.iter().all(|(id, it)| !same(it) || wanted.contains_key(id))
                    && !wanted.values().flatten().any(same)
            };
            let left: Vec<Place> = self
                .own
                .iter()
                .filter(|(other, door)| door.address.port() == *port && leaves(other))
                .map(|(other, _)| other.clone())
                .collect();
            if !left.is_empty() {
                let closed: Vec<_> =
                    left.iter().filter_map(|place| self.own.remove(place)).collect();
                drop(closed);
                let bind = |listener| Door::bind(address, server(), listener, &self.tasks.stop);
                door = retried(|| bind(listener.clone()).map_err(|error| error.to_string()));
            }
        }
        let mut door = door?;
        if self.accepting {
            door.accept(&self.tasks.requests);
        }
        tracing::info!(address = %door.address, "listener opened");
        self.own.insert(place.clone(), door);
        Ok(())
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
        self.main.app.set_routes(Routes::shared(shared, rest.values().map(Arc::clone)));
        self.own.retain(|place, door| match by_place.remove(place) {
            Some(channels) => {
                door.app.set_routes(Routes::wsx_only(channels));
                true
            }
            None => {
                tracing::info!(address = %door.address, "listener closed");
                false
            }
        });
    }

    /// Takes other settings; on an error everything is as before.
    pub(super) fn set_settings(
        &mut self,
        settings: &Settings,
        channels: &HashMap<u64, Placed>,
    ) -> Result<(), String> {
        let main =
            listener_settings(settings, wiring::main_tls(settings), &self.host, &self.limits)?;
        let stop = &self.tasks.stop;
        let text = |error: StartError| error.to_string();
        let new_main = match self.main.configured == settings.listen {
            true => None,
            false => {
                let app = Arc::clone(&self.main.app);
                Some(Door::bind(settings.listen, app, main.clone(), stop).map_err(text)?)
            }
        };
        let admin = self.admin_settings(settings)?;
        let new_admin = match &self.admin {
            Some(door) if door.configured != settings.admin_listen => {
                let app = Arc::clone(&door.app);
                Some(Door::bind(settings.admin_listen, app, admin.clone(), stop).map_err(text)?)
            }
            _ => None,
        };
        // The files of both were read by now where they changed places; where they did not, this reads them.
        self.main.control.update(main).map_err(|error| error.to_string())?;
        if let Some(door) = &self.admin {
            door.control.update(admin).map_err(|error| error.to_string())?;
        }
        for (place, door) in &self.own {
            let members: Vec<&Placed> = channels.values().filter(|it| it.place == *place).collect();
            let tls = tls_of(&members, settings);
            let settings = listener_settings(settings, tls, &self.host, &self.limits)?;
            door.control.update(settings).map_err(|error| error.to_string())?;
        }
        self.limits.set(settings.limit_settings());
        if let Some(mut door) = new_main {
            door.accept(&self.tasks.requests);
            self.main = door;
        }
        if let Some(mut door) = new_admin {
            door.accept(&self.tasks.requests);
            self.admin = Some(door);
        }
        Ok(())
    }

    fn admin_settings(&self, settings: &Settings) -> Result<ListenerSettings, String> {
        let tls = wiring::admin_tls(settings);
        let wanted = listener_settings(settings, tls, &self.host, &self.limits)?;
        Ok(ListenerSettings { proxy_protocol: false, ..wanted })
    }
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
