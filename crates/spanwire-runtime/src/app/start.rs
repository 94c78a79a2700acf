//! The start of a server: data, listeners, objects put to work, then stored, then open.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use spanwire_channel::clock;
use spanwire_config::store::KeyValueConfigStore;
use spanwire_config::{
    Author, ChangedObject, Configuration, Edit, EditError, Existing, Import, Kind, Object,
    ObjectSet, Problem, Snapshot, import, parse_str,
};
use spanwire_crypto::{KeyRing, Secret};
use spanwire_protocol::Timestamp;
use spanwire_service::{Connections, OutgoingConnections, Ports, Registry};
use spanwire_store::{KeyValue, MemoryStore, Store};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{App, AppBuilder};
use crate::admin::{self, Administration, is_built_in};
use crate::backend::{Host, Readiness};
use crate::connections::ConnectionTable;
use crate::data::DataFolder;
use crate::demo;
use crate::error::StartError;
use crate::events::Events;
use crate::hooks::Hooks;
use crate::outconns::{Outconns, SubscriptionKeys};
use crate::pubsub::{self, PubSub};
use crate::reconciler::{Listeners, Reconciler, Tasks};
use crate::resolver::{Resolver, ReverseDns};
use crate::security::Definitions;
use crate::settings::{Loaded, Settings, SettingsControl, Sources};
use crate::sso::SingleSignOn;
use crate::status::Statuses;
use crate::telemetry::{Calls, Metrics};

/// Starts what was configured; see [`AppBuilder::start`].
pub(super) async fn start(builder: AppBuilder) -> Result<App, StartError> {
    let started = clock::timestamp();
    let AppBuilder { settings, sources, data, imports, texts, registry, dns } = builder;
    let data = match data {
        // Opening reads what is stored, which takes time with a large store.
        Some(path) => {
            let open = tokio::task::spawn_blocking(move || DataFolder::open(&path));
            Some(open.await.map_err(StartError::data)??)
        }
        None => None,
    };
    let tasks = Tasks {
        stop: CancellationToken::new(),
        requests: TaskTracker::new(),
        connections: TaskTracker::new(),
    };
    let parts = Parts {
        settings: settings.settings.clone(),
        registry,
        dns,
        store: data.as_ref().map(|data| Arc::clone(&data.store)),
        keys: data.as_ref().map(|data| Arc::clone(&data.keys)),
        folder: data.as_ref().map(|data| data.path().to_owned()),
    };
    // Reads the message log, which takes time with many messages.
    let host =
        tokio::task::spawn_blocking(move || parts.host()).await.map_err(StartError::data)??;
    let listeners = Listeners::bind(Arc::clone(&host), &settings.settings, tasks.clone())?;
    let reconciler = Reconciler::new(Arc::clone(&host), settings.settings.clone(), listeners);
    let reconciler = Arc::new(reconciler);
    let mut bound = Bound { host, reconciler, data, settings, sources, started, tasks };
    let inputs = Inputs { imports, texts };
    // Reads files, resolves names and binds sockets.
    let (stop, reconciler) = (bound.tasks.stop.clone(), Arc::clone(&bound.reconciler));
    let ready = tokio::task::spawn_blocking(move || bound.prepare(&inputs).map(|it| (bound, it)));
    let opened = match ready.await.map_err(StartError::data) {
        Ok(Ok((bound, prepared))) => bound.open(prepared),
        Ok(Err(error)) | Err(error) => Err(error),
    };
    if opened.is_err() {
        // Nothing may hold on to sockets and folder.
        stop.cancel();
        reconciler.refuse_upgrades();
    }
    opened
}

/// What objects come with a start.
struct Inputs {
    imports: Vec<PathBuf>,
    texts: Vec<String>,
}

/// A server whose main listener is bound, and that does not accept yet.
struct Bound {
    host: Arc<Host>,
    reconciler: Arc<Reconciler>,
    data: Option<DataFolder>,
    settings: Loaded,
    sources: Option<Sources>,
    started: Timestamp,
    tasks: Tasks,
}

/// A server whose objects are put to work and stored.
struct Prepared {
    administration: Option<Arc<Administration>>,
    demo_password: Option<Secret>,
}

impl Bound {
    /// Puts everything to work, and stores it only once all of that is well: what is stored is what can be started
    /// with again.
    fn prepare(&mut self, inputs: &Inputs) -> Result<Prepared, StartError> {
        let configuration = Arc::new(self.configuration()?);
        let base = configuration.snapshot();
        let demo = match &self.data {
            Some(_) if base.revision() == 0 => Some(demo::create()?),
            _ => None,
        };
        let (demo, demo_password) = demo.map(|demo| (demo.objects, demo.password)).unzip();
        let wanted = self.read_objects(&base, demo, inputs)?;
        let names: Vec<_> = wanted.iter().map(|object| (object.kind(), object.name())).collect();
        let edits: Vec<Edit> = wanted.into_iter().map(Edit::Apply).collect();
        let author = Author::new("spanwire-server", start_of(inputs));
        let built_in = |kind: Kind, name: &str| is_built_in(&self.host, kind, name);
        let preview = configuration
            .preview(edits.clone(), &author, self.started, &built_in)
            .map_err(refused)?;
        self.run(&preview.after, &names)?;
        let administration = self.administration(&configuration)?;
        let outcome =
            configuration.change(edits, &author, self.started, &built_in).map_err(refused)?;
        // Passwords that nobody knows are others than in the preview, and so is nothing else.
        self.reconciler.apply(&outcome.after, &outcome.changes);
        let (changed, all) = (outcome.changes.len(), outcome.after.objects().len());
        tracing::info!(
            changed,
            all,
            revision = outcome.after.revision(),
            "managed objects applied"
        );
        Ok(Prepared { administration, demo_password })
    }

    fn configuration(&self) -> Result<Configuration, StartError> {
        let (store, keys): (Arc<dyn KeyValue>, _) = match &self.data {
            Some(data) => (Arc::clone(&data.store) as _, Arc::clone(&data.keys)),
            None => (
                Arc::new(MemoryStore::new()),
                Arc::new(KeyRing::ephemeral().map_err(StartError::data)?),
            ),
        };
        let store = Arc::new(KeyValueConfigStore::new(store));
        Configuration::open(store, keys).map_err(StartError::data)
    }

    /// Puts all objects to work. Of those that were stored before, some may fail.
    fn run(&self, target: &Arc<Snapshot>, new: &[(Kind, String)]) -> Result<(), StartError> {
        let change = |object: &Arc<Object>| {
            let meta = target.meta(object.kind(), &object.name())?;
            let (id, version) = (meta.id, meta.version);
            let after = Some(Arc::clone(object));
            Some(ChangedObject { id, kind: object.kind(), version, before: None, after })
        };
        let all: Vec<_> = target.objects().iter().filter_map(change).collect();
        let application = self.reconciler.apply(target, &all);
        let failed = application.failed.into_iter().filter_map(|(id, problem)| {
            let (object, _) = target.by_id(id)?;
            Some((object.kind(), object.name(), problem))
        });
        let mut failed = failed.filter(|(kind, name, _)| new.contains(&(*kind, name.clone())));
        match failed.next() {
            None => Ok(()),
            Some((kind, name, problem)) => {
                Err(StartError::Object { kind: kind.as_str(), name, problem })
            }
        }
    }

    fn administration(
        &self,
        configuration: &Arc<Configuration>,
    ) -> Result<Option<Arc<Administration>>, StartError> {
        let Some(data) = &self.data else { return Ok(None) };
        let administration = Arc::new(Administration {
            host: Arc::clone(&self.host),
            configuration: Arc::clone(configuration),
            reconciler: Arc::clone(&self.reconciler),
            settings: SettingsControl::new(self.settings.clone(), self.sources.clone()),
            keys: Arc::clone(&data.keys),
            token: data.admin_token.clone(),
            started: self.started,
            stop: self.tasks.stop.clone(),
            addresses: data.address_file(),
            changing: tokio::sync::Mutex::new(()),
        });
        self.reconciler.bind_admin(Arc::new(admin::application(Arc::clone(&administration))))?;
        Ok(Some(administration))
    }

    /// Everything that is to be created or updated, or every mistake.
    fn read_objects(
        &self,
        base: &Snapshot,
        demo: Option<Vec<Object>>,
        inputs: &Inputs,
    ) -> Result<Vec<Object>, StartError> {
        let mut known = base.objects().clone();
        let mut wanted = demo.unwrap_or_default();
        known.apply(wanted.clone());
        let built_in = |kind: Kind, name: &str| is_built_in(&self.host, kind, name);
        let environment = |name: &str| std::env::var(name).ok();
        for text in &inputs.texts {
            let read = parse_str("(objects)", text, &environment, Existing::new(&known, &built_in));
            take(read, &mut known, &mut wanted)?;
        }
        if !inputs.imports.is_empty() {
            let read = import(&inputs.imports, &environment, Existing::new(&known, &built_in));
            take(read, &mut known, &mut wanted)?;
        }
        Ok(wanted)
    }

    /// Lets everybody in.
    fn open(self, prepared: Prepared) -> Result<App, StartError> {
        let Self { host, reconciler, data, settings, tasks, .. } = self;
        let settings = settings.settings;
        reconciler.accept();
        host.outconns.begin();
        maintain(&host, &tasks.stop, &tasks.requests);
        if let Some(sso) = &host.sso {
            sso.run(&tasks.stop, &tasks.requests);
        }
        let addresses = reconciler.addresses();
        let address_file = prepared.administration.as_ref().map(|it| it.addresses.clone());
        let address_file = address_file.unwrap_or_default();
        address_file.publish(|| reconciler.addresses())?;
        let (file, stop) = (address_file.clone(), tasks.stop.clone());
        let tried = move |reconciler: &Reconciler| file.write(|| reconciler.addresses());
        tasks.requests.spawn(Arc::clone(&reconciler).keep_trying(stop, tried));
        let welcome = data.as_ref().zip(prepared.demo_password).map(|(data, password)| {
            let tls = settings.tls_certificate.is_some();
            demo::welcome(data.path(), addresses.main, tls, &password)
        });
        let (listen, admin) = (addresses.main, addresses.admin.map(|address| address.to_string()));
        let profile = settings.effective_profile().as_str();
        tracing::info!(%listen, admin, profile, name = settings.name, "ready");
        for (channel, address) in &addresses.channels {
            tracing::info!(channel, %address, "channel has its own listener");
        }
        Ok(App {
            host,
            reconciler,
            administration: prepared.administration,
            address_file,
            welcome,
            tasks,
            _data: data,
        })
    }
}

/// Where the objects of a start come from, for the history.
fn start_of(inputs: &Inputs) -> String {
    let files: Vec<String> = inputs.imports.iter().map(|file| file.display().to_string()).collect();
    match files.is_empty() {
        true => "start".to_owned(),
        false => format!("start, import of {}", files.join(", ")),
    }
}

fn refused(error: EditError) -> StartError {
    match error {
        EditError::Invalid(problems) | EditError::InUse(problems) => StartError::Objects(problems),
        error => StartError::data(error),
    }
}

/// What everything that runs is made of.
struct Parts {
    settings: Settings,
    registry: Registry,
    dns: Arc<dyn ReverseDns>,
    store: Option<Arc<Store>>,
    keys: Option<Arc<KeyRing>>,
    folder: Option<PathBuf>,
}

impl Parts {
    fn host(self) -> Result<Arc<Host>, StartError> {
        let Self { settings, registry, dns, store, keys, folder } = self;
        let metrics = Metrics::new().map_err(StartError::data)?;
        let connections = Arc::new(ConnectionTable::new(&settings.name));
        let kept = store.clone().map(|store| store as Arc<dyn KeyValue>).zip(keys);
        let definitions = Arc::new(Definitions::new(settings.limits.failed_logins));
        let sso = SingleSignOn::open(&settings, kept.clone(), &registry, &definitions)?;
        let outconns = Arc::new(Outconns::new(SubscriptionKeys::open(kept)?));
        let ports = Ports::new(Arc::new(registry))
            .with_connections(Arc::clone(&connections) as Arc<dyn Connections>)
            .with_observer(Arc::new(Calls(Arc::clone(&metrics))))
            .with_outgoing(Arc::clone(&outconns) as Arc<dyn OutgoingConnections>);
        let events = Events::new();
        let pubsub = PubSub::open(&pubsub::Opening {
            folder: folder.as_deref(),
            settings: &settings,
            ports: &ports,
            connections: &connections,
            metrics: &metrics,
        })?;
        Ok(Arc::new(Host {
            hooks: Hooks::new(ports.clone()),
            ports,
            connections,
            definitions,
            sso,
            metrics,
            resolver: Resolver::start(dns),
            readiness: Arc::new(Readiness::new(store, pubsub.broker.clone())),
            pubsub,
            outconns,
            statuses: Statuses::new(events.clone()),
            events,
        }))
    }
}

fn take(
    read: Result<Import, Vec<Problem>>,
    known: &mut ObjectSet,
    wanted: &mut Vec<Object>,
) -> Result<(), StartError> {
    let read = read.map_err(StartError::Objects)?;
    for warning in &read.warnings {
        tracing::warn!("{warning}");
    }
    known.apply(read.objects.clone());
    wanted.extend(read.objects);
    Ok(())
}

/// Keeps histograms from growing between two looks at them.
fn maintain(host: &Arc<Host>, stop: &CancellationToken, tasks: &TaskTracker) {
    let (metrics, stop) = (Arc::clone(&host.metrics), stop.clone());
    tasks.spawn(async move {
        let mut interval = tokio::time::interval(MAINTENANCE);
        while stop.run_until_cancelled(interval.tick()).await.is_some() {
            metrics.maintain();
        }
    });
}

const MAINTENANCE: Duration = Duration::from_secs(5);
