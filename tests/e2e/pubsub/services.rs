//! Services that messages are for: as subscribers, and as what is published to (pubsub 3.4, A12).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use spanwire_tests::endpoint::Endpoint;
use spanwire_tests::{Server, eventually};

use super::{OBJECTS, admin_invoke, queue, rest};
use crate::live::{create, ok};

const TOPIC: &str = "/customer/gd";

fn fine() -> (u16, String) {
    (200, String::new())
}

/// A service is called with one message as an object, where that is asked for, and again when it fails.
#[tokio::test]
async fn a_service_that_subscribes_is_called_and_called_again_when_it_fails() {
    let asked = AtomicUsize::new(0);
    let endpoint = Endpoint::start(move |_| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => (500, String::new()),
        _ => fine(),
    })
    .await;
    let objects = json!({
        "service": [{"name": "my.service", "url": endpoint.url("/run")}],
        "pubsub_endpoint": [{"name": "billing", "endpoint_type": "srv", "service_name": "my.service"}],
        "pubsub_subscription": [{
            "endpoint_name": "billing", "topic_name": TOPIC, "wait_non_sock_err": "100ms", "delivery_batch_size": 1,
        }],
    });
    let server = Server::setup().objects(OBJECTS).objects(&objects.to_string()).start();
    rest(&server, "portal").publish(TOPIC, &json!({"data": {"a": 1}})).await;
    eventually("it is done", async || queue(&server, "billing").await["current_depth"] == 0).await;
    let requests = endpoint.received();
    let seen: Vec<_> =
        requests.iter().map(|it| (&it.body["data"], &it.body["delivery_count"])).collect();
    let data = json!({"a": 1});
    assert_eq!(seen, [(&data, &json!(1)), (&data, &json!(2))]);
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(100));
}

/// A12: publishing to the name of a service runs it, once, and again three seconds after it has failed.
#[tokio::test]
async fn a12_publishing_to_a_service_runs_it_once_and_again_when_it_fails() {
    let fails = std::sync::Arc::new(AtomicUsize::new(0));
    let left = std::sync::Arc::clone(&fails);
    let one_less = move |left: usize| left.checked_sub(1);
    let endpoint = Endpoint::start(move |_| {
        match left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less) {
            Ok(_) => (500, String::new()),
            Err(_) => fine(),
        }
    })
    .await;
    let service = json!({"service": [{"name": "my.service", "url": endpoint.url("/run")}]});
    let mut server = Server::setup().objects(OBJECTS).objects(&service.to_string()).start();
    let publish = async |server: &Server, data: Value| {
        let request = json!({"topic_name": "my.service", "data": data});
        ok(admin_invoke(server, "zato.pubsub.pubapi.publish-message", &request).await);
    };
    publish(&server, json!({"n": 1})).await;
    eventually("it has run", async || endpoint.received().len() == 1).await;
    let first = endpoint.received()[0].body.clone();
    assert_eq!((&first["data"], &first["delivery_count"]), (&json!({"n": 1}), &json!(1)));
    assert_eq!(
        (&first["topic_name"], &first["has_gd"]),
        (&json!("/zato/s/to/my_service"), &json!(true))
    );
    assert!(first["sub_key"].as_str().unwrap().starts_with("zpsk."), "{first}");
    fails.store(1, Ordering::Relaxed);
    publish(&server, json!({"n": 2})).await;
    eventually("it has run again", async || endpoint.received().len() == 3).await;
    let requests = endpoint.received();
    assert_eq!(requests[1].body["data"], requests[2].body["data"]);
    assert_eq!(requests[2].body["delivery_count"], 2);
    assert!(requests[2].at - requests[1].at >= Duration::from_secs(3));
    // Neither a change of the configuration nor a restart makes it deaf.
    create(&server, "pubsub_topic", json!({"name": "/another"})).await;
    publish(&server, json!({"n": 3})).await;
    eventually("it has run after a change", async || endpoint.received().len() == 4).await;
    server.kill();
    server.start_again();
    publish(&server, json!({"n": 4})).await;
    eventually("it has run after a crash", async || {
        endpoint.received().iter().any(|it| it.body["data"] == json!({"n": 4}))
    })
    .await;
    assert_eq!(server.log().matches("panicked").count(), 0);
}
