//! An ingest process of its own whose log is kept, and requests as consoles send them: bytes on a socket.

#![allow(dead_code)] // every test file uses its own part

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use streams::server::RedisServer;
use streams::tail::Payload;
use streams::{Entry, Log};
use weather::{Observation, Time};

use crate::stack::{PATIENCE, eventually, free_port};

pub(crate) struct Ingest {
    child: Option<Child>,
    pub(crate) address: SocketAddr,
    metrics: u16,
    arguments: Vec<String>,
    folder: tempfile::TempDir,
}

impl Ingest {
    /// On 127.0.0.1, beside `redis`.
    pub(crate) async fn start(redis: &RedisServer, extra: &[&str]) -> Self {
        Self::start_at(&format!("127.0.0.1:{}", free_port()), redis, extra).await
    }

    pub(crate) async fn start_at(address: &str, redis: &RedisServer, extra: &[&str]) -> Self {
        let metrics = free_port();
        let mut arguments = vec!["ingest".to_owned(), format!("--redis-port={}", redis.port())];
        arguments.extend([format!("--listen={address}"), format!("--metrics-listen=127.0.0.1:{metrics}")]);
        arguments.extend(extra.iter().map(|&argument| argument.to_owned()));
        let folder = tempfile::tempdir().unwrap();
        let mut ingest = Self { child: None, address: address.parse().unwrap(), metrics, arguments, folder };
        ingest.spawn().await;
        ingest
    }

    async fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
        command.args(&self.arguments).env("WEATHERGLASS_LOG", "trace").stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().unwrap());
        // That the port is open is not enough: it is before ingest serves.
        let answers = || TcpStream::connect(self.address).is_ok() && self.get("/healthz").0 == 200;
        eventually("ingest answers", || async { answers() }).await;
    }

    /// SIGKILL, and again.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.spawn().await;
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// SIGTERM; the exit code must be 0.
    pub(crate) fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
        assert!(child.wait().unwrap().success(), "{}", self.log());
    }

    /// Everything that it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// A connection that waits for its answers with patience.
    pub(crate) fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// Sends bytes and reads until the other side hangs up.
    pub(crate) fn send(&self, request: impl AsRef<[u8]>) -> String {
        let mut stream = self.connect();
        // An answer may come, and the connection go, before everything is sent.
        let _ = stream.write_all(request.as_ref());
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    /// What a GET as a console sends it is answered: status and body.
    pub(crate) fn get(&self, target: &str) -> (u16, String) {
        parts(&self.send(format!("GET {target} HTTP/1.0\r\n\r\n")))
    }

    /// The same for a form.
    pub(crate) fn post(&self, target: &str, form: &str) -> (u16, String) {
        let kind = "Content-Type: application/x-www-form-urlencoded";
        let head = format!("POST {target} HTTP/1.1\r\nHost: h\r\n{kind}\r\nConnection: close");
        parts(&self.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{form}", form.len())))
    }

    pub(crate) fn metrics_page(&self) -> String {
        let mut stream = TcpStream::connect(("127.0.0.1", self.metrics)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    }

    /// The sum of a metric's series whose line contains `label`.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let name = format!("weatherglass_ingest_{name}");
        let page = self.metrics_page();
        let mine = |line: &&str| line.strip_prefix(&name).is_some_and(|rest| rest.starts_with(['{', ' ']));
        let lines = page.lines().filter(mine).filter(|line| line.contains(label));
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Status and body of an answer.
pub(crate) fn parts(answer: &str) -> (u16, String) {
    let status = answer.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map_or(String::new(), |(_, body)| body.to_owned()))
}

/// What came in, in order of arrival within each partition.
pub(crate) async fn arrived(redis: &RedisServer) -> Vec<Observation> {
    let redis = streams::Redis::connect(&redis.config()).await.unwrap();
    let partitions: Vec<u16> = (0..redis.keys().partitions()).collect();
    let mut observations = Vec::new();
    for update in redis.since(&partitions, 0, 100_000).await.unwrap().updates {
        if let (Log::Observations, Payload::Entry(Entry::Observation(received))) = (update.log, update.payload.unwrap())
        {
            observations.push(received.observation);
        }
    }
    observations
}

/// A time as consoles write it, some seconds ago.
pub(crate) fn ago(seconds: i64) -> String {
    let text = (Time::now() - seconds).to_string();
    text.trim_end_matches('Z').replace('T', "%20").replace(':', "%3A")
}

/// A file in `folder` with these words.
pub(crate) fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

pub(crate) async fn pause(milliseconds: u64) {
    tokio::time::sleep(Duration::from_millis(milliseconds)).await;
}
