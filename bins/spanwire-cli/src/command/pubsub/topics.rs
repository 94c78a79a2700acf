//! `spanwire pubsub create-topic|get-topics|delete-topics`

use std::collections::HashMap;

use serde_json::{Value, json};
use spanwire_config::Kind;
use spanwire_protocol::admin::ManagedObject;
use spanwire_protocol::admin::pubsub::TopicInfo;

use super::document::{Document, time_in_names};
use crate::args::{CreateTopic, DeleteTopics, GetTopics};
use crate::client::{Client, Failure, Query, object, objects};
use crate::command::report;
use crate::confirm::Consent;
use crate::output::{self, counted, warn};

pub(super) fn create(args: &CreateTopic, client: &Client) -> Result<(), Failure> {
    let name = args.name.clone();
    let name = name.unwrap_or_else(|| format!("/auto/topic.{}", time_in_names()));
    // 0 is the default there.
    let limit = |seconds| if seconds == 0 { DAY } else { seconds };
    let topic = json!({
        "name": name,
        "has_gd": args.gd,
        "is_internal": args.is_internal,
        "is_api_sub_allowed": args.is_api_sub_allowed,
        "limit_retention": limit(args.limit_retention),
        "limit_sub_inactivity": limit(args.limit_sub_inactivity),
        "limit_message_expiry": limit(args.limit_message_expiry),
    });
    let made: Result<(ManagedObject, bool), _> = client.create(&objects(Kind::PubsubTopic), &topic);
    let exists = || format!("A pub/sub topic `{name}` already exists in this cluster");
    match made {
        Ok((topic, true)) => output::json(&id_and_name(&topic)),
        Ok((_, false)) => Err(Failure::refusal(409, &exists())),
        Err(Failure::Refused { status: 409, text, cid, .. }) => {
            Err(Failure::Refused { status: 409, text, detail: exists(), cid })
        }
        Err(failure) => Err(failure),
    }
}

pub(super) fn get(args: &GetTopics, client: &Client) -> Result<(), Failure> {
    let keys = keys(&args.keys)?;
    let query = Query::default().maybe("q", args.name.as_deref());
    let topics: Vec<ManagedObject> = client.list(&objects(Kind::PubsubTopic), &query)?;
    let running: Vec<TopicInfo> = client.list("pubsub/topics", &query)?;
    let running: HashMap<_, _> = running.iter().map(|it| (it.name.as_str(), json!(it))).collect();
    let shown = |topic: &ManagedObject| {
        let name = topic.fields.get("name").and_then(Value::as_str).unwrap_or_default();
        let running = running.get(name).unwrap_or(&Value::Null);
        keys.iter().map(|key| (*key, value(key, topic, running))).collect::<Document>()
    };
    output::json(&topics.iter().map(shown).collect::<Vec<_>>())
}

/// Deletes what can be deleted and tells what that was.
pub(super) fn delete(args: &DeleteTopics, client: &Client) -> Result<(), Failure> {
    let all: Vec<ManagedObject> = client.list(&objects(Kind::PubsubTopic), &Query::default())?;
    let topics = wanted(args, &all)?;
    if !topics.is_empty() {
        let count = counted(topics.len(), "topic");
        let question = format!("delete {count}, with subscriptions and messages?");
        Consent::of_person(args.yes)?.get(&question)?;
    }
    let mut deleted = Vec::new();
    for topic in topics {
        let name = topic.fields.get("name").and_then(Value::as_str).unwrap_or_default();
        let done = unsubscribe("topic_name", name, client)
            .and_then(|()| client.delete(&object(Kind::PubsubTopic, name)));
        match done {
            Ok(_) => deleted.push(id_and_name(topic)),
            Err(failure @ Failure::Refused { .. }) => warn(&format!("{name}: {failure}")),
            Err(failure) => return Err(failure),
        }
    }
    output::json(&HashMap::from([("objects", deleted)]))
}

/// Deletes the subscriptions of a topic or an endpoint: whatever refers to it goes with it.
pub(super) fn unsubscribe(key: &str, name: &str, client: &Client) -> Result<(), Failure> {
    let query = Query::default().with(key, name);
    let found: Vec<ManagedObject> = client.list(&objects(Kind::PubsubSubscription), &query)?;
    for subscription in found {
        let name = report::name(Kind::PubsubSubscription, &subscription);
        client.delete(&object(Kind::PubsubSubscription, &name))?;
    }
    Ok(())
}

/// The topics that are meant; the first option that is given counts.
fn wanted<'a>(
    args: &DeleteTopics,
    all: &'a [ManagedObject],
) -> Result<Vec<&'a ManagedObject>, Failure> {
    let name = |topic: &ManagedObject| {
        topic.fields.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let is_wanted: Box<dyn Fn(&ManagedObject) -> bool> = if let Some(id) = args.id {
        Box::new(move |topic| topic.meta.id == id)
    } else if !args.id_list.is_empty() {
        Box::new(|topic| args.id_list.contains(&topic.meta.id))
    } else if let Some(wanted) = &args.name {
        Box::new(move |topic| name(topic) == *wanted)
    } else if !args.name_list.is_empty() {
        Box::new(move |topic| args.name_list.iter().any(|it| it.trim() == name(topic)))
    } else if let Some(part) = args.pattern.as_deref().filter(|part| !part.is_empty()) {
        Box::new(move |topic| name(topic).contains(part))
    } else {
        let text = "give one of --id, --id-list, --name, --name-list and --pattern";
        return Err(Failure::refusal(400, text));
    };
    Ok(all.iter().filter(|topic| is_wanted(topic)).collect())
}

/// The keys that are asked for.
fn keys(given: &[String]) -> Result<Vec<&'static str>, Failure> {
    let known = || DEFAULT_KEYS.iter().chain(OTHER_KEYS).copied();
    let given: Vec<&str> = given.iter().map(|key| key.trim()).filter(|it| !it.is_empty()).collect();
    if given.is_empty() {
        return Ok(DEFAULT_KEYS.to_vec());
    }
    if given.contains(&"all") {
        return Ok(known().collect());
    }
    let find = |key: &&str| {
        known().find(|known| known == key).ok_or_else(|| {
            let known: Vec<_> = known().collect();
            Failure::Input(format!("there is no key '{key}': known are {}", known.join(", ")))
        })
    };
    given.iter().map(find).collect()
}

/// What a key of a topic is, from the object, from the running server, or fixed.
fn value(key: &str, topic: &ManagedObject, running: &Value) -> Value {
    let field = || topic.fields.get(key).cloned().unwrap_or_default();
    match key {
        "id" => json!(topic.meta.id),
        "current_depth_gd" | "current_depth_non_gd" => {
            running.get(key).cloned().unwrap_or_else(|| json!(0))
        }
        "last_pub_time"
        | "last_pub_msg_id"
        | "last_endpoint_name"
        | "last_pub_server_name"
        | "last_pub_server_pid"
        | "last_pub_has_gd" => running.get(key).cloned().unwrap_or_default(),
        // What holds if nobody says anything is nothing there.
        "on_no_subs_pub" if field() == json!("accept") => Value::Null,
        // Delivery is immediate.
        "task_sync_interval" => json!(500),
        "task_delivery_interval" => json!(2_000),
        "pub_buffer_size_gd" => json!(0),
        _ => field(),
    }
}

fn id_and_name(topic: &ManagedObject) -> Document {
    let name = topic.fields.get("name").cloned().unwrap_or_default();
    [("id", json!(topic.meta.id)), ("name", name)].into_iter().collect()
}

const DEFAULT_KEYS: &[&str] = &[
    "id",
    "name",
    "current_depth_gd",
    "last_pub_time",
    "last_pub_msg_id",
    "last_endpoint_name",
    "last_pub_server_name",
    "last_pub_server_pid",
    "last_pub_has_gd",
];

const OTHER_KEYS: &[&str] = &[
    "current_depth_non_gd",
    "depth_check_freq",
    "has_gd",
    "hook_service_name",
    "is_active",
    "is_api_sub_allowed",
    "is_internal",
    "limit_message_expiry",
    "limit_retention",
    "limit_sub_inactivity",
    "max_depth_gd",
    "max_depth_non_gd",
    "on_no_subs_pub",
    "pub_buffer_size_gd",
    "task_delivery_interval",
    "task_sync_interval",
];

const DAY: u64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn topic(id: u64, name: &str) -> ManagedObject {
        serde_json::from_value(json!({
            "name": name, "is_active": true, "is_internal": false, "has_gd": false,
            "is_api_sub_allowed": false, "max_depth_gd": 10_000, "max_depth_non_gd": 1_000,
            "depth_check_freq": 100, "limit_retention": DAY, "limit_message_expiry": DAY,
            "limit_sub_inactivity": DAY, "on_no_subs_pub": "accept",
            "meta": {"kind": "pubsub_topic", "id": id, "version": 1, "revision": 1,
                "changed_at": "2026-01-02T03:04:05.000000", "changed_by": "admin",
                "state": "running", "since": "2026-01-02T03:04:05.000000"},
        }))
        .unwrap()
    }

    fn shown(keys: &[&'static str], topic: &ManagedObject) -> String {
        let fields = keys.iter().map(|key| (*key, value(key, topic, &Value::Null)));
        serde_json::to_string(&fields.collect::<Document>()).unwrap()
    }

    #[test]
    fn a_fresh_topic_has_the_keys_and_values_that_scripts_know() {
        let topic = topic(7, "/a");
        let default = shown(&keys(&[]).unwrap(), &topic);
        let expected = r#"{"id":7,"name":"/a","current_depth_gd":0,"last_pub_time":null,"last_pub_msg_id":null,"last_endpoint_name":null,"last_pub_server_name":null,"last_pub_server_pid":null,"last_pub_has_gd":null}"#;
        assert_eq!(default, expected);
        let all = keys(&["all".to_owned()]).unwrap();
        assert_eq!(all.len(), 25);
        let all = shown(&all, &topic);
        assert!(all.starts_with(expected.trim_end_matches('}')), "{all}");
        let all: Value = serde_json::from_str(&all).unwrap();
        let fixed = json!({"current_depth_gd": 0, "current_depth_non_gd": 0,
            "max_depth_gd": 10_000, "max_depth_non_gd": 1_000, "depth_check_freq": 100,
            "task_sync_interval": 500, "task_delivery_interval": 2_000, "pub_buffer_size_gd": 0,
            "limit_retention": DAY, "limit_sub_inactivity": DAY, "limit_message_expiry": DAY,
            "is_active": true, "has_gd": false, "is_api_sub_allowed": false,
            "is_internal": false, "hook_service_name": null, "on_no_subs_pub": null});
        for (key, value) in fixed.as_object().unwrap() {
            assert_eq!(all.get(key), Some(value), "{key}");
        }
    }

    #[test]
    fn only_the_keys_that_are_asked_for_are_shown() {
        let given = ["name".to_owned(), " id".to_owned()];
        assert_eq!(shown(&keys(&given).unwrap(), &topic(7, "/a")), r#"{"name":"/a","id":7}"#);
        assert_eq!(keys(&["nmae".to_owned()]).unwrap_err().exit_code(), 2);
    }

    #[test]
    fn the_first_way_to_name_topics_counts() {
        let all = [topic(1, "/a"), topic(2, "/a/b"), topic(3, "/c")];
        let none = || DeleteTopics {
            id: None,
            id_list: Vec::new(),
            name: None,
            name_list: Vec::new(),
            pattern: None,
            yes: false,
            place: Default::default(),
        };
        let ids = |args: &DeleteTopics| -> Vec<u64> {
            wanted(args, &all).unwrap().iter().map(|topic| topic.meta.id).collect()
        };
        let both = DeleteTopics { id: Some(3), name: Some("/a".to_owned()), ..none() };
        assert_eq!(ids(&both), [3]);
        assert_eq!(ids(&DeleteTopics { id_list: vec![1, 9], ..none() }), [1]);
        assert_eq!(ids(&DeleteTopics { name: Some("/a".to_owned()), ..none() }), [1]);
        let names = vec!["/a".to_owned(), "/c".to_owned()];
        assert_eq!(ids(&DeleteTopics { name_list: names, ..none() }), [1, 3]);
        assert_eq!(ids(&DeleteTopics { pattern: Some("/a".to_owned()), ..none() }), [1, 2]);
        for args in [none(), DeleteTopics { pattern: Some(String::new()), ..none() }] {
            assert_eq!(wanted(&args, &all).unwrap_err().exit_code(), 1);
        }
    }
}
