//! Many calls of one connection: which run, and in what order replies come.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use spanwire_runtime::{App, Context};
use spanwire_tests::Client;
use tokio::sync::{Semaphore, mpsc};

use super::{app, channel, log_in, next};

/// Calls that wait until each one is let go.
struct Gates {
    app: App,
    gates: Arc<Vec<Semaphore>>,
    started: mpsc::Receiver<usize>,
    most_at_once: Arc<AtomicUsize>,
}

async fn gates(more: &str) -> Gates {
    let gates: Arc<Vec<Semaphore>> = Arc::new((0..200).map(|_| Semaphore::new(0)).collect());
    let (running, most_at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (tell, started) = mpsc::channel(1000);
    let (own_gates, own_most) = (Arc::clone(&gates), Arc::clone(&most_at_once));
    let app = app()
        .service_fn("wait", move |_: Context, gate: usize| {
            let (gates, running, most) =
                (Arc::clone(&own_gates), Arc::clone(&running), Arc::clone(&own_most));
            let tell = tell.clone();
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                tell.send(gate).await.unwrap();
                gates[gate].acquire().await.unwrap().forget();
                running.fetch_sub(1, Ordering::SeqCst);
                Ok(gate)
            }
        })
        .objects(channel("wait", more))
        .start()
        .await
        .unwrap();
    Gates { app, gates, started, most_at_once }
}

impl Gates {
    async fn start(&mut self, client: &mut Client, count: usize) {
        for gate in 0..count {
            client.start_call(&json!(gate)).await;
        }
        for _ in 0..count {
            next(&mut self.started).await;
        }
    }

    fn open(&self, gate: usize) {
        self.gates[gate].add_permits(1);
    }
}

#[tokio::test]
async fn replies_come_in_the_order_calls_finish() {
    let mut gates = gates("").await;
    let mut client = log_in(&gates.app).await;
    gates.start(&mut client, 5).await;
    for gate in [3, 0, 4, 2, 1] {
        assert!(client.is_quiet().await);
        gates.open(gate);
        let reply = client.receive().await;
        assert_eq!(reply["data"], gate, "{reply}");
        assert_eq!(reply["meta"]["in_reply_to"], format!("call.{}", gate + 1));
    }
}

#[tokio::test]
async fn ordered_replies_come_in_the_order_of_the_calls() {
    let mut gates = gates(", ordered_replies: true").await;
    let mut client = log_in(&gates.app).await;
    gates.start(&mut client, 5).await;
    for gate in [3, 4, 2, 1] {
        gates.open(gate);
    }
    assert!(client.is_quiet().await, "a reply overtook the first call's");
    gates.open(0);
    for gate in 0..5 {
        assert_eq!(client.receive().await["data"], gate);
    }
    // A refused call keeps its place, too.
    client.start_call(&json!(7)).await;
    client.start_call(&json!("no number")).await;
    assert!(client.is_quiet().await);
    gates.open(7);
    assert_eq!(client.receive().await["data"], 7);
    assert_eq!(client.receive().await["meta"]["status"], 400);
}

#[tokio::test]
async fn no_more_than_max_in_flight_run_at_once() {
    for (more, limit) in [(", max_in_flight: 3", 3), ("", 64)] {
        let mut gates = gates(more).await;
        let mut client = log_in(&gates.app).await;
        for gate in 0..100 {
            client.start_call(&json!(gate)).await;
        }
        for expected in 0..limit {
            assert_eq!(next(&mut gates.started).await, expected);
        }
        assert!(client.is_quiet().await);
        assert!(gates.started.try_recv().is_err(), "more than {limit} run");
        // Another connection has its own.
        let mut other = log_in(&gates.app).await;
        other.start_call(&json!(150)).await;
        assert_eq!(next(&mut gates.started).await, 150);
        gates.open(150);
        assert_eq!(other.receive().await["data"], 150);
        for gate in 0..100 {
            gates.open(gate);
        }
        let mut seen: Vec<u64> = Vec::new();
        for _ in 0..100 {
            seen.push(client.receive().await["data"].as_u64().unwrap());
        }
        seen.sort_unstable();
        assert!(seen.into_iter().eq(0..100));
        assert_eq!(gates.most_at_once.load(Ordering::SeqCst), limit + 1);
    }
}

/// The default of `max_waiting` is 1,024: what comes beyond it is refused, and nothing is lost.
#[tokio::test]
async fn a_flood_of_calls_is_refused_and_not_kept() {
    let mut gates = gates(", max_in_flight: 1").await;
    let mut client = log_in(&gates.app).await;
    for _ in 0..1200 {
        client.start_call(&json!(0)).await;
    }
    let refused = 1200 - 1024 - 1;
    for _ in 0..refused {
        let reply: Value = client.receive().await;
        assert_eq!(reply["meta"]["status"], 429, "{reply}");
    }
    assert!(client.is_quiet().await);
    gates.gates[0].add_permits(1200);
    let drain = async { while gates.started.recv().await.is_some() {} };
    let read = async {
        for _ in 0..=1024 {
            assert_eq!(client.receive().await["meta"]["status"], 200);
        }
    };
    tokio::select! {
        () = read => {}
        () = drain => panic!("the service is gone"),
    }
    assert!(client.is_quiet().await);
}
