//! Services as other services and administrators call them (pubsub 3.3, 3.4).

use super::*;

const PUBLISH: &str = "zato.pubsub.pubapi.publish-message";
const GET: &str = "zato.pubsub.pubapi.get-messages";
const SUBSCRIBE: &str = "zato.pubsub.pubapi.subscribe";
const UNSUBSCRIBE: &str = "zato.pubsub.pubapi.unsubscribe";
const TRUSTED: &str = "zato.pubsub.publish.publish";

#[tokio::test]
async fn r14_the_full_path_ten_times_in_a_row() {
    let world = World::new().await;
    let me = Origin::internal();
    let topic = json!({"topic_name": "/shared"});
    for round in 0..10 {
        // Subscribe, publish, get (R5).
        let key = text(&world.call(&me, SUBSCRIBE, topic.clone()).await.unwrap(), "sub_key");
        let message = json!({"topic_name": "/shared", "data": {"round": round}});
        let sent = world.call(&me, PUBLISH, message).await.unwrap();
        let named = json!({"topic_name": "/shared", "sub_key": key});
        let got = world.call(&me, GET, named.clone()).await.unwrap();
        assert_eq!(ids(&got), [sent["msg_id"].as_str().unwrap()]);
        assert_eq!(got[0]["data"], json!({"round": round}));
        assert_eq!(world.call(&me, GET, named.clone()).await, Ok(json!([])));
        for _ in 0..2 {
            assert_eq!(world.call(&me, UNSUBSCRIBE, named.clone()).await, Ok(json!({})));
        }
        // Publish, subscribe, get (R6).
        let message = json!({"topic_name": "/shared", "data": round.to_string()});
        let sent = world.call(&me, PUBLISH, message).await.unwrap();
        let subscribed = world.call(&me, SUBSCRIBE, topic.clone()).await.unwrap();
        assert_eq!(subscribed["queue_depth"], 1);
        let named = json!({"topic_name": "/shared", "sub_key": subscribed["sub_key"]});
        let got = world.call(&me, GET, named).await.unwrap();
        assert_eq!(ids(&got), [sent["msg_id"].as_str().unwrap()]);
        // Without a key, all that was asked for in-process ends.
        assert_eq!(world.call(&me, UNSUBSCRIBE, topic.clone()).await, Ok(json!({})));
        assert!(world.broker.subscriptions(Some("/shared")).is_empty());
    }
}

#[tokio::test]
async fn what_a_publisher_says_arrives_unchanged() {
    for codec in [Codec::Json, Codec::MsgPack] {
        let mut world = World::new().await;
        world.codec = codec;
        let me = rest("crm.rest");
        let named = json!({"topic_name": "/shared"});
        world.call(&me, SUBSCRIBE, named.clone()).await.unwrap();
        let said = json!({
            "data": "a,b\nc,d", "msg_id": "order.1", "has_gd": true, "priority": "7", "expiration": "60",
            "mime_type": "text/csv", "correl_id": "c1", "in_reply_to": "zpsm1", "ext_client_id": "portal",
            "ext_pub_time": "2024-03-04T10:20:30.123456",
        });
        let mut input = said.clone();
        input["topic_name"] = "/shared".into();
        let sent = world.call(&me, PUBLISH, input).await.unwrap();
        assert_eq!(sent["msg_id"], "order.1");
        let got = world.call(&me, GET, named).await.unwrap();
        for (name, value) in said.as_object().unwrap() {
            let expected = match &**name {
                "has_gd" => Value::Null,
                "priority" => 7.into(),
                "expiration" => 60.into(),
                _ => value.clone(),
            };
            assert_eq!(got[0][name], expected, "{name}");
        }
    }
}

#[tokio::test]
async fn any_json_value_arrives_as_the_same_value() {
    for codec in [Codec::Json, Codec::MsgPack] {
        let mut world = World::new().await;
        world.codec = codec;
        let me = Origin::internal();
        let named = json!({"topic_name": "/shared"});
        let key = world.call(&me, SUBSCRIBE, named).await.unwrap()["sub_key"].clone();
        for data in [
            json!({"k": ["Zażółć 😀", 1.5, -1, null, {"}": "\\\""}]}),
            json!([1, 2]),
            json!(17),
            json!(true),
            json!("text"),
        ] {
            let input = json!({"topic_name": "/shared", "data": data});
            world.call(&me, PUBLISH, input).await.unwrap();
            let got = world.call(&me, GET, json!({"sub_key": key})).await.unwrap();
            assert_eq!(got[0]["data"], data);
        }
        for nothing in [json!(null), json!(""), json!(false), json!([]), json!({})] {
            let input = json!({"topic_name": "/shared", "data": nothing});
            let refused = Err((400, "No data sent on input".to_owned()));
            assert_eq!(world.call(&me, PUBLISH, input).await, refused, "{nothing}");
        }
    }
}

#[tokio::test]
async fn wrong_input_is_refused_with_its_text() {
    let world = World::new().await;
    let me = Origin::internal();
    let message = |name: &str, value: Value| {
        let mut input = json!({"topic_name": "/shared", "data": "x"});
        input[name] = value;
        input
    };
    let io = "I/O processing error";
    for (service, input, expected) in [
        (PUBLISH, json!({"data": "x"}), io),
        (PUBLISH, message("priority", "10".into()), "Priority `10` outside of allowed range 1-9"),
        (PUBLISH, message("expiration", (-1).into()), "Expiration `-1` must not be negative"),
        (PUBLISH, message("has_gd", "perhaps".into()), io),
        (SUBSCRIBE, json!({}), io),
        (GET, json!({"topic_name": "/shared"}), io),
        (GET, json!({"sub_key": "x", "order": "random"}), "order: expected fifo or lifo"),
        (UNSUBSCRIBE, json!({}), io),
        (
            "spanwire.pubsub.acknowledge",
            json!({"sub_key": "x"}),
            "Give one of positions, up_to and msg_ids",
        ),
    ] {
        let refused = Err((400, expected.to_owned()));
        assert_eq!(world.call(&me, service, input.clone()).await, refused, "{service} {input}");
    }
}

#[tokio::test]
async fn the_trusted_service_publishes_as_whoever_is_named() {
    let world = World::new().await;
    let me = Origin::internal();
    let input = |who: &str, name: Value| {
        let mut input = json!({"topic_name": "/secret", "data": "x"});
        input[who] = name;
        input
    };
    for (who, name, expected) in [
        ("endpoint_name", json!("endpoint.crm.rest"), Ok("endpoint.crm.rest")),
        ("endpoint_id", json!(3), Ok("endpoint.crm.rest")),
        ("security_name", json!("crm.rest"), Ok("endpoint.crm.rest")),
        ("endpoint_name", json!(null), Ok("zato.pubsub.internal.default")),
        ("ws_channel_name", json!("crm.wsx"), Err(403)),
        ("security_name", json!("sub.rest"), Err(403)),
        ("endpoint_name", json!("nobody"), Err(404)),
        ("security_id", json!(1), Err(400)),
    ] {
        let answer = world.call(&me, TRUSTED, input(who, name.clone())).await;
        match expected {
            Ok(publisher) => {
                let id = text(&answer.unwrap(), "msg_id");
                let view = world.broker.message("/secret", None, &id).await.unwrap();
                assert_eq!(&*view.message.unwrap().publisher, publisher, "{who}");
            }
            Err(status) => assert_eq!(answer.unwrap_err().0, status, "{who} {name}"),
        }
    }
}

#[tokio::test]
async fn a_list_is_published_with_metadata_of_its_own() {
    let world = World::new().await;
    let me = Origin::internal();
    let subscribe = || world.call(&me, SUBSCRIBE, json!({"topic_name": "/shared"}));
    let (one, two) = (subscribe().await.unwrap(), subscribe().await.unwrap());
    let input = json!({
        "topic_name": "/shared", "mime_type": "text/plain", "user_ctx": {"u": 1},
        "data_list": [
            {"data": "first", "priority": 9, "msg_id": "m.1"},
            {"data": {"k": 2}, "mime_type": "x/y", "reply_to_sk": ["zpsk.1"], "user_ctx": "own"},
            {"just": "content"},
            {"data": "for one", "deliver_to_sk": [one["sub_key"]]},
        ],
    });
    let answer = world.call(&me, TRUSTED, input).await.unwrap();
    let sent: Vec<_> = answer["msg_id_list"].as_array().unwrap().iter().collect();
    assert_eq!((sent.len(), sent[0]), (4, &json!("m.1")));
    let get = |key: &Value| {
        let input = json!({"sub_key": key, "order": "fifo"});
        world.call(&me, GET, input)
    };
    let got = get(&one["sub_key"]).await.unwrap();
    let seen =
        |name: &str| got.as_array().unwrap().iter().map(|it| it[name].clone()).collect::<Vec<_>>();
    assert_eq!(json!(seen("msg_id")), answer["msg_id_list"]);
    assert_eq!(seen("priority"), [9, 5, 5, 5]);
    assert_eq!(seen("mime_type"), ["text/plain", "x/y", "text/plain", "text/plain"]);
    assert_eq!(seen("data")[2], json!({"just": "content"}));
    assert_eq!(got[1]["ctx"], json!({"reply_to_sk": ["zpsk.1"]}));
    assert_eq!(seen("user_ctx"), [json!({"u": 1}), json!("own"), json!({"u": 1}), json!({"u": 1})]);
    assert_eq!(get(&two["sub_key"]).await.unwrap().as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn what_is_lent_comes_again_until_it_is_acknowledged() {
    let world = World::new().await;
    let me = Origin::internal();
    let key = world.call(&me, SUBSCRIBE, json!({"topic_name": "/shared"})).await.unwrap();
    let key = key["sub_key"].clone();
    let depth = || async {
        let input = json!({"sub_key_list": [key, "zpsk.unknown"]});
        let depths = world.call(&me, "zato.pubsub.queue.get-queue-depth-by-sub-key", input).await;
        depths.unwrap()["queue_depth"].clone()
    };
    for data in ["1", "2", "3"] {
        world.call(&me, PUBLISH, json!({"topic_name": "/shared", "data": data})).await.unwrap();
    }
    let get = |lease: f64, batch: u64| {
        let input = json!({"sub_key": key, "lease": lease, "batch_size": batch});
        world.call(&me, "zato.pubsub.queue.get-messages", input)
    };
    let got = get(0.01, 2).await.unwrap();
    let keys: Vec<_> = got[0].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 14, "{keys:?}");
    assert_eq!((&got[0]["data"], &got[0]["delivery_count"]), (&json!("1"), &json!(1)));
    assert!(got[0]["expiration_time"].as_f64().unwrap() > got[0]["recv_time"].as_f64().unwrap());
    let acknowledge = |ids: Value| {
        let input = json!({"sub_key": key, "msg_id_list": ids});
        world.call(&me, "zato.pubsub.queue.acknowledge-delivery", input)
    };
    assert_eq!(acknowledge(json!([got[0]["msg_id"]])).await, Ok(json!({})));
    // The second comes again once its lease is over, which a call may wait for.
    let wait = json!({"sub_key": key, "wait": 5, "lease": 30, "limit": 1, "order": "fifo"});
    let again = loop {
        let got = world.call(&me, GET, wait.clone()).await.unwrap();
        if got[0]["data"] == "2" {
            break got;
        }
    };
    assert_eq!(again[0]["delivery_count"], 2);
    let refuse = json!({"sub_key": key, "msg_ids": [again[0]["msg_id"]], "reason": "not now"});
    assert_eq!(world.call(&me, "spanwire.pubsub.refuse", refuse).await, Ok(json!({})));
    assert_eq!(depth().await, json!({key.as_str().unwrap(): 2}));
    let input = json!({"sub_key": key, "msg_ids": [again[0]["msg_id"]]});
    let acknowledged = world.call(&me, "spanwire.pubsub.acknowledge", input).await;
    assert_eq!(acknowledged, Ok(json!({"acknowledged": 1})));
    assert_eq!(depth().await, json!({key.as_str().unwrap(): 1}));
}

#[tokio::test]
async fn a_wait_ends_with_the_first_message() {
    let world = World::new().await;
    let me = Origin::internal();
    let key = world.call(&me, SUBSCRIBE, json!({"topic_name": "/shared"})).await.unwrap();
    let wait = world.call(&me, GET, json!({"sub_key": key["sub_key"], "wait": 20}));
    let publish = world.call(&me, PUBLISH, json!({"topic_name": "/shared", "data": "x"}));
    let both = async { tokio::join!(wait, publish) };
    let (got, _) = tokio::time::timeout(Duration::from_secs(5), both).await.unwrap();
    assert_eq!(got.unwrap()[0]["data"], "x");
}

#[tokio::test]
async fn expirations_and_counts_follow_the_release() {
    let options = Options {
        milliseconds: true,
        first_count_zero: true,
        default_expiry: Some(Duration::from_secs(100)),
        ..Options::default()
    };
    let world = World::with(options).await;
    let me = Origin::internal();
    let key = world.call(&me, SUBSCRIBE, json!({"topic_name": "/shared"})).await.unwrap();
    for (given, expected) in
        [(json!(null), 100_000), (json!(1500), 2_000), (json!(2_147_483_647_000_i64), 86_400_000)]
    {
        let input = json!({"topic_name": "/shared", "data": "x", "expiration": given});
        world.call(&me, PUBLISH, input).await.unwrap();
        let got = world.call(&me, GET, json!({"sub_key": key["sub_key"]})).await.unwrap();
        assert_eq!(got[0]["expiration"], expected);
        assert_eq!(got[0]["delivery_count"], 0);
    }
    let input = json!({"topic_name": "/shared", "data": "x", "expiration_seconds": 2});
    world.call(&me, TRUSTED, input).await.unwrap();
    let got = world.call(&me, GET, json!({"sub_key": key["sub_key"]})).await.unwrap();
    assert_eq!(got[0]["expiration"], 2_000);
}

#[tokio::test]
async fn only_trusted_publishers_choose_who_gets_a_message() {
    let world = World::new().await;
    let me = Origin::internal();
    let subscribe = || world.call(&me, SUBSCRIBE, json!({"topic_name": "/shared"}));
    let (one, two) = (subscribe().await.unwrap(), subscribe().await.unwrap());
    let input = json!({"topic_name": "/shared", "data": "x", "deliver_to_sk": [one["sub_key"]]});
    for (service, count) in [(PUBLISH, 1), (TRUSTED, 0)] {
        world.call(&me, service, input.clone()).await.unwrap();
        let got = world.call(&me, GET, json!({"sub_key": two["sub_key"]})).await.unwrap();
        assert_eq!(ids(&got).len(), count, "{service}");
    }
}

#[tokio::test]
async fn services_are_published_to_by_name_from_inside_or_by_their_full_topic() {
    let world = World::new().await;
    let input = json!({"topic_name": "my.service", "data": {"k": 1}});
    // Nobody from outside makes a topic by a pattern that happens to cover it.
    for stranger in ["crm.rest", "pub.rest"] {
        assert_eq!(world.call(&rest(stranger), PUBLISH, input.clone()).await.unwrap_err().0, 404);
    }
    assert_eq!(world.call(&rest("nothing.rest"), PUBLISH, input.clone()).await, forbidden());
    let topic = "/zato/s/to/my_service";
    world.broker.put_topic(TopicId(900), topic, TopicSettings::default()).await.unwrap();
    world.call(&Origin::internal(), SUBSCRIBE, json!({"topic_name": topic})).await.unwrap();
    for publisher in [Origin::internal(), rest("service.rest")] {
        let mut input = input.clone();
        input["has_gd"] = false.into();
        let sent = world.call(&publisher, PUBLISH, input).await.unwrap();
        let view = world.broker.message(topic, None, &text(&sent, "msg_id")).await.unwrap();
        let message = view.message.unwrap();
        assert_eq!(message.target_service.as_deref(), Some("my.service"));
        assert!(message.has_gd);
    }
    // Nor once the topic is there.
    let named = json!({"topic_name": "/zato/s/to/my_service", "data": "x"});
    assert_eq!(world.call(&rest("crm.rest"), PUBLISH, named.clone()).await, forbidden());
    assert!(world.call(&rest("service.rest"), PUBLISH, named).await.is_ok());
    let unknown = json!({"topic_name": "no.such.service", "data": "x"});
    assert_eq!(world.call(&Origin::internal(), PUBLISH, unknown).await.unwrap_err().0, 404);
}

#[tokio::test]
async fn repeats_are_refused_where_clients_of_3_0_expect_it() {
    let world = World::with(Options { refuses_repeats: true, ..Options::default() }).await;
    let rest = rest("crm.rest");
    let first = world.call(&rest, SUBSCRIBE, json!({"topic_name": "/shared"})).await.unwrap();
    let again = world.call(&rest, SUBSCRIBE, json!({"topic_name": "/shared"})).await;
    let text = "Subscription to topic `/shared` already exists".to_owned();
    assert_eq!(again, Err((400, text)));
    let end = json!({"sub_key": first["sub_key"]});
    let unsubscribe = "zato.pubsub.pubapi.unsubscribe";
    assert_eq!(world.call(&rest, unsubscribe, end.clone()).await, Ok(json!({})));
    let again = world.call(&rest, unsubscribe, end).await;
    assert_eq!(again.map_err(|(status, _)| status), Err(403));
}

#[tokio::test]
async fn content_without_a_form_in_both_codecs_is_refused() {
    let world = World::new().await;
    for (service, body) in [
        (PUBLISH, r#"{"topic_name": "/shared", "data": "abc\ud83d"}"#),
        (PUBLISH, r#"{"topic_name": "/shared", "data": {"a": 1e400}}"#),
        (PUBLISH, r#"{"topic_name": "/shared", "data": 18446744073709551616}"#),
        (PUBLISH, r#"{"topic_name": "/shared", "data": 1, "user_ctx": "\ud83d"}"#),
        (TRUSTED, r#"{"topic_name": "/shared", "data_list": [1, 1e400]}"#),
        (TRUSTED, r#"{"topic_name": "/shared", "data_list": [{"data": "\ud83d"}]}"#),
    ] {
        let input = Payload::from_json(body).unwrap();
        let refused = world.ports.invoke(Call::new(service, input), Origin::internal()).await;
        assert_eq!(refused.unwrap_err().status().0, 400, "{body}");
    }
    assert_eq!(world.broker.topic("/shared").unwrap().depth_gd, 0);
    assert_eq!(world.broker.topic("/shared").unwrap().depth_non_gd, 0);
}

#[tokio::test]
async fn content_of_a_list_is_pulled_byte_for_byte() {
    let world = World::new().await;
    let me = Origin::internal();
    let topic = json!({"topic_name": "/shared"});
    let key = text(&world.call(&me, SUBSCRIBE, topic).await.unwrap(), "sub_key");
    let body = r#"{"topic_name": "/shared", "data_list": [1.10, {"data": {"b":1,"a":2}}]}"#;
    let input = Payload::from_json(body).unwrap();
    world.ports.invoke(Call::new(TRUSTED, input), me.clone()).await.unwrap();
    let input = Payload::from_serialize(Codec::Json, &json!({"sub_key": key, "order": "fifo"}));
    let got = world.ports.invoke(Call::new(GET, input.unwrap()), me).await.unwrap();
    let got = std::str::from_utf8(got.bytes()).unwrap();
    assert!(got.contains(r#""data":1.10"#) && got.contains(r#""data":{"b":1,"a":2}"#), "{got}");
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_once_the_server_stops() {
    let world = World::new().await;
    let me = Origin::internal();
    let topic = json!({"topic_name": "/shared"});
    let key = text(&world.call(&me, SUBSCRIBE, topic).await.unwrap(), "sub_key");
    let wish = json!({"sub_key": key, "wait": 20});
    let start = tokio::time::Instant::now();
    let stopping = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        world.stop.cancel();
    };
    let (got, ()) = tokio::join!(world.call(&me, GET, wish.clone()), stopping);
    assert_eq!(got, Ok(json!([])));
    let message = json!({"topic_name": "/shared", "data": 1});
    world.call(&me, PUBLISH, message).await.unwrap();
    assert_eq!(ids(&world.call(&me, GET, wish.clone()).await.unwrap()).len(), 1);
    assert_eq!(world.call(&me, GET, wish).await, Ok(json!([])));
    assert!(start.elapsed() < Duration::from_secs(2));
}
