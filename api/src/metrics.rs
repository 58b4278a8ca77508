//! The metrics of the api: names, descriptions, and zeros to begin with.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};

use crate::frames::{Channel, Format};
use crate::session::CloseReason;
use crate::shape::State;
use crate::subscribe::ErrorCode;

/// Open live sessions, by `protocol` (`json`, `msgpack`).
pub const SESSIONS: &str = "weatherglass_api_sessions";
/// Updates handed to sessions, by `kind`; each once, however many sessions want it.
pub const UPDATES: &str = "weatherglass_api_updates_total";
/// Frames written to sessions.
pub const SENT_FRAMES: &str = "weatherglass_api_sent_frames_total";
/// Updates that a slow session did not get because newer ones took their place.
pub const CONFLATED: &str = "weatherglass_api_conflated_updates_total";
/// Sessions that ended, by `reason`.
pub const CLOSED: &str = "weatherglass_api_closed_sessions_total";
/// Client frames that could not be followed, by `code`.
pub const CLIENT_ERRORS: &str = "weatherglass_api_client_errors_total";
/// Requests, by `route` (the matched path) and `status`.
pub const REQUESTS: &str = "weatherglass_api_requests_total";
/// Time from a request's head to its answer's, by `route`.
pub const DURATION: &str = "weatherglass_api_request_duration_seconds";
/// Public stations, by `state`.
pub const STATIONS: &str = "weatherglass_api_stations";
/// Now minus the arrival of the last entry handed out; 0 when idle.
pub const TAIL_LAG: &str = "weatherglass_api_tail_lag_seconds";
/// Failed Redis commands, by `kind`.
pub const REDIS_ERRORS: &str = "weatherglass_api_redis_errors_total";
/// Stream entries and stored values that this release can't read, by `reason`.
pub const UNREADABLE: &str = "weatherglass_api_unreadable_entries_total";

/// The `reason` of a stored value, whose kind of damage is not known.
pub const UNREADABLE_STATE: &str = "state";

/// Describes them and sets the counters to zero, so that a rate exists before the first fault.
pub fn describe() {
    describe_gauge!(SESSIONS, Unit::Count, "Open live sessions, by protocol");
    describe_counter!(UPDATES, Unit::Count, "Updates handed to sessions, by kind");
    describe_counter!(SENT_FRAMES, Unit::Count, "Frames written to sessions");
    describe_counter!(CONFLATED, Unit::Count, "Updates a slow session skipped for newer ones");
    describe_counter!(CLOSED, Unit::Count, "Sessions that ended, by reason");
    describe_counter!(CLIENT_ERRORS, Unit::Count, "Client frames that could not be followed, by code");
    describe_counter!(REQUESTS, Unit::Count, "Requests, by route and status");
    describe_histogram!(DURATION, Unit::Seconds, "Time from a request's head to its answer's, by route");
    describe_gauge!(STATIONS, Unit::Count, "Public stations, by state");
    describe_gauge!(TAIL_LAG, Unit::Seconds, "Now minus the arrival of the last entry handed out; 0 when idle");
    describe_counter!(REDIS_ERRORS, Unit::Count, "Failed Redis commands, by kind");
    describe_counter!(UNREADABLE, Unit::Count, "Entries that this release can't read, by reason");
    zero();
}

fn zero() {
    for format in Format::ALL {
        gauge!(SESSIONS, "protocol" => format.label()).set(0.0);
    }
    for kind in Channel::ALL {
        counter!(UPDATES, "kind" => kind.label()).absolute(0);
    }
    for name in [SENT_FRAMES, CONFLATED] {
        counter!(name).absolute(0);
    }
    for reason in CloseReason::ALL {
        counter!(CLOSED, "reason" => reason.label()).absolute(0);
    }
    for code in ErrorCode::ALL {
        counter!(CLIENT_ERRORS, "code" => code.label()).absolute(0);
    }
    for state in State::ALL {
        gauge!(STATIONS, "state" => state.label()).set(0.0);
    }
    gauge!(TAIL_LAG).set(0.0);
    for kind in streams::Error::LABELS {
        counter!(REDIS_ERRORS, "kind" => kind).absolute(0);
    }
    for reason in ["newer_version", "malformed", UNREADABLE_STATE] {
        counter!(UNREADABLE, "reason" => reason).absolute(0);
    }
}

/// Counts a failed Redis command.
pub(crate) fn redis_failed(error: &streams::Error) {
    counter!(REDIS_ERRORS, "kind" => error.label()).increment(1);
}
