//! A real redis-server, a real api on a free port, and clients of both.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::Value;
use streams::commit::{Batch, WindowField};
use streams::server::RedisServer;
use streams::{Appender, Entry, GroupReader, Received, Redis, RedisConfig};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Bytes, Message};
use tokio_util::sync::CancellationToken;
use weather::forecast::Inputs;
use weather::{
    Distribution, Flags, Forecast, LEADS, ModelId, Observation, Prediction, QUANTILES, Quantity, Station, StationId,
    Time, Variable, Window,
};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// What a scrape would see; shared by the tests of this process.
pub(crate) fn scrape() -> String {
    RECORDER.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).render()
}

pub(crate) fn id(text: &str) -> StationId {
    StationId::new(text).unwrap()
}

/// Seconds before now, on a whole second.
pub(crate) fn ago(seconds: i64) -> Time {
    Time::now() - seconds
}

pub(crate) fn received(station: &str, time: Time, temperature: f32) -> Received {
    let values = [(Variable::Temperature, temperature)].into_iter().collect();
    let observation = Observation { station: id(station), time, values, source: Some("test".into()) };
    Received { observation, flags: Flags::default(), received: 1 }
}

pub(crate) fn station(name: &str, latitude: f64, longitude: f64) -> Station {
    let mut station = Station::unregistered(id(name));
    station.latitude = Some(latitude);
    station.longitude = Some(longitude);
    station
}

/// A running api.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    shutdown: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
}

impl Api {
    pub(crate) async fn start(config: api::Config) -> Self {
        scrape();
        // The HTTP client brings no cryptography of its own; it fails only if there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(api::run(config, listener, shutdown.clone()));
        let api = Self { address, shutdown, task };
        api.until_ready(true).await;
        api
    }

    pub(crate) async fn on(redis: &RedisConfig) -> Self {
        Self::start(config(redis)).await
    }

    pub(crate) async fn stop(self) {
        let started = Instant::now();
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
        assert!(started.elapsed() < Duration::from_secs(6), "draining took {:?}", started.elapsed());
    }

    pub(crate) async fn until_ready(&self, wanted: bool) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let ready = reqwest::get(self.url("/readyz")).await.is_ok_and(|r| r.status() == 200);
            if ready == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "ready is still {ready}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(self.url(path)).await.unwrap()
    }

    pub(crate) async fn json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}");
        response.json().await.unwrap()
    }

    /// The detail of the problem that `path` answers with.
    pub(crate) async fn problem(&self, path: &str, status: u16) -> String {
        let response = self.get(path).await;
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
        let problem: Value = response.json().await.unwrap();
        assert_eq!(problem["status"], status);
        problem["detail"].as_str().unwrap().to_owned()
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::open(self.address, Some("weatherglass.v1+json"), None).await
    }
}

pub(crate) fn config(redis: &RedisConfig) -> api::Config {
    api::Config { redis: redis.clone(), ..api::Config::default() }
}

/// A live client; it reads only when asked to.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    pub(crate) protocol: Option<String>,
}

impl Client {
    pub(crate) async fn open(address: SocketAddr, protocol: Option<&str>, receive_buffer: Option<u32>) -> Self {
        let mut request = format!("ws://{address}/api/v1/live").into_client_request().unwrap();
        if let Some(protocol) = protocol {
            request.headers_mut().insert("sec-websocket-protocol", protocol.parse().unwrap());
        }
        let connection = TcpSocket::new_v4().unwrap();
        if let Some(bytes) = receive_buffer {
            connection.set_recv_buffer_size(bytes).unwrap();
        }
        let connection = connection.connect(address).await.unwrap();
        let (socket, response) = tokio_tungstenite::client_async(request, connection).await.unwrap();
        let protocol = response.headers().get("sec-websocket-protocol").map(|p| p.to_str().unwrap().to_owned());
        Self { socket, protocol }
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    pub(crate) async fn send(&mut self, frame: Value) {
        let packed = self.protocol.as_deref() == Some("weatherglass.v1+msgpack");
        let message = if packed {
            Message::Binary(Bytes::from(rmp_serde::to_vec_named(&frame).unwrap()))
        } else {
            Message::text(frame.to_string())
        };
        self.send_message(message).await;
    }

    /// The next message that is not a ping.
    pub(crate) async fn message(&mut self) -> Message {
        loop {
            let message = tokio::time::timeout(PATIENCE, self.socket.next()).await.expect("no frame came");
            match message.expect("the connection ended").expect("the connection broke") {
                Message::Ping(_) | Message::Pong(_) => {}
                message => return message,
            }
        }
    }

    pub(crate) async fn next(&mut self) -> Value {
        Self::frame(self.message().await)
    }

    pub(crate) fn frame(message: Message) -> Value {
        match message {
            Message::Text(text) => serde_json::from_str(&text).unwrap(),
            Message::Binary(bytes) => rmp_serde::from_slice(&bytes).unwrap(),
            other => panic!("{other:?} where a frame should be"),
        }
    }

    /// The next frame of a type, whatever comes before.
    pub(crate) async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            if let Message::Close(frame) = self.message().await {
                return frame.expect("a close code").code.into();
            }
        }
    }

    /// Fails when a frame comes within a moment.
    pub(crate) async fn quiet(&mut self) {
        self.send(serde_json::json!({"type": "ping"})).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert_eq!(self.next().await["type"], "pong");
    }
}

/// Redis with what ingest and a worker do to it.
pub(crate) struct Network {
    pub(crate) server: RedisServer,
    pub(crate) redis: Redis,
    pub(crate) appender: Appender,
    worker: GroupReader,
}

impl Network {
    pub(crate) async fn start() -> Self {
        let server = RedisServer::temporary().unwrap();
        let redis = Redis::connect(&server.config()).await.unwrap();
        let appender = Appender::new(redis.clone());
        let worker = GroupReader::open(redis.clone(), "test").await.unwrap();
        Self { server, redis, appender, worker }
    }

    pub(crate) fn config(&self) -> RedisConfig {
        self.server.config()
    }

    pub(crate) async fn observe(&self, station: &str, time: Time, temperature: f32) {
        self.appender.append(&[received(station, time, temperature)]).await.unwrap();
    }

    /// Commits what waits of a station's partition, with a forecast for each station in it.
    pub(crate) async fn work(&mut self, station: &str) {
        let partition = self.redis.keys().partition_of(&id(station));
        self.worker.ensure_group(partition).await.unwrap();
        let read = self.worker.read(&[partition], 1000, Duration::from_millis(10)).await.unwrap();
        let mut batch = Batch { acknowledged: read.iter().map(|d| d.id).collect(), ..Batch::default() };
        let mut stations = BTreeSet::new();
        let mut windows: std::collections::BTreeMap<StationId, Window> = Default::default();
        for delivery in &read {
            let Ok(Entry::Observation(received)) = Entry::decode(&delivery.bytes) else { continue };
            let name = received.observation.station.clone();
            if stations.insert(name.clone()) {
                let held = self.redis.windows(std::slice::from_ref(&name)).await.unwrap().windows.remove(0);
                windows.insert(name.clone(), held);
            }
            let window = windows.get_mut(&name).unwrap();
            window.apply(&received.observation, received.flags);
            let hour = received.observation.time.hour();
            batch.windows.push(WindowField { station: name.clone(), hour, bytes: window.pack_hour(hour) });
            if window.newest().unwrap().time == received.observation.time {
                batch.newest.retain(|(s, _)| *s != name);
                batch.newest.push((name.clone(), delivery.bytes.clone()));
            }
            let forecast = forecast(&name, window.newest().unwrap().time, &delivery.id.to_string());
            batch.forecasts.retain(|(s, _)| *s != name);
            batch.forecasts.push((name, streams::codec::encode_forecast(&forecast)));
        }
        let lease = self.redis.acquire(partition, "test", Duration::from_secs(5)).await.unwrap().unwrap();
        self.redis.commit(&lease, &batch, None).await.unwrap();
        self.redis.release(&lease).await.unwrap();
    }
}

pub(crate) fn forecast(station: &StationId, reference_time: Time, cause: &str) -> Forecast {
    let mut prediction = Prediction::default();
    let levels = Box::new(std::array::from_fn::<_, { QUANTILES.len() }, _>(|level| [12.3 + level as f32; LEADS]));
    prediction.distributions[Quantity::Temperature as usize] = Distribution::new(Quantity::Temperature, levels);
    prediction.precipitation_probability = Some(Box::new([0.25; LEADS]));
    prediction.wind_direction = Some(Box::new([270.0; LEADS]));
    Forecast {
        station: station.clone(),
        reference_time,
        issue_time: reference_time + 1,
        expires: reference_time + 3600,
        model: ModelId { name: "mixer".into(), version: "1".into() },
        inputs: Inputs { age_seconds: 1, missing_share: 0.1, masked_share: 0.0 },
        cause: cause.to_owned(),
        revision: 0,
        prediction,
    }
}
