//! Objects that were stored before there was a history: they become its beginning.

use serde::Deserialize;
use serde_json::Value as Json;
use spanwire_store::Entry;

use super::{ConfigStoreError, StoredChange, StoredRevision, StoredVersion, parse};
use crate::Kind;
use crate::object::subscription_name;

#[derive(Deserialize)]
struct Unversioned {
    kind: Kind,
    object: Json,
}

/// The change that takes all of them over; nobody knows any more when they were made.
pub(super) fn adopt(entries: &[Entry]) -> Result<StoredChange, ConfigStoreError> {
    let damaged = ConfigStoreError::Damaged("an object");
    let version = |(key, value): &Entry| {
        let id = <[u8; 8]>::try_from(key.as_slice()).map_err(|_| damaged.clone())?;
        let Unversioned { kind, object } = parse(value, "an object")?;
        let text = |key: &str| object.get(key).and_then(Json::as_str).map(str::to_owned);
        let name = match kind {
            Kind::PubsubSubscription => text("endpoint_name")
                .zip(text("topic_name"))
                .map(|(endpoint, topic)| subscription_name(&endpoint, &topic)),
            _ => text("name"),
        };
        Ok(StoredVersion {
            id: u64::from_be_bytes(id),
            version: 1,
            revision: 1,
            at: 0,
            who: WHO.to_owned(),
            kind,
            name: name.ok_or_else(|| damaged.clone())?,
            object: Some(object),
        })
    };
    let versions = entries.iter().map(version).collect::<Result<Vec<_>, ConfigStoreError>>()?;
    let revision = StoredRevision {
        revision: 1,
        at: 0,
        who: WHO.to_owned(),
        from: "the store".to_owned(),
        reason: Some("taken over from before there was a history".to_owned()),
        versions: versions.iter().map(|version| (version.id, version.version)).collect(),
    };
    Ok(StoredChange { revision, versions })
}

const WHO: &str = "spanwire-server";
