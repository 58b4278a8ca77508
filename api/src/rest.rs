//! The REST reads.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use weather::{Sample, StationId, Time};

use crate::contacts::Lists;
use crate::health::Health;
use crate::hub::{Held, Hub};
use crate::problem::Problem;
use crate::shape::{Feature, FeatureCollection, Forecast, Model, Observation, Observations};
use crate::subscribe::Selection;

/// What REST reads from.
pub(crate) struct Sources {
    pub(crate) hub: Arc<Hub>,
    pub(crate) redis: streams::Redis,
    pub(crate) health: Arc<Health>,
    pub(crate) lists: Lists,
}

type Shared = State<Arc<Sources>>;

/// The answer as JSON that a cache may keep and must ask about.
pub(crate) fn json<T: Serialize>(request: &HeaderMap, media_type: &'static str, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => bytes(request, media_type, body),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "No answer", "the server is at fault").into_response()
        }
    }
}

fn bytes(request: &HeaderMap, media_type: &'static str, body: Vec<u8>) -> Response {
    let mut hasher = DefaultHasher::new();
    body.hash(&mut hasher);
    // Weak, since compression makes other bytes of the same answer.
    let tag = format!("W/\"{:016x}\"", hasher.finish());
    let mut response = if matches(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, media_type)], body).into_response()
    };
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// Weak comparison (RFC 9110, 13.1.2).
fn matches(request: &HeaderMap, tag: &str) -> bool {
    let opaque = |t: &str| t.trim().trim_start_matches("W/").to_owned();
    let listed = request.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    listed.flat_map(|value| value.split(',')).any(|t| t.trim() == "*" || opaque(t) == opaque(tag))
}

pub(crate) const JSON: &str = "application/json";
const GEOJSON: &str = "application/geo+json";

fn station(hub: &Hub, id: &str) -> Result<Held, Problem> {
    let id = StationId::new(id).map_err(|rejection| Problem::parameter(format!("station: {}", rejection.detail)))?;
    hub.station(&id).ok_or_else(|| Problem::not_found(format!("no station {id} is known; /api/v1/stations lists them")))
}

/// Every station
#[utoipa::path(
    get,
    path = "/api/v1/stations",
    tag = "stations",
    responses(
        (status = 200, body = FeatureCollection, content_type = "application/geo+json"),
        (status = 304, description = "Nothing changed since the ETag"),
    )
)]
pub(crate) async fn stations(State(sources): Shared, headers: HeaderMap) -> Response {
    let held = sources.hub.stations(&Selection::All);
    let features = held.into_iter().map(|h| Feature::from(h.station)).collect();
    json(&headers, GEOJSON, &FeatureCollection { kind: "FeatureCollection", features })
}

/// One station
#[utoipa::path(
    get,
    path = "/api/v1/stations/{id}",
    tag = "stations",
    params(("id" = String, Path, description = "The station's identifier")),
    responses(
        (status = 200, body = Feature, content_type = "application/geo+json"),
        (status = 304, description = "Nothing changed since the ETag"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn one_station(
    State(sources): Shared,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    Ok(json(&headers, GEOJSON, &Feature::from(station(&sources.hub, &id?)?.station)))
}

/// A range of time.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Range {
    /// The oldest, RFC 3339; everything that is kept when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    from: Option<String>,
    /// The newest, RFC 3339; up to now when left out.
    #[param(value_type = Option<String>, format = DateTime)]
    to: Option<String>,
}

impl Range {
    fn bounds(&self) -> Result<(Time, Time), Problem> {
        let from = bound("from", self.from.as_deref(), i64::MIN)?;
        let to = bound("to", self.to.as_deref(), i64::MAX)?;
        if from > to {
            return Err(Problem::parameter("from is later than to: exchange them"));
        }
        Ok((from, to))
    }
}

fn bound(name: &str, text: Option<&str>, unbounded: i64) -> Result<Time, Problem> {
    let Some(text) = text else { return Ok(Time::from_unix(unbounded)) };
    Time::parse(text).map_err(|_| {
        let plus = if text.contains(' ') { " (write + as %2B)" } else { "" };
        Problem::parameter(format!("{name}: an RFC 3339 time with its offset, such as 2026-11-23T08:00:00Z{plus}"))
    })
}

/// A station's recent observations
///
/// `source` comes with the newest only: what is kept of older ones is what they measured.
#[utoipa::path(
    get,
    path = "/api/v1/stations/{id}/observations",
    tag = "stations",
    params(("id" = String, Path, description = "The station's identifier"), Range),
    responses(
        (status = 200, body = Observations),
        (status = 304, description = "Nothing changed since the ETag"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, body = Problem, content_type = "application/problem+json"),
        (status = 503, body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn observations(
    State(sources): Shared,
    id: Result<Path<String>, PathRejection>,
    range: Result<Query<Range>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (from, to) = range?.bounds()?;
    let held = station(&sources.hub, &id?)?;
    let newest = held.observation.as_ref().map(|received| &received.observation);
    // Of the very report that the window has: a correction may come from elsewhere.
    let source = |s: &Sample| newest.filter(|o| o.time == s.time && o.values == s.values)?.source.clone();
    let id = held.station.id;
    let read = sources.redis.windows(std::slice::from_ref(&id)).await?;
    let window = read.windows.into_iter().next().unwrap_or_default();
    let cadence = window.cadence();
    let wanted = window.samples().iter().filter(|s| (from..=to).contains(&s.time));
    let observations =
        wanted.map(|s| Observation::new(id.clone(), s.time, &s.values, s.flags, source(s), cadence)).collect();
    Ok(json(&headers, JSON, &Observations { station: id, observations }))
}

/// A station's latest forecast
#[utoipa::path(
    get,
    path = "/api/v1/stations/{id}/forecast",
    tag = "forecasts",
    params(("id" = String, Path, description = "The station's identifier")),
    responses(
        (status = 200, body = Forecast),
        (status = 304, description = "Nothing changed since the ETag"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such station, or no forecast for it yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn forecast(
    State(sources): Shared,
    id: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    latest(&sources.hub, &id?, &headers)
}

fn latest(hub: &Hub, id: &str, headers: &HeaderMap) -> Result<Response, Problem> {
    let held = station(hub, id)?;
    let forecast = held
        .forecast()
        .ok_or_else(|| Problem::not_found(format!("there is no forecast for {id} yet: it follows an observation")))?;
    Ok(json(headers, JSON, &forecast))
}

/// Which station.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct OfStation {
    /// The station's identifier.
    #[param(required)]
    station_id: Option<String>,
}

/// A station's latest forecast, as old clients ask for it
#[utoipa::path(
    get,
    path = "/forecast/",
    tag = "forecasts",
    params(OfStation),
    responses(
        (status = 200, body = Forecast),
        (status = 304, description = "Nothing changed since the ETag"),
        (status = 400, body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such station, or no forecast for it yet", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn forecast_of(
    State(sources): Shared,
    query: Result<Query<OfStation>, QueryRejection>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let Query(OfStation { station_id }) = query?;
    let id =
        station_id.ok_or_else(|| Problem::parameter("station_id is missing: ask for /forecast/?station_id=STATION"))?;
    latest(&sources.hub, &id, &headers)
}

/// The models that current forecasts come from
#[utoipa::path(
    get,
    path = "/api/v1/models",
    tag = "forecasts",
    responses((status = 200, body = Vec<Model>), (status = 304, description = "Nothing changed since the ETag"))
)]
pub(crate) async fn models(State(sources): Shared, headers: HeaderMap) -> Response {
    let mut models: BTreeMap<(String, String), (usize, Time)> = BTreeMap::new();
    for forecast in sources.hub.stations(&Selection::All).into_iter().filter_map(|held| held.forecast) {
        let key = (forecast.model.name.clone(), forecast.model.version.clone());
        let (stations, newest) = models.entry(key).or_insert((0, forecast.issue_time));
        *stations += 1;
        *newest = forecast.issue_time.max(*newest);
    }
    let model = |((name, version), (stations, newest_issue_time))| Model { name, version, stations, newest_issue_time };
    json(&headers, JSON, &models.into_iter().map(model).collect::<Vec<Model>>())
}

/// This document
#[utoipa::path(
    get,
    path = "/api/openapi.json",
    tag = "service",
    responses((status = 200, description = "The OpenAPI document"))
)]
pub(crate) async fn openapi_document(headers: HeaderMap) -> Response {
    bytes(&headers, JSON, crate::routes::openapi().into_bytes())
}

/// Whether the process is alive
#[utoipa::path(get, path = "/healthz", tag = "service", responses((status = 200, description = "It is", body = String, content_type = "text/plain")))]
pub(crate) async fn healthz() -> Response {
    ([(header::CACHE_CONTROL, "no-store")], "ok\n").into_response()
}

/// Whether answers are complete and current
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "service",
    responses(
        (status = 200, description = "They are", body = String, content_type = "text/plain"),
        (status = 503, description = "Why they may not be", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn readyz(State(sources): Shared) -> Result<Response, Problem> {
    match sources.health.ready() {
        Ok(()) => Ok(([(header::CACHE_CONTROL, "no-store")], "ready\n").into_response()),
        Err(reason) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Not ready", reason)),
    }
}
