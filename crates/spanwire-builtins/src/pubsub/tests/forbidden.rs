//! Who may not do what, and that all refusals look the same (pubsub W36 to W43).

use super::*;

const PUBLISH: &str = "zato.pubsub.pubapi.publish-message";
const GET: &str = "zato.pubsub.pubapi.get-messages";
const SUBSCRIBE: &str = "zato.pubsub.pubapi.subscribe";
const UNSUBSCRIBE: &str = "zato.pubsub.pubapi.unsubscribe";
const RESUME: &str = "zato.pubsub.resume-wsx-subscription";

#[tokio::test]
async fn a_foreign_key_is_of_no_use() {
    let world = World::new().await;
    let topic = json!({"topic_name": "/customer/new"});
    let pushed = "zato.pubsub.pubapi.subscribe-wsx";
    let pushed = world.call(&wsx("crm.wsx", "ws.1"), pushed, topic.clone()).await.unwrap();
    let pulled = world.call(&rest("crm.rest"), SUBSCRIBE, topic.clone()).await.unwrap();
    let message = json!({"topic_name": "/customer/new", "data": "x"});
    let sent = world.call(&rest("crm.rest"), PUBLISH, message).await.unwrap();
    for key in [&pushed["sub_key"], &pulled["sub_key"]] {
        for foe in [rest("other.rest"), wsx("other.wsx", "ws.2")] {
            let msg_ids = [&sent["msg_id"]];
            for (service, input) in [
                (GET, json!({"sub_key": key})),
                (RESUME, json!({"sub_key": key})),
                (UNSUBSCRIBE, json!({"sub_key": key})),
                ("zato.pubsub.queue.get-messages", json!({"sub_key": key})),
                (
                    "zato.pubsub.queue.acknowledge-delivery",
                    json!({"sub_key": key, "msg_id_list": msg_ids}),
                ),
                ("spanwire.pubsub.acknowledge", json!({"sub_key": key, "msg_ids": msg_ids})),
                ("spanwire.pubsub.acknowledge", json!({"sub_key": key, "positions": [1]})),
                (
                    "spanwire.pubsub.acknowledge",
                    json!({"sub_key": key, "up_to": {"epoch": 1, "offset": 1}}),
                ),
                ("spanwire.pubsub.refuse", json!({"sub_key": key, "msg_ids": msg_ids})),
                ("zato.pubsub.rest.topic-post", json!({"topic_name": "/a", "sub_key": key})),
                ("zato.pubsub.rest.subscribe-delete", json!({"topic_name": "/a", "sub_key": key})),
                ("zato.pubsub.rest.ack-post", json!({"sub_key": key, "msg_ids": msg_ids})),
            ] {
                assert_eq!(world.call(&foe, service, input).await, forbidden(), "{service}");
            }
            let depth = "zato.pubsub.queue.get-queue-depth-by-sub-key";
            let depths = world.call(&foe, depth, json!({"sub_key": key})).await;
            assert_eq!(depths, Ok(json!({"queue_depth": {}})));
        }
    }
    let depths: Vec<_> = world.broker.subscriptions(None).iter().map(|it| it.depth).collect();
    assert_eq!(depths, [1, 1]);
}

#[tokio::test]
async fn all_refusals_read_the_same() {
    let world = World::new().await;
    let (known, unknown) = (json!({"topic_name": "/secret"}), json!({"topic_name": "/x"}));
    let message = |topic: &Value| json!({"topic_name": topic["topic_name"], "data": "x"});
    let unknown_key = json!({"sub_key": "zpsk.rest.0", "topic_name": "/secret"});
    for (caller, service, input) in [
        // No endpoint.
        (rest("nobody"), PUBLISH, message(&known)),
        (rest(""), PUBLISH, message(&known)),
        (wsx("no.such.channel", "ws.1"), SUBSCRIBE, known.clone()),
        (rest("nobody"), UNSUBSCRIBE, unknown_key.clone()),
        // The wrong role.
        (rest("sub.rest"), PUBLISH, message(&known)),
        (rest("pub.rest"), SUBSCRIBE, known.clone()),
        (rest("pub.rest"), "zato.pubsub.rest.topic-patch", known.clone()),
        (rest("pub.rest"), "zato.pubsub.rest.subscribe-delete", known.clone()),
        // No pattern, whether there is such a topic or not.
        (rest("nothing.rest"), PUBLISH, message(&known)),
        (rest("nothing.rest"), PUBLISH, message(&unknown)),
        (rest("nothing.rest"), SUBSCRIBE, known.clone()),
        (rest("nothing.rest"), SUBSCRIBE, unknown.clone()),
        (rest("nothing.rest"), "zato.pubsub.rest.topic-patch", known.clone()),
        (rest("nothing.rest"), "zato.pubsub.rest.topic-patch", unknown.clone()),
        (wsx("crm.wsx", "ws.1"), "zato.pubsub.pubapi.subscribe-wsx", known.clone()),
        (wsx("crm.wsx", "ws.1"), "zato.pubsub.pubapi.subscribe-wsx", unknown.clone()),
        // A key that nobody has.
        (rest("crm.rest"), GET, unknown_key.clone()),
        (wsx("crm.wsx", "ws.1"), RESUME, unknown_key.clone()),
        (rest("crm.rest"), RESUME, unknown_key.clone()),
    ] {
        assert_eq!(
            world.call(&caller, service, input.clone()).await,
            forbidden(),
            "{service} {input}"
        );
    }
    // Ending what is not there is no error for those who may ask.
    assert_eq!(world.call(&rest("crm.rest"), UNSUBSCRIBE, unknown_key).await, Ok(json!({})));
    // Those who may know of a topic are told that there is none.
    let absent = Err((404, "No such topic `/x`".to_owned()));
    for (service, input) in [
        (PUBLISH, message(&unknown)),
        (SUBSCRIBE, unknown.clone()),
        ("zato.pubsub.rest.topic-patch", unknown),
    ] {
        assert_eq!(world.call(&rest("crm.rest"), service, input).await, absent, "{service}");
    }
}

#[tokio::test]
async fn services_that_clients_call_act_as_the_client() {
    // A gateway, or any other service in between, lends nobody its rights.
    let world = World::new().await;
    let request = json!({"topic_name": "/secret", "data": "x"});
    let input = json!({"service": PUBLISH, "request": request});
    let gateway = crate::gateway::DEFAULT_GATEWAY;
    assert_eq!(world.call(&wsx("crm.wsx", "ws.1"), gateway, input).await, forbidden());
    let input = json!({"service": "zato.pubsub.publish.publish", "request": request});
    assert_eq!(world.call(&wsx("crm.wsx", "ws.1"), gateway, input).await, forbidden());
}

#[tokio::test]
async fn a_key_may_be_bound_to_its_client() {
    let world = World::new().await;
    let mut bound = endpoints();
    bound[0].bind_to_client = true;
    world.broker.set_endpoints(bound);
    let topic = json!({"topic_name": "/a"});
    let (me, other) = (wsx("crm.wsx", "ws.1"), wsx("crm.wsx", "ws.2"));
    let key = world.call(&me, "zato.pubsub.pubapi.subscribe-wsx", topic).await.unwrap();
    let key = json!({"sub_key": key["sub_key"]});
    assert_eq!(world.call(&other, RESUME, key.clone()).await, forbidden());
    assert_eq!(world.call(&other, UNSUBSCRIBE, key.clone()).await, forbidden());
    assert_eq!(world.call(&me, RESUME, key.clone()).await, Ok(json!({})));
    // What is taken away counts at once.
    let mut revoked = endpoints();
    revoked[0].patterns.clear();
    world.broker.set_endpoints(revoked);
    assert_eq!(world.call(&me, RESUME, key).await, forbidden());
}

#[tokio::test]
async fn the_constant_id_of_the_javascript_client_is_no_id() {
    let world = World::new().await;
    let input = json!({"topic_name": "/a", "data": "x", "msg_id": "111"});
    let one = world.call(&wsx("crm.wsx", "ws.1"), PUBLISH, input.clone()).await.unwrap();
    let two = world.call(&wsx("crm.wsx", "ws.1"), PUBLISH, input).await.unwrap();
    assert!(one != two && text(&one, "msg_id").starts_with("zpsm"));
}
