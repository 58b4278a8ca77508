//! What a redis-server says of its own work: for benchmarks, which hold it against observations.

use std::collections::BTreeMap;

use crate::connection::Redis;
use crate::error::Error;

/// Commands that our scripts run; nothing that is under way during a measurement sends them from
/// outside. Redis counts both alike.
const INSIDE: [&str; 14] = [
    "get", "set", "del", "incr", "expire", "pexpire", "exists", "hget", "hmget", "hset", "hsetnx", "hdel", "xadd",
    "xack",
];

/// The server's counters since it started.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Statistics {
    /// Calls by command, in lower case.
    pub calls: BTreeMap<String, u64>,
    /// Seconds of processor time of the whole process.
    pub cpu_seconds: f64,
    /// Bytes of its data and buffers.
    pub memory: u64,
}

impl Statistics {
    /// Commands that clients sent.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.calls.iter().filter(|(name, _)| !INSIDE.contains(&name.as_str())).map(|(_, calls)| calls).sum()
    }

    /// Commands that scripts ran.
    #[must_use]
    pub fn inside(&self) -> u64 {
        self.calls.iter().filter(|(name, _)| INSIDE.contains(&name.as_str())).map(|(_, calls)| calls).sum()
    }

    fn parse(text: &str) -> Self {
        let mut found = Self::default();
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once(':')) {
            if let Some(command) = name.strip_prefix("cmdstat_") {
                let calls = value.split(',').find_map(|part| part.strip_prefix("calls="));
                found.calls.insert(command.to_owned(), calls.and_then(|c| c.parse().ok()).unwrap_or_default());
            }
            match name {
                "used_cpu_sys" | "used_cpu_user" => found.cpu_seconds += value.parse::<f64>().unwrap_or_default(),
                "used_memory" => found.memory = value.parse().unwrap_or_default(),
                _ => {}
            }
        }
        found
    }
}

impl Redis {
    /// The server's counters.
    ///
    /// # Errors
    /// When Redis can't say.
    pub async fn statistics(&self) -> Result<Statistics, Error> {
        let text: String = redis::cmd("INFO").arg("all").query_async(&mut self.hot()).await?;
        Ok(Statistics::parse(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_scripts_run_is_told_from_what_was_sent() {
        let text = "# CPU\r\nused_cpu_sys:1.25\r\nused_cpu_user:2.5\r\nused_cpu_user_children:9\r\nused_memory:77\r\n\
                    cmdstat_evalsha:calls=3,usec=9\r\ncmdstat_xadd:calls=40,usec=9\r\ncmdstat_xreadgroup:calls=2,usec=1\r\n";
        let found = Statistics::parse(text);
        assert_eq!((found.sent(), found.inside(), found.memory), (5, 40, 77));
        assert!((found.cpu_seconds - 3.75).abs() < 1e-9);
    }
}
