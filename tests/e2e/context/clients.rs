//! Services and their clients: listing, asking, telling, closing; hooks.

use std::time::Duration;

use serde_json::{Value, json};
use spanwire_protocol::{CloseCode, CloseFrame, Codec, ConnectionId, Payload};
use spanwire_runtime::{AppBuilder, ConnectionFilter, Context};
use spanwire_tests::Client;
use tokio::sync::mpsc;

use super::{SECURITY, app, channel, log_in, log_in_as, next};

/// Services that work on connections, behind one gateway.
fn managing() -> AppBuilder {
    let objects =
        "wsx_gateway: [{name: all, services_allowed: ['clients.*', zato.ping]}]\n".to_owned();
    app()
        .service_fn("clients.list", |ctx: Context, filter: ConnectionFilter| async move {
            Ok(ctx.connections().list(&filter))
        })
        .service_fn("clients.ask", |ctx: Context, (id, request): (String, Value)| async move {
            let request = Payload::from_serialize(Codec::Json, &request)?;
            let id = ConnectionId::from_text(id);
            let wait = Duration::from_millis(500);
            let answer = ctx.connections().invoke(&id, request, wait).await?;
            Ok(answer.parse::<Value>()?)
        })
        .service_fn(
            "clients.tell",
            |ctx: Context, (filter, request): (ConnectionFilter, Value)| async move {
                let request = Payload::from_serialize(Codec::Json, &request)?;
                Ok(ctx.connections().broadcast(&filter, &request))
            },
        )
        .service_fn(
            "clients.close",
            |ctx: Context, (id, code, reason): (String, u16, String)| async move {
                let frame = CloseFrame::with_reason(CloseCode(code), reason);
                ctx.connections().disconnect(&ConnectionId::from_text(id), frame)?;
                Ok(())
            },
        )
        .service_fn("clients.ask-me", |ctx: Context, question: Value| async move {
            let id = ctx.connection_id().unwrap().clone();
            let request = Payload::from_serialize(Codec::Json, &question)?;
            let answer = ctx.connections().invoke(&id, request, Duration::from_secs(5)).await?;
            Ok(json!({"you said": answer.parse::<Value>()?}))
        })
        .objects(objects + &channel("all", ""))
}

async fn list(client: &mut Client, filter: &Value) -> Vec<String> {
    let reply = client.invoke("clients.list", filter).await;
    let list = reply["data"].as_array().unwrap_or_else(|| panic!("{reply}"));
    list.iter().map(|found| found["ext_client_id"].as_str().unwrap().to_owned()).collect()
}

async fn id_of(client: &mut Client, wanted: &str) -> String {
    let reply = client.invoke("clients.list", &json!({"ext_client_id": wanted})).await;
    reply["data"][0]["pub_client_id"].as_str().unwrap_or_else(|| panic!("{reply}")).to_owned()
}

#[tokio::test]
async fn connections_are_found_when_every_attribute_matches() {
    let app = managing().start().await.unwrap();
    let mut a = log_in_as(&app, "a", "CRM", "region=eu;is_primary=true;level=1").await;
    let _b = log_in_as(&app, "b", "CRM", "region=eu;is_primary=false\n# note\nlevel=2").await;
    let _c = log_in_as(&app, "c", "ERP", "").await;
    // Connected and not logged in: nobody sees it.
    let _early = Client::connect(&super::url(&app)).await;
    let table: [(Value, &[&str]); 14] = [
        (json!({}), &["c", "b", "a"]),
        (json!({"attrs": {"region": "eu"}}), &["b", "a"]),
        (json!({"attrs": {"region": "eu", "is_primary": true}}), &["a"]),
        (json!({"attrs": {"region": "eu", "is_primary": false, "level": 2}}), &["b"]),
        (json!({"attrs": {"region": "us", "is_primary": true}}), &[]),
        (json!({"attrs": {"region": "eu", "unheard-of": 1}}), &[]),
        (json!({"ext_client_name": "CRM"}), &["b", "a"]),
        (json!({"ext_client_name": "CRM", "ext_client_id": "a"}), &["a"]),
        (json!({"ext_client_name": "ERP", "ext_client_id": "a"}), &[]),
        (json!({"channel_name": "c", "security_name": "definition-1"}), &["c", "b", "a"]),
        (json!({"channel_name": "other"}), &[]),
        (json!({"security_name": "other"}), &[]),
        (json!({"peer_address": "127.0.0.1", "peer_fqdn": "(Unknown)"}), &["c", "b", "a"]),
        (json!({"peer_address": "127.0.0.2"}), &[]),
    ];
    for (filter, expected) in table {
        assert_eq!(list(&mut a, &filter).await, expected, "{filter}");
    }
    let typo = a.invoke("clients.list", &json!({"ext_client": "a"})).await;
    assert_eq!(typo["meta"]["status"], 400, "{typo}");
    let record = a.invoke("clients.list", &json!({"ext_client_id": "a"})).await["data"][0].clone();
    assert_eq!(record["client_attrs"], json!({"region": "eu", "is_primary": true, "level": 1}));
    assert_eq!(record["server_proc_pid"], std::process::id());
}

#[tokio::test]
async fn a_client_is_asked_and_its_answer_comes_back() {
    let app = managing().start().await.unwrap();
    let mut a = log_in_as(&app, "a", "A", "").await;
    let mut b = log_in_as(&app, "b", "B", "").await;
    let id = id_of(&mut a, "b").await;
    for (request, answer) in [
        (json!({"cmd": "uptime"}), json!({"up": [1, 2]})),
        (json!([1, "ż"]), json!(false)),
        (json!("text"), json!("text")),
    ] {
        let call = a.start_call(&json!({"service": "clients.ask", "request": [id, request]})).await;
        let asked = b.receive().await;
        assert_eq!(asked["data"], request);
        assert_eq!(asked["meta"]["msg_type"], "zwsx.rqc");
        assert!(asked["meta"].get("in_reply_to").is_none(), "{asked}");
        b.answer(&asked, &answer).await;
        let reply = a.receive().await;
        assert_eq!((&reply["meta"]["in_reply_to"], &reply["data"]), (&json!(call), &answer));
    }
    // No answer; an answer that comes too late; one to nothing; one of somebody else.
    let reply = a.invoke("clients.ask", &json!([id, 1])).await;
    assert_eq!(reply["meta"]["status"], 504, "{reply}");
    assert_eq!(reply["meta"]["error_message"], "no reply within 0.5 s");
    let late = b.receive().await;
    b.answer(&late, &json!("late")).await;
    b.answer(&json!({"meta": {"id": "never.asked"}}), &json!("made up")).await;
    let call = a.start_call(&json!({"service": "clients.ask", "request": [id, 2]})).await;
    let asked = b.receive().await;
    a.answer(&asked, &json!("forged")).await;
    b.answer(&asked, &json!("right")).await;
    let reply = a.receive().await;
    assert_eq!((&reply["meta"]["in_reply_to"], &reply["data"]), (&json!(call), &json!("right")));
    // Gone while it is asked.
    a.start_call(&json!({"service": "clients.ask", "request": [id, 3]})).await;
    b.receive().await;
    drop(b);
    assert_eq!(a.receive().await["meta"]["status"], 503);
    let unknown = a.invoke("clients.ask", &json!([id, 4])).await;
    assert_eq!(unknown["meta"]["status"], 404, "{unknown}");
}

#[tokio::test]
async fn many_are_told_and_one_is_closed() {
    let app = managing().start().await.unwrap();
    let mut a = log_in_as(&app, "a", "A", "group=1").await;
    let mut others = Vec::new();
    for n in 0..5 {
        others.push(log_in_as(&app, &format!("o{n}"), "O", &format!("group={}", n % 2)).await);
    }
    let told = a.invoke("clients.tell", &json!([{"ext_client_name": "O"}, {"hello": 1}])).await;
    assert_eq!(told["data"], 5, "{told}");
    for other in &mut others {
        assert_eq!(other.receive().await["data"], json!({"hello": 1}));
    }
    let filter = json!({"ext_client_name": "O", "attrs": {"group": 1}});
    let told = a.invoke("clients.tell", &json!([filter, "two of them"])).await;
    assert_eq!(told["data"], 2, "{told}");
    for (n, other) in others.iter_mut().enumerate() {
        if n % 2 == 1 {
            assert_eq!(other.receive().await["data"], "two of them");
        } else {
            assert!(other.is_quiet().await);
        }
    }
    let id = id_of(&mut a, "o0").await;
    let closed = a.invoke("clients.close", &json!([id, 4242, "go away"])).await;
    assert_eq!(closed["meta"]["status"], 200, "{closed}");
    let frame = others[0].receive_close().await.1.unwrap();
    assert_eq!((u16::from(frame.code), frame.reason.as_str()), (4242, "go away"));
    assert_eq!(others[1].invoke("zato.ping", &json!({})).await["meta"]["status"], 200);
    let again = a.invoke("clients.close", &json!(["ws.nobody", 4242, ""])).await;
    assert_eq!(again["meta"]["status"], 404, "{again}");
}

/// wsx-protocol 4.1: in the original this always times out.
#[tokio::test]
async fn a_service_asks_its_own_caller_from_inside_the_call() {
    for more in ["", ", ordered_replies: true", ", max_in_flight: 1, ordered_replies: true"] {
        let objects = "wsx_gateway: [{name: mine, services_allowed: ['clients.*']}]\n".to_owned()
            + &format!(
                "web_socket: [{{name: d, address: /ws/d, service: mine, sec_def: definition-1{more}}}]\n"
            );
        let app = managing().objects(objects).start().await.unwrap();
        let url = format!("ws://{}/ws/d", app.address());
        let mut client = Client::log_in(&url, "user1", "secret1").await;
        let call =
            client.start_call(&json!({"service": "clients.ask-me", "request": "who?"})).await;
        let asked = client.receive().await;
        assert_eq!(asked["data"], "who?");
        client.answer(&asked, &json!("me")).await;
        let reply = client.receive().await;
        assert_eq!(reply["meta"]["in_reply_to"], call);
        assert_eq!(reply["data"], json!({"you said": "me"}), "{reply}");
    }
}

#[tokio::test]
async fn an_answer_arrives_while_a_slow_service_runs() {
    let (tell, mut started) = mpsc::channel(1);
    let app = managing()
        .service_fn("clients.slow", move |_: Context, _: Value| {
            let tell = tell.clone();
            async move {
                tell.send(()).await.unwrap();
                std::future::pending::<()>().await;
                Ok(())
            }
        })
        .start()
        .await
        .unwrap();
    let mut slow = log_in_as(&app, "slow", "S", "").await;
    let mut other = log_in(&app).await;
    slow.start_call(&json!({"service": "clients.slow"})).await;
    next(&mut started).await;
    let id = id_of(&mut other, "slow").await;
    other.start_call(&json!({"service": "clients.ask", "request": [id, "busy?"]})).await;
    let asked = slow.receive().await;
    slow.answer(&asked, &json!("very")).await;
    assert_eq!(other.receive().await["data"], "very");
    // And further calls of the same connection do not wait for the slow one either.
    assert_eq!(slow.invoke("zato.ping", &json!({})).await["data"], json!({"pong": "zato"}));
}

#[tokio::test]
async fn hooks_are_told_who_comes_and_goes() {
    let (tell, mut told) = mpsc::channel::<Value>(16);
    let hook = move |ctx: Context, input: Value| {
        let tell = tell.clone();
        async move {
            tell.send(json!([ctx.service(), input])).await.unwrap();
            Ok(())
        }
    };
    let objects = format!(
        "{SECURITY}web_socket:\n  - {{name: c, address: /ws/c, service: zato.ping, sec_def: definition-1, \
         on_connect_service: hook.in, on_disconnect_service: hook.out}}\n"
    );
    let app = app()
        .service_fn("hook.in", hook.clone())
        .service_fn("hook.out", hook)
        .objects(objects)
        .start()
        .await
        .unwrap();
    // Who never logs in neither comes nor goes.
    drop(Client::connect(&super::url(&app)).await);
    let client = log_in_as(&app, "crm.1", "CRM", "region=eu").await;
    let id = app.connections().list(&ConnectionFilter::default())[0].pub_client_id.to_string();
    let came = next(&mut told).await;
    assert_eq!((&came[0], &came[1]["ctx"]["type"]), (&json!("hook.in"), &json!("on_connected")));
    client.close(1000, "").await;
    let gone = next(&mut told).await;
    assert_eq!(
        (&gone[0], &gone[1]["ctx"]["type"]),
        (&json!("hook.out"), &json!("on_disconnected"))
    );
    for ctx in [&came[1]["ctx"], &gone[1]["ctx"]] {
        assert_eq!(ctx["pub_client_id"], id, "{ctx}");
        assert_eq!((&ctx["ext_client_id"], &ctx["channel_name"]), (&json!("crm.1"), &json!("c")));
        assert_eq!(ctx["client_attrs"], json!({"region": "eu"}));
    }
    // A renewed session is the same connection.
    let mut client = log_in_as(&app, "crm.2", "CRM", "").await;
    assert_eq!(next(&mut told).await[1]["ctx"]["ext_client_id"], "crm.2");
    let meta = json!({"action": "create-session", "id": "2", "username": "user1", "secret": "secret1",
                      "token": client.token});
    client.send(&json!({"meta": meta})).await;
    assert_eq!(client.receive().await["meta"]["status"], 200);
    drop(client);
    assert_eq!(next(&mut told).await[0], "hook.out");
    app.shutdown().await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_failing_hook_harms_nobody() {
    let objects = channel(
        "zato.ping",
        ", on_connect_service: panics, on_disconnect_service: no.such.service",
    );
    let app = app()
        .service_fn("panics", |_: Context, _: Value| async move {
            assert!(std::hint::black_box(false), "as planned");
            Ok(())
        })
        .objects(objects)
        .start()
        .await
        .unwrap();
    for _ in 0..3 {
        let mut client = log_in(&app).await;
        assert_eq!(client.call(&json!({})).await["data"], json!({"pong": "zato"}));
        client.close(1000, "").await;
    }
}
