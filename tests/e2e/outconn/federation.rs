//! One server calls services of another (outconn-and-platform 2.4: F1 to F5, F10 to F15, F18, F19).

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use spanwire_tests::endpoint::Endpoint;
use spanwire_tests::http::{admin, connections, request};
use spanwire_tests::{Server, eventually};

use super::{ACCEPTS, Pair, connects, post, state, status};
use crate::cli::{on, parse, refused};
use crate::live::{create, delete, ok, patch};

#[tokio::test]
async fn f1_f2_f3_f4_a_connection_is_made_and_services_behind_it_are_called_like_local_ones() {
    let pair = Pair::quiet(json!({})).await;
    pair.connected().await;
    let all = connections(&pair.b).await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert!(all[0]["ext_client_name"].as_str().unwrap().ends_with(" - b"), "{all:?}");
    assert!(all[0]["ext_client_id"].as_str().unwrap().starts_with("wsx.out."), "{all:?}");
    assert_eq!(all[0]["username"], "app1");
    // From the command line, through a REST channel, and by the built-in service.
    let pinged = on(&pair.a, &["service", "invoke", "b:zato.ping", "--output", "json"]).await;
    assert_eq!(parse(&pinged), json!({"pong": "zato"}));
    let input = json!({"elem1": "value1", "elem2": "value2"});
    assert_eq!(post(&pair.a, "/echo", &input).await.json(), input);
    let call = json!({"name": "b", "service": "zato.helpers.echo", "request": input});
    assert_eq!(post(&pair.a, "/call", &call).await.json(), input);
    let sent = json!({"name": "b", "data": {"service": "zato.helpers.echo", "request": input}});
    assert_eq!(post(&pair.a, "/send", &sent).await.json(), input);
    // How it stands, and whether the other one is there.
    let listed = parse(&on(&pair.a, &["outconn", "status", "--output", "json"]).await);
    assert_eq!((&listed[0]["name"], &listed[0]["state"]), (&json!("b"), &json!("connected")));
    assert_eq!(on(&pair.a, &["outconn", "ping", "b"]).await.code, 0);
    refused(&on(&pair.a, &["outconn", "ping", "none"]).await, 1, &["none"]);
    let log = pair.a.log() + &pair.b.log();
    assert!(!log.contains("secret1"), "{log}");
    let metrics = admin(&pair.a, "GET", "/metrics", "").await.body;
    for line in [
        "spanwire_outconn_sockets{state=\"connected\"} 1",
        "spanwire_outconn_sockets{state=\"waiting\"} 0",
        // Counted together, whatever names callers make up.
        "spanwire_calls_total{service=\"b:*\",status=\"200\"} 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in {metrics}");
    }
}

#[tokio::test]
async fn f5_wrong_credentials_are_a_state_and_are_tried_again_slowly() {
    let pair = Pair::quiet(json!({"security_name": "wrong"})).await;
    let failed = state(&pair.a, "b", "authentication-failed").await;
    let socket = &failed["sockets"][0];
    assert!(socket["next_try_seconds"].as_f64().unwrap() > 5.0, "{failed}");
    let answer = post(&pair.a, "/echo", &json!({})).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    let details = answer.json()["details"].as_str().unwrap().to_owned();
    assert!(details.contains("No free connections to b (authentication-failed"), "{details}");
    refused(&on(&pair.a, &["outconn", "ping", "b"]).await, 1, &["authentication-failed"]);
    assert_eq!(connections(&pair.b).await.len(), 0);
    // Another password, while it waits: it does not wait on.
    let password = json!({"password": "secret1"}).to_string();
    ok(admin(&pair.a, "POST", "/api/v1/objects/security/wrong/password", &password).await);
    pair.connected().await;
}

#[tokio::test]
async fn f10_a_close_is_told_and_the_connection_comes_back_unless_it_shall_not() {
    for comes_back in [true, false] {
        let pair =
            Pair::quiet(json!({"on_close_service_name": "hook", "has_auto_reconnect": comes_back}))
                .await;
        pair.connected().await;
        let id = connections(&pair.b).await[0]["pub_client_id"].as_str().unwrap().to_owned();
        let close = ["connection", "disconnect", &id, "--code", "4321", "--reason", "Maintenance"];
        assert_eq!(on(&pair.b, &close).await.code, 0);
        let told = pair.until_told("close", 1).await;
        assert_eq!((&told[0]["code"], &told[0]["reason"]), (&json!(4321), &json!("Maintenance")));
        assert_eq!(told[0]["config"]["name"], "b");
        assert!(told[0].get("data").is_none(), "{told:?}");
        if comes_back {
            pair.connected().await;
            assert_ne!(connections(&pair.b).await[0]["pub_client_id"], id);
        } else {
            let down = state(&pair.a, "b", "down").await;
            assert!(down["sockets"][0]["problem"].as_str().unwrap().contains("4321"), "{down}");
        }
    }
}

#[tokio::test]
async fn f11_a_channel_that_is_made_again_is_connected_to_again() {
    let pair = Pair::quiet(json!({})).await;
    pair.connected().await;
    delete(&pair.b, "pubsub_endpoint", "b").await;
    delete(&pair.b, "web_socket", "b").await;
    eventually("it is gone", async || status(&pair.a, "b").await["state"] != "connected").await;
    let channel = json!({"name": "b", "address": "/ws/b", "service": "helpers.web-sockets-gateway", "sec_def": "app1"});
    create(&pair.b, "web_socket", channel).await;
    let begun = Instant::now();
    pair.connected().await;
    assert!(begun.elapsed() < Duration::from_secs(6), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn f12_an_edit_replaces_that_connection_only_and_is_no_close() {
    let pair = Pair::quiet(json!({"on_close_service_name": "hook"})).await;
    pair.connected().await;
    let other = Server::setup().objects(ACCEPTS).start();
    let second = json!({"name": "second", "address": pair.b.ws("/ws/b"), "is_zato": true, "security_name": "b"});
    create(&pair.a, "outgoing_wsx", second).await;
    state(&pair.a, "second", "connected").await;
    let before = connections(&pair.b).await;
    let kept = before.iter().find(|it| it["ext_client_name"].as_str().unwrap().ends_with("second"));
    let kept = kept.unwrap()["pub_client_id"].clone();
    patch(&pair.a, "outgoing_wsx", "b", json!({"address": other.ws("/ws/b")})).await;
    eventually("it is elsewhere", async || connections(&other).await.len() == 1).await;
    eventually("it is gone here", async || connections(&pair.b).await.len() == 1).await;
    assert_eq!(connections(&pair.b).await[0]["pub_client_id"], kept);
    assert_eq!(pair.told("close"), Vec::<Value>::new());
    // An edit that changes nothing of it leaves it alone, off and on are what they say, and a name is a name.
    let here = connections(&other).await[0]["pub_client_id"].clone();
    patch(&pair.a, "security", "wrong", json!({"username": "app2"})).await;
    assert_eq!(connections(&other).await[0]["pub_client_id"], here);
    patch(&pair.a, "outgoing_wsx", "b", json!({"is_active": false})).await;
    eventually("it is off", async || connections(&other).await.is_empty()).await;
    assert_eq!(status(&pair.a, "b").await["state"], "inactive");
    assert_eq!(post(&pair.a, "/echo", &json!({})).await.status, 500);
    patch(&pair.a, "outgoing_wsx", "b", json!({"is_active": true})).await;
    pair.connected().await;
    patch(&pair.a, "outgoing_wsx", "second", json!({"name": "renamed"})).await;
    state(&pair.a, "renamed", "connected").await;
    let called = on(&pair.a, &["service", "invoke", "renamed:zato.ping"]).await;
    assert_eq!(called.code, 0, "{called:?}");
    assert_eq!(pair.told("close"), Vec::<Value>::new());
    delete(&pair.a, "outgoing_wsx", "renamed").await;
    eventually("it is deleted", async || connections(&pair.b).await.is_empty()).await;
}

#[tokio::test]
async fn f13_a_service_that_is_not_allowed_is_403_and_the_connection_stays() {
    let pair = Pair::quiet(json!({})).await;
    pair.connected().await;
    let call = json!({"name": "b", "service": "zato.server.get-list"});
    let answer = post(&pair.a, "/call", &call).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    let unknown = post(&pair.a, "/call", &json!({"name": "none", "service": "zato.ping"})).await;
    assert_eq!(unknown.status, 404, "{unknown:?}");
    for wrong in [
        json!({}),
        json!({"name": "b"}),
        json!({"name": "b", "service": "zato.ping", "timeout": 0}),
    ] {
        assert_eq!(post(&pair.a, "/call", &wrong).await.status, 400, "{wrong}");
    }
    assert_eq!(post(&pair.a, "/echo", &json!([1])).await.json(), json!([1]));
}

#[tokio::test]
async fn f14_f15_a_slow_call_ends_in_time_and_a_hundred_go_to_their_callers() {
    let slow = Endpoint::start(|_| {
        let mut reply = spanwire_tests::endpoint::Reply::from((200, "{}".to_owned()));
        reply.after = Duration::from_secs(10);
        reply
    })
    .await;
    let gateway = json!({
        "service": [{"name": "slow", "url": slow.url("/")}],
        "wsx_gateway": [{"name": "helpers.web-sockets-gateway", "services_allowed": ["slow", "zato.helpers.echo"]}],
    });
    let b = Server::setup().objects(ACCEPTS).objects(&gateway.to_string()).start();
    let hook = Endpoint::start(|_| (200, String::new())).await;
    let a =
        Server::setup().objects(&connects(&b.ws("/ws/b"), &hook, &json!({})).to_string()).start();
    state(&a, "b", "connected").await;
    let begun = Instant::now();
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let call = json!({"name": "b", "service": "slow", "timeout": 1}).to_string();
    let late = request(a.address(), "POST", "/call", &[("traceparent", trace)], &call).await;
    assert_eq!(late.status, 504, "{late:?}");
    assert!(begun.elapsed() >= Duration::from_secs(1) && begun.elapsed() < Duration::from_secs(5));
    // The deadline has travelled: the other server did not wait longer either.
    let asked = slow.received();
    let left: u64 = asked[0].header("x-spanwire-deadline-ms").parse().unwrap();
    assert!(left <= 1_000, "{left}");
    assert_eq!(asked[0].header("traceparent"), trace);
    let calls = (0..100).map(|number| {
        let (a, input) = (&a, json!({"number": number}));
        async move { assert_eq!(post(a, "/echo", &input).await.json(), input) }
    });
    futures_util::future::join_all(calls).await;
    assert_eq!(status(&a, "b").await["sockets"][0]["in_flight"], 0);
}

#[tokio::test]
async fn f18_a_server_that_is_killed_is_gone_from_the_list() {
    let mut pair = Pair::quiet(json!({})).await;
    pair.connected().await;
    pair.a.kill();
    eventually("its row disappears", async || connections(&pair.b).await.is_empty()).await;
}

#[tokio::test]
async fn f19_a_start_does_not_wait_for_the_other_server() {
    let mut b = Server::setup().objects(ACCEPTS).start();
    let address = b.ws("/ws/b");
    b.kill();
    let hook = Endpoint::start(|_| (200, String::new())).await;
    let begun = Instant::now();
    let a = Server::setup().objects(&connects(&address, &hook, &json!({})).to_string()).start();
    assert!(begun.elapsed() < Duration::from_secs(10));
    let waiting = state(&a, "b", "waiting").await;
    assert!(
        waiting["sockets"][0]["problem"].as_str().unwrap().contains("no connection to 127.0.0.1"),
        "{waiting}"
    );
    b.start_again();
    state(&a, "b", "connected").await;
    assert_eq!(post(&a, "/echo", &json!({"a": 1})).await.json(), json!({"a": 1}));
}

/// Several sockets share the calls; each comes back by itself.
#[tokio::test]
async fn a_pool_has_as_many_connections_as_it_says() {
    let pair = Pair::quiet(json!({"pool_size": 3})).await;
    eventually("all are there", async || connections(&pair.b).await.len() == 3).await;
    let id = connections(&pair.b).await[0]["pub_client_id"].as_str().unwrap().to_owned();
    assert_eq!(on(&pair.b, &["connection", "disconnect", &id]).await.code, 0);
    assert_eq!(post(&pair.a, "/echo", &json!({"a": 1})).await.json(), json!({"a": 1}));
    eventually("all are there again", async || {
        let all = connections(&pair.b).await;
        all.len() == 3 && all.iter().all(|it| it["pub_client_id"] != id)
    })
    .await;
}

/// Whoever goes away takes its call along, also on the other server.
#[tokio::test]
async fn a_call_that_is_given_up_stops_at_the_far_end() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gateway = json!({
        "service": [{"name": "slow", "url": format!("http://{}/", silent.local_addr().unwrap())}],
        "wsx_gateway": [{"name": "helpers.web-sockets-gateway", "services_allowed": ["slow"]}],
    });
    let b = Server::setup().objects(ACCEPTS).objects(&gateway.to_string()).start();
    let hook = Endpoint::start(|_| (200, String::new())).await;
    let a =
        Server::setup().objects(&connects(&b.ws("/ws/b"), &hook, &json!({})).to_string()).start();
    state(&a, "b", "connected").await;
    let in_flight = async || connections(&b).await[0]["in_flight"].as_u64().unwrap();
    let call = json!({"name": "b", "service": "slow"});
    let waiting = tokio::time::timeout(Duration::from_secs(1), post(&a, "/call", &call));
    let (given_up, ()) =
        tokio::join!(waiting, eventually("it works", async || in_flight().await == 1));
    assert!(given_up.is_err(), "{given_up:?}");
    eventually("nobody works for nobody", async || in_flight().await == 0).await;
    assert_eq!(status(&a, "b").await["sockets"][0]["in_flight"], 0);
}

/// Servers that call each other in a circle come to an end.
#[tokio::test]
async fn calls_in_a_circle_end() {
    let circle = json!({
        "security": [{"name": "app1", "type": "basic_auth", "username": "app1", "password": "secret1"}],
        "wsx_gateway": [{"name": "circle", "services_allowed": ["a:*", "b:*", "zato.ping"]}],
        "web_socket": [{"name": "circle", "address": "/ws/b", "service": "circle", "sec_def": "app1"}],
    });
    let b = Server::setup().objects(&circle.to_string()).start();
    let hook = Endpoint::start(|_| (200, String::new())).await;
    let a = Server::setup()
        .objects(&circle.to_string())
        .objects(&connects(&b.ws("/ws/b"), &hook, &json!({})).to_string())
        .start();
    let back =
        json!({"name": "a", "address": a.ws("/ws/b"), "is_zato": true, "security_name": "app1"});
    create(&b, "outgoing_wsx", back).await;
    state(&a, "b", "connected").await;
    state(&b, "a", "connected").await;
    let name = |rounds: usize| "b:a:".repeat(rounds) + "zato.ping";
    let near = on(&a, &["service", "invoke", &name(2)]).await;
    assert_eq!(near.code, 0, "{near:?}");
    let far = on(&a, &["service", "invoke", &name(20)]).await;
    refused(&far, 1, &["500"]);
    let log = a.log() + &b.log();
    assert!(log.contains("services call each other too deep"), "{log}");
}
