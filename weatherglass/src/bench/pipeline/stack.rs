//! The services as processes of this very program on a redis-server of their own, and what the
//! system says of each.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use streams::server::RedisServer;
use streams::{Redis, RedisConfig, Statistics};

/// How long a service may take to be ready, and a backlog to be dealt with.
const PATIENCE: Duration = Duration::from_secs(120);

/// A redis-server and our connection to it.
pub(super) struct Stack {
    pub(super) redis: Redis,
    config: RedisConfig,
    // Dropped last.
    _server: RedisServer,
}

impl Stack {
    pub(super) async fn start() -> anyhow::Result<Self> {
        let server = tokio::task::spawn_blocking(RedisServer::temporary).await??;
        let config = server.config();
        Ok(Self { redis: Redis::connect(&config).await?, config, _server: server })
    }

    pub(super) fn port(&self) -> u16 {
        self.config.redis_port
    }

    pub(super) async fn statistics(&self) -> anyhow::Result<Statistics> {
        Ok(self.redis.statistics().await?)
    }

    /// Starts a service and waits until it is ready. `core` holds it to one.
    pub(super) async fn service(&self, name: &'static str, core: Option<usize>) -> anyhow::Result<Process> {
        let program = std::env::current_exe()?;
        let (listen, metrics) = (free_port()?, free_port()?);
        let mut command = on_core(program, core);
        command.args([name, "--redis-port", &self.port().to_string()]);
        command.args(["--metrics-listen", &format!("127.0.0.1:{metrics}")]);
        if name != "worker" {
            command.args(["--listen", &format!("127.0.0.1:{listen}")]);
        }
        command.env("WEATHERGLASS_LOG", "error");
        let process = Process::start(command, listen, metrics)?;
        process.ready(name, if name == "worker" { metrics } else { listen }).await?;
        Ok(process)
    }

    /// Waits until every entry is acknowledged.
    pub(super) async fn settled(&self) -> anyhow::Result<()> {
        let begun = Instant::now();
        for partition in 0..self.redis.keys().partitions() {
            while self.redis.backlog(partition).await?.oldest.is_some() {
                if begun.elapsed() > PATIENCE {
                    bail!("partition {partition} still has unprocessed entries after {PATIENCE:?}");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
        Ok(())
    }
}

/// A program held to one core where `taskset` can do that.
fn on_core(program: PathBuf, core: Option<usize>) -> Command {
    match core {
        Some(core) if can_pin() => {
            let mut command = Command::new("taskset");
            command.args(["-c", &core.to_string()]).arg(program);
            command
        }
        _ => Command::new(program),
    }
}

/// Whether a process can be held to a core.
pub(super) fn can_pin() -> bool {
    Command::new("taskset").arg("--version").output().is_ok_and(|output| output.status.success())
}

pub(super) fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// A running service; killed when dropped.
pub(super) struct Process {
    child: Child,
    /// Of its door.
    pub(super) port: u16,
    metrics: u16,
    client: reqwest::Client,
}

impl Process {
    pub(super) fn start(mut command: Command, port: u16, metrics: u16) -> anyhow::Result<Self> {
        let name = format!("{command:?}");
        let child = command.stdin(Stdio::null()).spawn().with_context(|| name)?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(10)).build()?;
        Ok(Self { child, port, metrics, client })
    }

    async fn ready(&self, name: &str, port: u16) -> anyhow::Result<()> {
        let url = format!("http://127.0.0.1:{port}/readyz");
        let begun = Instant::now();
        while !self.client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
            if begun.elapsed() > PATIENCE {
                bail!("{name} was not ready within {PATIENCE:?}");
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Its standard output, if it was asked for.
    pub(super) fn output(&mut self) -> Option<std::process::ChildStdout> {
        self.child.stdout.take()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Seconds of processor time of its threads: to the nanosecond, where a process's own `stat` counts
    /// hundredths of a second. A thread that has ended is no longer counted; ours stay.
    pub(super) fn cpu_seconds(&self) -> f64 {
        self.threads(|_| true)
    }

    /// Seconds of processor time of the model's thread alone.
    pub(super) fn inference_seconds(&self) -> f64 {
        self.threads(|name| name == "inference")
    }

    fn threads(&self, counts: impl Fn(&str) -> bool) -> f64 {
        let Ok(threads) = std::fs::read_dir(format!("/proc/{}/task", self.child.id())) else { return f64::NAN };
        let read = |folder: &Path, file| std::fs::read_to_string(folder.join(file)).unwrap_or_default();
        let of_thread = |folder: PathBuf| {
            let text = if counts(read(&folder, "comm").trim()) { read(&folder, "schedstat") } else { String::new() };
            text.split_whitespace().next().and_then(|time| time.parse::<f64>().ok()).unwrap_or_default() / 1e9
        };
        threads.flatten().map(|entry| of_thread(entry.path())).sum()
    }

    /// Bytes in memory.
    pub(super) fn resident(&self) -> f64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.trim().trim_end_matches("kB").trim().parse::<f64>().unwrap_or(f64::NAN) * 1024.0
    }

    /// Sums of its metrics by name, over their labels.
    pub(super) async fn metric(&self, name: &str) -> anyhow::Result<f64> {
        let url = format!("http://127.0.0.1:{}/metrics", self.metrics);
        let text = self.client.get(url).send().await?.text().await?;
        let series = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let value = |line: &str| line.rsplit(' ').next().and_then(|value| value.parse::<f64>().ok());
        Ok(text.lines().filter(series).filter_map(value).sum())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
