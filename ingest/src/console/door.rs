//! The way in for consoles over HTTP: every request that no other route wants comes by here.
//!
//! What is asked for decides the door: Weather Underground's paths, a path with a key in it, a path that
//! consoles are set to. At any other path the fields must say by themselves that they are a report.
//! Nothing that a console sends is repeated in an answer, a log or a metric: keys travel in its URL.

use std::sync::Arc;

use ::metrics::counter;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use weather::admission::Reason;
use weather::{Rejection, Time};

use super::fields::{Fields, split};
use super::identity::Consoles;
use super::{Report, Secret};
use crate::accept::{Closed, Door, Receipt, count_error};
use crate::auth::{Gate, bearer};
use crate::contact::Visit;
use crate::limits::{Limits, Peer, TooMany};
use crate::problem::Problem;
use crate::rain::{Gauges, settle};
use crate::redact::Shown;
use crate::{ecowitt, metrics, wunderground};

/// The longest form, bytes: ten times what the largest console sends.
const FORM: usize = 64 * 1024;
/// Folders whose next word is a key.
const KEYED: [&str; 2] = ["ecowitt", "ambient"];

/// What a visit needs.
#[derive(Clone)]
pub(crate) struct Hall {
    pub(crate) door: Door,
    pub(crate) gate: Gate,
    pub(crate) consoles: Arc<Consoles>,
    pub(crate) paths: Arc<[String]>,
    pub(crate) gauges: Gauges,
    pub(crate) limits: Arc<Limits>,
    pub(crate) form_limit: usize,
}

/// The door that a request went through, for metrics: a path may hold a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route(pub(crate) &'static str);

/// Whose language a request speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Language {
    Wunderground,
    Ecowitt,
}

impl Language {
    /// What metrics and contacts call the door.
    const fn name(self) -> &'static str {
        match self {
            Self::Wunderground => "wunderground",
            Self::Ecowitt => "ecowitt",
        }
    }
}

/// What became of a report.
enum Fate {
    Kept(Receipt),
    Closed(Closed),
    Limited(TooMany),
}

/// The doors for consoles, for whatever has no route of its own.
pub(crate) fn router(hall: Hall) -> Router {
    Router::new().fallback(visit).with_state(hall)
}

async fn visit(State(hall): State<Hall>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let target = head.uri.path_and_query().map_or("/", |target| target.as_str());
    let (path, glued) = split(target);
    let path_key = key_in(path);
    let mut language = match () {
        () if wunderground::is_path(path) => Some(Language::Wunderground),
        () if path_key.is_some() || hall.is_console_path(path) => Some(Language::Ecowitt),
        () => None,
    };
    let mut fields = Fields::of_form(glued.as_bytes());
    let form;
    if head.method == Method::POST && (language.is_some() || is_form(&head.headers)) {
        form = match to_bytes(body, FORM.min(hall.form_limit)).await {
            Ok(form) => form,
            Err(_) => return too_large(),
        };
        fields.extend(Fields::of_form(&form));
    } else if head.method != Method::GET {
        return nothing_here(language);
    }
    // A path that both kinds of console may have been set to says less than the fields.
    match () {
        () if ecowitt::is_report(&fields) && language != Some(Language::Wunderground) => {
            language = Some(Language::Ecowitt);
        }
        () if wunderground::is_report(&fields) && path_key.is_none() => language = Some(Language::Wunderground),
        () => {}
    }
    let Some(language) = language else { return nothing_here(None) };
    let now = Time::now();
    let report = match language {
        Language::Wunderground => wunderground::read(&fields, now, &hall.consoles),
        Language::Ecowitt => ecowitt::read(&fields, path_key, now, &hall.consoles),
    };
    let had_counter = report.as_ref().is_ok_and(|report| !report.counters.totals.is_empty());
    let door = language.name();
    let message = Some(shown(&fields, report.as_ref().ok(), path_key, &head.headers));
    let remote = head.extensions.get::<Peer>().map(|Peer(address)| *address);
    let visit = Visit { door, remote, message, ..Visit::default() };
    let fate = hall.take(visit, report, &head.headers).await;
    let mut answer = answer(language, fate, had_counter, &head.headers, now);
    answer.extensions_mut().insert(Route(door));
    answer
}

impl Hall {
    fn is_console_path(&self, path: &str) -> bool {
        self.paths.iter().any(|known| known.trim_matches('/') == path.trim_matches('/'))
    }

    /// Lets a report in whose key opens its station, with the rain that its counters tell.
    async fn take(&self, visit: Visit, report: Result<Report, Rejection>, headers: &HeaderMap) -> Fate {
        let item = match report {
            Err(rejection) => Err(rejection),
            Ok(report) => {
                counter!(metrics::DROPPED_VALUES).increment(u64::from(report.dropped));
                let name = report.keys.first().map_or(report.observation.station.as_str(), Secret::reveal);
                if let Err(wait) = self.limits.key(name) {
                    return Fate::Limited(wait);
                }
                match self.opens(&report, headers).await {
                    Ok(true) => Ok(self.with_rain(report).await),
                    Ok(false) => {
                        let detail = "no key of this report opens its station";
                        let rejection = Rejection::new("PASSWORD", Reason::NotAllowed, detail);
                        Err(rejection.of(report.observation.station))
                    }
                    Err(closed) => return Fate::Closed(closed),
                }
            }
        };
        match self.door.accept_from(visit, vec![item]).await {
            Ok(receipt) => Fate::Kept(receipt),
            Err(closed) => Fate::Closed(closed),
        }
    }

    /// Whether one of the keys that came along opens the station.
    ///
    /// # Errors
    /// When none is known to, and Redis can't say of all.
    async fn opens(&self, report: &Report, headers: &HeaderMap) -> Result<bool, Closed> {
        let mut unknown = None;
        for key in report.keys.iter().map(Secret::reveal).map(Some).chain([bearer(headers)]) {
            match self.gate.grant(key).await {
                Ok(Some(grant)) if grant.allows(&report.observation.station) => return Ok(true),
                Ok(_) => {}
                Err(error) => unknown = Some(error),
            }
        }
        match unknown {
            Some(error) => {
                count_error(&error);
                Err(error.into())
            }
            None => Ok(false),
        }
    }

    async fn with_rain(&self, report: Report) -> weather::Observation {
        let Report { mut observation, counters, .. } = report;
        // A time that is refused must not become the newest of the counter's.
        if !counters.totals.is_empty() && self.door.is_timely(observation.time) {
            let place = self.gauges.keep(&observation.station, &counters).await;
            settle(&mut observation.values, &place, &counters);
        }
        observation
    }
}

/// What a contact shows of a report: all its fields but the keys.
fn shown(fields: &Fields<'_>, report: Option<&Report>, path_key: Option<&str>, headers: &HeaderMap) -> Shown {
    let keys = report.map(|report| report.keys.as_slice()).unwrap_or_default();
    let secrets: Vec<&str> = keys.iter().map(Secret::reveal).chain(path_key).chain(bearer(headers)).collect();
    Shown::of_fields(fields.iter(), &secrets)
}

/// The key in `/ecowitt/KEY` or `/ambient/KEY`.
fn key_in(path: &str) -> Option<&str> {
    let mut words = path.split('/').filter(|word| !word.is_empty());
    let folder = words.next()?;
    KEYED.contains(&folder).then(|| words.next()).flatten()
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    kind.trim_start().to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}

fn answer(language: Language, fate: Fate, had_counter: bool, headers: &HeaderMap, now: Time) -> Response {
    let text = |body: String| {
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8"), (header::CACHE_CONTROL, "no-store")], body)
            .into_response()
    };
    let receipt = match fate {
        Fate::Kept(receipt) => receipt,
        Fate::Closed(closed) => return Problem::from(closed).into_response(),
        Fate::Limited(wait) => return Problem::from(wait).into_response(),
    };
    // The first packet of a gauge that sends nothing else: understood, though there is nothing to keep.
    let refused = receipt.rejected.first().filter(|r| !(had_counter && r.reason == Reason::MissingField.label()));
    match (language, refused) {
        (Language::Wunderground, None) => {
            let agent = headers.get(header::USER_AGENT).and_then(|v| v.to_str().ok()).unwrap_or_default();
            match wunderground::hub_answer(agent, now) {
                Some(json) => ([(header::CONTENT_TYPE, "application/json")], json).into_response(),
                None => text(wunderground::SUCCESS.to_owned()),
            }
        }
        (Language::Wunderground, Some(refused)) => text(wunderground::refusal(refused)),
        (Language::Ecowitt, None) => text("OK\n".to_owned()),
        (Language::Ecowitt, Some(refused)) if refused.reason == Reason::NotAllowed.label() => {
            Problem::new(StatusCode::UNAUTHORIZED, "A key is needed", refused.detail.clone()).into_response()
        }
        (Language::Ecowitt, Some(refused)) => {
            let detail = format!("{}: {} ({})", refused.field, refused.reason, refused.detail);
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "Not an observation", detail).into_response()
        }
    }
}

fn too_large() -> Response {
    counter!(metrics::RECEIVED).increment(1);
    counter!(metrics::REJECTED, "reason" => Reason::TooLarge.label()).increment(1);
    let detail = "the form of a console has at most 64 KiB, and arrives whole";
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "Body too large", detail).into_response()
}

fn nothing_here(language: Option<Language>) -> Response {
    let what = "POST /v1/observations, PUT /v1/stations/{id}, or what a console sends (GET, or POST of a form)";
    match language {
        Some(_) => Problem::new(StatusCode::METHOD_NOT_ALLOWED, "No such method here", what),
        None => Problem::new(StatusCode::NOT_FOUND, "No such door", what),
    }
    .into_response()
}
