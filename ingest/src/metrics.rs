//! The metrics of ingest. Received = accepted + duplicate + rejected + what waits in the spool, at any
//! quiet moment and over all processes that used the spool; for one of them alone, add to what it
//! received what it found in the spool at its start.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use weather::admission::Reason;

/// Items that arrived. A body that can't be read counts as one, since nobody knows what it held; a
/// request that was not taken is not counted until it is sent again.
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

/// Items that were put into the spool: received, and accepted or duplicate when Redis has them.
pub const SPOOLED: &str = "weatherglass_ingest_spooled_observations_total";
/// Items that Redis has from the spool, by `outcome`; counted as accepted or duplicate too.
pub const SPOOL_DRAINED: &str = "weatherglass_ingest_spool_drained_observations_total";
/// Items that wait in the spool.
pub const SPOOL_OBSERVATIONS: &str = "weatherglass_ingest_spool_observations";
/// Items that waited in the spool when this process started; an earlier one had received them.
pub const SPOOL_FOUND: &str = "weatherglass_ingest_spool_found_observations";
/// Bytes of the records in the spool, held against its limit.
pub const SPOOL_BYTES: &str = "weatherglass_ingest_spool_bytes";
/// Requests that the spool did not take, by `reason`.
pub const SPOOL_REFUSED: &str = "weatherglass_ingest_spool_refused_requests_total";
/// Damaged records of the spool, put aside; their items are rejected as [`DAMAGED_IN_SPOOL`].
pub const SPOOL_DAMAGED: &str = "weatherglass_ingest_spool_damaged_records_total";
/// The used share of Redis's memory limit; 0 without a limit.
pub const MEMORY: &str = "weatherglass_ingest_redis_memory_ratio";
/// Requests kept from a Redis that is near its memory limit.
pub const HELD_BACK: &str = "weatherglass_ingest_held_back_requests_total";

/// Last contacts by `outcome`: `written`, `dropped` since too many waited, or `unregistered`, those of
/// stations that nobody has registered and that prove nothing.
pub const CONTACTS: &str = "weatherglass_ingest_contacts_total";
/// Stations that came unregistered and wait for an operator.
pub const UNCONFIRMED: &str = "weatherglass_ingest_unconfirmed_stations";
/// Such stations that were dropped from the list, those not heard for longest, since there are too many.
pub const UNCONFIRMED_DROPPED: &str = "weatherglass_ingest_dropped_unconfirmed_stations_total";

/// Polls of sources on the web, by `source` and `outcome`.
pub const POLLS: &str = "weatherglass_ingest_polls_total";
/// When a source last answered well, seconds since 1970, by `source`; 0 before the first time. Its age is
/// `time() - x`.
pub const POLL_SUCCESS: &str = "weatherglass_ingest_last_poll_success_timestamp_seconds";
/// Items that a source had said in its last answer already, and that were not handed over again, by `source`.
pub const POLL_REPEATED: &str = "weatherglass_ingest_poll_repeated_observations_total";
/// Values of consoles that can't be, such as -9999: taken for missing.
pub const DROPPED_VALUES: &str = "weatherglass_ingest_dropped_values_total";
/// Requests of senders who asked too much, refused with 429, `by` address or key.
pub const LIMITED: &str = "weatherglass_ingest_limited_requests_total";
/// Connections that are open.
pub const CONNECTIONS: &str = "weatherglass_ingest_connections";
/// Connections that were hung up on, by `reason`.
pub const REFUSED_CONNECTIONS: &str = "weatherglass_ingest_refused_connections_total";

/// The `reason` of items that had been taken and can't be read any more.
pub const DAMAGED_IN_SPOOL: &str = "damaged_in_spool";

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
    describe_spool();
    describe_registry();
    describe_polls();
    describe_limits();
    for name in [RECEIVED, ACCEPTED, DUPLICATE, STATIONS, SPOOLED, SPOOL_DAMAGED, HELD_BACK] {
        counter!(name).absolute(0);
    }
    for reason in Reason::ALL.iter().map(|reason| reason.label()).chain([DAMAGED_IN_SPOOL]) {
        counter!(REJECTED, "reason" => reason).absolute(0);
    }
    for outcome in ["accepted", "duplicate", "rejected"] {
        counter!(SPOOL_DRAINED, "outcome" => outcome).absolute(0);
    }
    for reason in crate::spool::SpoolError::LABELS {
        counter!(SPOOL_REFUSED, "reason" => reason).absolute(0);
    }
    for name in [SPOOL_OBSERVATIONS, SPOOL_FOUND, SPOOL_BYTES, MEMORY] {
        gauge!(name).set(0);
    }
    for flag in ["suspect", "fail"] {
        counter!(FLAGGED, "flag" => flag).absolute(0);
    }
    for kind in streams::Error::LABELS {
        counter!(REDIS_ERRORS, "kind" => kind).absolute(0);
    }
}

fn describe_registry() {
    describe_counter!(CONTACTS, Unit::Count, "Last contacts, by outcome");
    describe_gauge!(UNCONFIRMED, Unit::Count, "Stations that came unregistered and wait for an operator");
    describe_counter!(UNCONFIRMED_DROPPED, Unit::Count, "Unconfirmed stations dropped from the list");
    for outcome in ["written", "dropped", "unregistered"] {
        counter!(CONTACTS, "outcome" => outcome).absolute(0);
    }
    gauge!(UNCONFIRMED).set(0);
    counter!(UNCONFIRMED_DROPPED).absolute(0);
}

fn describe_polls() {
    describe_counter!(POLLS, Unit::Count, "Polls of sources on the web, by source and outcome");
    describe_gauge!(POLL_SUCCESS, Unit::Seconds, "When a source last answered well, by source");
    describe_counter!(POLL_REPEATED, Unit::Count, "Items of a source's last answer, not handed over again, by source");
}

fn describe_limits() {
    describe_counter!(DROPPED_VALUES, Unit::Count, "Values of consoles that can't be, taken for missing");
    describe_counter!(LIMITED, Unit::Count, "Requests of senders who asked too much, by address or key");
    describe_gauge!(CONNECTIONS, Unit::Count, "Connections that are open");
    describe_counter!(REFUSED_CONNECTIONS, Unit::Count, "Connections that were hung up on, by reason");
    counter!(DROPPED_VALUES).absolute(0);
    gauge!(CONNECTIONS).set(0);
    for by in ["address", "key"] {
        counter!(LIMITED, "by" => by).absolute(0);
    }
    for reason in ["address", "handshake", "head_timeout", "head"] {
        counter!(REFUSED_CONNECTIONS, "reason" => reason).absolute(0);
    }
}

fn describe_spool() {
    describe_counter!(SPOOLED, Unit::Count, "Items that were put into the spool");
    describe_counter!(SPOOL_DRAINED, Unit::Count, "Items that Redis has from the spool, by outcome");
    describe_gauge!(SPOOL_OBSERVATIONS, Unit::Count, "Items that wait in the spool");
    describe_gauge!(SPOOL_FOUND, Unit::Count, "Items that waited in the spool when this process started");
    describe_gauge!(SPOOL_BYTES, Unit::Bytes, "Bytes of the records in the spool");
    describe_counter!(SPOOL_REFUSED, Unit::Count, "Requests that the spool did not take, by reason");
    describe_counter!(SPOOL_DAMAGED, Unit::Count, "Damaged records of the spool, put aside");
    describe_gauge!(MEMORY, Unit::Count, "The used share of Redis's memory limit");
    describe_counter!(HELD_BACK, Unit::Count, "Requests kept from a Redis that is near its memory limit");
}
