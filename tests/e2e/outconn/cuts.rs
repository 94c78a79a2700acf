//! Links that are cut, or that only look as if they were there.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::endpoint::Endpoint;
use spanwire_tests::messaging::Rest;
use spanwire_tests::proxy::Proxy;
use spanwire_tests::{Server, eventually, is_long};

use super::{ACCEPTS, connects, post, state, status};
use crate::live::Dice;

/// With somebody who publishes there and takes what is published there, over REST.
fn accepts() -> String {
    let publisher = json!({
        "security": [{"name": "portal", "type": "basic_auth", "username": "portal", "password": "secret2"}],
        "wsx_gateway": [{"name": "helpers.web-sockets-gateway", "services_allowed": [
            "zato.helpers.echo", "zato.pubsub.pubapi.publish-message", "zato.pubsub.subscription.create-wsx-subscription",
            "zato.pubsub.resume-wsx-subscription", "spanwire.pubsub.acknowledge", "spanwire.pubsub.refuse",
        ]}],
        "pubsub_endpoint": [{
            "name": "portal", "endpoint_type": "rest", "security_name": "portal", "topic_patterns": "pub=/customer/**\nsub=/customer/**",
        }],
    });
    publisher.to_string()
}

async fn through_proxy(outconn: Value) -> (Server, Server, Endpoint, Proxy) {
    let objects = ACCEPTS.replace("sub=/customer/**", "pub=/customer/**\\nsub=/customer/**");
    let b = Server::setup().objects(&objects).objects(&accepts()).start();
    let proxy = Proxy::start(b.address()).await;
    let hook = Endpoint::start(|_| (200, String::new())).await;
    let address = format!("ws://{}/ws/b", proxy.address);
    let a = Server::setup().objects(&connects(&address, &hook, &outconn).to_string()).start();
    state(&a, "b", "connected").await;
    (a, b, hook, proxy)
}

/// A peer that is not there any more, without a word: packets are dropped, and nothing is reset.
#[tokio::test]
async fn a_half_open_connection_is_noticed_within_two_and_a_half_ping_intervals() {
    let (a, _b, hook, proxy) =
        through_proxy(json!({"ping_interval": 1, "on_close_service_name": "hook"})).await;
    // It stays while the peer answers.
    eventually("it has held for longer than a silent one would", async || {
        let socket = &status(&a, "b").await["sockets"][0];
        socket["state"] == "connected" && socket["for_seconds"].as_f64().unwrap() > 2.5
    })
    .await;
    proxy.freeze();
    let begun = Instant::now();
    eventually("it is noticed", async || status(&a, "b").await["state"] != "connected").await;
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(3_500),
        "2.5 intervals and a second for a busy machine: {took:?}"
    );
    eventually("it is told", async || !hook.received().is_empty()).await;
    let told: Vec<Value> = hook.received().into_iter().map(|it| it.body["ctx"].clone()).collect();
    assert_eq!((&told[0]["type"], &told[0]["code"]), (&json!("close"), &json!(1006)));
    assert!(told[0]["reason"].as_str().unwrap().contains("pings"), "{told:?}");
    proxy.heal();
    state(&a, "b", "connected").await;
}

/// Each call has one answer or one error, nothing with an id of its own is done twice, and no message is lost.
#[tokio::test]
async fn nothing_is_lost_or_done_twice_while_the_link_is_cut_again_and_again() {
    // Pauses grow with each connection that did not last a minute.
    let outconn = json!({
        "on_message_service_name": "hook", "subscription_list": ["/customer/new"], "max_reconnect_pause": 1,
    });
    let (a, b, hook, proxy) = through_proxy(outconn).await;
    let portal = Rest::new(&b, "portal", "secret2");
    portal.key("/customer/old").await;
    let is_over = AtomicBool::new(false);
    let (answered, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let calling = async |worker: usize| {
        let mut number = 0;
        while !is_over.load(Ordering::Relaxed) {
            number += 1;
            let input = json!({"worker": worker, "number": number});
            let call = json!({"name": "b", "service": "zato.helpers.echo", "request": input, "timeout": 5});
            let answer = post(&a, "/call", &call).await;
            match answer.status {
                200 => {
                    assert_eq!(answer.json(), input);
                    answered.fetch_add(1, Ordering::Relaxed);
                }
                // Not connected, ended on the way, or late.
                502..=504 => {
                    failed.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                _ => panic!("{answer:?}"),
            }
        }
    };
    // Published over the link, with ids of their own, until the publisher has an answer.
    let publishing = async {
        let mut published = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let id = format!("order.{}", published.len());
            let request = json!({"topic_name": "/customer/old", "data": id, "msg_id": id});
            let call = json!({"name": "b", "service": "zato.pubsub.pubapi.publish-message", "request": request, "timeout": 5});
            while post(&a, "/call", &call).await.status != 200 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            published.push(id);
        }
        published
    };
    // Published at the other end, for this side's hook.
    let delivering = async {
        let mut published = Vec::new();
        while !is_over.load(Ordering::Relaxed) {
            let data = json!(format!("message {}", published.len()));
            portal.publish("/customer/new", &json!({ "data": data })).await;
            published.push(data);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        published
    };
    let cutting = async {
        let mut dice = Dice(0x5eed_0fc0);
        for round in 0..if is_long() { 200 } else { 20 } {
            let pause = u64::try_from(dice.roll(300)).unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
            let is_away = round % 4 == 3;
            proxy.cut(!is_away);
            if is_away {
                tokio::time::sleep(Duration::from_millis(pause)).await;
                proxy.heal();
            }
            state(&a, "b", "connected").await;
        }
        is_over.store(true, Ordering::Relaxed);
    };
    let (_, _, _, published, sent, ()) =
        tokio::join!(calling(0), calling(1), calling(2), publishing, delivering, cutting);
    println!(
        "{answered:?} answered, {failed:?} failed, {} published, {} delivered",
        published.len(),
        sent.len()
    );
    assert!(answered.load(Ordering::Relaxed) > 100 && published.len() > 20 && sent.len() > 100);
    let got = portal.fetch("/customer/old", &json!({"order": "fifo", "limit": 10_000})).await;
    let got: Vec<String> = got.iter().map(|it| it["data"].as_str().unwrap().to_owned()).collect();
    assert_eq!(got, published, "each once, in order");
    let seen = || {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for received in hook.received() {
            for message in received.body["ctx"]["data"]["data"].as_array().unwrap() {
                *seen.entry(message["data"].to_string()).or_default() += 1;
            }
        }
        seen
    };
    eventually("everything is delivered", async || seen().len() == sent.len()).await;
    let seen = seen();
    let missing: Vec<_> =
        sent.iter().filter(|data| !seen.contains_key(&data.to_string())).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
