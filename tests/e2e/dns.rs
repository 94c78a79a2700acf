//! Host names of clients: off the path of connections, whatever a resolver does (DESIGN 5.4, wsx-protocol 6).

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_protocol::admin::ConnectionInfo;
use spanwire_runtime::resolver::ReverseDns;
use spanwire_runtime::{App, ConnectionFilter, Context};
use spanwire_service::BoxFuture;
use spanwire_tests::{Client, eventually};
use tokio::sync::{Semaphore, mpsc};

const OBJECTS: &str =
    "web_socket: [{name: c, address: /ws/c, service: whoami, sec_def: zato-no-security}]\n";

/// A resolver made of a function.
struct Dns<F>(F);

impl<F, Fut> ReverseDns for Dns<F>
where
    F: Fn(IpAddr) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Option<String>> + Send + 'static,
{
    fn lookup(&self, address: IpAddr) -> BoxFuture<'static, Option<String>> {
        Box::pin((self.0)(address))
    }
}

async fn start(dns: impl ReverseDns) -> App {
    App::builder()
        .service_fn(
            "whoami",
            |ctx: Context, _: Value| async move { Ok(ctx.peer_fqdn().to_owned()) },
        )
        .reverse_dns(dns)
        .objects(OBJECTS)
        .start()
        .await
        .unwrap()
}

fn url(app: &App) -> String {
    format!("ws://{}/ws/c", app.address())
}

fn records(app: &App) -> Vec<ConnectionInfo> {
    app.connections().list(&ConnectionFilter::default())
}

async fn works_at_once(app: &App, count: usize) -> Vec<Client> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let begun = Instant::now();
        let mut client = Client::log_in(&url(app), "", "").await;
        let reply = client.call(&json!({})).await;
        assert_eq!(reply["meta"]["status"], 200, "{reply}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
        clients.push(client);
    }
    clients
}

#[tokio::test]
async fn a_resolver_that_never_answers_costs_only_the_names() {
    let app = start(Dns(|_| std::future::pending())).await;
    // More than may be looked up at once.
    let mut clients = works_at_once(&app, 40).await;
    for client in &mut clients {
        assert_eq!(client.call(&json!({})).await["data"], "(Unknown)");
    }
    assert!(records(&app).iter().all(|record| record.peer_fqdn == "(Unknown)"));
    drop(clients);
    let begun = Instant::now();
    app.shutdown().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

/// The task that asks for names must not block the threads that serve connections.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_resolver_that_panics_harms_nobody() {
    let (tell, mut asked) = mpsc::channel(100);
    let app = start(Dns(move |_| {
        tell.try_send(()).unwrap();
        async { panic!("as planned") }
    }))
    .await;
    let _clients = works_at_once(&app, 20).await;
    // Every lookup was tried: a lookup that fails that way gives its place back.
    for _ in 0..20 {
        tokio::time::timeout(Duration::from_secs(5), asked.recv()).await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn without_a_name_it_stays_unknown() {
    let (tell, mut asked) = mpsc::channel(100);
    let app = start(Dns(move |address| {
        tell.try_send(address).unwrap();
        std::future::ready(None)
    }))
    .await;
    let mut clients = works_at_once(&app, 3).await;
    assert_eq!(asked.recv().await, Some(IpAddr::from([127, 0, 0, 1])));
    assert_eq!(clients[0].call(&json!({})).await["data"], "(Unknown)");
    let record = &records(&app)[0];
    assert_eq!(record.peer_fqdn, "(Unknown)");
    assert_eq!(
        (&record.peer_forwarded_for, &*record.peer_forwarded_for_fqdn),
        (&None, "(Unknown)")
    );
}

#[tokio::test]
async fn a_name_appears_when_it_is_found() {
    let answer = Arc::new(Semaphore::new(0));
    let own = Arc::clone(&answer);
    let app = start(Dns(move |address: IpAddr| {
        let answer = Arc::clone(&own);
        async move {
            answer.acquire().await.unwrap().forget();
            Some(format!("host-{address}.example"))
        }
    }))
    .await;
    let mut clients = works_at_once(&app, 1).await;
    let client = &mut clients[0];
    assert_eq!(client.call(&json!({})).await["data"], "(Unknown)");
    assert_eq!(records(&app)[0].peer_fqdn, "(Unknown)");
    answer.add_permits(1);
    let named = || async { records(&app)[0].peer_fqdn == "host-127.0.0.1.example" };
    eventually("the record has the name", named).await;
    // On the connection that was open all the time.
    assert_eq!(client.call(&json!({})).await["data"], "host-127.0.0.1.example");
    let filter = ConnectionFilter {
        peer_fqdn: Some("host-127.0.0.1.example".to_owned()),
        ..ConnectionFilter::default()
    };
    assert_eq!(app.connections().list(&filter).len(), 1);
    // The second client's name is known already: no answer is needed any more.
    let _second = Client::log_in(&url(&app), "", "").await;
    eventually("the second has it, too", || async {
        records(&app).iter().all(|record| record.peer_fqdn == "host-127.0.0.1.example")
    })
    .await;
}

#[tokio::test]
async fn names_that_are_none_are_not_taken() {
    for name in [String::new(), "x".repeat(10_000)] {
        let (tell, mut asked) = mpsc::channel(10);
        let answer = name.clone();
        let app = start(Dns(move |_| {
            let (tell, answer) = (tell.clone(), answer.clone());
            async move {
                tell.send(()).await.unwrap();
                Some(answer)
            }
        }))
        .await;
        let mut clients = works_at_once(&app, 1).await;
        asked.recv().await.unwrap();
        assert!(clients[0].is_quiet().await);
        assert_eq!(clients[0].call(&json!({})).await["data"], "(Unknown)");
    }
}

#[tokio::test]
async fn forwarded_for_is_kept_as_it_came() {
    let app = start(Dns(|address| std::future::ready(Some(format!("name-of-{address}"))))).await;
    let table = [
        ("192.0.2.7", "name-of-192.0.2.7"),
        ("192.0.2.8, 10.0.0.1", "name-of-192.0.2.8"),
        ("unknown, 192.0.2.9", "name-of-192.0.2.9"),
        ("  <script>, 2001:db8::1  ,x", "name-of-2001:db8::1"),
        ("nobody", "(Unknown)"),
    ];
    for (header, fqdn) in table {
        let mut client =
            Client::try_connect(&url(&app), &[("x-forwarded-for", header)]).await.unwrap();
        client.create_session("", "").await;
        let newest = || records(&app).remove(0);
        eventually("its names are known", || async { newest().peer_fqdn != "(Unknown)" }).await;
        let record = newest();
        // Spaces around a header's value do not belong to it (RFC 9110, 5.5).
        assert_eq!(record.peer_forwarded_for.as_deref(), Some(header.trim()));
        assert_eq!(record.peer_forwarded_for_fqdn, fqdn, "{header}");
        // Nobody trusted said so: the peer is who it is.
        assert_eq!(record.peer_fqdn, "name-of-127.0.0.1");
        assert!(record.peer_address.starts_with("127.0.0.1:"), "{record:?}");
        let reply: Value = client.call(&json!({})).await;
        assert_eq!(reply["data"], "name-of-127.0.0.1");
    }
}
