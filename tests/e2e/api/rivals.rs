//! Many who change the same at the same time: no update is lost, a name is given once, the history has no gap.

use std::sync::Arc;

use serde_json::{Value, json};
use spanwire_tests::http::{Answer, admin};
use spanwire_tests::{Server, is_long};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::{OBJECTS, call, problem, refusal};
use crate::live::{assert_consistent, ok, path, show};

const WRITERS: usize = 8;

/// Runs the same at once, numbered, and returns what came of it in that order.
async fn at_once<F, Fut, T>(server: &Arc<Server>, work: F) -> Vec<T>
where
    F: Fn(Arc<Server>, usize) -> Fut,
    Fut: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let start = Arc::new(Barrier::new(WRITERS));
    let mut all = JoinSet::new();
    for number in 0..WRITERS {
        let (start, work) = (Arc::clone(&start), work(Arc::clone(server), number));
        all.spawn(async move {
            start.wait().await;
            (number, work.await)
        });
    }
    let mut done = all.join_all().await;
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

fn count(answers: &[Answer], status: u16) -> usize {
    answers.iter().filter(|answer| answer.status == status).count()
}

/// Every revision from the newest to the first, without a gap.
async fn whole_history(server: &Server) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let mut next = "/api/v1/history?limit=150".to_owned();
    while !next.is_empty() {
        let answer = admin(server, "GET", &next, "").await;
        let link =
            answer.header("link").trim_start_matches('<').split('>').next().unwrap().to_owned();
        all.extend(ok(answer).as_array().unwrap().iter().cloned());
        next = link;
    }
    let numbers: Vec<_> = all.iter().map(|it| it["revision"].as_u64().unwrap()).collect();
    let expected: Vec<_> = (1..=numbers[0]).rev().collect();
    assert_eq!(numbers, expected);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_between_readers_that_write() {
    let server = Arc::new(Server::setup().objects(OBJECTS).start());
    let each = if is_long() { 200 } else { 20 };
    let app1 = path("security", "app1");
    ok(admin(&server, "PATCH", &app1, "{\"realm\": \"0\"}").await);
    let conflicts = at_once(&server, |server, _| {
        let app1 = app1.clone();
        async move {
            let (mut done, mut conflicts) = (0, 0);
            while done < each {
                let read = admin(&server, "GET", &app1, "").await;
                let tag = read.header("etag").to_owned();
                let count: usize = read.json()["realm"].as_str().unwrap().parse().unwrap();
                let body = json!({"realm": (count + 1).to_string()}).to_string();
                let written = call(&server, "PATCH", &app1, &[("If-Match", &*tag)], &body).await;
                match written.status {
                    200 => done += 1,
                    _ => {
                        problem(&written, 412);
                        conflicts += 1;
                    }
                }
            }
            conflicts
        }
    })
    .await;
    let all = WRITERS * each;
    let object = show(&server, "security", "app1").await;
    assert_eq!(object["realm"], all.to_string(), "{conflicts:?}");
    assert_eq!(object["meta"]["version"], all + 2);
    assert!(conflicts.iter().sum::<usize>() > 0, "nobody was in anybody's way");
    // Every step is there, in its order.
    let versions = ok(admin(&server, "GET", &format!("{app1}/history"), "").await);
    for (step, version) in versions.as_array().unwrap().iter().rev().skip(1).enumerate() {
        assert_eq!(version["object"]["realm"], step.to_string());
        assert_eq!(version["version"], step + 2);
    }
    assert_eq!(whole_history(&server).await.len(), all + 2);
    assert_consistent(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_of_other_keys_do_not_undo_each_other() {
    let server = Arc::new(Server::setup().objects(OBJECTS).start());
    let each = if is_long() { 100_u64 } else { 10 };
    let keys = [
        ("token_ttl", 100),
        ("ping_interval", 100),
        ("ping_timeout", 10),
        ("new_token_wait_time", 10),
        ("service_timeout", 10),
        ("max_in_flight", 100),
        ("max_message_size", 100_000),
        ("outgoing_queue_size", 100_000),
    ];
    let again = at_once(&server, |server, number| async move {
        let (mut again, (key, base)) = (0, keys[number]);
        for value in 1..=each {
            // Without a condition it is decided anew when somebody was faster; only after many times it is refused.
            loop {
                let body = json!({ key: base + value }).to_string();
                let answer = admin(&server, "PATCH", &path("web_socket", "crm"), &body).await;
                if answer.status == 200 {
                    assert_eq!(answer.json()[key], base + value, "{answer:?}");
                    break;
                }
                problem(&answer, 409);
                again += 1;
            }
        }
        again
    })
    .await;
    let object = show(&server, "web_socket", "crm").await;
    for (key, base) in keys {
        assert_eq!(object[key], base + each, "{key}: {object}");
    }
    assert_eq!(object["meta"]["version"], WRITERS as u64 * each + 1, "{again:?}");
    whole_history(&server).await;
    assert_consistent(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_of_those_who_replace_wins_as_a_whole() {
    let server = Arc::new(Server::setup().objects(OBJECTS).start());
    let answers = at_once(&server, |server, number| async move {
        let names: Vec<_> = (0..20).map(|n| format!("w{number}.{n}")).collect();
        let body = json!({"services_allowed": names}).to_string();
        admin(&server, "PUT", &path("wsx_gateway", "gate"), &body).await
    })
    .await;
    assert_eq!(count(&answers, 200), WRITERS, "{answers:?}");
    let mut versions: Vec<_> =
        answers.iter().map(|it| it.json()["meta"]["version"].as_u64().unwrap()).collect();
    versions.sort_unstable();
    assert_eq!(versions, (2..2 + WRITERS as u64).collect::<Vec<_>>());
    let last =
        answers.iter().find(|it| it.json()["meta"]["version"] == 1 + WRITERS).unwrap().json();
    let object = show(&server, "wsx_gateway", "gate").await;
    assert_eq!(object["services_allowed"], last["services_allowed"]);
    // With a condition only one of them gets through.
    let tag = format!("\"{}\"", 1 + WRITERS);
    let answers = at_once(&server, |server, number| {
        let tag = tag.clone();
        async move {
            let body = json!({"services_allowed": [format!("w{number}")]}).to_string();
            call(&server, "PUT", &path("wsx_gateway", "gate"), &[("If-Match", &*tag)], &body).await
        }
    })
    .await;
    assert_eq!((count(&answers, 200), count(&answers, 412)), (1, WRITERS - 1), "{answers:?}");
    assert_consistent(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_is_given_once() {
    let server = Arc::new(Server::setup().objects(OBJECTS).start());
    for round in 0..if is_long() { 100 } else { 10 } {
        // Other content: one is made, the others are in its way.
        let make = |is_equal: bool| {
            move |server: Arc<Server>, number: usize| async move {
                let what = if is_equal { "same".to_owned() } else { number.to_string() };
                let body =
                    json!({"name": format!("n{round}.{is_equal}"), "services_allowed": [what]});
                admin(&server, "POST", "/api/v1/objects/wsx_gateway", &body.to_string()).await
            }
        };
        let answers = at_once(&server, make(false)).await;
        assert_eq!((count(&answers, 201), count(&answers, 409)), (1, WRITERS - 1), "{answers:?}");
        let made = answers.iter().find(|it| it.status == 201).unwrap().json();
        let kept = show(&server, "wsx_gateway", &format!("n{round}.false")).await;
        assert_eq!(kept["services_allowed"], made["services_allowed"]);
        // The same content: it is as everybody wants it.
        let answers = at_once(&server, make(true)).await;
        assert_eq!((count(&answers, 201), count(&answers, 200)), (1, WRITERS - 1), "{answers:?}");
        let ids: Vec<_> = answers.iter().map(|it| it.json()["meta"]["id"].clone()).collect();
        assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
        // Only who makes it.
        let answers = at_once(&server, |server, number| async move {
            let put = path("wsx_gateway", &format!("p{round}"));
            let body = json!({"services_allowed": [number.to_string()]}).to_string();
            call(&server, "PUT", &put, &[("If-None-Match", "*")], &body).await
        })
        .await;
        assert_eq!(count(&answers, 201), 1, "{answers:?}");
        for answer in answers.iter().filter(|it| it.status != 201) {
            assert!(matches!(answer.status, 409 | 412), "{answer:?}");
            refusal(answer);
        }
    }
    whole_history(&server).await;
    assert_consistent(&server).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn renames_and_deletes_happen_once() {
    let server = Arc::new(Server::setup().objects(OBJECTS).start());
    for round in 0..if is_long() { 50 } else { 5 } {
        for number in 0..WRITERS {
            let body =
                json!({"name": format!("r{round}.{number}"), "services_allowed": []}).to_string();
            ok(admin(&server, "POST", "/api/v1/objects/wsx_gateway", &body).await);
        }
        let target = format!("target{round}");
        let answers = at_once(&server, |server, number| {
            let body = json!({ "name": target }).to_string();
            async move {
                admin(&server, "PATCH", &path("wsx_gateway", &format!("r{round}.{number}")), &body)
                    .await
            }
        })
        .await;
        assert_eq!(count(&answers, 200), 1, "{answers:?}");
        for answer in answers.iter().filter(|it| it.status != 200) {
            assert!(matches!(answer.status, 409 | 422), "{answer:?}");
            refusal(answer);
        }
        let answers = at_once(&server, |server, _| {
            let target = path("wsx_gateway", &target);
            async move { admin(&server, "DELETE", &target, "").await }
        })
        .await;
        assert_eq!((count(&answers, 200), count(&answers, 404)), (1, WRITERS - 1), "{answers:?}");
        // Nobody deletes what somebody begins to use, and nobody uses what is deleted.
        let body = json!({"name": "used", "type": "basic_auth", "username": "used"}).to_string();
        ok(admin(&server, "POST", "/api/v1/objects/security", &body).await);
        let answers = at_once(&server, |server, number| async move {
            if number % 2 == 0 {
                return admin(&server, "DELETE", &path("security", "used"), "").await;
            }
            let body = json!({"sec_def": "used"}).to_string();
            admin(&server, "PATCH", &path("web_socket", "crm"), &body).await
        })
        .await;
        let used = show(&server, "web_socket", "crm").await["sec_def"] == "used";
        let there = admin(&server, "GET", &path("security", "used"), "").await.status == 200;
        assert_eq!(used, there, "{answers:?}");
        ok(admin(&server, "PATCH", &path("web_socket", "crm"), "{\"sec_def\": \"app1\"}").await);
        if there {
            ok(admin(&server, "DELETE", &path("security", "used"), "").await);
        }
    }
    whole_history(&server).await;
    assert_consistent(&server).await;
}
