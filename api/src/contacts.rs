//! What each station sent last, let in or refused and why.
//!
//! The sender's address is the operator's business and is never told here. Of a station that is not public
//! nothing is told, nor that there is one.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Response;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use streams::{Redis, Refused, Verdict};
use tokio::sync::Mutex;
use utoipa::{IntoParams, ToSchema};
use weather::StationId;

use crate::problem::Problem;
use crate::rest::{JSON, Sources, json};

/// How long a list is good for: reading it costs Redis a look at every station that was ever refused.
const FRESH: Duration = Duration::from_secs(2);
/// Stations of a list.
const MOST: usize = 500;

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// It got in.
    Accepted,
    /// It had got in before.
    Duplicate,
    /// It was refused.
    Rejected,
}

/// One message of a station.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Contact {
    /// When it came, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    time: Timestamp,
    /// By which door: `json`, `wunderground`, ...
    door: String,
    /// What became of it.
    outcome: Outcome,
    /// The field at fault, of one that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    field: Option<String>,
    /// The kind of fault: `bad_time`, `out_of_range`, `unconfirmed`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    reason: Option<String>,
    /// What would be right, for a person.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    detail: Option<String>,
    /// What was sent, without secrets; of what could be read it may be our reading of it.
    raw: String,
    /// Whether `raw` is only its beginning.
    cut: bool,
}

impl Contact {
    fn of(contact: &streams::Contact) -> Self {
        let (outcome, refused) = match &contact.verdict {
            Verdict::Accepted => (Outcome::Accepted, None),
            Verdict::Duplicate => (Outcome::Duplicate, None),
            Verdict::Rejected(refused) => (Outcome::Rejected, Some(refused.clone())),
        };
        let (field, reason, detail) = refused
            .map_or((None, None, None), |Refused { field, reason, detail }| (Some(field), Some(reason), Some(detail)));
        let (door, raw, cut) = (contact.door.clone(), contact.raw.clone(), contact.cut);
        Self { time: moment(contact.time), door, outcome, field, reason, detail, raw, cut }
    }
}

/// The last contacts of a station.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Contacts {
    /// Whose.
    #[schema(value_type = String)]
    station: StationId,
    /// The very last; absent when none is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    last: Option<Contact>,
    /// The last that got in.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    accepted: Option<Contact>,
    /// The last that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    rejected: Option<Contact>,
    /// Present while the station waits for an operator to accept it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    unconfirmed: Option<Unconfirmed>,
}

impl Contacts {
    fn of(station: StationId, contacts: &streams::Contacts, waits: Option<&streams::Unconfirmed>) -> Self {
        Self {
            station,
            last: contacts.last().map(Contact::of),
            accepted: contacts.accepted.as_ref().map(Contact::of),
            rejected: contacts.rejected.as_ref().map(Contact::of),
            unconfirmed: waits.map(|waits| Unconfirmed {
                first: moment(waits.first),
                last: moment(waits.last),
                refused: waits.refused,
            }),
        }
    }
}

/// That a station came which nobody has registered.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Unconfirmed {
    /// When it came first, RFC 3339.
    #[schema(value_type = String, format = DateTime)]
    first: Timestamp,
    /// When it came last.
    #[schema(value_type = String, format = DateTime)]
    last: Timestamp,
    /// How many of its items have been refused.
    refused: u64,
}

/// Some stations' last contacts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct ContactList {
    /// The latest first.
    contacts: Vec<Contacts>,
    /// Whether there are more than are listed.
    more: bool,
}

/// A time that no calendar has is the beginning of 1970.
fn moment(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

/// Which stations to list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Standing {
    /// Those that came unregistered and wait for an operator.
    Unconfirmed,
    /// Those whose last contact was refused.
    Rejected,
}

/// What to list.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Which {
    /// Which stations.
    #[param(inline)]
    state: Standing,
}

/// The lists as they were read last.
#[derive(Default)]
pub(crate) struct Lists {
    unconfirmed: Mutex<Option<(Instant, Arc<ContactList>)>>,
    rejected: Mutex<Option<(Instant, Arc<ContactList>)>>,
}

impl Lists {
    /// Read anew when it is old; who asks meanwhile waits for the same answer.
    async fn get(&self, which: Standing, redis: &Redis) -> Result<Arc<ContactList>, streams::Error> {
        let held = match which {
            Standing::Unconfirmed => &self.unconfirmed,
            Standing::Rejected => &self.rejected,
        };
        let mut held = held.lock().await;
        if let Some((read, list)) = held.as_ref()
            && read.elapsed() < FRESH
        {
            return Ok(list.clone());
        }
        let list = Arc::new(match which {
            Standing::Unconfirmed => unconfirmed(redis).await?,
            Standing::Rejected => rejected(redis).await?,
        });
        *held = Some((Instant::now(), list.clone()));
        Ok(list)
    }
}

async fn unconfirmed(redis: &Redis) -> Result<ContactList, streams::Error> {
    let waiting = redis.unconfirmed().await?;
    let more = waiting.len() > MOST;
    let ids: Vec<StationId> = waiting.iter().take(MOST).map(|one| one.station.clone()).collect();
    let (contacts, stations) = tokio::try_join!(redis.contacts(&ids), redis.stations(&ids))?;
    // One that has been registered since is in no list of those that wait.
    let listed = waiting.iter().zip(contacts).zip(stations).filter(|(_, station)| station.is_none());
    let contacts = listed.map(|((one, c), _)| Contacts::of(one.station.clone(), &c, Some(one))).collect();
    Ok(ContactList { contacts, more })
}

async fn rejected(redis: &Redis) -> Result<ContactList, streams::Error> {
    let found = redis.refused_stations(MOST + 1).await?;
    let more = found.len() > MOST;
    let ids: Vec<StationId> = found.iter().take(MOST).map(|(id, _)| id.clone()).collect();
    let (waiting, stations) = tokio::try_join!(redis.unconfirmed(), redis.stations(&ids))?;
    let waits = |id: &StationId| waiting.iter().find(|one| one.station == *id);
    let listed = found.into_iter().zip(stations).filter_map(|((id, contacts), station)| match station {
        Some(station) => station.public.then(|| Contacts::of(id, &contacts, None)),
        None => waits(&id).map(|one| Contacts::of(id.clone(), &contacts, Some(one))),
    });
    Ok(ContactList { contacts: listed.collect(), more })
}

/// A station's last contacts
///
/// What it sent last, whether that got in, and if not, why. Also of a station that nobody has registered,
/// while it waits for an operator.
#[utoipa::path(
    get,
    path = "/api/v1/stations/{id}/contact",
    tag = "stations",
    params(("id" = String, Path, description = "The station's identifier")),
    responses(
        (status = 200, body = Contacts),
        (status = 304, description = "Nothing changed since the ETag"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn contact(
    State(sources): State<Arc<Sources>>,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Path(id) = id?;
    let id = StationId::new(&id).map_err(|rejection| Problem::parameter(format!("station: {}", rejection.detail)))?;
    // Redis is asked who may be seen, not the hub, which may know it a moment later.
    let this = std::slice::from_ref(&id);
    let (contacts, stations) = tokio::try_join!(sources.redis.contacts(this), sources.redis.stations(this))?;
    let station = stations.into_iter().next().flatten();
    let waits = if station.is_none() { sources.redis.waits(&id).await? } else { None };
    if !station.map_or(waits.is_some(), |station| station.public) {
        return Err(Problem::not_found(format!("no station {id} is known; /api/v1/stations lists them")));
    }
    let contacts = contacts.into_iter().next().unwrap_or_default();
    Ok(json(&headers, JSON, &Contacts::of(id, &contacts, waits.as_ref())))
}

/// Stations that are not let in
///
/// With the last contact of each; the latest first, at most 500.
#[utoipa::path(
    get,
    path = "/api/v1/contacts",
    tag = "stations",
    params(Which),
    responses(
        (status = 200, body = ContactList),
        (status = 304, description = "Nothing changed since the ETag"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn contacts(
    State(sources): State<Arc<Sources>>,
    which: Result<Query<Which>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(Which { state }) = which?;
    let list = sources.lists.get(state, &sources.redis).await?;
    Ok(json(&headers, JSON, &*list))
}
