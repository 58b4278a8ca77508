//! The HTTP door: `POST /v1/observations`, `PUT /v1/stations/{id}`, health.

use std::collections::HashMap;
use std::error::Error as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ::metrics::{counter, histogram};
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Extension, Json, Router};
use http_body_util::LengthLimitError;
use serde::Deserialize;
use streams::Registration;
use tower_http::decompression::RequestDecompressionLayer;
use weather::admission::Reason;
use weather::{Observation, Rejection, Station, StationId};

use crate::accept::{Closed, Door, count_error};
use crate::auth::{Gate, Grant, bearer};
use crate::config::Config;
use crate::console::door::{Hall, Route, router as consoles_router};
use crate::console::identity::Consoles;
use crate::contact::Visit;
use crate::dialect::{self, Encoding, Items, MOST_ITEMS, Unreadable};
use crate::limits::{Limits, Peer};
use crate::metrics;
use crate::pieces;
use crate::problem::Problem;
use crate::rain::Gauges;
use crate::redact::Shown;

/// How long requests in progress may take to end after shutdown was asked for.
pub(crate) const DRAIN: Duration = Duration::from_secs(10);

/// Items of a request whose own words are kept for their contacts: two KB each.
const MOST_SHOWN: usize = 256;

#[derive(Clone)]
struct Shared {
    door: Door,
    gate: Gate,
    /// Whether only the registered may describe themselves.
    registered_only: bool,
    body_limit: usize,
    limits: Arc<Limits>,
}

/// The door's routes.
pub(crate) fn router(door: Door, gate: Gate, rain: (Consoles, Gauges), config: &Config) -> Router {
    let limits = Arc::new(Limits::new(&config.limits));
    let (consoles, gauges) = rain;
    let hall = Hall {
        door: door.clone(),
        gate: gate.clone(),
        consoles: Arc::new(consoles),
        paths: config.consoles.console_paths.clone().into(),
        gauges,
        limits: Arc::clone(&limits),
        form_limit: config.body_limit as usize,
    };
    // Who has shown a key was given it by an operator; of others nobody knows anything.
    let registered_only = config.registration() == Registration::Confirm && !gate.asks();
    let body_limit = hall.form_limit;
    let state = Shared { door, gate, registered_only, body_limit, limits: Arc::clone(&limits) };
    let timeout = Duration::from_secs(config.request_timeout);
    Router::new()
        .route("/v1/observations", post(post_observations))
        .route("/v1/stations/{id}", put(put_station))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .fallback_service(consoles_router(hall))
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "No such method here",
                "POST /v1/observations or PUT /v1/stations/{id}",
            )
        })
        .layer(RequestDecompressionLayer::new())
        .layer(from_fn_with_state(timeout, limit_time))
        .layer(from_fn_with_state(limits, limit_address))
        .layer(from_fn(measure))
        .with_state(state)
}

/// The sender's end of a request's connection.
type Connection = Option<Extension<Peer>>;

fn remote(connection: Connection) -> Option<IpAddr> {
    connection.map(|Extension(Peer(address))| address)
}

async fn post_observations(
    State(context): State<Shared>,
    connection: Connection,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Problem> {
    let grant = granted(&context, &headers).await?;
    let content_type = headers.get(header::CONTENT_TYPE).map(|v| v.to_str().unwrap_or("?"));
    let Some(encoding) = Encoding::of(content_type) else {
        let detail = "content-type must be application/json, application/x-ndjson or application/msgpack";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "Unknown content type", detail));
    };
    let body = read_body(body, context.body_limit).await.map_err(Unusable::counted)?;
    let mut items = dialect::read(encoding, &body).map_err(|e| Unusable::from(e).counted())?;
    let mut visit = Visit { door: encoding.name(), remote: remote(connection), ..Visit::default() };
    visit.pieces = shown(encoding, &body, &items, bearer(&headers));
    for (index, item) in items.iter_mut().enumerate() {
        if let Ok(observation) = item
            && !grant.allows(&observation.station)
        {
            let piece = Shown::of(&serde_json::to_vec(observation).unwrap_or_default(), &[]);
            let station = observation.station.clone();
            if visit.pieces.len() < MOST_SHOWN {
                visit.pieces.insert(index, piece);
            }
            *item = Err(Rejection::new("station", Reason::NotAllowed, "this key is for another station").of(station));
        }
    }
    let receipt = context.door.accept_from(visit, items).await?;
    Ok((StatusCode::ACCEPTED, Json(receipt)).into_response())
}

/// What stood in the body for items that could not be read, but for whose they are.
fn shown(encoding: Encoding, body: &[u8], items: &Items, key: Option<&str>) -> HashMap<usize, Shown> {
    let named = |item: &Result<Observation, Rejection>| item.as_ref().is_err_and(|r| r.station.is_some());
    let places: Vec<usize> =
        items.iter().enumerate().filter(|(_, item)| named(item)).map(|(place, _)| place).take(MOST_SHOWN).collect();
    if places.is_empty() {
        return HashMap::new();
    }
    let key: Vec<&str> = key.into_iter().collect();
    let pieces = pieces::of_body(encoding, body, &places).into_iter();
    pieces.map(|(place, piece)| (place, Shown::of(piece, &key))).collect()
}

/// What a client says of a station. The position has to be given; `null` says that it is not known.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Description {
    name: String,
    #[serde(deserialize_with = "Option::deserialize")]
    latitude: Option<f64>,
    #[serde(deserialize_with = "Option::deserialize")]
    longitude: Option<f64>,
    #[serde(default)]
    elevation: Option<f32>,
    #[serde(default)]
    timezone: Option<String>,
    #[serde(default = "yes")]
    public: bool,
    #[serde(default)]
    simulated: bool,
}

const fn yes() -> bool {
    true
}

async fn put_station(
    State(context): State<Shared>,
    Path(id): Path<String>,
    connection: Connection,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Station>, Problem> {
    let grant = granted(&context, &headers).await?;
    let refused =
        |rejection: &Rejection| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not a station", rejection.to_string());
    let id = StationId::new(&id).map_err(|r| refused(&r))?;
    if !grant.allows(&id) {
        return Err(Problem::new(StatusCode::FORBIDDEN, "Not your station", "this key is for another station"));
    }
    let body = read_body(body, context.body_limit).await.map_err(|unusable| unusable.problem())?;
    let d: Description = serde_json::from_slice(&body).map_err(|e| match e.is_data() {
        true => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not a station", e.to_string()),
        false => Unusable::Unparseable(e.to_string()).problem(),
    })?;
    let station = Station {
        id,
        name: d.name,
        latitude: d.latitude,
        longitude: d.longitude,
        elevation: d.elevation,
        timezone: d.timezone,
        public: d.public,
        simulated: d.simulated,
    };
    station.check().map_err(|r| refused(&r))?;
    if context.registered_only && context.door.stations(std::slice::from_ref(&station.id)).await? == [None] {
        let rejection = Rejection::unconfirmed(station.id.clone());
        let visit = Visit {
            door: "station",
            remote: remote(connection),
            message: Some(Shown::of(&body, &[])),
            ..Visit::default()
        };
        context.door.turned_away(&visit, &station.id, &rejection);
        return Err(Problem::new(StatusCode::FORBIDDEN, "Not a registered station", rejection.detail));
    }
    context.door.put_station(&station).await?;
    Ok(Json(station))
}

async fn ready(State(context): State<Shared>) -> Result<String, Problem> {
    Ok(context.door.ready().await?)
}

async fn granted(context: &Shared, headers: &HeaderMap) -> Result<Grant, Problem> {
    if let Some(key) = bearer(headers) {
        context.limits.key(key)?;
    }
    let grant = context.gate.grant(bearer(headers)).await.inspect_err(count_error).map_err(Closed::from)?;
    grant.ok_or_else(|| {
        Problem::new(
            StatusCode::UNAUTHORIZED,
            "A key is needed",
            "send `Authorization: Bearer KEY` with a key of this service",
        )
    })
}

/// A body that is no list of items.
enum Unusable {
    TooLarge(String),
    Unparseable(String),
}

impl From<Unreadable> for Unusable {
    fn from(unreadable: Unreadable) -> Self {
        match unreadable {
            Unreadable::Syntax(why) => Self::Unparseable(why),
            Unreadable::TooMany => Self::TooLarge(format!("at most {MOST_ITEMS} items: send smaller batches")),
        }
    }
}

impl Unusable {
    fn problem(self) -> Problem {
        match self {
            Self::TooLarge(why) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Body too large", why),
            Self::Unparseable(why) => Problem::new(StatusCode::BAD_REQUEST, "Unparseable body", why),
        }
    }

    /// Counted as one refused item: what the body held nobody knows.
    fn counted(self) -> Problem {
        let reason = match self {
            Self::TooLarge(_) => Reason::TooLarge,
            Self::Unparseable(_) => Reason::Unparseable,
        };
        counter!(metrics::RECEIVED).increment(1);
        counter!(metrics::REJECTED, "reason" => reason.label()).increment(1);
        self.problem()
    }
}

async fn read_body(body: Body, limit: usize) -> Result<Bytes, Unusable> {
    to_bytes(body, limit).await.map_err(|error| {
        if error.source().is_some_and(|e| e.is::<LengthLimitError>()) {
            Unusable::TooLarge(format!("at most {limit} bytes after decompression: send smaller batches"))
        } else {
            Unusable::Unparseable(format!("the body can't be read: {error}"))
        }
    })
}

/// Ends a request that takes too long. What of it is in the stream already is known there when it is
/// sent again.
async fn limit_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let detail = format!("not read and stored within {} s; send it again", limit.as_secs());
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, "Took too long", detail).into_response()
        }
    }
}

/// Refuses who asks too often; health checks are never too often.
async fn limit_address(State(limits): State<Arc<Limits>>, request: Request, next: Next) -> Response {
    let checks_health = matches!(request.uri().path(), "/healthz" | "/readyz");
    if let Some(peer) = request.extensions().get::<Peer>().filter(|_| !checks_health)
        && let Err(wait) = limits.address(*peer)
    {
        return Problem::from(wait).into_response();
    }
    next.run(request).await
}

async fn measure(request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map_or_else(|| "other".to_owned(), |p| p.as_str().to_owned());
    let response = next.run(request).await;
    let route = response.extensions().get::<Route>().map_or(route, |Route(door)| (*door).to_owned());
    histogram!(metrics::DURATION, "route" => route.clone()).record(begun.elapsed().as_secs_f64());
    counter!(metrics::REQUESTS, "route" => route, "status" => response.status().as_u16().to_string()).increment(1);
    response
}
