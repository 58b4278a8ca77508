//! The metrics of the MQTT door. Observations are counted where all doors count them.

use ::metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::settings::Dialect;

/// Whether the broker is connected, 0 or 1.
pub(crate) const CONNECTED: &str = "weatherglass_ingest_mqtt_connected";
/// Connections after the first.
pub(crate) const RECONNECTS: &str = "weatherglass_ingest_mqtt_reconnects_total";
/// Connections that failed or were lost, by `kind`.
pub(crate) const FAILURES: &str = "weatherglass_ingest_mqtt_connection_failures_total";
/// Messages that wait to be acknowledged.
pub(crate) const UNACKNOWLEDGED: &str = "weatherglass_ingest_mqtt_unacknowledged_messages";
/// Messages by `dialect` and `outcome`; [`NO_DIALECT`] for topics that nobody configured.
pub(crate) const MESSAGES: &str = "weatherglass_ingest_mqtt_messages_total";
/// Times that a batch was not taken, by Redis or the spool, and was tried again.
pub(crate) const RETRIES: &str = "weatherglass_ingest_mqtt_retries_total";

/// The `dialect` of messages of no entry.
pub(crate) const NO_DIALECT: &str = "none";

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It said something of the weather: it made observations, or is a part of one.
    Read,
    /// It could not be read.
    Rejected,
    /// It is none that we want to know: an attribute, a retained state, a repetition.
    Ignored,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Read, Self::Rejected, Self::Ignored];

    const fn label(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Rejected => "rejected",
            Self::Ignored => "ignored",
        }
    }
}

/// Counts a message.
pub(crate) fn message(dialect: &'static str, outcome: Outcome) {
    counter!(MESSAGES, "dialect" => dialect, "outcome" => outcome.label()).increment(1);
}

/// Describes them and sets the counters to zero.
pub(crate) fn describe() {
    describe_gauge!(CONNECTED, Unit::Count, "Whether the MQTT broker is connected");
    describe_counter!(RECONNECTS, Unit::Count, "Connections to the MQTT broker after the first");
    describe_counter!(FAILURES, Unit::Count, "Connections to the MQTT broker that failed or were lost, by kind");
    describe_gauge!(UNACKNOWLEDGED, Unit::Count, "MQTT messages that wait to be acknowledged");
    describe_counter!(MESSAGES, Unit::Count, "MQTT messages by dialect and outcome");
    describe_counter!(RETRIES, Unit::Count, "Times that messages were not taken and were tried again");
    gauge!(CONNECTED).set(0);
    gauge!(UNACKNOWLEDGED).set(0);
    counter!(RECONNECTS).absolute(0);
    counter!(RETRIES).absolute(0);
    for kind in super::session::KINDS {
        counter!(FAILURES, "kind" => kind).absolute(0);
    }
    for dialect in Dialect::NAMES.into_iter().chain([NO_DIALECT]) {
        for outcome in Outcome::ALL {
            counter!(MESSAGES, "dialect" => dialect, "outcome" => outcome.label()).absolute(0);
        }
    }
}
