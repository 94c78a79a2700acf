use std::collections::BTreeSet;

use spanwire_config::Kind;

use super::*;

/// The paths of the router as the document writes them: every kind by itself.
fn expanded(path: &str) -> Vec<String> {
    match path {
        "/api/v1/objects/{kind}" | "/api/v1/objects/{kind}/{name}" => {
            Kind::ALL.map(|kind| path.replace("{kind}", kind.as_str())).into()
        }
        "/api/v1/objects/{kind}/{name}/password" => vec![path.replace("{kind}", "security")],
        _ => vec![path.to_owned()],
    }
}

#[test]
fn the_document_and_the_router_have_the_same_paths() {
    let routed: BTreeSet<_> =
        crate::router::routes().iter().flat_map(|(path, _)| expanded(path)).collect();
    let document = openapi();
    let documented: BTreeSet<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(routed, documented);
}
