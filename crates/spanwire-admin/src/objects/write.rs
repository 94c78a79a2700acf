//! Creating, replacing, patching, deleting and restoring objects.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::{ETAG, HeaderMap, HeaderName, HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use spanwire_config::{Edit, EditError, Kind, Object};
use spanwire_protocol::admin::Changed;

use super::read::missing;
use super::{ATTEMPTS, MAX_BODY, submitted};
use crate::app::{App, Shared};
use crate::condition::{Conditions, etag};
use crate::extract::{self, Call, Fields, JSON, MERGE_PATCH, Named, OfKind, encode};
use crate::problem::{ApiError, shown};
use crate::{Applied, show};

pub(crate) async fn create(
    State(app): Shared,
    OfKind(kind): OfKind,
    call: Call,
    body: Body,
) -> Result<Response, ApiError> {
    let write = Write::read(&app, call)?;
    let body = extract::object(&write.call.headers, body, MAX_BODY, &[JSON]).await?;
    let object = submitted::object(kind, body)?;
    let name = object.name();
    let applied = write.apply(Edit::Create(object)).await?;
    write.answer(&applied, kind, &name, None)
}

pub(crate) async fn put(
    State(app): Shared,
    Named { kind, name }: Named,
    call: Call,
    body: Body,
) -> Result<Response, ApiError> {
    let write = Write::read(&app, call)?;
    let conditions = Conditions::read(&write.call.headers)?;
    let mut body = extract::object(&write.call.headers, body, MAX_BODY, &[JSON]).await?;
    let snapshot = app.backend.configuration().snapshot();
    let present = snapshot.objects().get(kind, &name);
    let version = snapshot.meta(kind, &name).map(|meta| meta.version);
    conditions.check(version)?;
    submitted::name_by_path(kind, &name, present.map(|present| &**present), &mut body);
    let object = submitted::object(kind, body)?;
    let new = object.name();

    let edit = match version {
        Some(version) => {
            let expect = conditions.expect(version);
            Edit::Replace { kind, name: name.clone(), object, expect }
        }
        None if new == name => Edit::Create(object),
        None => {
            let (old, new) = (shown(&name), shown(&new));
            let detail = format!("there is no {kind} '{old}' that could be renamed to '{new}'");
            return Err(ApiError::not_found(detail));
        }
    };
    let applied = write.apply(edit).await?;
    if version.is_none() && conditions.only_if_missing() && applied.outcome.changes.is_empty() {
        let detail = "the object was made by somebody else at the same time";
        return Err(ApiError::precondition(detail));
    }
    write.answer(&applied, kind, &new, Some(&name))
}

pub(crate) async fn patch(
    State(app): Shared,
    Named { kind, name }: Named,
    call: Call,
    body: Body,
) -> Result<Response, ApiError> {
    let write = Write::read(&app, call)?;
    let conditions = Conditions::read(&write.call.headers)?;
    let types = [MERGE_PATCH, JSON];
    let patch = extract::object(&write.call.headers, body, MAX_BODY, &types).await?;
    let (applied, new) = write
        .based_on_present(kind, &name, &conditions, |present| {
            submitted::patched(kind, present, patch.clone())
        })
        .await?;
    write.answer(&applied, kind, &new, Some(&name))
}

pub(crate) async fn delete(
    State(app): Shared,
    Named { kind, name }: Named,
    call: Call,
) -> Result<Json<Changed>, ApiError> {
    let write = Write::read(&app, call)?;
    let conditions = Conditions::read(&write.call.headers)?;
    let snapshot = app.backend.configuration().snapshot();
    let version = snapshot.meta(kind, &name).map(|meta| meta.version);
    conditions.check(version)?;
    let expect = version.and_then(|version| conditions.expect(version));
    let applied = write.apply(Edit::Delete { kind, name, expect }).await?;
    Ok(Json(show::changed(&applied, write.dry_run)))
}

pub(crate) async fn revert(
    State(app): Shared,
    Named { kind, name }: Named,
    call: Call,
    body: Body,
) -> Result<Json<Changed>, ApiError> {
    let write = Write::read(&app, call)?;
    let body = extract::object(&write.call.headers, body, MAX_BODY, &[JSON]).await?;
    let mut fields = Fields::new(body);
    let expected = "a version, a whole number from 1";
    let version = fields
        .read("version", expected, false, |value| value.as_u64().filter(|version| *version > 0));
    if version.is_none() && !fields.is_wrong("version") {
        fields.wrong("version", format!("is missing: {expected}"));
    }
    fields.finish()?;
    let version = version.unwrap_or_default();
    let edit = app.blocking(move |it| it.restoring(kind, &name, version)).await?;
    let applied = write.apply(edit).await?;
    Ok(Json(show::changed(&applied, write.dry_run)))
}

/// Says how many connections a change closed, where its answer has no other place for it.
pub(super) fn closed(applied: &Applied) -> Option<(HeaderName, HeaderValue)> {
    let closed = HeaderValue::from(applied.closed_connections);
    (applied.closed_connections > 0).then_some((CLOSED_CONNECTIONS, closed))
}

const CLOSED_CONNECTIONS: HeaderName = HeaderName::from_static("x-closed-connections");

/// A request that changes objects.
pub(super) struct Write<'a> {
    app: &'a App,
    pub(super) call: Call,
    author: spanwire_config::Author,
    dry_run: bool,
}

impl<'a> Write<'a> {
    fn read(app: &'a App, call: Call) -> Result<Self, ApiError> {
        call.params.only(&["dry_run", "reason"])?;
        let (author, dry_run) = (call.author()?, call.params.flag("dry_run")?);
        Ok(Self { app, call, author, dry_run })
    }

    /// A request that cannot be tried out.
    pub(super) fn without_dry_run(app: &'a App, call: Call) -> Result<Self, ApiError> {
        call.params.only(&["reason"])?;
        let author = call.author()?;
        Ok(Self { app, call, author, dry_run: false })
    }

    async fn apply(&self, edit: Edit) -> Result<Applied, EditError> {
        self.app.change(vec![edit], self.author.clone(), self.dry_run).await
    }

    /// Replaces an object by what `make` makes of it, again when somebody else changed it meanwhile.
    pub(super) async fn based_on_present(
        &self,
        kind: Kind,
        name: &str,
        conditions: &Conditions,
        make: impl Fn(&Object) -> Result<Object, ApiError>,
    ) -> Result<(Applied, String), ApiError> {
        let mut attempts = ATTEMPTS;
        loop {
            attempts -= 1;
            let snapshot = self.app.backend.configuration().snapshot();
            let version = snapshot.meta(kind, name).map(|meta| meta.version);
            let Some(present) = snapshot.objects().get(kind, name) else {
                conditions.check(None)?;
                return Err(missing(kind, name));
            };
            conditions.check(version)?;
            let object = make(present)?;
            let new = object.name();
            let edit = Edit::Replace { kind, name: name.to_owned(), object, expect: version };
            match self.apply(edit).await {
                Ok(applied) => return Ok((applied, new)),
                // With If-Match the conditions refuse it the next time.
                Err(EditError::Version { .. }) if attempts > 0 => {}
                Err(EditError::Version { .. }) => {
                    let detail = "others change the object all the time: try again";
                    return Err(ApiError::new(StatusCode::CONFLICT, detail));
                }
                Err(other) => return Err(other.into()),
            }
        }
    }

    /// Answers with the object as it is now; `path_name` is the name in the path, if there was one.
    fn answer(
        &self,
        applied: &Applied,
        kind: Kind,
        name: &str,
        path_name: Option<&str>,
    ) -> Result<Response, ApiError> {
        if self.dry_run {
            return Ok(Json(show::changed(applied, true)).into_response());
        }
        let after = &applied.outcome.after;
        let found = after.objects().get(kind, name).zip(after.meta(kind, name));
        let (object, meta) = found.ok_or_else(|| missing(kind, name))?;
        let is_new = applied
            .outcome
            .changes
            .iter()
            .any(|change| change.id == meta.id && change.before.is_none());
        let status = if is_new { StatusCode::CREATED } else { StatusCode::OK };
        let mut headers = HeaderMap::from_iter([(ETAG, etag(meta.version))]);
        headers.extend(closed(applied));
        if path_name != Some(name) || is_new {
            let location = format!("/api/v1/objects/{kind}/{}", encode(name));
            headers.extend(HeaderValue::try_from(location).ok().map(|it| (LOCATION, it)));
        }
        let body = Json(show::managed(&*self.app.backend, object, meta));
        Ok((status, headers, body).into_response())
    }
}
