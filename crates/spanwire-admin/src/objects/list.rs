//! Lists of objects of one kind, filtered by what is shown of them.

use axum::extract::State;
use axum::response::Response;
use serde_json::Value;
use spanwire_config::spec::{Effect, KindSpec, ValueType};
use spanwire_config::{Kind, Object};
use spanwire_protocol::admin::ObjectState;

use crate::app::Shared;
use crate::extract::{Call, OfKind, Params};
use crate::page::Page;
use crate::problem::ApiError;
use crate::show;

pub(crate) async fn list(
    State(app): Shared,
    OfKind(kind): OfKind,
    call: Call,
) -> Result<Response, ApiError> {
    let params = &call.params;
    let known: Vec<_> = GENERAL.into_iter().chain(filters(kind)).collect();
    params.only(&known)?;
    let page = Page::read(params)?;
    let state = params.text("state").map(state).transpose()?;
    let part = params.text("q").map(str::to_lowercase);
    let filter = Filter::new(kind, params);

    let snapshot = app.backend.configuration().snapshot();
    let mut found = Vec::new();
    for object in snapshot.objects().of_kind(kind) {
        let name = object.name();
        let Some(meta) = snapshot.meta(kind, &name) else { continue };
        if part.as_ref().is_none_or(|part| name.to_lowercase().contains(part))
            && filter.matches(object)
            && state.is_none_or(|state| app.backend.status(meta.id).state == state)
        {
            found.push((object, meta));
        }
    }
    let path = format!("/api/v1/objects/{kind}");
    let shown = |(object, meta): (&std::sync::Arc<Object>, &std::sync::Arc<_>)| {
        show::managed(&*app.backend, object, meta)
    };
    Ok(page.answer(found, shown, &path, params))
}

/// The keys of a kind by which its objects are found.
pub(crate) fn filters(kind: Kind) -> impl Iterator<Item = &'static str> {
    let is_shown = |value: ValueType| value != ValueType::Secret;
    let fields = KindSpec::of(kind).fields();
    let fields = fields.filter(move |it| it.effect == Effect::Applied && is_shown(it.value));
    fields.map(|field| field.key).filter(|key| !GENERAL.contains(key))
}

/// What the values of an object must be.
struct Filter<'a> {
    wanted: Vec<(&'static str, &'a str)>,
}

impl<'a> Filter<'a> {
    fn new(kind: Kind, params: &'a Params) -> Self {
        let wanted = filters(kind).filter_map(|key| Some((key, params.text(key)?)));
        Self { wanted: wanted.collect() }
    }

    fn matches(&self, object: &Object) -> bool {
        if self.wanted.is_empty() {
            return true;
        }
        let shown = object.to_masked();
        self.wanted.iter().all(|(key, wanted)| is(shown.get(key), wanted))
    }
}

/// Whether a value has this text; a list, whether an item does. What is not there is an empty text.
fn is(value: Option<&Value>, wanted: &str) -> bool {
    match value {
        None | Some(Value::Null) => wanted.is_empty(),
        Some(Value::String(text)) => text == wanted,
        Some(Value::Array(items)) if items.is_empty() => wanted.is_empty(),
        Some(Value::Array(items)) => items.iter().any(|item| is(Some(item), wanted)),
        Some(other) => {
            let text = other.to_string();
            text == wanted
        }
    }
}

fn state(word: &str) -> Result<ObjectState, ApiError> {
    match word {
        "running" => Ok(ObjectState::Running),
        "inactive" => Ok(ObjectState::Inactive),
        "failed" => Ok(ObjectState::Failed),
        _ => Err(ApiError::bad_request("query key 'state': expected running, inactive or failed")),
    }
}

/// Keys of the query that are no keys of objects.
const GENERAL: [&str; 4] = ["q", "state", "limit", "offset"];
