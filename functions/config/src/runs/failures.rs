//! `GET /runs/{id}/failures`: who was not delivered to, and why: read from the outcome objects.

use std::{fmt, str::FromStr};

use axum::Json;
use fanhook_core::{
    fault::{Fault, nearest},
    id::RunId,
    limits,
    outcome::{Outcome, REASONS, Reason},
};
use fanhook_store::{
    keys,
    outcomes::{self, Record},
    ports::Objects,
    runs::Run,
};
use futures_util::{StreamExt, TryStreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    access::Granted,
    output::{Page, Time, page},
    problem::Result,
    query::Params,
};

/// Failures of a page, unless the caller asks for another number.
const PAGE: usize = 100;
/// Objects that are looked through for one page.
const OBJECTS: usize = 200;
/// Objects that are read at a time.
const AT_A_TIME: usize = 8;

/// Which failures a caller wants to see.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub(crate) struct FailureQuery {
    /// Only those with this outcome.
    #[param(schema_with = crate::document::outcomes_of_failures)]
    outcome: Option<String>,
    /// Only those with this reason.
    #[param(schema_with = crate::document::reasons_of_failures)]
    reason: Option<String>,
    /// Most items of the page; 100 where it is left out.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The `cursor` of the page before.
    cursor: Option<String>,
}

/// One recipient that was not delivered to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "qaid": "u-17", "outcome": "refused", "reason": "status", "status": 404, "tries": 1, "at": "2027-01-15T08:00:00.000Z",
    "answer": "no such member", "webhook_id": "msg_0190a5b2c3d4e5f60718293a4b5c6d7e",
}))]
pub(crate) struct Failure {
    /// The user.
    qaid: String,
    /// Its outcome.
    outcome: Outcome,
    /// Why.
    reason: Reason,
    /// HTTP status of the last answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// Requests that ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    tries: Option<u8>,
    /// When it became final.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Time>,
    /// Beginning of the last answer, without secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    answer: Option<String>,
    /// What its requests went under.
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook_id: Option<String>,
}

impl From<Record<'static>> for Failure {
    fn from(record: Record<'static>) -> Self {
        Self {
            qaid: record.qaid.into_owned(),
            outcome: record.outcome,
            reason: record.reason,
            status: record.status,
            tries: record.tries,
            at: record.at_ms.map(Time),
            answer: record.answer.map(Into::into),
            webhook_id: record.webhook_id.map(Into::into),
        }
    }
}

/// A place in a run's outcomes: so many lines into an object, by its name behind the run's prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Place {
    object: String,
    line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.object)
    }
}

impl FromStr for Place {
    type Err = ();
    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let (line, object) = text.split_once(':').ok_or(())?;
        // A name is added to the run's prefix, so none may lead elsewhere.
        let fits =
            object.len() <= 100 && object.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
        if !fits {
            return Err(());
        }
        Ok(Self { object: object.to_owned(), line: line.parse().map_err(|_| ())? })
    }
}

/// Lists who was not delivered to, and why.
///
/// A page may have fewer items than wanted and yet a cursor, where most recipients were delivered to.
#[utoipa::path(get, path = "/runs/{id}/failures", tag = "Runs", operation_id = "list_failures",
    params(("id" = RunId, Path), FailureQuery), responses(
    (status = 200, description = "A page of them.", body = Page<Failure>),
))]
pub(crate) async fn list(
    Granted(caller, run): Granted<Run>,
    Params(query): Params<FailureQuery>,
) -> Result<Json<Page<Failure>>> {
    let (kept, faults) = query.filter();
    let sizes = (PAGE, limits::FAILURES_PAGE);
    let (place, wanted) = page::<Place>(query.cursor.as_deref(), query.limit, sizes, faults)?;
    let place = place.unwrap_or_default();
    let prefix = keys::outcomes(&run.workspace, run.id);
    let (names, more) = names(&*caller.objects, &prefix, &place).await?;
    let last = names.last().cloned();

    let mut items = Vec::new();
    let mut objects = stream::iter(names)
        .map(|name| {
            let (objects, key) = (&caller.objects, format!("{prefix}{name}"));
            async move { outcomes::read(&**objects, &key).await.map(|records| (name, records)) }
        })
        .buffered(AT_A_TIME);
    while let Some((name, records)) = objects.try_next().await? {
        let skipped = if name == place.object { place.line } else { 0 };
        for (line, record) in
            records.into_iter().enumerate().skip(skipped).filter(|(_, record)| kept.holds(record))
        {
            if items.len() == wanted {
                return Ok(Json(Page::new(items, Some(Place { object: name, line }))));
            }
            items.push(Failure::from(record));
        }
    }
    // Behind the last object that was looked through.
    let next = last.filter(|_| more).map(|object| Place { object, line: usize::MAX });
    Ok(Json(Page::new(items, next)))
}

/// Names of the objects from `place` on, as many as one page looks through, and whether there are more.
async fn names(objects: &dyn Objects, prefix: &str, place: &Place) -> Result<(Vec<String>, bool)> {
    let mut names = Vec::new();
    if !place.object.is_empty() && place.line < usize::MAX {
        names.push(place.object.clone());
    }
    let after = Some(format!("{prefix}{}", place.object)).filter(|_| !place.object.is_empty());
    let found = objects.list(prefix, after.as_deref()).await?;
    let room = OBJECTS - names.len();
    let more = found.len() > room;
    names.extend(found.iter().filter_map(|key| key.strip_prefix(prefix)).take(room).map(str::to_owned));
    Ok((names, more))
}

/// Which records are wanted.
#[derive(Clone, Copy, Debug)]
struct Filter {
    outcome: Option<Outcome>,
    reason: Option<Reason>,
}

impl Filter {
    fn holds(self, record: &Record<'_>) -> bool {
        record.outcome != Outcome::Delivered
            && self.outcome.is_none_or(|outcome| record.outcome == outcome)
            && self.reason.is_none_or(|reason| record.reason == reason)
    }
}

impl FailureQuery {
    /// What is wanted, and all that is wrong with it.
    fn filter(&self) -> (Filter, Vec<Fault>) {
        let outcomes = || Outcome::ALL.into_iter().filter(|outcome| *outcome != Outcome::Delivered);
        let outcome = self.outcome.as_deref().map(|name| {
            let found = outcomes().find(|outcome| outcome.name() == name);
            found.ok_or_else(|| unknown("outcome", name, outcomes().map(Outcome::name)))
        });
        let reasons = || REASONS.iter().filter(|row| row.2 != Outcome::Delivered).map(|row| row.3);
        let reason = self.reason.as_deref().map(|name| {
            let found = reasons().find(|known| *known == name).and_then(Reason::from_name);
            found.ok_or_else(|| unknown("reason", name, reasons()))
        });
        let mut faults = Vec::new();
        let outcome = outcome.and_then(|outcome| outcome.map_err(|fault| faults.push(fault)).ok());
        let reason = reason.and_then(|reason| reason.map_err(|fault| faults.push(fault)).ok());
        (Filter { outcome, reason }, faults)
    }
}

fn unknown(field: &str, name: &str, known: impl Iterator<Item = &'static str> + Clone) -> Fault {
    let fault = Fault::new(field, format!("`{name}` is no {field} of a failure"));
    match nearest(name, known.clone()) {
        Some(near) => fault.hint(format!("did you mean `{near}`?")),
        None => fault.hint(format!("it is one of {}", known.collect::<Vec<_>>().join(", "))),
    }
}
