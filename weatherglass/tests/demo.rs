//! The demo as a user runs it: it fills itself, stops cleanly, keeps what it had, and says what is in the way.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use streams::server::RedisServer;

use stack::{eventually, free_port, repository};
use weather::Time;

struct Demo {
    child: Child,
    ingest: u16,
    api: u16,
}

fn demo(data: &Path, redis: u16, ingest: u16, api: u16) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
    command.arg("demo").arg("--data").arg(data).args(["--stations", "3", "--interval", "5"]);
    command.args(["--own-redis-port", &redis.to_string()]);
    command.args(["--ingest-listen", &format!("127.0.0.1:{ingest}"), "--api-listen", &format!("127.0.0.1:{api}")]);
    command.args(["--web-listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    command.arg("--web").arg(repository().join("web/dist"));
    command.env("WEATHERGLASS_MODELS", repository().join("models/weights"));
    command.env_remove("REDIS_HOST").env_remove("REDIS_PORT").env_remove("REDIS_URL");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Demo {
    /// Starts it and waits until it greets.
    fn start(data: &Path, redis: u16) -> Self {
        let (ingest, api) = (free_port(), free_port());
        let mut child = demo(data, redis, ingest, api).spawn().unwrap();
        let mut greeting = String::new();
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            greeting.push_str(&line);
            if line.starts_with("Ctrl-C") {
                break;
            }
        }
        assert!(greeting.contains("Weatherglass is running"), "{greeting}");
        assert!(greeting.contains("simulated"), "{greeting}");
        Self { child, ingest, api }
    }

    /// Ctrl-C; it must say that all is kept and leave with success.
    fn stop(mut self) {
        assert!(Command::new("kill").args(["-INT", &self.child.id().to_string()]).status().unwrap().success());
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        assert!(self.child.wait().unwrap().success(), "{said}");
        assert!(said.contains("everything accepted is kept"), "{said}");
    }

    async fn get(&self, path: &str) -> Value {
        let url = format!("http://127.0.0.1:{}{path}", self.api);
        let _ = rustls::crypto::ring::default_provider().install_default();
        reqwest::get(url).await.unwrap().json().await.unwrap_or_default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fills_itself_and_keeps_what_it_had() {
    let data = tempfile::tempdir().unwrap();
    let redis = free_port();
    let first = Demo::start(data.path(), redis);
    let stations = first.get("/api/v1/stations").await;
    let stations = stations["features"].as_array().unwrap();
    assert_eq!(stations.len(), 3);
    assert!(stations.iter().all(|s| s["properties"]["simulated"] == true));
    let forecast = first.get("/api/v1/stations/SIM-01/forecast").await;
    assert_eq!(forecast["leads"].as_array().unwrap().len(), 48);
    let own = json!({"station": "GARDEN", "time": Time::now().to_string(), "temperature": 12.3});
    let url = format!("http://127.0.0.1:{}/v1/observations", first.ingest);
    assert_eq!(reqwest::Client::new().post(url).json(&own).send().await.unwrap().status(), 202);
    first.stop();

    let second = Demo::start(data.path(), redis);
    let kept = second.get("/api/v1/stations/GARDEN/observations").await;
    let kept = kept["observations"].as_array().unwrap();
    assert_eq!((kept.len(), &kept[0]["temperature"]), (1, &json!(12.3)));
    let before = second.get("/api/v1/stations/SIM-02/observations").await["observations"].as_array().unwrap().len();
    assert!(before >= 570, "95 hours at ten minutes, once: {before}");
    eventually("simulated stations go on reporting", || async {
        second.get("/api/v1/stations/SIM-02/observations").await["observations"].as_array().unwrap().len() > before
    })
    .await;
    // Killed without a word, it leaves its redis-server behind; the next one takes that over.
    let Demo { mut child, .. } = second;
    child.kill().unwrap();
    child.wait().unwrap();
    let third = Demo::start(data.path(), redis);
    let kept = third.get("/api/v1/stations/GARDEN/observations").await;
    assert_eq!(kept["observations"].as_array().unwrap().len(), 1);
    third.stop();
    assert!(std::net::TcpListener::bind(("127.0.0.1", redis)).is_ok(), "its redis-server has stopped with it");
}

#[test]
fn what_is_in_the_way_is_one_line_with_the_fix() {
    let data = tempfile::tempdir().unwrap();
    let fails = |mut command: Command| {
        let output = command.output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let said = fails(demo(data.path(), free_port(), port, free_port()));
    assert!(said.contains("can't listen") && said.contains("--ingest-listen"), "{said}");
    let said = fails(demo(data.path(), port, free_port(), free_port()));
    assert!(said.contains(&format!("port {port} is in use")), "{said}");
    let mut no_redis = demo(data.path(), free_port(), free_port(), free_port());
    no_redis.env("PATH", "");
    let said = fails(no_redis);
    assert!(said.contains("redis-server is not installed"), "{said}");
    let mut absent = demo(data.path(), free_port(), free_port(), free_port());
    absent.env("REDIS_PORT", free_port().to_string());
    let said = fails(absent);
    assert!(said.contains("can't use Redis") && said.contains("leave them out"), "{said}");
    let mut guarded = RedisServer::temporary().unwrap();
    let set = ["-p", &guarded.port().to_string(), "CONFIG", "SET", "requirepass", "secret"].map(str::to_owned);
    assert!(Command::new("redis-cli").args(set).output().unwrap().status.success());
    let mut refused = demo(data.path(), free_port(), free_port(), free_port());
    refused.env("REDIS_PORT", guarded.port().to_string());
    let said = fails(refused);
    assert!(said.contains("can't use Redis") && said.contains("credentials"), "{said}");
    guarded.kill();
}
