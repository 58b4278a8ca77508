//! Polls of a server that answers from a script, into a real Redis.

use std::sync::{Arc, Mutex};

use streams::server::RedisServer;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weather::{Admission, Variable};

use super::*;
use crate::aviation_weather::{AviationWeather, MetarSettings};
use crate::contact::Recorder;
use crate::link::Link;

/// What the server does with one connection.
#[derive(Clone)]
enum Reply {
    /// Says this and hangs up.
    Say(Vec<u8>),
    /// Says nothing for longer than anybody waits.
    Silence,
}

/// A status line, headers, and a body.
fn reply(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Reply {
    let body = body.as_ref();
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n", body.len());
    Reply::Say([head.as_bytes(), body].concat())
}

/// A server on a free port, its script, and the heads of the requests that it got.
struct Server {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers with these, one a connection, and with the last of them for ever.
    async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests: Arc<Mutex<Vec<String>>> = Arc::default();
        let heard = requests.clone();
        tokio::spawn(async move {
            let mut script = script.into_iter().peekable();
            while let Ok((connection, _)) = listener.accept().await {
                let next = script.next().unwrap();
                if script.peek().is_none() {
                    script = vec![next.clone()].into_iter().peekable();
                }
                tokio::spawn(answer(connection, next, heard.clone()));
            }
        });
        Self { address, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn answer(mut connection: TcpStream, reply: Reply, heard: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.ends_with(b"\r\n\r\n") {
        match connection.read(&mut bytes).await {
            Ok(read @ 1..) => head.extend_from_slice(&bytes[..read]),
            _ => return,
        }
    }
    heard.lock().unwrap().push(String::from_utf8(head).unwrap());
    match reply {
        Reply::Say(bytes) => drop(connection.write_all(&bytes).await),
        Reply::Silence => tokio::time::sleep(Duration::from_secs(60)).await,
    }
}

const PACE: Pace = Pace {
    interval: Duration::from_secs(60),
    gap: Duration::ZERO,
    longest: Duration::from_secs(1800),
    timeout: Duration::from_millis(700),
};

async fn door(redis: &RedisServer) -> Door {
    let link = Link::open(&redis.config(), streams::Registration::Open, false).await.unwrap();
    Door::new(link, None, Admission::default(), Recorder::default())
}

fn source(server: &Server) -> AviationWeather {
    let metar =
        crate::aviation_weather::Stations(vec![StationId::new("KJFK").unwrap(), StationId::new("KEWR").unwrap()]);
    AviationWeather::of(&MetarSettings { metar, metar_url: web_address(&server.address).unwrap() }).unwrap()
}

fn poller(server: &Server, door: &Door, pace: Pace) -> Poller<AviationWeather> {
    let source = source(server);
    let fetcher = Fetcher::new("test", source.accepts(), "test@example.org", pace.timeout).unwrap();
    Poller::new(source, door.clone(), fetcher, pace)
}

/// The recorded body as of `minutes` ago.
fn body(minutes: i64) -> String {
    let time = Time::now() - 60 * minutes;
    let group = time.timestamp().strftime("%d%H%MZ").to_string();
    include_str!("../../fixtures/aviation_weather/two_airports.json")
        .replace("231151Z", &group)
        .replace("1795434660", &time.unix().to_string())
}

/// Whether Redis has what a body says.
async fn is_kept(door: &Door, body: &str) -> bool {
    let reading = crate::aviation_weather::read(body.as_bytes(), Time::now()).unwrap();
    let all = reading.items.len();
    let receipt = door.accept(reading.items).await.unwrap();
    receipt.duplicates == all && all > 0
}

#[tokio::test]
async fn what_a_source_says_is_kept_once() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let (old, new) = (body(20), body(10));
    let server = Server::start(vec![
        reply("200 OK", "etag: \"a\"\r\nlast-modified: Mon, 23 Nov 2026 11:52:00 GMT\r\n", &old),
        reply("304 Not Modified", "", ""),
        reply("200 OK", "etag: \"b\"\r\n", &old),
        reply("200 OK", "", &new),
    ])
    .await;
    let mut poller = poller(&server, &door, PACE);
    let address = poller.source.addresses().remove(0);
    assert_eq!(poller.poll(&address).await.unwrap(), "read");
    assert!(is_kept(&door, &old).await);
    assert_eq!(poller.poll(&address).await.unwrap(), "unchanged");
    assert_eq!(poller.poll(&address).await.unwrap(), "read");
    assert_eq!(poller.poll(&address).await.unwrap(), "read");
    assert!(is_kept(&door, &new).await);
    let ids: Vec<StationId> = ["KJFK", "KEWR", "KLGA"].iter().map(|id| StationId::new(id).unwrap()).collect();
    let stations = door.stations(&ids).await.unwrap();
    let jfk = stations[0].clone().unwrap();
    assert_eq!((jfk.latitude, jfk.longitude, jfk.elevation), (Some(40.6392), Some(-73.7639), Some(3.0)));
    assert_eq!(jfk.name, "New York/JF Kennedy Intl, NY, US");
    assert!(stations[1].is_some() && stations[2].is_none());
    let requests = server.requests();
    assert!(requests[0].starts_with("GET /api/data/metar?ids=KJFK,KEWR&format=json HTTP/1.1"), "{}", requests[0]);
    assert!(requests[0].contains("user-agent: weatherglass/") && requests[0].contains("(test@example.org)"));
    assert!(!requests[0].contains("if-none-match"));
    for conditional in &requests[1..3] {
        assert!(conditional.contains("if-none-match: \"a\"") && conditional.contains("if-modified-since: Mon, 23 Nov"));
    }
    assert!(requests[3].contains("if-none-match: \"b\"") && !requests[3].contains("if-modified-since"));
}

#[tokio::test]
async fn every_failure_is_told_apart_and_answered_with_patience() {
    use std::io::Write;
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&vec![b' '; 17 << 20]).unwrap();
    let bomb = bomb.finish().unwrap();
    let cut_off = b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n[{\"icaoId\"".to_vec();
    let claim = b"HTTP/1.1 200 OK\r\ncontent-length: 99999999999\r\n\r\n[".to_vec();
    let cases = [
        (reply("500 Internal Server Error", "", "oh"), "server_error", 0),
        (reply("429 Too Many Requests", "retry-after: 600\r\n", ""), "throttled", 600),
        (reply("503 Service Unavailable", "retry-after: 900\r\n", ""), "throttled", 900),
        (reply("503 Service Unavailable", "", ""), "throttled", 0),
        (reply("404 Not Found", "", "{}"), "refused", 0),
        (reply("400 Bad Request", "", ""), "refused", 0),
        (reply("302 Found", "location: /again\r\n", ""), "network", 0),
        (reply("200 OK", "", "{\"status\":\"error\",\"error\":\"no\"}"), "unreadable", 0),
        (reply("200 OK", "", "[{\"icaoId\":\"KJFK\","), "unreadable", 0),
        (reply("200 OK", "content-encoding: gzip\r\n", &bomb), "too_large", 0),
        (reply("200 OK", "content-encoding: gzip\r\n", "no gzip"), "network", 0),
        (Reply::Say(claim), "too_large", 0),
        (Reply::Say(cut_off), "network", 0),
        (Reply::Say(b"nonsense\r\n\r\n".to_vec()), "network", 0),
        (Reply::Say(Vec::new()), "network", 0),
        (Reply::Silence, "timeout", 0),
    ];
    for (reply, label, least) in cases {
        let server = Server::start(vec![reply]).await;
        let mut poller = poller(&server, &door, PACE);
        let address = poller.source.addresses().remove(0);
        let failure = poller.poll(&address).await.unwrap_err();
        assert_eq!(failure.label(), label, "{failure}");
        let pause = poller.round().await;
        assert!(pause >= PACE.interval && pause.as_secs() >= least, "{label}: {pause:?}");
        assert_eq!(poller.failures, 1, "{label}");
    }
    // Nobody there.
    let server = Server { address: "http://127.0.0.1:9".into(), requests: Arc::default() };
    let mut poller = poller(&server, &door, PACE);
    let address = poller.source.addresses().remove(0);
    assert_eq!(poller.poll(&address).await.unwrap_err().label(), "network");
}

#[tokio::test]
async fn waits_grow_to_a_limit_and_begin_again() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let mut script = vec![reply("500 Internal Server Error", "", ""); 9];
    script.push(reply("200 OK", "", body(5)));
    let server = Server::start(script).await;
    let mut poller = poller(&server, &door, PACE);
    for failure in 1..=9_u32 {
        let pause = poller.round().await.as_secs_f64();
        let ceiling = (60.0 * f64::from(1 << failure)).min(1800.0);
        assert!(pause >= 60.0_f64.max(ceiling / 2.0) && pause <= ceiling, "{failure}: {pause}");
    }
    let pause = poller.round().await.as_secs_f64();
    assert!((60.0..=66.0).contains(&pause), "{pause}");
    assert_eq!(server.requests().len(), 10);
}

#[tokio::test]
async fn redirects_are_followed() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let body = body(3);
    let moved = reply("301 Moved Permanently", "location: /new/place\r\n", "");
    let server = Server::start(vec![moved, reply("200 OK", "", &body)]).await;
    let mut poller = poller(&server, &door, PACE);
    poller.round().await;
    assert!(is_kept(&door, &body).await);
    assert!(server.requests()[1].starts_with("GET /new/place HTTP/1.1"));
}

#[tokio::test]
async fn what_the_door_did_not_keep_is_asked_for_again() {
    let mut redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let body = body(3);
    let server = Server::start(vec![reply("200 OK", "etag: \"a\"\r\n", &body)]).await;
    let mut poller = poller(&server, &door, PACE);
    let address = poller.source.addresses().remove(0);
    redis.kill();
    assert_eq!(poller.poll(&address).await.unwrap_err().label(), "not_kept");
    redis.restart().unwrap();
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while poller.poll(&address).await.is_err() {
        assert!(std::time::Instant::now() < deadline, "the door stays closed");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(is_kept(&door, &body).await);
    let requests = server.requests();
    assert!(requests.len() >= 2 && requests.iter().all(|request| !request.contains("if-none-match")));
}

#[tokio::test]
async fn what_is_not_due_yet_is_left_for_later() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let server = Server::start(vec![reply("200 OK", "etag: \"a\"\r\n", body(-8))]).await;
    let mut poller = poller(&server, &door, PACE);
    let address = poller.source.addresses().remove(0);
    for _ in 0..2 {
        assert_eq!(poller.poll(&address).await.unwrap(), "read");
        assert!(poller.memory[&address].items.is_empty());
    }
    assert!(!server.requests()[1].contains("if-none-match"));
}

#[tokio::test]
async fn unreadable_json_has_the_raw_reports_asked_for() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let time = (Time::now() - 300).timestamp().strftime("%d%H%MZ").to_string();
    let raw = format!("METAR KJFK {time} 36007KT 10SM 11/07 A2979\nSPECI KEWR {time} 36009KT 2SM RA 11/10 A2980\n");
    let server = Server::start(vec![
        reply("200 OK", "", "<html>down for maintenance</html>"),
        reply("200 OK", "", &raw),
        reply("200 OK", "", body(3)),
    ])
    .await;
    let mut poller = poller(&server, &door, PACE);
    for _ in 0..3 {
        poller.round().await;
    }
    let formats: Vec<bool> = server.requests().iter().map(|request| request.contains("&format=raw ")).collect();
    assert_eq!(formats, [false, true, false]);
    let items = crate::metar::read(&raw, Time::now());
    assert_eq!(door.accept(items).await.unwrap().duplicates, 2);
}

#[tokio::test]
async fn an_operators_description_is_not_overwritten() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let id = StationId::new("KJFK").unwrap();
    let mine =
        Station { name: "mine".into(), latitude: Some(1.0), longitude: Some(2.0), ..Station::unregistered(id.clone()) };
    door.put_station(&mine).await.unwrap();
    let server = Server::start(vec![reply("200 OK", "", body(3))]).await;
    poller(&server, &door, PACE).round().await;
    assert_eq!(door.stations(&[id]).await.unwrap(), [Some(mine)]);
}

/// A source with several addresses: one bad one does not stop the others.
#[tokio::test]
async fn one_unknown_station_does_not_stop_the_others() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let time = Time::now() - 600;
    let latest =
        include_str!("../../fixtures/nws/kjfk_latest.json").replace("2026-11-23T11:51:00+00:00", &time.to_string());
    let server = Server::start(vec![reply("404 Not Found", "", "{}"), reply("200 OK", "", &latest)]).await;
    let stations = ["KXXX", "KJFK"].iter().map(|id| StationId::new(id).unwrap()).collect();
    let settings = nws::NwsSettings {
        nws: crate::aviation_weather::Stations(stations),
        nws_url: web_address(&server.address).unwrap(),
    };
    let source = nws::Nws::of(&settings).unwrap();
    let fetcher = Fetcher::new("test", source.accepts(), "", PACE.timeout).unwrap();
    let mut poller = Poller::new(source, door.clone(), fetcher, PACE);
    let pause = poller.round().await;
    assert!(pause <= PACE.interval.mul_f64(1.1) && poller.failures == 0);
    let items = nws::read(latest.as_bytes()).unwrap().items;
    assert_eq!(items[0].as_ref().unwrap().values.get(Variable::Temperature), Some(22.8));
    assert_eq!(door.accept(items).await.unwrap().duplicates, 1);
    let requests = server.requests();
    assert!(requests[1].starts_with("GET /stations/KJFK/observations/latest "));
    assert!(requests[1].contains("accept: application/geo+json"));
}

#[tokio::test]
async fn it_polls_until_shutdown() {
    let redis = RedisServer::temporary().unwrap();
    let door = door(&redis).await;
    let server = Server::start(vec![reply("200 OK", "", body(3)), Reply::Silence]).await;
    let pace = Pace { interval: Duration::from_millis(30), timeout: Duration::from_secs(30), ..PACE };
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(poller(&server, &door, pace).run(shutdown.clone()));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while server.requests().len() < 2 {
        assert!(std::time::Instant::now() < deadline, "it does not ask again");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    shutdown.cancel();
    tokio::time::timeout(Duration::from_secs(2), running).await.unwrap().unwrap().unwrap();
}
