//! The real services as processes of the built binary, on a redis-server of their own.

#![allow(dead_code)] // every test file uses its own part

use std::collections::HashMap;
use std::future::Future;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use streams::server::RedisServer;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use weather::{Observation, StationId, Time, Values, Variable};

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The folder of recorded observations, if this machine has it.
pub(crate) fn recordings() -> Option<PathBuf> {
    let folder = std::env::var_os("WEATHERGLASS_DATA")
        .map_or_else(|| repository().parent().unwrap().join("shared/data"), PathBuf::from);
    folder.join("tables").is_dir().then_some(folder)
}

/// A port for a service that starts in a moment. Below those that the system gives to outgoing
/// connections: one of these could have taken it by then.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 16_000).unwrap();
    loop {
        let port = 15_000 + (first + NEXT.fetch_add(1, Ordering::Relaxed)) % 16_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Service {
    Ingest,
    Worker,
    Api,
}

impl Service {
    pub(crate) const ALL: [Self; 3] = [Self::Ingest, Self::Worker, Self::Api];

    const fn name(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Api => "api",
        }
    }
}

pub(crate) struct Stack {
    pub(crate) redis: RedisServer,
    pub(crate) client: reqwest::Client,
    ports: HashMap<(Service, bool), u16>,
    running: HashMap<Service, Child>,
    extra: Vec<(Service, String)>,
    /// Another Redis than its own.
    elsewhere: Option<String>,
    has_worker: bool,
}

impl Stack {
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With extra arguments for some services.
    pub(crate) async fn start_with(extra: &[(Service, &str)]) -> Self {
        Self::start_these(&Service::ALL, None, extra).await
    }

    /// On a Redis elsewhere.
    pub(crate) async fn start_at(url: &str, extra: &[(Service, &str)]) -> Self {
        Self::start_these(&Service::ALL, Some(url), extra).await
    }

    /// Without a worker: what comes in stays as it is, and nobody asks whether it was worked on.
    pub(crate) async fn ingest_only(extra: &[&str]) -> Self {
        let extra: Vec<(Service, &str)> = extra.iter().map(|argument| (Service::Ingest, *argument)).collect();
        Self::start_these(&[Service::Ingest], None, &extra).await
    }

    async fn start_these(services: &[Service], url: Option<&str>, extra: &[(Service, &str)]) -> Self {
        // The HTTP client brings no cryptography of its own; it fails only if there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut ports = HashMap::new();
        for service in Service::ALL {
            ports.insert((service, false), free_port());
            ports.insert((service, true), free_port());
        }
        let mut stack = Self {
            redis: RedisServer::temporary().unwrap(),
            client: reqwest::Client::builder().timeout(PATIENCE).build().unwrap(),
            ports,
            running: HashMap::new(),
            extra: extra.iter().map(|(s, a)| (*s, (*a).to_owned())).collect(),
            elsewhere: url.map(str::to_owned),
            has_worker: services.contains(&Service::Worker),
        };
        for service in services {
            stack.spawn(*service);
        }
        for service in services {
            stack.ready(*service).await;
        }
        stack
    }

    pub(crate) fn spawn(&mut self, service: Service) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
        command.arg(service.name()).args(["--redis-port", &self.redis.port().to_string()]);
        command.args(["--metrics-listen", &format!("127.0.0.1:{}", self.ports[&(service, true)])]);
        match service {
            Service::Worker => {
                if !self.extra.iter().any(|(_, argument)| argument.starts_with("--models=")) {
                    command.arg("--models").arg(repository().join("models/weights"));
                }
                command.args(["--lease", "2"]);
            }
            Service::Ingest => {
                command.args(["--listen", &format!("127.0.0.1:{}", self.ports[&(service, false)])]);
            }
            Service::Api => {
                command.args(["--listen", &format!("127.0.0.1:{}", self.ports[&(service, false)])]);
                command.arg("--web").arg(repository().join("web/dist"));
            }
        }
        command.args(self.elsewhere.iter().map(|url| format!("--redis-url={url}")));
        for (_, argument) in self.extra.iter().filter(|(s, _)| *s == service) {
            command.arg(argument);
        }
        command.env("WEATHERGLASS_LOG", "warn").stdin(Stdio::null());
        self.running.insert(service, command.spawn().unwrap());
    }

    pub(crate) fn url(&self, service: Service) -> String {
        format!("http://127.0.0.1:{}", self.ports[&(service, false)])
    }

    pub(crate) async fn ready(&self, service: Service) {
        let port = self.ports[&(service, service == Service::Worker)];
        let url = format!("http://127.0.0.1:{port}/readyz");
        eventually(&format!("{} ready", service.name()), || async {
            self.client.get(&url).send().await.is_ok_and(|r| r.status().is_success())
        })
        .await;
    }

    /// One more argument for its next start.
    pub(crate) fn tell(&mut self, service: Service, argument: &str) {
        self.extra.push((service, argument.to_owned()));
    }

    /// What the worker answers when asked whether it is ready; nothing while it does not answer.
    pub(crate) async fn readiness(&self) -> String {
        let url = format!("http://127.0.0.1:{}/readyz", self.ports[&(Service::Worker, true)]);
        match self.client.get(url).send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// SIGKILL: no chance to say goodbye.
    pub(crate) fn kill(&mut self, service: Service) {
        let mut child = self.running.remove(&service).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Whether it ends by itself, and not well.
    pub(crate) async fn fails(&mut self, service: Service) {
        let mut child = self.running.remove(&service).unwrap();
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{} goes on", service.name());
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        assert!(!status.success());
    }

    /// SIGTERM, and the exit code must be 0.
    pub(crate) fn stop(&mut self, service: Service) {
        let mut child = self.running.remove(&service).unwrap();
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "{} did not stop cleanly", service.name());
    }

    pub(crate) fn pid(&self, service: Service) -> u32 {
        self.running[&service].id()
    }

    /// SIGSTOP, SIGCONT, ...
    pub(crate) fn signal(&self, service: Service, signal: &str) {
        let pid = self.running[&service].id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// A worker beside the first.
    pub(crate) fn spawn_second_worker(&self) -> Child {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
        command.args(["worker", "--lease", "2", "--metrics-listen", "127.0.0.1:0"]);
        command.args(["--redis-port", &self.redis.port().to_string()]);
        command.args(self.elsewhere.iter().map(|url| format!("--redis-url={url}")));
        command.arg("--models").arg(repository().join("models/weights"));
        command.env("WEATHERGLASS_LOG", "warn").stdin(Stdio::null()).spawn().unwrap()
    }

    /// How many partitions each worker owns, fewest first.
    pub(crate) fn shares(&self) -> Vec<usize> {
        let mut shares: HashMap<String, usize> = HashMap::new();
        for partition in 0..16 {
            let port = self.redis.port().to_string();
            let asked =
                Command::new("redis-cli").args(["-p", &port, "GET", &format!("{{wg:{partition}}}:owner")]).output();
            let token = String::from_utf8(asked.unwrap().stdout).unwrap();
            if let Some((worker, _fence)) = token.trim().rsplit_once('#') {
                *shares.entry(worker.to_owned()).or_default() += 1;
            }
        }
        let mut shares: Vec<usize> = shares.into_values().collect();
        shares.sort_unstable();
        shares
    }

    pub(crate) fn stop_second_worker(&self, mut worker: Child) {
        assert!(Command::new("kill").args(["-TERM", &worker.id().to_string()]).status().unwrap().success());
        assert!(worker.wait().unwrap().success(), "the second worker did not stop cleanly");
    }

    pub(crate) async fn restart(&mut self, service: Service) {
        self.kill(service);
        self.spawn(service);
        self.ready(service).await;
    }

    pub(crate) async fn connect_redis(&self) -> streams::Redis {
        streams::Redis::connect(&self.redis_config()).await.unwrap()
    }

    fn redis_config(&self) -> streams::RedisConfig {
        streams::RedisConfig { redis_url: self.elsewhere.clone(), ..self.redis.config() }
    }

    pub(crate) async fn post(&self, body: impl Into<reqwest::Body>, content_type: &str) -> (u16, Value) {
        let url = format!("{}/v1/observations", self.url(Service::Ingest));
        let answer = self.client.post(url).header("content-type", content_type).body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub(crate) async fn post_one(&self, observation: &Observation) -> Value {
        let (status, receipt) = self.post(serde_json::to_vec(observation).unwrap(), "application/json").await;
        assert_eq!(status, 202, "{receipt}");
        receipt
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        let answer = self.client.get(format!("{}{path}", self.url(Service::Api))).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json().await.unwrap_or_default())
    }

    /// The sum of a metric's series whose line contains `label`.
    pub(crate) async fn metric(&self, service: Service, name: &str, label: &str) -> f64 {
        let url = format!("http://127.0.0.1:{}/metrics", self.ports[&(service, true)]);
        let text = self.client.get(url).send().await.unwrap().text().await.unwrap();
        let series = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        text.lines()
            .filter(series)
            .filter(|line| line.contains(label))
            .map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap())
            .sum()
    }

    pub(crate) async fn live(&self, subscribe: Value) -> Live {
        let url = format!("ws://127.0.0.1:{}/api/v1/live", self.ports[&(Service::Api, false)]);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let mut live = Live(socket);
        live.send(subscribe).await;
        live
    }

    /// Waits until every entry has been acknowledged.
    pub(crate) async fn settled(&self) {
        let redis = self.connect_redis().await;
        eventually("everything acknowledged", || async {
            for partition in 0..redis.keys().partitions() {
                if redis.backlog(partition).await.is_ok_and(|b| b.oldest.is_some()) {
                    return false;
                }
            }
            true
        })
        .await;
    }
}

impl Drop for Stack {
    /// Nothing may be left pending when a test has passed.
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() || !self.has_worker {
            return;
        }
        let config = self.redis_config();
        let check = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let redis = streams::Redis::connect(&config).await.unwrap();
                for partition in 0..redis.keys().partitions() {
                    let backlog = redis.backlog(partition).await.unwrap();
                    assert_eq!((backlog.pending, backlog.oldest), (0, None), "partition {partition} has entries left");
                }
            });
        });
        if let Err(panic) = check.join() {
            std::panic::resume_unwind(panic);
        }
    }
}

pub(crate) struct Live(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Live {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.0.send(Message::text(frame.to_string())).await.unwrap();
    }

    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match tokio::time::timeout(PATIENCE, self.0.next()).await.expect("a frame").unwrap().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Close(reason) => panic!("closed: {reason:?}"),
                _ => {}
            }
        }
    }

    /// The next frame of this type; others pass by.
    pub(crate) async fn frame(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }
}

pub(crate) fn subscribe_all() -> Value {
    json!({"type": "subscribe", "id": "a", "all": true})
}

pub(crate) async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let deadline = Instant::now() + PATIENCE;
    while !check().await {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

pub(crate) fn observation(station: &str, time: Time, temperature: f32) -> Observation {
    let values: Values = [
        (Variable::Temperature, temperature),
        (Variable::DewPoint, temperature - 3.0),
        (Variable::PressureMsl, 1013.2),
        (Variable::WindSpeed, 3.4),
        (Variable::WindDirection, 240.0),
    ]
    .into_iter()
    .collect();
    Observation { station: StationId::new(station).unwrap(), time, values, source: None }
}

/// Hourly reports of the past, the newest an hour ago.
pub(crate) fn history(station: &str, hours: i64) -> Vec<Observation> {
    let now = Time::now();
    (1..=hours).rev().map(|h| observation(station, now - h * 3600, 10.0 + (h % 24) as f32 / 4.0)).collect()
}
