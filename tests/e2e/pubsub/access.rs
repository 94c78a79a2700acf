//! Who may do what: patterns and roles (A4), uniform refusals, and changes that count at once (invariants 31 to 37).

use std::time::Duration;

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, admin};
use spanwire_tests::messaging::{Rest, Wsx};
use spanwire_tests::{Server, eventually, until};

use super::{FORBIDDEN, OBJECTS, admin_invoke, assert_error, login, rest, start, wsx};
use crate::live::{create, delete, ok, patch, path};

const CHANGED: &str = "/customer/address/changed";

fn message() -> Value {
    json!({"data": "x"})
}

#[tokio::test]
async fn a4_patterns_and_roles_decide_who_publishes_and_who_subscribes() {
    let server = start();
    let erp = rest(&server, "erp");
    erp.publish("/usa/va/richmond", &message()).await;
    assert_error(&erp.subscribe("/usa/va/richmond").await, 403, FORBIDDEN);
    erp.key(CHANGED).await;
    erp.publish(CHANGED, &message()).await;
    assert_error(&erp.post("/customer/new", &message()).await, 403, FORBIDDEN);
    // The role goes before the patterns, which stay as they are.
    let before = ok(admin(&server, "GET", &path("pubsub_endpoint", "erp"), "").await);
    patch(&server, "pubsub_endpoint", "erp", json!({"role": "sub-only"})).await;
    assert_error(&erp.post("/usa/va/richmond", &message()).await, 403, FORBIDDEN);
    assert_error(&erp.post(CHANGED, &message()).await, 403, FORBIDDEN);
    assert_eq!(erp.fetch(CHANGED, &Value::Null).await.len(), 1);
    let after = ok(admin(&server, "GET", &path("pubsub_endpoint", "erp"), "").await);
    assert_eq!(before["topic_patterns"], after["topic_patterns"]);
    patch(&server, "pubsub_endpoint", "erp", json!({"role": "pub-only"})).await;
    erp.publish("/usa/va/richmond", &message()).await;
    erp.publish(CHANGED, &message()).await;
    assert_error(&erp.patch(CHANGED, &Value::Null).await, 403, FORBIDDEN);
    assert_error(&erp.subscribe(CHANGED).await, 403, FORBIDDEN);
    assert_error(&erp.unsubscribe(CHANGED).await, 403, FORBIDDEN);
    patch(&server, "pubsub_endpoint", "erp", json!({"role": "pub-sub"})).await;
    assert_eq!(erp.fetch(CHANGED, &Value::Null).await.len(), 1, "it waited meanwhile");
}

/// Invariant 31: the documented column of the table of pubsub 1.3. A name that is granted and unknown is a 404.
#[tokio::test]
async fn patterns_match_whole_names() {
    let server = start();
    let erp = rest(&server, "erp");
    for (pattern, name, is_granted) in [
        ("/*", "/zato/demo/sample", true),
        ("/usa/va/*", "/usa/va/norfolk", true),
        ("/usa/va/*", "/usa/va/norfolk/x", false),
        ("/usa/va/norfolk", "/usa/va/norfolk", true),
        ("/usa/va/norfolk", "/usa/va/norfolk/secret", false),
        ("/usa/va/norfolk", "/usa/va/norfolk2", false),
        ("/usa/va/norfolk", "/USA/va/norfolk", false),
        ("/usa/va/norfolk", "usa/va/norfolk", false),
        ("/client/*/changed", "/client/a/b/changed", false),
        ("/client/*/changed", "/client/a/changed", true),
        ("/client/*/changed", "/client/a/changed2", false),
        ("/client/*/changed", "/client//changed", true),
        ("/usa/**", "/usa", false),
        ("/usa/**", "/usa/", true),
        ("/usa/**", "/usa/a/b", true),
        ("/**/x", "/x", false),
        ("/usa/v?", "/usa/va", true),
        ("/usa/v?", "/usa/v/", false),
        ("/a.b", "/aXb", false),
    ] {
        let patterns = json!({"topic_patterns": format!("pub={pattern}\nsub={pattern}")});
        patch(&server, "pubsub_endpoint", "erp", patterns).await;
        let (status, details) = match is_granted {
            true => (404, format!("No such topic `{name}`")),
            false => (403, FORBIDDEN.to_owned()),
        };
        for answer in [
            erp.post(name, &message()).await,
            erp.subscribe(name).await,
            erp.patch(name, &Value::Null).await,
        ] {
            assert_eq!(answer.status, status, "{pattern} {name}: {answer:?}");
            assert_error(&answer, status, &details);
        }
    }
    // The prefix says for what.
    let patterns = json!({"topic_patterns": "pub=/only/published\nsub=/only/read"});
    patch(&server, "pubsub_endpoint", "erp", patterns).await;
    assert_eq!(erp.post("/only/published", &message()).await.status, 404);
    assert_eq!(erp.post("/only/read", &message()).await.status, 403);
    assert_eq!(erp.subscribe("/only/read").await.status, 404);
    assert_eq!(erp.subscribe("/only/published").await.status, 403);
}

/// All of an answer but what differs in any two answers.
fn uniform(answer: &Answer) -> (u16, Vec<(String, String)>, String) {
    let cid = answer.header("x-zato-cid");
    let headers = answer.headers.iter().filter(|(name, _)| name != "x-zato-cid" && name != "date");
    (answer.status, headers.cloned().collect(), answer.body.replace(cid, "CID"))
}

/// Invariant 32.
#[tokio::test]
async fn refusals_are_the_same_bytes_whatever_the_reason() {
    let server = start();
    patch(&server, "pubsub_endpoint", "crm", json!({"role": "sub-only"})).await;
    let key = rest(&server, "crm").key("/customer/new").await;
    let with_key = |key: &str| format!("/zato/pubsub/topic//customer/new?sub_key={key}");
    let ask = async |caller: Rest, method: &'static str, path: String| {
        caller.ask(method, &path, "").await
    };
    let portal = || rest(&server, "portal");
    let publish = async |caller: Rest, topic: &'static str| caller.post(topic, &message()).await;
    let answers = [
        publish(Rest::anonymous(&server), "/customer/new").await,
        publish(Rest::new(&server, "portal", "wrong"), "/customer/new").await,
        publish(Rest::new(&server, "nobody", "secret1"), "/customer/new").await,
        publish(rest(&server, "stranger"), "/customer/new").await,
        publish(rest(&server, "crm"), "/customer/new").await,
        publish(portal(), "/secret").await,
        publish(portal(), "/unknown").await,
        portal().subscribe("/secret").await,
        portal().subscribe("/unknown").await,
        portal().subscribe("/customer/admin").await,
        portal().unsubscribe("/secret").await,
        portal().patch("/secret", &Value::Null).await,
        portal().acknowledge("/secret", &["zpsm1"]).await,
        ask(portal(), "POST", with_key(&key)).await,
        ask(portal(), "POST", with_key("zpsk.rest.0123456789abcdef0123456789abcdef")).await,
        ask(portal(), "POST", with_key("x")).await,
    ];
    for answer in &answers {
        assert_error(answer, 403, FORBIDDEN);
        assert_eq!(uniform(answer), uniform(&answers[0]));
    }
    // Over WebSockets, too.
    let mut client = wsx(&server, "refused.1").await;
    let own = client.subscribe(&json!({"topic_name": "/customer/new"})).await;
    let mut other = Wsx::log_in(&server, login("/ws/other"), "refused.2").await;
    let mut bare = Wsx::log_in(&server, login("/ws/bare"), "refused.3").await;
    let expected = (403, FORBIDDEN.to_owned());
    let pubapi = |name: &str| format!("zato.pubsub.pubapi.{name}");
    for topic in ["/secret", "/unknown", "/customer/admin"] {
        let topic = json!({ "topic_name": topic });
        assert_eq!(other.refused(&pubapi("subscribe-wsx"), &topic).await, expected);
    }
    for topic in ["/secret", "/unknown"] {
        let topic = json!({"topic_name": topic, "data": "x"});
        assert_eq!(other.refused(&pubapi("publish-message"), &topic).await, expected);
    }
    let new = json!({"topic_name": "/customer/new", "data": "x"});
    assert_eq!(bare.refused(&pubapi("publish-message"), &new).await, expected);
    assert_eq!(bare.refused(&pubapi("subscribe-wsx"), &new).await, expected);
    for key in [&*own, &key, "zpsk.wsx.refused.1.0123456789abcdef0123456789abcdef"] {
        let key = json!({ "sub_key": key });
        assert_eq!(other.refused("zato.pubsub.resume-wsx-subscription", &key).await, expected);
        assert_eq!(other.refused(&pubapi("get-messages"), &key).await, expected);
    }
    let foreign = json!({ "sub_key": own });
    assert_eq!(other.refused(&pubapi("unsubscribe"), &foreign).await, expected);
}

/// Ways to take an access away, and to give it back.
type Change = (&'static str, &'static str, Value, Value);

/// Invariant 35 over REST: at once, and what waits goes on waiting.
#[tokio::test]
async fn a_revoked_access_ends_at_once_and_what_waits_is_kept() {
    let server = start();
    let (portal, crm) = (rest(&server, "portal"), rest(&server, "crm"));
    portal.key("/customer/gd").await;
    let changes: [Change; 5] = [
        (
            "pubsub_endpoint",
            "portal",
            json!({"topic_patterns": "pub=/other\nsub=/other"}),
            json!({"topic_patterns": "pub=/customer/**\nsub=/customer/**"}),
        ),
        ("pubsub_endpoint", "portal", json!({"is_active": false}), json!({"is_active": true})),
        ("security", "portal", json!({"is_active": false}), json!({"is_active": true})),
        ("security", "portal", json!({"username": "renamed"}), json!({"username": "portal"})),
        (
            "pubsub_endpoint",
            "portal",
            json!({"security_name": "stranger"}),
            json!({"security_name": "portal"}),
        ),
    ];
    for (number, (kind, name, revoke, grant)) in changes.into_iter().enumerate() {
        crm.publish("/customer/gd", &json!({ "data": number })).await;
        patch(&server, kind, name, revoke.clone()).await;
        for answer in [
            portal.post("/customer/gd", &message()).await,
            portal.patch("/customer/gd", &Value::Null).await,
            portal.acknowledge("/customer/gd", &["zpsm1"]).await,
            portal.subscribe("/customer/gd").await,
            portal.unsubscribe("/customer/gd").await,
        ] {
            assert_eq!(answer.status, 403, "{revoke}: {answer:?}");
            assert_error(&answer, 403, FORBIDDEN);
        }
        crm.publish("/customer/gd", &json!({"data": "meanwhile"})).await;
        patch(&server, kind, name, grant).await;
        let got = portal.fetch("/customer/gd", &json!({"order": "fifo"})).await;
        let got: Vec<_> = got.iter().map(|it| it["data"].clone()).collect();
        assert_eq!(got, [json!(number), json!("meanwhile")], "{revoke}");
    }
    // Another password is another credential.
    let password = json!({"password": "secret2"}).to_string();
    let to = format!("{}/password", path("security", "portal"));
    ok(admin(&server, "POST", &to, &password).await);
    assert_error(&portal.post("/customer/gd", &message()).await, 403, FORBIDDEN);
    Rest::new(&server, "portal", "secret2").publish("/customer/gd", &message()).await;
    // Who is deleted has nothing any more, and comes back to nothing.
    let object = ok(admin(&server, "GET", &path("pubsub_endpoint", "portal"), "").await);
    delete(&server, "pubsub_endpoint", "portal").await;
    let portal = Rest::new(&server, "portal", "secret2");
    assert_error(&portal.patch("/customer/gd", &Value::Null).await, 403, FORBIDDEN);
    let again = json!({
        "name": "portal", "endpoint_type": "rest", "security_name": "portal", "topic_patterns": object["topic_patterns"],
    });
    create(&server, "pubsub_endpoint", again).await;
    let details = "You are not subscribed to topic `/customer/gd`";
    assert_error(&portal.patch("/customer/gd", &Value::Null).await, 400, details);
}

/// Invariant 35 over WebSockets: a connection that is open learns of it, too.
#[tokio::test]
async fn a_revoked_access_stops_publishing_and_deliveries_on_open_connections() {
    let server = start();
    let portal = rest(&server, "portal");
    let mut client = wsx(&server, "revoked.1").await;
    let key = client.subscribe(&json!({"topic_name": "/customer/gd"})).await;
    let patterns = json!({"topic_patterns": "pub=/customer/**\nsub=/customer/**"});
    for (revoke, grant) in [
        (json!({"topic_patterns": "pub=/other\nsub=/other"}), patterns.clone()),
        (json!({"role": "pub-only"}), json!({"role": "pub-sub"})),
        (json!({"is_active": false}), json!({"is_active": true})),
    ] {
        portal.publish("/customer/gd", &json!({"data": "before"})).await;
        assert_eq!(client.message().await["data"], "before");
        patch(&server, "pubsub_endpoint", "crm.wsx", revoke.clone()).await;
        if revoke.get("role").is_none() {
            let publish = json!({"topic_name": "/customer/gd", "data": "x"});
            let refused = client.refused("zato.pubsub.pubapi.publish-message", &publish).await;
            assert_eq!(refused.0, 403, "{revoke}");
        }
        let resume = json!({ "sub_key": key });
        let refused = client.refused("zato.pubsub.resume-wsx-subscription", &resume).await;
        assert_eq!(refused.0, 403, "{revoke}");
        portal.publish("/customer/gd", &json!({"data": "after"})).await;
        let pushed = client.within(Duration::from_millis(300)).await;
        assert_eq!(pushed, None, "{revoke}");
        // What was queued meanwhile is there when the access is.
        patch(&server, "pubsub_endpoint", "crm.wsx", grant).await;
        client.resume(&resume).await;
        assert_eq!(client.message().await["data"], "after");
    }
}

/// Invariant 36.
#[tokio::test]
async fn a_wildcard_lets_nobody_start_services() {
    let ran = spanwire_tests::endpoint::Endpoint::start(|_| (200, "{}".to_owned())).await;
    let service = format!("service:\n  - {{name: my.service, url: \"{}\"}}\n", ran.url("/run"));
    let server = Server::setup().objects(OBJECTS).objects(&service).start();
    let everything = json!({"topic_patterns": "pub=/**\npub=my.*\nsub=/**"});
    patch(&server, "pubsub_endpoint", "portal", everything).await;
    let portal = rest(&server, "portal");
    let topic = "/zato/s/to/my_service";
    assert_error(&portal.post(topic, &message()).await, 403, FORBIDDEN);
    assert_error(&portal.post("my.service", &message()).await, 404, "No such topic `my.service`");
    assert_error(&portal.post("zato.ping", &message()).await, 403, FORBIDDEN);
    assert!(ran.received().is_empty(), "a service was called");
    let named = json!({"topic_patterns": "pub=/zato/s/to/my_service\nsub=/**"});
    patch(&server, "pubsub_endpoint", "portal", named).await;
    portal.publish("my.service", &message()).await;
    eventually("the service has run", async || ran.received().len() == 1).await;
    assert_eq!(ran.received()[0].body["data"], "x");
}

/// Invariant 37, first half.
#[tokio::test]
async fn a_topic_for_administrators_is_subscribed_to_by_administrators_only() {
    let server = start();
    let topic = json!({"topic_name": "/customer/admin"});
    assert_error(&rest(&server, "portal").subscribe("/customer/admin").await, 403, FORBIDDEN);
    let mut client = wsx(&server, "admin.1").await;
    for service in ["zato.pubsub.pubapi.subscribe-wsx", "zato.pubsub.pubapi.subscribe"] {
        assert_eq!(client.refused(service, &topic).await, (403, FORBIDDEN.to_owned()));
    }
    let subscribed = admin_invoke(&server, "zato.pubsub.pubapi.subscribe", &topic).await;
    assert_eq!(subscribed.status, 200, "{subscribed:?}");
    let object = json!({"endpoint_name": "portal", "topic_name": "/customer/admin"});
    create(&server, "pubsub_subscription", object).await;
    let portal = rest(&server, "portal");
    portal.publish("/customer/admin", &message()).await;
    assert_eq!(portal.fetch("/customer/admin", &Value::Null).await.len(), 1);
}

/// A change in the same moment as a call is in time or not, and never makes the call fail otherwise.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_granted_and_refused_in_turn_is_answered_one_or_the_other() {
    let server = start();
    let caller = rest(&server, "portal");
    caller.key("/customer/gd").await;
    let publishing = tokio::spawn(async move {
        let mut seen = (0, 0);
        while seen.0 < 20 || seen.1 < 20 {
            match caller.post("/customer/gd", &json!({"data": "x"})).await.status {
                200 => seen.0 += 1,
                403 => seen.1 += 1,
                other => panic!("{other}"),
            }
        }
        seen.0
    });
    let mut is_active = true;
    while !publishing.is_finished() {
        is_active = !is_active;
        patch(&server, "pubsub_endpoint", "portal", json!({ "is_active": is_active })).await;
    }
    patch(&server, "pubsub_endpoint", "portal", json!({"is_active": true})).await;
    let published = publishing.await.unwrap();
    let portal = rest(&server, "portal");
    let got = until("all are there", async || {
        Some(portal.fetch("/customer/gd", &Value::Null).await).filter(|got| !got.is_empty())
    })
    .await;
    assert_eq!(got.len(), published);
}
