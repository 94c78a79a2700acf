//! What services call on their context, all the way to the broker.

use spanwire_service::{Context, SubscriptionKey};

use super::*;

#[tokio::test]
async fn services_publish_take_and_acknowledge_whoever_called_them() {
    let world = World::new().await;
    world.ports.registry().register_fn("mine", |ctx: Context, (): ()| async move {
        let key = ctx.subscribe("/secret").await?;
        let sent = ctx.publish("/secret", &json!({"k": 1})).priority(9).mime_type("x/y").await?;
        ctx.publish("/secret", "later").expires_after(Duration::from_secs(5)).await?;
        let lent = ctx.get_messages(&key).lease(Duration::from_secs(60)).limit(1).await?;
        assert_eq!((lent.len(), Some(&lent[0].msg_id)), (1, sent.as_ref()));
        assert_eq!((lent[0].priority, &*lent[0].mime_type), (9, "x/y"));
        assert_eq!(lent[0].correl_id.as_deref(), Some(ctx.cid().as_str()));
        assert_eq!(lent[0].parse::<Value>()?, json!({"k": 1}));
        assert!(lent[0].parse::<Vec<u8>>().is_err());
        assert_eq!(ctx.acknowledge(&key, &[&lent[0].msg_id]).await?, 1);
        let rest = ctx.get_messages(&key).wait(Duration::from_secs(1)).await?;
        assert_eq!((rest.len(), rest[0].parse::<String>()?), (1, "later".to_owned()));
        ctx.unsubscribe(&key).await?;
        ctx.unsubscribe(&key).await?;
        let gone = ctx.get_messages(&key).await.unwrap_err();
        assert_eq!(gone.status().0, 403);
        let unknown = ctx.get_messages(&SubscriptionKey::from_text("zpsk.0")).await.unwrap_err();
        assert_eq!((unknown.status(), unknown.message()), (gone.status(), gone.message()));
        ctx.publish("my.service", "run").await
    });
    // The caller itself may do nothing of this.
    let answer = world.call(&rest("nothing.rest"), "mine", Value::Null).await.unwrap();
    let topic = "/zato/s/to/my_service";
    assert!(world.broker.message(topic, None, answer.as_str().unwrap()).await.is_ok());
}
