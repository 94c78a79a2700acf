//! `spanwire pubsub create-endpoint|delete-endpoint`

use serde_json::{Map, Value, json};
use spanwire_config::Kind;
use spanwire_protocol::admin::ManagedObject;

use super::document::{Document, time_in_names};
use super::topics::unsubscribe;
use crate::args::{CreateEndpoint, DeleteEndpoint};
use crate::client::{Client, Failure, Query, object, objects};
use crate::confirm::Consent;
use crate::output;

pub(super) fn create(args: &CreateEndpoint, client: &Client) -> Result<(), Failure> {
    let channel = args.wsx_id.as_deref().map(|id| channel(id, client)).transpose()?;
    let endpoint = endpoint(args, channel);
    let name = endpoint.get("name").and_then(Value::as_str).unwrap_or_default();
    let made: Result<(ManagedObject, bool), _> =
        client.create(&objects(Kind::PubsubEndpoint), &endpoint);
    let exists = || format!("Endpoint `{name}` already exists");
    match made {
        Ok((made, true)) => {
            let name = made.fields.get("name").cloned().unwrap_or_default();
            output::json(&Document::from_iter([("id", json!(made.meta.id)), ("name", name)]))
        }
        Ok((_, false)) => Err(Failure::refusal(409, &exists())),
        Err(Failure::Refused { status: 409, text, cid, .. }) => {
            Err(Failure::Refused { status: 409, text, detail: exists(), cid })
        }
        Err(failure) => Err(failure),
    }
}

fn endpoint(args: &CreateEndpoint, channel: Option<String>) -> Map<String, Value> {
    let name = args.name.clone();
    let name = name.unwrap_or_else(|| format!("auto.pubsub.endpoint.{}", time_in_names()));
    let patterns: Vec<&str> =
        args.topic_patterns.split(',').map(str::trim).filter(|it| !it.is_empty()).collect();
    let kind = args.endpoint_type.clone();
    let kind = kind.or_else(|| channel.is_some().then(|| "wsx".to_owned()));
    let given = [
        ("endpoint_type", kind),
        ("ws_channel_name", channel),
        ("security_name", args.security_name.clone()),
        ("service_name", args.service_name.clone()),
    ];
    let fixed = [
        ("name", json!(name)),
        ("role", json!(args.role)),
        ("is_active", json!(args.is_active)),
        ("topic_patterns", json!(patterns)),
    ];
    let given = given.into_iter().filter_map(|(key, value)| Some((key, json!(value?))));
    fixed.into_iter().chain(given).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// The name of the channel with this number or name.
fn channel(id: &str, client: &Client) -> Result<String, Failure> {
    let Ok(number) = id.parse::<u64>() else { return Ok(id.to_owned()) };
    name_of(Kind::WebSocket, number, client)
}

pub(super) fn delete(args: &DeleteEndpoint, client: &Client) -> Result<(), Failure> {
    let name = name_of(Kind::PubsubEndpoint, args.id, client)?;
    Consent::of_person(args.yes)?
        .get(&format!("delete endpoint '{name}', with its subscriptions?"))?;
    unsubscribe("endpoint_name", &name, client)?;
    client.delete(&object(Kind::PubsubEndpoint, &name))?;
    output::json(&Document::default())
}

fn name_of(kind: Kind, id: u64, client: &Client) -> Result<String, Failure> {
    let all: Vec<ManagedObject> = client.list(&objects(kind), &Query::default())?;
    let found = all.iter().find(|object| object.meta.id == id);
    let name = found.and_then(|object| object.fields.get("name")?.as_str());
    let missing = || Failure::refusal(404, &format!("there is no {kind} with id {id}"));
    name.map(str::to_owned).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_a_type_only_if_it_is_known() {
        let args = CreateEndpoint {
            name: Some("a".to_owned()),
            role: "pub-sub".to_owned(),
            is_active: true,
            topic_patterns: "pub=/*, sub=/*".to_owned(),
            wsx_id: None,
            endpoint_type: None,
            security_name: None,
            service_name: None,
            place: Default::default(),
        };
        let expected = json!({"name": "a", "role": "pub-sub", "is_active": true,
            "topic_patterns": ["pub=/*", "sub=/*"]});
        assert_eq!(Value::Object(endpoint(&args, None)), expected);
        let of_channel = endpoint(&args, Some("crm".to_owned()));
        let expected = (&json!("wsx"), &json!("crm"));
        assert_eq!((&of_channel["endpoint_type"], &of_channel["ws_channel_name"]), expected);
        let unnamed = CreateEndpoint { name: None, ..args };
        let name = endpoint(&unnamed, None)["name"].as_str().unwrap().to_owned();
        assert!(name.starts_with("auto.pubsub.endpoint.2"), "{name}");
    }
}
