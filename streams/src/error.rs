//! What can go wrong with Redis, by what the caller can do about it.

use redis::{RedisError, ServerErrorKind};

/// A failed step. Each kind is also a metric label.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Redis can't be reached, or is loading, or did not answer in time: try again.
    #[error("Redis is not reachable: {0}")]
    Unavailable(String),
    /// Redis is at its memory limit: senders must wait.
    #[error("Redis is out of memory: {0}")]
    OutOfMemory(String),
    /// Redis is a replica now: writers must wait for a primary.
    #[error("Redis is read-only: {0}")]
    ReadOnly(String),
    /// Redis answers, and says no: a setting is wrong.
    #[error("Redis refused: {0}")]
    Refused(String),
    /// This Redis was set up with another number of partitions.
    #[error(
        "Redis holds {stored} partitions and this process is configured for {configured}: start it with --partitions {stored}"
    )]
    Partitions {
        /// What Redis holds.
        stored: u16,
        /// What this process was told.
        configured: u16,
    },
    /// This Redis holds another deployment.
    #[error(
        "Redis holds the deployment {stored:?} under the prefix {prefix:?} and this process is of {configured:?}: give one of them another --key-prefix, or this process --deployment {stored}"
    )]
    Deployment {
        /// What Redis holds.
        stored: String,
        /// What this process was told.
        configured: String,
        /// Under which prefix.
        prefix: String,
    },
    /// Redis does not hold what the last commit wrote (it was restored, or a replica that had not heard of
    /// it took over): nothing was written, and what is remembered of the partition is worthless.
    #[error("partition {0} of Redis has gone back to an earlier state")]
    Diverged(u16),
    /// An entry before those of the batch is pending with somebody else: nothing was written, and it comes
    /// first.
    #[error("partition {0} has an earlier entry that another worker read and did not acknowledge")]
    Overtaken(u16),
    /// Another worker owns the partition by now: nothing was written.
    #[error("partition {0} has another owner")]
    Fenced(u16),
    /// A value in Redis is not what this release writes.
    #[error("unreadable data in Redis: {0}")]
    Data(String),
}

impl Error {
    /// Every label, for metrics that start at zero.
    pub const LABELS: [&'static str; 10] = [
        "unavailable",
        "out_of_memory",
        "read_only",
        "refused",
        "partitions",
        "fenced",
        "data",
        "deployment",
        "diverged",
        "overtaken",
    ];

    /// Whether it passes by itself: what was refused now is taken later.
    #[must_use]
    pub const fn passes(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::OutOfMemory(_) | Self::ReadOnly(_))
    }

    /// The metric label.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => Self::LABELS[0],
            Self::OutOfMemory(_) => Self::LABELS[1],
            Self::ReadOnly(_) => Self::LABELS[2],
            Self::Refused(_) => Self::LABELS[3],
            Self::Partitions { .. } => Self::LABELS[4],
            Self::Fenced(_) => Self::LABELS[5],
            Self::Data(_) => Self::LABELS[6],
            Self::Deployment { .. } => Self::LABELS[7],
            Self::Diverged(_) => Self::LABELS[8],
            Self::Overtaken(_) => Self::LABELS[9],
        }
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        let text = error.to_string();
        // A script wraps the code of the command that failed inside it into its own message.
        if error.code() == Some("OOM") || text.contains("OOM command not allowed") {
            return Self::OutOfMemory(text);
        }
        if text.contains("READONLY") {
            return Self::ReadOnly(text);
        }
        // Its disk is full, or too few replicas follow: nothing that a setting of ours could mend.
        if matches!(error.code(), Some("MISCONF" | "NOREPLICAS")) {
            return Self::Unavailable(text);
        }
        match error.kind() {
            redis::ErrorKind::Server(ServerErrorKind::ReadOnly) => Self::ReadOnly(text),
            redis::ErrorKind::Server(
                ServerErrorKind::BusyLoading
                | ServerErrorKind::MasterDown
                | ServerErrorKind::ClusterDown
                | ServerErrorKind::Moved
                | ServerErrorKind::Ask
                | ServerErrorKind::TryAgain,
            ) => Self::Unavailable(text),
            redis::ErrorKind::UnexpectedReturnType | redis::ErrorKind::Parse => Self::Data(text),
            redis::ErrorKind::Io | redis::ErrorKind::ClusterConnectionNotFound => Self::Unavailable(text),
            _ if error.is_io_error() || error.is_timeout() || error.is_connection_dropped() => Self::Unavailable(text),
            _ => Self::Refused(text),
        }
    }
}
