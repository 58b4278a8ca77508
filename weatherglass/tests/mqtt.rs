//! The MQTT door: a real Mosquitto, a real Redis, the real binary; each of them goes away in between.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod mqtt {
    pub(crate) mod broker;
}
mod stack;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use mqtt::broker::{Broker, Publisher};
use serde_json::json;
use stack::{Service, Stack, eventually, free_port, observation};
use streams::tail::Payload;
use streams::{Entry, Log};
use weather::{Observation, Time, Variable};

const JSON: &str = "[[topic]]\nfilter = \"wg/+\"\ndialect = \"json\"\nstation = \"{1}\"\n";
const TOPICS: &str = r#"
[[topic]]
filter = "weather/#"
dialect = "weewx"
station = "roof"
[[topic]]
filter = "rtl_433/+/events"
dialect = "rtl_433"
station = "{1}:{model}-{id}-{channel}"
time = "utc"
merge = 2
[[topic]]
filter = "ecowitt/+"
dialect = "ecowitt"
station = "{1}"
[[topic]]
filter = "ha/sensor/+/+"
dialect = "homeassistant"
station = "garden"
merge = 1
entities = { garden_t = "temperature", garden_h = "relative_humidity", garden_p = "pressure_station" }
"#;

fn door(file: &Path) -> String {
    format!("--mqtt={}", file.display())
}

/// The observations in the streams, in order per station.
async fn arrived(stack: &Stack) -> BTreeMap<String, Vec<Observation>> {
    let redis = stack.connect_redis().await;
    let partitions: Vec<u16> = (0..redis.keys().partitions()).collect();
    let mut arrived: BTreeMap<String, Vec<Observation>> = BTreeMap::new();
    for update in redis.since(&partitions, 0, 100_000).await.unwrap().updates {
        if let (Log::Observations, Payload::Entry(Entry::Observation(r))) = (update.log, update.payload.unwrap()) {
            arrived.entry(r.observation.station.as_str().to_owned()).or_default().push(r.observation);
        }
    }
    arrived
}

async fn of(stack: &Stack, station: &str) -> Vec<Observation> {
    arrived(stack).await.remove(station).unwrap_or_default()
}

async fn count(stack: &Stack, name: &str, label: &str) -> f64 {
    stack.metric(Service::Ingest, &format!("weatherglass_ingest_{name}"), label).await
}

async fn connected(stack: &Stack) {
    eventually("a connection to the broker", || async { count(stack, "mqtt_connected", "").await == 1.0 }).await;
}

/// Received = accepted + duplicate + rejected, and nothing waits to be acknowledged.
async fn accounted(stack: &Stack) {
    eventually("everything acknowledged", || async { count(stack, "mqtt_unacknowledged_messages", "").await == 0.0 })
        .await;
    let mut fates = 0.0;
    for fate in ["accepted", "duplicate", "rejected"] {
        fates += count(stack, &format!("{fate}_observations_total"), "").await;
    }
    assert_eq!(count(stack, "received_observations_total", "").await, fates, "the account does not add up");
}

/// A minute of each of three stations, the `n`th.
fn minute(n: i64) -> Vec<Observation> {
    let begin = Time::now().unix() / 3600 * 3600 - 10 * 3600;
    ["A", "B", "C"].map(|s| observation(s, Time::from_unix(begin + n * 60), n as f32 / 8.0)).into()
}

/// Publishes minutes until all are with the broker, however often that takes.
fn publish(publisher: Publisher, minutes: std::ops::Range<i64>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for n in minutes {
            let lines: Vec<String> = minute(n).iter().map(|o| serde_json::to_string(o).unwrap()).collect();
            while !publisher.try_lines("wg/any", &lines) {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    })
}

/// All those minutes are in the streams, each once.
async fn has_exactly(stack: &Stack, minutes: i64) {
    eventually("every minute", || async {
        arrived(stack).await.values().map(Vec::len).sum::<usize>() >= 3 * minutes as usize
    })
    .await;
    let mut expected: BTreeMap<String, Vec<Time>> = BTreeMap::new();
    for o in (0..minutes).flat_map(minute) {
        expected.entry(o.station.to_string()).or_default().push(o.time);
    }
    let mut found: BTreeMap<String, Vec<Time>> = BTreeMap::new();
    for (station, all) in arrived(stack).await {
        let mut times: Vec<Time> = all.iter().map(|o| o.time).collect();
        times.sort_unstable();
        found.insert(station, times);
    }
    assert_eq!(found, expected);
}

async fn finished(publishing: JoinHandle<()>) {
    tokio::task::spawn_blocking(move || publishing.join().unwrap()).await.unwrap();
}

#[tokio::test]
async fn nothing_is_lost_while_broker_ingest_and_redis_go_away() {
    let mut broker = Broker::start();
    let file = broker.settings("client_id = \"test\"", JSON);
    let mut stack = Stack::ingest_only(&[&door(&file)]).await;
    // Of a Redis that writes to its disk once a second a kill may take the last second.
    stack.redis.say("CONFIG SET appendfsync always").unwrap();
    connected(&stack).await;
    finished(publish(broker.publisher(), 0..10)).await;
    has_exactly(&stack, 10).await;

    // The broker, while messages come.
    let publishing = publish(broker.publisher(), 10..40);
    tokio::time::sleep(Duration::from_millis(300)).await;
    broker.stop();
    eventually("a lost connection", || async { count(&stack, "mqtt_connected", "").await == 0.0 }).await;
    broker.restart();
    finished(publishing).await;
    has_exactly(&stack, 40).await;
    assert_eq!(count(&stack, "mqtt_reconnects_total", "").await, 1.0);
    accounted(&stack).await;

    // Ingest, while messages come and while it is away.
    let publishing = publish(broker.publisher(), 40..80);
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stack.kill(Service::Ingest);
        tokio::time::sleep(Duration::from_millis(100)).await;
        stack.spawn(Service::Ingest);
        stack.ready(Service::Ingest).await;
    }
    finished(publishing).await;
    has_exactly(&stack, 80).await;
    accounted(&stack).await;

    // Redis, without a spool to put things in; and the broker, while they wait.
    let publishing = publish(broker.publisher(), 80..120);
    tokio::time::sleep(Duration::from_millis(200)).await;
    stack.redis.kill();
    eventually("retries", || async { count(&stack, "mqtt_retries_total", "").await > 2.0 }).await;
    assert!(count(&stack, "mqtt_unacknowledged_messages", "").await > 0.0);
    finished(publishing).await;
    broker.stop();
    broker.restart();
    connected(&stack).await;
    stack.redis.restart().unwrap();
    has_exactly(&stack, 120).await;
    accounted(&stack).await;

    // Ingest, which has messages that Redis has not.
    stack.redis.kill();
    finished(publish(broker.publisher(), 120..125)).await;
    let retries = count(&stack, "mqtt_retries_total", "").await;
    eventually("more retries", || async { count(&stack, "mqtt_retries_total", "").await > retries + 1.0 }).await;
    stack.kill(Service::Ingest);
    stack.redis.restart().unwrap();
    stack.spawn(Service::Ingest);
    stack.ready(Service::Ingest).await;
    has_exactly(&stack, 125).await;
    accounted(&stack).await;

    // All at once: what was published while ingest was stopped, to a broker that was restarted since.
    stack.stop(Service::Ingest);
    finished(publish(broker.publisher(), 125..150)).await;
    broker.stop();
    broker.restart();
    stack.spawn(Service::Ingest);
    stack.ready(Service::Ingest).await;
    has_exactly(&stack, 150).await;
    accounted(&stack).await;
    assert_eq!(count(&stack, "rejected_observations_total", "").await, 0.0);
}

/// An event of a five-in-one, so many seconds ago.
fn five_in_one(ago: i64, rest: &str) -> String {
    let time = (Time::now() - ago).to_string().replace('T', " ").replace('Z', "");
    format!(r#"{{"time":"{time}","model":"Acurite-5n1","id":9,"channel":"A",{rest}}}"#)
}

#[tokio::test]
async fn every_dialect_comes_in_by_its_topics() {
    let broker = Broker::start();
    let file = broker.settings("", &format!("{JSON}{TOPICS}"));
    let mut stack = Stack::ingest_only(&[&door(&file)]).await;
    let publisher = broker.publisher();
    connected(&stack).await;
    let now = Time::now().unix();

    publisher.one("wg/X1", &json!({"time": Time::from_unix(now - 60), "temperature": 3.5}).to_string());
    publisher.one("weather/loop", &json!({"dateTime": format!("{now}.0"), "outTemp_F": "50.0"}).to_string());
    publisher.one("ecowitt/gw1000", "PASSKEY=1&dateutc=now&tempf=41&baromrelin=29.92&hourlyrainin=0.1");
    eventually("three stations", || async { arrived(&stack).await.len() == 3 }).await;
    let value = |o: &Observation, v| o.values.get(v).unwrap_or(f32::NAN);
    assert_eq!(value(&of(&stack, "X1").await[0], Variable::Temperature), 3.5);
    assert!((value(&of(&stack, "roof").await[0], Variable::Temperature) - 10.0).abs() < 1e-4);
    assert!((value(&of(&stack, "gw1000").await[0], Variable::Precipitation) - 2.54).abs() < 1e-4);

    // Two messages, each sent three times, then a second pair: two observations, rain between them.
    let station = "attic:Acurite-5n1-9-A";
    for (ago, rain) in [(80, 100.0), (40, 100.2)] {
        let wind = five_in_one(ago, &format!(r#""wind_avg_km_h":7.2,"wind_dir_deg":90,"rain_mm":{rain}"#));
        let warm = five_in_one(ago - 1, r#""wind_avg_km_h":10.8,"temperature_C":5,"humidity":80"#);
        publisher.lines("rtl_433/attic/events", &[wind.clone(), wind.clone(), wind, warm.clone(), warm.clone(), warm]);
    }
    eventually("two observations", || async { of(&stack, station).await.len() == 2 }).await;
    let five = of(&stack, station).await;
    for (o, rain) in five.iter().zip([None, Some(0.2)]) {
        assert_eq!((value(o, Variable::WindSpeed), value(o, Variable::Temperature)), (3.0, 5.0));
        assert_eq!(o.values.get(Variable::Precipitation), rain);
    }
    assert_eq!(five[1].values.get(Variable::PrecipitationPeriod), Some((five[1].time - five[0].time) as f32));

    // States that the broker kept are no news; units that it kept are of use.
    publisher.retained("ha/sensor/garden_t/unit_of_measurement", "\"°F\"");
    publisher.one("ha/sensor/garden_t/state", "50");
    publisher.one("ha/sensor/garden_h/state", "\"81\"");
    eventually("the garden", || async { of(&stack, "garden").await.len() == 1 }).await;
    let garden = of(&stack, "garden").await.remove(0);
    assert!((value(&garden, Variable::Temperature) - 10.0).abs() < 1e-4);
    assert_eq!(garden.values.len(), 2);
    publisher.retained("ha/sensor/garden_h/state", "99");
    eventually("one more", || async { of(&stack, "garden").await.len() == 2 }).await;

    // A part that waits is kept when ingest is told to stop, and a unit known again when it is back.
    publisher.one("rtl_433/attic/events", &five_in_one(10, r#""wind_avg_km_h":36"#));
    eventually("a part that waits", || async { count(&stack, "mqtt_unacknowledged_messages", "").await > 0.0 }).await;
    stack.stop(Service::Ingest);
    assert_eq!(value(&of(&stack, station).await[2], Variable::WindSpeed), 10.0);
    publisher.one("ha/sensor/garden_t/state", "59");
    stack.spawn(Service::Ingest);
    stack.ready(Service::Ingest).await;
    eventually("the garden again", || async { of(&stack, "garden").await.len() == 3 }).await;
    let garden = of(&stack, "garden").await.remove(2);
    assert!((value(&garden, Variable::Temperature) - 15.0).abs() < 1e-4);
    assert_eq!(garden.values.len(), 1, "not the retained 99 %");
    accounted(&stack).await;
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_blocks_nothing() {
    let broker = Broker::start();
    let file = broker.settings("payload_limit = 10000", &format!("{JSON}{TOPICS}"));
    let stack = Stack::ingest_only(&[&door(&file)]).await;
    let publisher = broker.publisher();
    connected(&stack).await;
    // More than the broker sends before it waits.
    publisher.lines("wg/X1", &vec!["{".to_owned(); 50]);
    publisher.one("wg/X1", &json!({"time": "2020-01-01T00:00:00Z", "temperature": 3.5}).to_string());
    publisher.one("ecowitt/gw", &"x".repeat(10_001));
    let big = broker.path("big");
    std::fs::write(&big, vec![b'x'; 9 << 20]).unwrap();
    publisher.file("wg/X1", &big);
    publisher.one("wg/X1", &json!({"time": Time::now() - 60, "temperature": 3.5}).to_string());
    eventually("what came after them", || async { !of(&stack, "X1").await.is_empty() }).await;
    for (reason, expected) in [("unparseable", 50.0), ("past_retention", 1.0), ("too_large", 2.0)] {
        assert_eq!(count(&stack, "rejected_observations_total", reason).await, expected, "{reason}");
    }
    // The largest was more than was read at first: it cost a connection.
    assert_eq!(count(&stack, "mqtt_reconnects_total", "").await, 1.0);
    accounted(&stack).await;
    assert_eq!(count(&stack, "received_observations_total", "").await, 54.0);
    assert_eq!(count(&stack, "mqtt_messages_total", "json\",outcome=\"rejected").await, 51.0);
}

/// A second ingest, whose words are written down.
struct Ingest {
    child: Child,
    metrics: String,
}

impl Ingest {
    fn start(stack: &Stack, file: &Path, log: &Path) -> Self {
        let metrics = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
        command.args(["ingest", "--listen=127.0.0.1:0", "--metrics-listen", &metrics, &door(file)]);
        command.args(["--redis-port", &stack.redis.port().to_string()]).env("WEATHERGLASS_LOG", "warn");
        let child = command.stdin(Stdio::null()).stderr(File::create(log).unwrap()).spawn().unwrap();
        Self { child, metrics }
    }

    async fn failures(&self, stack: &Stack, kind: &str) -> f64 {
        let Ok(answer) = stack.client.get(format!("http://{}/metrics", self.metrics)).send().await else { return 0.0 };
        let text = answer.text().await.unwrap();
        let series = format!("weatherglass_ingest_mqtt_connection_failures_total{{kind=\"{kind}\"}} ");
        text.lines().find_map(|line| line.strip_prefix(&series)?.parse().ok()).unwrap_or(0.0)
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn tls_certificates_and_a_password() {
    let broker = Broker::secure();
    let mut stack = Stack::ingest_only(&[]).await;
    let login = |ca: &str| {
        let rest = "client_certificate_file = \"client.pem\"\nclient_key_file = \"client-key.pem\"";
        format!("username = \"weatherglass\"\npassword_file = \"password\"\nca_file = \"{ca}\"\n{rest}")
    };
    let log = broker.path("ingest.log");
    for (password, ca, kind, said) in [
        ("wrong horse", "ca.pem", "refused", "the MQTT broker refuses username and password_file"),
        ("correct horse", "stranger.pem", "tls", "no TLS with the MQTT broker"),
    ] {
        std::fs::write(broker.path("password"), format!("{password}\n")).unwrap();
        let ingest = Ingest::start(&stack, &broker.settings(&login(ca), JSON), &log);
        let again = || async { ingest.failures(&stack, kind).await > 3.0 };
        eventually(&format!("it is tried again and again: {}", log.display()), again).await;
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!(text.lines().filter(|line| line.contains(said)).count(), 1, "one line: {text}");
        assert!(!text.contains(password), "{text}");
    }
    std::fs::write(broker.path("password"), "correct horse\n").unwrap();
    stack.tell(Service::Ingest, &door(&broker.settings(&login("ca.pem"), JSON)));
    stack.restart(Service::Ingest).await;
    connected(&stack).await;
    finished(publish(broker.publisher(), 0..3)).await;
    has_exactly(&stack, 3).await;
    accounted(&stack).await;
}

#[test]
fn a_file_that_is_wrong_stops_the_start_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mqtt.toml");
    let bad = JSON.replace("json", "xml");
    for (text, said) in [
        (format!("broker = \"mqtt://localhost\"\n{bad}"), "topic 1 (wg/+): dialect: \"xml\" is not allowed: json"),
        (format!("broker = \"mqtts://localhost\"\nca_file = \"none.pem\"\n{JSON}"), "ca_file"),
        (format!("broker = \"mqtt://h\"\nusername = \"u\"\npassword_file = \"none\"\n{JSON}"), "password_file"),
    ] {
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
        command.args(["ingest", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0", &door(&file)]);
        let output = command.env("WEATHERGLASS_LOG", "error").output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success());
        assert_eq!(message.trim_end().lines().count(), 1, "{message}");
        assert!(message.contains("WEATHERGLASS_MQTT") && message.contains(said), "{message}");
    }
}

#[tokio::test]
async fn a_rain_counter_is_remembered_over_a_restart() {
    let broker = Broker::start();
    let file = broker.settings("client_id = \"test\"", TOPICS);
    let mut stack = Stack::ingest_only(&[&door(&file)]).await;
    stack.redis.say("CONFIG SET appendfsync always").unwrap();
    connected(&stack).await;
    let begin = Time::now() - 600;
    let gauge = |minutes: i64, rain: f64| {
        let event = json!({"time": (begin + 60 * minutes).unix(), "model": "Gauge", "id": 7, "channel": 1,
            "temperature_C": 10.0 + 0.1 * minutes as f64, "rain_mm": rain});
        vec![event.to_string()]
    };
    let station = "shed:Gauge-7-1";
    assert!(broker.publisher().try_lines("rtl_433/shed/events", &gauge(0, 100.0)));
    eventually("the first reading", || async { of(&stack, station).await.len() == 1 }).await;
    accounted(&stack).await;
    stack.kill(Service::Ingest);
    stack.spawn(Service::Ingest);
    stack.ready(Service::Ingest).await;
    connected(&stack).await;
    assert!(broker.publisher().try_lines("rtl_433/shed/events", &gauge(3, 100.508)));
    eventually("the second reading", || async { of(&stack, station).await.len() == 2 }).await;
    let rain = |o: &Observation| (o.values.get(Variable::Precipitation), o.values.get(Variable::PrecipitationPeriod));
    let said: Vec<_> = of(&stack, station).await.iter().map(rain).collect();
    assert_eq!(said, [(None, None), (Some(0.508), Some(180.0))]);
}
