//! Publishing and subscribing on behalf of an operator.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use spanwire_protocol::Timestamp;
use spanwire_protocol::admin::pubsub::{
    DeliveryMethod, MAX_EXPIRATION, MAX_LABEL, MAX_PRIORITY, Publish, Published, StartAt,
    Subscribe, Subscribed,
};

use super::{MAX_BODY, MAX_CONTENT, port};
use crate::app::Shared;
use crate::extract::{self, Call, Fields, JSON};
use crate::problem::ApiError;

pub(crate) async fn publish(
    State(app): Shared,
    call: Call,
    body: Body,
) -> Result<Json<Published>, ApiError> {
    call.params.only(&[])?;
    let body = extract::bytes(&call.headers, body, MAX_CONTENT, &[JSON]).await?;
    let wish = read_publish(&body)?;
    Ok(Json(port(&app)?.publish(wish).await?))
}

fn read_publish(body: &[u8]) -> Result<Publish, ApiError> {
    /// Contents as they are written.
    #[derive(Deserialize)]
    struct Raw {
        data: Option<Box<RawValue>>,
        data_list: Option<Vec<Box<RawValue>>>,
    }

    let mut fields = Fields::new(extract::fields(body)?);
    let topic_name = fields.required("topic_name");
    let has_data = fields.any("data").is_some_and(|data| !data.is_null());
    let list = fields.read("data_list", "1 to 10000 contents, none of them null", true, contents);
    let wish = Publish {
        topic_name,
        data: None,
        data_list: None,
        endpoint_name: fields.name("endpoint_name"),
        priority: fields.number("priority", 0..=MAX_PRIORITY),
        expiration: fields.number("expiration", 0..=MAX_EXPIRATION),
        has_gd: fields.read("has_gd", "true or false", true, |value| value.as_bool()),
        mime_type: fields.label("mime_type", MAX_LABEL),
        correl_id: fields.label("correl_id", MAX_LABEL),
        in_reply_to: fields.label("in_reply_to", MAX_LABEL),
        ext_client_id: fields.label("ext_client_id", MAX_LABEL),
        ext_pub_time: fields
            .read("ext_pub_time", TIME, true, |value| Timestamp::parse(value.as_str()?)),
        msg_id: fields.label("msg_id", MAX_LABEL),
    };
    match (has_data, list) {
        (true, Some(())) => fields.wrong("data_list", "keep one of data and data_list"),
        (false, None) if !fields.is_wrong("data_list") => {
            fields.wrong("data", "is missing: add it, or data_list");
        }
        (false, Some(())) if wish.msg_id.is_some() => {
            fields.wrong("msg_id", "is for one message: leave it out, or send data");
        }
        _ => {}
    }
    fields.finish()?;
    let Raw { data, data_list } = extract::again(body)?;
    Ok(Publish { data, data_list, ..wish })
}

pub(crate) async fn subscribe(
    State(app): Shared,
    call: Call,
    body: Body,
) -> Result<Json<Subscribed>, ApiError> {
    call.params.only(&[])?;
    let body = extract::object(&call.headers, body, MAX_BODY, &[JSON]).await?;
    let mut fields = Fields::new(body);
    let batch = fields.number("delivery_batch_size", 1..=MAX_BATCH);
    let wish = Subscribe {
        endpoint_name: fields.required("endpoint_name"),
        topic_name: fields.required("topic_name"),
        delivery_method: fields.read("delivery_method", METHODS, true, |value| {
            serde_json::from_value(value).ok().filter(|it| *it != DeliveryMethod::Notify)
        }),
        delivery_batch_size: batch.and_then(|size| u64::try_from(size).ok()),
        ext_client_id: fields.label("ext_client_id", MAX_LABEL),
        start: fields.read("start", "new or first", true, |value| {
            serde_json::from_value::<StartAt>(value).ok()
        }),
    };
    fields.finish()?;
    Ok(Json(port(&app)?.subscribe(wish).await?))
}

/// Whether a value is a list of contents.
fn contents(value: Value) -> Option<()> {
    let Value::Array(items) = value else { return None };
    let is_list = (1..=MAX_LIST).contains(&items.len());
    (is_list && !items.iter().any(Value::is_null)).then_some(())
}

const TIME: &str = "a time such as 2024-03-04T10:20:30.123456";
const METHODS: &str =
    "pull or web-socket; what is notified is a managed object, see /api/v1/objects";
const MAX_BATCH: i64 = 100_000;
const MAX_LIST: usize = 10_000;
