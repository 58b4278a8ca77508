//! The metrics of the worker. Every observation read ends in exactly one `change`, or as a dead letter.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge};
use weather::ModelId;

/// Observations applied, by `change`: newest, late, corrected, duplicate, too_old.
pub const OBSERVATIONS: &str = "weatherglass_worker_observations_total";
/// Forecasts committed.
pub const FORECASTS: &str = "weatherglass_worker_forecasts_total";
/// Observations whose effect is in the forecast of a newer one of the same batch.
pub const CONFLATED: &str = "weatherglass_worker_conflated_observations_total";
/// Values marked by quality control, by `test` (what the door found by itself is counted there) and `flag`.
pub const FLAGGED: &str = "weatherglass_worker_flagged_values_total";
/// Entries given up, by `reason`.
pub const DEAD_LETTERS: &str = "weatherglass_worker_dead_letters_total";
/// Entries among the dead letters of the owned partitions, waiting for somebody to look.
pub const DEAD: &str = "weatherglass_worker_waiting_dead_letters";
/// Entries in a batch.
pub const BATCH: &str = "weatherglass_worker_batch_entries";
/// Hours of stored windows that could not be read and were left out.
pub const UNREADABLE: &str = "weatherglass_worker_unreadable_hours_total";
/// Time of one call of the model.
pub const INFERENCE: &str = "weatherglass_worker_inference_duration_seconds";
/// Time of one atomic commit.
pub const COMMIT: &str = "weatherglass_worker_commit_duration_seconds";
/// Time from ingest's receipt of an observation to its committed forecast.
pub const LATENCY: &str = "weatherglass_worker_latency_seconds";
/// Commits refused because another worker owns the partition.
pub const FENCED: &str = "weatherglass_worker_fenced_commits_total";
/// Commits refused because Redis had gone back to an earlier state: restored, or failed over.
pub const DIVERGED: &str = "weatherglass_worker_diverged_commits_total";
/// Failed Redis commands by `kind`.
pub const REDIS_ERRORS: &str = "weatherglass_worker_redis_errors_total";
/// Partitions this worker owns.
pub const PARTITIONS: &str = "weatherglass_worker_owned_partitions";
/// Worker processes that share the partitions, as this one sees them.
pub const WORKERS: &str = "weatherglass_worker_sharing_workers";
/// Partitions that came or went, by `change`: taken, given_back, lost to another worker.
pub const PARTITION_CHANGES: &str = "weatherglass_worker_partition_changes_total";
/// Entries handed out and not acknowledged, over the owned partitions.
pub const PENDING: &str = "weatherglass_worker_pending_entries";
/// Age of the oldest entry that is not acknowledged, over the owned partitions.
pub const OLDEST: &str = "weatherglass_worker_oldest_unprocessed_seconds";
/// Entries trimmed from the streams, by `stream`.
pub const TRIMMED: &str = "weatherglass_worker_trimmed_entries_total";
/// Stations whose windows are in memory.
pub const CACHED: &str = "weatherglass_worker_cached_stations";
/// 1 for the version that serves, with its `name`, `version` and `backend`; 0 for those before it.
pub const MODEL: &str = "weatherglass_worker_model_info";
/// Times that another model version took over.
pub const SWAPS: &str = "weatherglass_worker_model_swaps_total";
/// Model versions that were refused, by `reason`; each once, and again when its files change.
pub const REFUSED: &str = "weatherglass_worker_refused_models_total";

/// Describes them and sets the counters to zero, so that a rate exists before the first fault.
pub(crate) fn describe() {
    describe_counter!(OBSERVATIONS, Unit::Count, "Observations applied, by change");
    describe_counter!(FORECASTS, Unit::Count, "Forecasts committed");
    describe_counter!(CONFLATED, Unit::Count, "Observations whose effect is in a newer one's forecast");
    describe_counter!(FLAGGED, Unit::Count, "Values marked by quality control, by test and flag");
    describe_counter!(DEAD_LETTERS, Unit::Count, "Entries given up, by reason");
    describe_counter!(UNREADABLE, Unit::Count, "Hours of stored windows that could not be read");
    describe_histogram!(BATCH, Unit::Count, "Entries in a batch");
    describe_histogram!(INFERENCE, Unit::Seconds, "Time of one call of the model");
    describe_histogram!(COMMIT, Unit::Seconds, "Time of one atomic commit");
    describe_histogram!(LATENCY, Unit::Seconds, "Time from receipt to committed forecast");
    describe_counter!(FENCED, Unit::Count, "Commits refused because another worker owns the partition");
    describe_counter!(DIVERGED, Unit::Count, "Commits refused because Redis had gone back to an earlier state");
    describe_counter!(REDIS_ERRORS, Unit::Count, "Failed Redis commands by kind");
    describe_gauge!(PARTITIONS, Unit::Count, "Partitions this worker owns");
    describe_gauge!(WORKERS, Unit::Count, "Worker processes that share the partitions");
    describe_counter!(PARTITION_CHANGES, Unit::Count, "Partitions that came or went, by change");
    describe_gauge!(DEAD, Unit::Count, "Entries among the dead letters of the owned partitions");
    describe_gauge!(PENDING, Unit::Count, "Entries handed out and not acknowledged");
    describe_gauge!(OLDEST, Unit::Seconds, "Age of the oldest entry that is not acknowledged");
    describe_counter!(TRIMMED, Unit::Count, "Entries trimmed from the streams, by stream");
    describe_gauge!(CACHED, Unit::Count, "Stations whose windows are in memory");
    describe_gauge!(MODEL, Unit::Count, "1 for the model version that serves, 0 for those before it");
    describe_counter!(SWAPS, Unit::Count, "Times that another model version took over");
    describe_counter!(REFUSED, Unit::Count, "Model versions that were refused, by reason");
    for name in [FORECASTS, CONFLATED, FENCED, DIVERGED, UNREADABLE, SWAPS] {
        counter!(name).absolute(0);
    }
    for change in ["newest", "late", "corrected", "duplicate", "too_old"] {
        counter!(OBSERVATIONS, "change" => change).absolute(0);
    }
    for test in weather::quality::Test::ALL {
        for flag in ["suspect", "fail"] {
            counter!(FLAGGED, "test" => test.label(), "flag" => flag).absolute(0);
        }
    }
    for reason in crate::dead_letter::REASONS {
        counter!(DEAD_LETTERS, "reason" => reason).absolute(0);
    }
    for reason in models::LoadError::LABELS {
        counter!(REFUSED, "reason" => reason).absolute(0);
    }
    for kind in streams::Error::LABELS {
        counter!(REDIS_ERRORS, "kind" => kind).absolute(0);
    }
    for change in ["taken", "given_back", "lost"] {
        counter!(PARTITION_CHANGES, "change" => change).absolute(0);
    }
    for stream in ["obs", "forecast"] {
        counter!(TRIMMED, "stream" => stream).absolute(0);
    }
}

/// Shows whether a version serves.
pub(crate) fn serves(model: &ModelId, backend: &str, serves: bool) {
    let (name, version) = (model.name.clone(), model.version.clone());
    gauge!(MODEL, "name" => name, "version" => version, "backend" => backend.to_owned()).set(f64::from(serves));
}

/// Counts a failed Redis command.
pub(crate) fn redis_error(error: &streams::Error) {
    counter!(REDIS_ERRORS, "kind" => error.label()).increment(1);
}
