//! The OpenAPI document as a whole.

use std::collections::BTreeSet;

use axum::http::Method;
use serde_json::{Value, json};

use crate::client::{CHANNEL, DOCUMENT, World, assert_valid};

fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("$ref").and_then(Value::as_str));
            map.values().for_each(|value| references(value, found));
        }
        Value::Array(list) => list.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_somewhere_and_nothing_is_left_over() {
    let mut found = Vec::new();
    references(&DOCUMENT, &mut found);
    for reference in &found {
        let pointer = reference.strip_prefix('#').expect("outside");
        assert!(DOCUMENT.pointer(pointer).is_some(), "{reference}");
    }
    let used: BTreeSet<_> = found.into_iter().collect();
    // Events are described for those who read the stream; no path has them.
    let unused = ["StateEvent", "ConnectionEvent"];
    for name in DOCUMENT["components"]["schemas"].as_object().unwrap().keys() {
        let is_used = used.contains(&*format!("#/components/schemas/{name}"));
        assert!(is_used || unused.contains(&&**name), "{name}");
    }
}

#[test]
fn every_schema_is_one() {
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
        assert!(schema.is_object() && !schema.as_object().unwrap().is_empty(), "{name}");
    }
}

#[test]
fn operations_are_whole() {
    assert_eq!(DOCUMENT["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            assert!(ids.insert(operation["operationId"].as_str().unwrap()), "{method} {path}");
            assert!(operation["summary"].as_str().unwrap().ends_with('.'), "{method} {path}");
            let is_public = operation.get("security") == Some(&json!([]));
            assert_eq!(is_public, !path.starts_with("/api"), "{method} {path}");
            let none = Vec::new();
            let parameters = operation.get("parameters").and_then(Value::as_array);
            let mut named = BTreeSet::new();
            for parameter in parameters.unwrap_or(&none) {
                let (name, place) = (&parameter["name"], &parameter["in"]);
                assert!(named.insert((name.as_str(), place.as_str())), "{method} {path} {name}");
                assert!(jsonschema::draft202012::meta::is_valid(&parameter["schema"]));
                if place == "path" {
                    assert!(path.contains(&format!("{{{}}}", name.as_str().unwrap())), "{path}");
                }
            }
            let in_path = named.iter().filter(|(_, place)| *place == Some("path")).count();
            assert_eq!(in_path, path.matches('{').count(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn paths_answer_the_methods_of_the_document_and_no_others() {
    let world = World::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        let mut documented: BTreeSet<_> =
            item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        if documented.contains("GET") {
            documented.insert("HEAD".to_owned());
        }
        let path = path.replace("{kind}", "security").replace(['{', '}'], "");
        let refused = crate::client::request(Method::TRACE, &path)
            .header("authorization", "Bearer right-token");
        let refused = world.raw(refused.body(axum::body::Body::empty()).unwrap()).await.expect(405);
        let allowed = refused.header("allow").unwrap().split(',').map(str::to_owned).collect();
        assert_eq!(documented, allowed, "{path}");
    }
}

#[tokio::test]
async fn what_is_accepted_satisfies_its_schema() {
    for (kind, object) in CHANNEL.iter() {
        assert_valid(&json!({"$ref": format!("#/components/schemas/{kind}")}), object);
    }
    let world = World::with_channel().await;
    for (kind, path) in [("security", "app1"), ("web_socket", "crm"), ("wsx_gateway", "gate")] {
        let path = format!("/objects/{kind}/{path}");
        let mut object = world.get(&path).await.json;
        for key in ["meta", "name", "password"] {
            object.as_object_mut().unwrap().remove(key);
        }
        assert_valid(&json!({"$ref": format!("#/components/schemas/{kind}_replacement")}), &object);
        world.put(&path, object).await.expect(200);
    }
}
