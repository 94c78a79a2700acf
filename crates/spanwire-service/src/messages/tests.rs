use std::sync::{Arc, Mutex};

use super::*;
use crate::context::{ChannelType, Origin};
use crate::invoke::{Call, Ports};
use crate::registry::Registry;

/// What the services of publish/subscribe were called with, and as whom.
type Calls = Arc<Mutex<Vec<(String, ChannelType, Value)>>>;

fn registry(calls: &Calls, answer: &Value) -> Registry {
    let registry = Registry::new();
    for name in [
        "zato.pubsub.publish.publish",
        "zato.pubsub.pubapi.subscribe",
        "zato.pubsub.pubapi.unsubscribe",
        "zato.pubsub.pubapi.get-messages",
        "spanwire.pubsub.acknowledge",
    ] {
        let (calls, answer) = (Arc::clone(calls), answer.clone());
        registry.register_fn(name, move |ctx: Context, input: Value| {
            let call = (ctx.service().to_owned(), ctx.origin().channel_type, input);
            calls.lock().unwrap().push(call);
            std::future::ready(Ok(answer.clone()))
        });
    }
    registry
}

async fn run(registry: Registry) -> Result<Value, ServiceError> {
    let mut origin = Origin::clone(&Origin::internal());
    origin.channel_type = ChannelType::Rest;
    let call = Call::new("mine", Payload::null(Codec::Json));
    let reply = Ports::new(registry.into()).invoke(call, Arc::new(origin)).await?;
    Ok(reply.parse()?)
}

#[tokio::test]
async fn services_publish_as_the_server_with_all_that_a_message_has() {
    let calls = Calls::default();
    let registry = registry(&calls, &json!({"msg_id": "zpsm1"}));
    registry.register_fn("mine", |ctx: Context, (): ()| async move {
        let key = SubscriptionKey::from_text("zpsk.1");
        assert_eq!(ctx.publish("/a", "x").await?.as_deref(), Some("zpsm1"));
        let full = ctx.publish("/a", &json!({"k": "}"})).msg_id("m").guaranteed(false).priority(9);
        let full = full.expires_after(Duration::from_millis(1500)).mime_type("x/y").correl_id("c");
        let full = full.in_reply_to("r").ext_client_id("e").group("g", 2);
        let full =
            full.ext_pub_time(Timestamp::from_microseconds(0)).reply_to(std::slice::from_ref(&key));
        full.deliver_to(&[key]).user_ctx(json!([1])).endpoint("crm").await?;
        Ok(ctx.cid().to_string())
    });
    let cid = run(registry).await.unwrap();
    let calls = calls.lock().unwrap();
    let expected = [
        json!({"topic_name": "/a", "data": "x", "correl_id": cid}),
        json!({
            "topic_name": "/a", "data": {"k": "}"}, "msg_id": "m", "has_gd": false, "priority": 9,
            "expiration_seconds": 2, "mime_type": "x/y", "correl_id": "c", "in_reply_to": "r",
            "ext_client_id": "e", "ext_pub_time": "1970-01-01T00:00:00.000000", "group_id": "g",
            "position_in_group": 2, "reply_to_sk": ["zpsk.1"], "deliver_to_sk": ["zpsk.1"],
            "user_ctx": [1], "endpoint_name": "crm",
        }),
    ];
    assert_eq!(calls.len(), 2);
    for ((service, origin, input), expected) in calls.iter().zip(expected) {
        assert_eq!((&**service, *origin), ("zato.pubsub.publish.publish", ChannelType::Internal));
        assert_eq!(*input, expected);
    }
}

#[tokio::test]
async fn what_is_dropped_has_no_id() {
    let registry = registry(&Calls::default(), &json!({}));
    registry
        .register_fn("mine", |ctx: Context, (): ()| async move { ctx.publish("/a", "x").await });
    assert_eq!(run(registry).await.unwrap(), Value::Null);
}

#[tokio::test]
async fn services_take_and_acknowledge_as_the_server() {
    let calls = Calls::default();
    let registry = registry(&calls, &json!([]));
    registry.register_fn("mine", |ctx: Context, (): ()| async move {
        let key = SubscriptionKey::from_text("zpsk.1");
        let wish = ctx.get_messages(&key).limit(3).lease(Duration::from_secs(2));
        assert!(wish.wait(Duration::from_secs(1)).await?.is_empty());
        assert_eq!(ctx.acknowledge(&key, &[]).await?, 0);
        Ok(())
    });
    run(registry).await.unwrap();
    let calls = calls.lock().unwrap();
    let input =
        json!({"sub_key": "zpsk.1", "order": "fifo", "limit": 3, "lease": 2.0, "wait": 1.0});
    let service = "zato.pubsub.pubapi.get-messages".to_owned();
    assert_eq!(*calls, [(service, ChannelType::Internal, input)]);
}

#[tokio::test]
async fn without_publish_subscribe_calls_fail() {
    let registry = Registry::new();
    registry
        .register_fn("mine", |ctx: Context, (): ()| async move { ctx.publish("/a", "x").await });
    assert_eq!(run(registry).await.unwrap_err().status().0, 500);
}

#[test]
fn keys_do_not_show() {
    assert_eq!(format!("{:?}", SubscriptionKey::from_text("zpsk.1")), "SubscriptionKey(***)");
}
