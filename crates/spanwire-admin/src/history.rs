//! The history of the configuration: read it, check it, undo a part of it.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use spanwire_config::store::ConfigStoreError;
use spanwire_config::{Configuration, EditError, Kind};
use spanwire_protocol::admin::{Changed, HistoryVerified, Revision};

use crate::app::Shared;
use crate::extract::{self, Call, Segment};
use crate::page::link;
use crate::problem::{ApiError, shown};
use crate::show;

pub(crate) async fn list(State(app): Shared, call: Call) -> Result<Response, ApiError> {
    let params = &call.params;
    params.only(&["before", "limit", "kind", "name", "who"])?;
    let filter = Filter {
        kind: params.text("kind").map(kind).transpose()?,
        name: params.text("name").map(str::to_owned),
        who: params.text("who").map(str::to_lowercase),
    };
    let head = app.backend.configuration().snapshot().revision();
    let before = params.number("before", 1..=u64::MAX)?.unwrap_or(u64::MAX);
    let newest = head.min(before - 1);
    let limit = params.number("limit", 1..=MAX_LIMIT)?.unwrap_or(DEFAULT_LIMIT);
    let (found, oldest) = app.blocking(move |it| walk(it, newest, limit, &filter)).await?;
    let mut headers = HeaderMap::new();
    if oldest > 1 {
        headers.extend(link("/api/v1/history", params, "before", &oldest.to_string()));
    }
    Ok((headers, Json(found)).into_response())
}

pub(crate) async fn show(
    State(app): Shared,
    Segment(number): Segment,
    call: Call,
) -> Result<Json<Revision>, ApiError> {
    call.params.only(&[])?;
    let number = revision(&number)?;
    let found = app.blocking(move |it| it.revision(number)).await?;
    let found = found.ok_or_else(|| EditError::NoVersion(format!("revision {number}")))?;
    Ok(Json(show::revision(found, true)))
}

pub(crate) async fn revert(
    State(app): Shared,
    Segment(number): Segment,
    call: Call,
) -> Result<Json<Changed>, ApiError> {
    call.params.only(&["dry_run", "reason"])?;
    let (author, dry_run) = (call.author()?, call.params.flag("dry_run")?);
    let number = revision(&number)?;
    let edits = app.blocking(move |it| it.undoing(number)).await?;
    let applied = app.change(edits, author, dry_run).await?;
    Ok(Json(show::changed(&applied, dry_run)))
}

pub(crate) async fn verify(
    State(app): Shared,
    call: Call,
) -> Result<Json<HistoryVerified>, ApiError> {
    call.params.only(&[])?;
    let verified = app.blocking(|it| Ok(replay(it))).await?;
    verified.map(Json).map_err(|error| match error {
        EditError::NoVersion(_) | EditError::Store(ConfigStoreError::Damaged(_)) => {
            tracing::error!(%error, "the history is not whole");
            ApiError::internal("the history is not whole: restore the folder store/ from a backup")
        }
        other => other.into(),
    })
}

fn replay(configuration: &Configuration) -> Result<HistoryVerified, EditError> {
    for _ in 0..ATTEMPTS {
        let present = configuration.snapshot();
        let replayed = configuration.replay()?;
        // Otherwise something was changed meanwhile.
        if replayed.revision() == present.revision() {
            let (revision, hash) = (replayed.revision(), replayed.hash());
            let matches = hash == present.hash();
            return Ok(HistoryVerified { revision, state_hash: hash.to_string(), matches });
        }
    }
    Err(ConfigStoreError::Conflict.into())
}

/// What revisions must have changed, and who made them.
struct Filter {
    kind: Option<Kind>,
    name: Option<String>,
    who: Option<String>,
}

impl Filter {
    fn matches(&self, revision: &spanwire_config::Revision) -> bool {
        let is_named = |object: &spanwire_config::Object| {
            self.name.as_ref().is_none_or(|name| object.name() == *name)
        };
        self.who.as_ref().is_none_or(|who| revision.who.to_lowercase().contains(who))
            && revision.changes.iter().any(|change| {
                self.kind.is_none_or(|kind| change.kind == kind)
                    && [&change.before, &change.after].into_iter().flatten().any(|it| is_named(it))
            })
    }
}

/// Goes back from a revision; returns what matches and the last one that was looked at.
fn walk(
    configuration: &Configuration,
    newest: u64,
    limit: u64,
    filter: &Filter,
) -> Result<(Vec<Revision>, u64), EditError> {
    let (mut found, mut oldest) = (Vec::new(), newest.saturating_add(1));
    let last = newest.saturating_sub(MAX_WALK);
    for number in (last + 1..=newest).rev() {
        if found.len() as u64 >= limit {
            break;
        }
        oldest = number;
        let revision = configuration.revision(number)?;
        if let Some(revision) = revision.filter(|revision| filter.matches(revision)) {
            found.push(show::revision(revision, false));
        }
    }
    Ok((found, oldest))
}

fn kind(word: &str) -> Result<Kind, ApiError> {
    extract::kind(word).ok_or_else(|| {
        let kinds = Kind::ALL.map(Kind::as_str).join(", ");
        ApiError::bad_request(format!("query key 'kind': expected one of {kinds}"))
    })
}

fn revision(text: &str) -> Result<u64, ApiError> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_plain).ok_or_else(|| {
        let text = shown(text);
        ApiError::bad_request(format!("'{text}' is no revision: expected a whole number"))
    })
}

/// How many revisions a list has when nobody says otherwise.
pub(crate) const DEFAULT_LIMIT: u64 = 100;
/// How many revisions a list has at most.
pub(crate) const MAX_LIMIT: u64 = 1_000;
/// How many revisions are looked at for one list.
const MAX_WALK: u64 = 10_000;
/// How often the history is gone through again because something was changed meanwhile.
const ATTEMPTS: usize = 5;
