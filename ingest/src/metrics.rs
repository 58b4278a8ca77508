//! The metrics of ingest. Received = accepted + duplicate + rejected, always.

use ::metrics::{Unit, counter, describe_counter, describe_histogram};
use weather::admission::Reason;

/// Items that arrived. A body that can't be read counts as one, since nobody knows what it held; a
/// request that Redis did not take is not counted until it is sent again.
pub const RECEIVED: &str = "weatherglass_ingest_received_observations_total";
/// Items that are in the stream.
pub const ACCEPTED: &str = "weatherglass_ingest_accepted_observations_total";
/// Items that had been accepted before.
pub const DUPLICATE: &str = "weatherglass_ingest_duplicate_observations_total";
/// Items refused, by `reason`.
pub const REJECTED: &str = "weatherglass_ingest_rejected_observations_total";
/// Values marked by quality control, by `flag`.
pub const FLAGGED: &str = "weatherglass_ingest_flagged_values_total";
/// Stations registered or described anew.
pub const STATIONS: &str = "weatherglass_ingest_station_updates_total";
/// Requests by `route` and `status`.
pub const REQUESTS: &str = "weatherglass_ingest_requests_total";
/// Time from the request's head to its answer, by `route`.
pub const DURATION: &str = "weatherglass_ingest_request_duration_seconds";
/// Failed Redis commands by `kind`.
pub const REDIS_ERRORS: &str = "weatherglass_ingest_redis_errors_total";

/// Describes them and sets the counters to zero, so that a rate exists before the first fault.
pub fn describe() {
    describe_counter!(RECEIVED, Unit::Count, "Items that arrived");
    describe_counter!(ACCEPTED, Unit::Count, "Items that are in the stream");
    describe_counter!(DUPLICATE, Unit::Count, "Items that had been accepted before");
    describe_counter!(REJECTED, Unit::Count, "Items refused, by reason");
    describe_counter!(FLAGGED, Unit::Count, "Values marked by quality control, by flag");
    describe_counter!(STATIONS, Unit::Count, "Stations registered or described anew");
    describe_counter!(REQUESTS, Unit::Count, "Requests by route and status");
    describe_histogram!(DURATION, Unit::Seconds, "Time from the request's head to its answer, by route");
    describe_counter!(REDIS_ERRORS, Unit::Count, "Failed Redis commands by kind");
    for name in [RECEIVED, ACCEPTED, DUPLICATE, STATIONS] {
        counter!(name).absolute(0);
    }
    for reason in Reason::ALL {
        counter!(REJECTED, "reason" => reason.label()).absolute(0);
    }
    for flag in ["suspect", "fail"] {
        counter!(FLAGGED, "flag" => flag).absolute(0);
    }
    for kind in streams::Error::LABELS {
        counter!(REDIS_ERRORS, "kind" => kind).absolute(0);
    }
}
