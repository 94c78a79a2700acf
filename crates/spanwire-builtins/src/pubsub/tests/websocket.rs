//! Subscriptions of WebSocket clients (wsx-protocol 5.2 to 5.4), and what `spanwire.v1` clients have beyond them.

use super::*;

const PUBLISH: &str = "zato.pubsub.pubapi.publish-message";
const SUBSCRIBE: &str = "zato.pubsub.pubapi.subscribe-wsx";
const RESUME: &str = "zato.pubsub.resume-wsx-subscription";
const UNSUBSCRIBE: &str = "zato.pubsub.pubapi.unsubscribe";
const ACKNOWLEDGE: &str = "spanwire.pubsub.acknowledge";

fn topic() -> Value {
    json!({"topic_name": "/a"})
}

async fn publish(world: &World, data: &str) -> String {
    let input = json!({"topic_name": "/a", "data": data});
    text(&world.call(&wsx("other.wsx", "ws.p"), PUBLISH, input).await.unwrap(), "msg_id")
}

fn data(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["data"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn each_call_makes_a_subscription_of_its_own() {
    let world = World::new().await;
    let me = wsx("crm.wsx", "ws.1");
    publish(&world, "waiting").await;
    let first = world.call(&me, SUBSCRIBE, topic()).await.unwrap();
    assert_eq!((&first["queue_depth"], &first["current_depth"]), (&json!(1), &json!(1)));
    assert!(text(&first, "sub_key").starts_with("zpsk.wsx.client.ws.1."));
    assert!(first.get("position").is_none());
    assert_eq!(data(&world.pushed("ws.1").await), ["waiting"]);
    let second = world.call(&me, "zato.pubsub.pubapi.subscribe", topic()).await.unwrap();
    assert_ne!(first["sub_key"], second["sub_key"]);
    assert_eq!(second["queue_depth"], 0);
    let current = "zato.pubsub.subscription.create-wsx-subscription-for-current";
    let third = world.call(&me, current, topic()).await.unwrap();
    assert_eq!(third.as_object().unwrap().len(), 1);
    assert_eq!(world.broker.subscriptions(Some("/a")).len(), 3);
}

#[tokio::test]
async fn settings_of_a_call_are_those_of_the_subscription() {
    for (given, default, expected) in [
        (json!(null), None, false),
        (json!(null), Some(true), true),
        (json!(false), Some(true), false),
        (json!("true"), None, true),
    ] {
        let options = Options { unsubscribe_on_close: default, ..Options::default() };
        let world = World::with(options).await;
        let input = json!({
            "topic_name": "/a", "unsub_on_wsx_close": given, "delivery_batch_size": "7",
            "wrap_one_msg_in_list": true,
        });
        world.call(&wsx("crm.wsx", "ws.1"), SUBSCRIBE, input).await.unwrap();
        let settings = world.broker.subscriptions(None).remove(0).settings;
        assert_eq!(settings.ends_with_connection, expected);
        assert_eq!((settings.batch_size, settings.wrap_one), (7, Some(true)));
    }
}

#[tokio::test]
async fn of_a_list_all_topics_are_subscribed_to_or_none() {
    let world = World::new().await;
    let me = wsx("crm.wsx", "ws.1");
    for (list, status) in [
        (json!(["/a", "/secret"]), 403),
        (json!(["/a", "/no/such/secret"]), 403),
        (json!(["/a", "/allowed/x"]), 404),
        (json!([]), 400),
        (json!(vec!["/a"; 1_001]), 400),
    ] {
        let input = json!({"topic_name_list": list});
        assert_eq!(world.call(&me, SUBSCRIBE, input).await.unwrap_err().0, status);
    }
    let gone = wsx("crm.wsx", "gone");
    for input in [topic(), json!({"topic_name_list": ["/a", "/b"]})] {
        assert_eq!(world.call(&gone, SUBSCRIBE, input).await.unwrap_err().0, 404);
    }
    let input = json!({"topic_name_list": ["/a", "/b"]});
    assert_eq!(world.call(&wsx("crm.wsx", "going"), SUBSCRIBE, input).await.unwrap_err().0, 404);
    assert!(world.broker.subscriptions(None).is_empty());
}

#[tokio::test]
async fn a_key_is_resumed_from_another_connection_which_ends_the_former() {
    let world = World::new().await;
    let key = world.call(&wsx("crm.wsx", "ws.1"), SUBSCRIBE, topic()).await.unwrap();
    let key = json!({"sub_key": key["sub_key"]});
    publish(&world, "1").await;
    assert_eq!(data(&world.pushed("ws.1").await), ["1"]);
    publish(&world, "2").await;
    let resumed = world.call(&wsx("crm.wsx", "ws.2"), RESUME, key.clone()).await;
    assert_eq!(resumed, Ok(json!({})));
    publish(&world, "3").await;
    assert_eq!(world.batch("ws.1", true).await.unwrap_err(), Ended::TakenOver);
    assert_eq!(data(&world.pushed("ws.2").await), ["2", "3"]);
    assert_eq!(world.call(&wsx("crm.wsx", "ws.2"), UNSUBSCRIBE, key.clone()).await, Ok(json!({})));
    assert_eq!(world.batch("ws.2", true).await.unwrap_err(), Ended::Unsubscribed);
    assert_eq!(world.call(&wsx("crm.wsx", "ws.2"), UNSUBSCRIBE, key.clone()).await, Ok(json!({})));
    assert_eq!(world.call(&wsx("crm.wsx", "ws.2"), RESUME, key).await, forbidden());
}

#[tokio::test]
async fn additions_are_for_clients_that_asked_for_them() {
    let world = World::new().await;
    for (name, value) in
        [("start", json!("first")), ("ack", json!(true)), ("positions", json!(true))]
    {
        let mut input = topic();
        input[name] = value;
        let refused = world.call(&wsx("crm.wsx", "ws.1"), SUBSCRIBE, input.clone()).await;
        assert_eq!(refused.unwrap_err().0, 400);
        assert!(world.call(&wsx("crm.wsx", "v1"), SUBSCRIBE, input).await.is_ok());
    }
    let mut input = topic();
    input["start"] = "last".into();
    assert_eq!(world.call(&wsx("crm.wsx", "v1"), SUBSCRIBE, input).await.unwrap_err().0, 400);
}

#[tokio::test]
async fn a_client_starts_where_it_wants_and_acknowledges_what_it_has() {
    let world = World::new().await;
    let me = wsx("crm.wsx", "v1");
    // Somebody else keeps what is published.
    world.call(&wsx("crm.wsx", "ws.1"), SUBSCRIBE, topic()).await.unwrap();
    let mut sent = Vec::new();
    for data in ["1", "2", "3", "4"] {
        sent.push(publish(&world, data).await);
    }
    let wish =
        |start: Value| json!({"topic_name": "/a", "start": start, "ack": true, "positions": true});
    let new = world.call(&me, SUBSCRIBE, wish(json!("new"))).await.unwrap();
    assert_eq!(new["queue_depth"], 0);
    let end = new["position"].clone();
    let (epoch, last) = (end["epoch"].as_u64().unwrap(), end["offset"].as_u64().unwrap());
    let second = json!({"epoch": epoch, "offset": last - 2});
    let after = world.call(&me, SUBSCRIBE, wish(second.clone())).await.unwrap();
    assert_eq!(after["queue_depth"], 2);
    let first = world.call(&me, SUBSCRIBE, wish(json!("first"))).await.unwrap();
    assert_eq!((&first["queue_depth"], &first["position"]), (&json!(4), &end));

    let (_, messages) = world.batch("v1", false).await.unwrap();
    assert_eq!(messages.len(), 4);
    let key = &first["sub_key"];
    let acknowledge = |input: Value| {
        let mut input = input;
        input["sub_key"] = key.clone();
        world.call(&me, ACKNOWLEDGE, input)
    };
    for (input, count) in [
        (json!({"positions": [last - 3, {"epoch": epoch + 1, "offset": last}]}), 1),
        (json!({"up_to": {"epoch": epoch + 1, "offset": last}}), 0),
        (json!({"up_to": second}), 1),
        (json!({"msg_ids": [sent[3], sent[3], "zpsm.unknown"]}), 1),
    ] {
        assert_eq!(acknowledge(input).await, Ok(json!({"acknowledged": count})));
    }
    // The third is left, and comes again to the next connection.
    let again = wsx("crm.wsx", "2.v1");
    let resume = json!({"sub_key": key});
    let resumed = world.call(&again, RESUME, resume).await.unwrap();
    assert_eq!(resumed, json!({"position": end, "queue_depth": 1}));
    let (_, messages) = world.batch("2.v1", false).await.unwrap();
    assert_eq!((messages.len(), messages[0].attempt), (1, 2));
    assert_eq!(&*messages[0].message.id, sent[2]);
    let resume = json!({"sub_key": key, "position": end});
    let resumed = world.call(&again, RESUME, resume).await.unwrap();
    assert_eq!(resumed["queue_depth"], 0);
}

#[tokio::test]
async fn only_websocket_clients_subscribe_as_such() {
    let world = World::new().await;
    for caller in [rest("crm.rest"), Origin::internal()] {
        let refused = Err((400, "Only WebSocket clients can subscribe this way".to_owned()));
        assert_eq!(world.call(&caller, SUBSCRIBE, topic()).await, refused);
    }
    let input = json!({"topic_name": "/a", "delivery_method": "web-socket"});
    let subscribe = "zato.pubsub.pubapi.subscribe";
    assert_eq!(world.call(&rest("crm.rest"), subscribe, input).await.unwrap_err().0, 400);
}

#[tokio::test]
async fn a_client_may_ask_for_messages_instead() {
    let world = World::new().await;
    let me = wsx("crm.wsx", "ws.1");
    let input = json!({"topic_name": "/a", "delivery_method": "pull"});
    let key = world.call(&me, "zato.pubsub.pubapi.subscribe", input).await.unwrap();
    let sent = publish(&world, "x").await;
    let input = json!({"sub_key": key["sub_key"], "topic_name": "/a"});
    let got = world.call(&me, "zato.pubsub.pubapi.get-messages", input).await.unwrap();
    assert_eq!(ids(&got), [sent]);
    // What is asked for is not pushed.
    let key = json!({"sub_key": key["sub_key"]});
    assert_eq!(world.call(&me, RESUME, key).await, forbidden());
}
