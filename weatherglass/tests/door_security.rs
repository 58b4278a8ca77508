//! The door against those who mean it harm: too many, too slow, too large, and curious about keys; and
//! HTTPS with a certificate that is renewed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod console;
mod stack;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use console::{Ingest, arrived, file, parts, pause};
use reqwest::tls::Version;
use stack::{eventually, free_port};
use streams::server::RedisServer;

const WU: &str = "/weatherstation/updateweatherstation.php";
const SECRET: &str = "s3cretS3CRETs3cret";

/// A throw-away certificate for `localhost`, and its key.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned(), "127.0.0.1".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn client(certificate: &str, version: Version) -> reqwest::Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let trusted = reqwest::Certificate::from_pem(certificate.as_bytes()).unwrap();
    let builder = reqwest::Client::builder().tls_certs_only([trusted]).timeout(Duration::from_secs(10));
    builder.tls_version_min(version).tls_version_max(version).build().unwrap()
}

fn put(folder: &Path, (certificate, key): &(String, String)) -> [String; 2] {
    let certificate = format!("--tls-certificate={}", file(folder, "certificate.pem", certificate));
    [certificate, format!("--tls-key={}", file(folder, "key.pem", key))]
}

#[tokio::test]
async fn https_is_the_same_door_and_takes_a_new_certificate_while_it_is_open() {
    let redis = RedisServer::temporary().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (certificate(), certificate());
    let files = put(folder.path(), &first);
    let port = free_port();
    let listen = format!("--tls-listen=127.0.0.1:{port}");
    let mut ingest = Ingest::start(&redis, &[&listen, &files[0], &files[1], "--tls-reload=1"]).await;
    let url = |id: &str| format!("https://localhost:{port}{WU}?ID={id}&PASSWORD=x&dateutc=now&tempf=50");
    for (version, id) in [(Version::TLS_1_2, "A2"), (Version::TLS_1_3, "A3")] {
        let answer = client(&first.0, version).get(url(id)).send().await.unwrap();
        assert_eq!((answer.status().as_u16(), answer.text().await.unwrap()), (200, "success\n".to_owned()));
    }
    assert!(client(&second.0, Version::TLS_1_3).get(url("B")).send().await.is_err(), "another certificate");

    // A half of a new pair is no pair: the one before it stays.
    file(folder.path(), "key.pem", &second.1);
    eventually("a warning", || async { ingest.log().contains("still used") }).await;
    assert!(client(&first.0, Version::TLS_1_3).get(url("A4")).send().await.is_ok());
    put(folder.path(), &second);
    eventually("the new certificate", || async {
        client(&second.0, Version::TLS_1_3).get(url("A5")).send().await.is_ok()
    })
    .await;
    assert!(client(&first.0, Version::TLS_1_3).get(url("B")).send().await.is_err());
    assert_eq!(arrived(&redis).await.iter().filter(|o| o.station.as_str().starts_with('A')).count(), 4);

    // Who speaks plain HTTP there, or nothing at all, is hung up on and nobody else notices.
    let mut plain = TcpStream::connect(("127.0.0.1", port)).unwrap();
    plain.write_all(b"GET / HTTP/1.0\r\n\r\n").unwrap();
    plain.read_to_end(&mut Vec::new()).unwrap();
    eventually("a count", || async { ingest.metric("refused_connections_total", "handshake") >= 2.0 }).await;
    ingest.stop();
}

#[test]
fn a_certificate_that_cannot_be_used_stops_the_start_in_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (certificate(), certificate());
    let good = file(folder.path(), "c", &first.0);
    let key = file(folder.path(), "k", &first.1);
    let mismatched = file(folder.path(), "k2", &second.1);
    let garbled = file(folder.path(), "g", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    let empty = file(folder.path(), "e", "");
    let (missing, no_key) = ("/nowhere/c".to_owned(), String::new());
    for (certificate, key, words) in [
        (&good, &no_key, "needs WEATHERGLASS_TLS_CERTIFICATE and WEATHERGLASS_TLS_KEY"),
        (&missing, &key, "WEATHERGLASS_TLS_CERTIFICATE /nowhere/c: "),
        (&garbled, &key, "it is no PEM file of a certificate"),
        (&empty, &key, "it holds no certificate"),
        (&good, &good, "it holds no PEM key"),
        (&good, &mismatched, "it is not the key of"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_weatherglass"));
        command.args(["ingest", "--redis-port=1", "--listen=127.0.0.1:0", "--metrics-listen=127.0.0.1:0"]);
        command.args(["--tls-listen=127.0.0.1:0", &format!("--tls-certificate={certificate}")]);
        if !key.is_empty() {
            command.arg(format!("--tls-key={key}"));
        }
        let output = command.env("WEATHERGLASS_LOG", "off").output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains(words), "{words}: {said}");
        assert_eq!(said.trim_end().lines().count(), 1, "{said}");
    }
}

#[tokio::test]
async fn ipv6_is_spoken() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        eprintln!("SKIPPED: this machine has no IPv6");
        return;
    }
    let redis = RedisServer::temporary().unwrap();
    let ingest = Ingest::start_at(&format!("[::1]:{}", free_port()), &redis, &["--rate-limit=2"]).await;
    let get = || ingest.get(&format!("{WU}?ID=A&PASSWORD=x&dateutc=now&tempf=50"));
    assert_eq!((get().1.as_str(), get().1.as_str(), get().0), ("success\n", "success\n", 429));
    // One listener for both, where the system maps addresses.
    let both = Ingest::start_at(&format!("[::]:{}", free_port()), &redis, &[]).await;
    let mut stream = TcpStream::connect(("127.0.0.1", both.address.port())).unwrap();
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("ok\n"), "{answer}");
}

#[tokio::test]
async fn who_asks_too_much_is_told_when_to_come_back() {
    let redis = RedisServer::temporary().unwrap();
    let ingest = Ingest::start(&redis, &["--rate-limit=20", "--key-rate-limit=3"]).await;
    let target = |id: &str| format!("GET {WU}?ID={id}&PASSWORD={SECRET}{id}&dateutc=now&tempf=50 HTTP/1.0\r\n\r\n");
    for _ in 0..3 {
        assert_eq!(parts(&ingest.send(target("A"))).0, 200);
    }
    let answer = ingest.send(target("A"));
    assert!(answer.starts_with("HTTP/1.0 429"), "{answer}");
    let wait = answer.split_once("retry-after: ").and_then(|(_, rest)| rest.split("\r\n").next());
    assert!(wait.and_then(|w| w.parse::<u64>().ok()).is_some_and(|w| (1..=60).contains(&w)), "{answer}");
    assert!(!answer.contains(SECRET), "{answer}");
    assert_eq!(ingest.metric("limited_requests_total", "key"), 1.0);
    for n in 0..16 {
        assert_eq!(parts(&ingest.send(target(&format!("B{n}")))).0, 200, "{n}");
    }
    assert_eq!(parts(&ingest.send(target("C"))).0, 429);
    assert_eq!(ingest.get("/nothing").0, 429);
    assert_eq!(ingest.get("/healthz").0, 200, "who looks after it may always look");
    assert_eq!(ingest.metric("limited_requests_total", "address"), 2.0);
}

#[tokio::test]
async fn slow_and_endless_requests_cost_little_and_end() {
    let redis = RedisServer::temporary().unwrap();
    let mut ingest = Ingest::start(&redis, &["--header-timeout=2", "--request-timeout=2", "--connections=40"]).await;
    // Whoever looked whether it answers has gone.
    eventually("nobody there", || async { ingest.metric("connections", "") == 0.0 }).await;
    let begun = Instant::now();
    // Twenty is what one address may have.
    let mut slow: Vec<TcpStream> = (0..20).map(|_| ingest.connect()).collect();
    for stream in &mut slow {
        stream.write_all(b"GET /healthz HTTP/1.1\r\nX-a: ").unwrap();
    }
    eventually("twenty connections", || async { ingest.metric("connections", "") == 20.0 }).await;
    assert_eq!(ingest.get("/healthz").0, 0, "hung up on");
    for _ in 0..15 {
        pause(200).await;
        for stream in &mut slow {
            let _ = stream.write_all(b"a");
        }
    }
    for stream in &mut slow {
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    assert!(ingest.metric("refused_connections_total", "head_timeout") >= 20.0);
    assert!(ingest.metric("refused_connections_total", "address") >= 1.0);
    assert_eq!(ingest.get("/healthz").0, 200);

    let mut many = String::from("GET /healthz HTTP/1.1\r\nHost: h\r\n");
    (0..10_000).for_each(|n| many.push_str(&format!("x-{n}: y\r\n")));
    assert_eq!(parts(&ingest.send(format!("{many}\r\n"))).0, 431);
    let long = format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(200_000));
    assert!(matches!(parts(&ingest.send(long)).0, 414 | 431));

    // A body that never ends its promise.
    let mut stream = ingest.connect();
    stream.write_all(b"POST /data/report/ HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\nPASSKEY=").unwrap();
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    assert_eq!(parts(&answer).0, 503, "{answer}");

    // An idle connection does not hold up the end.
    let idle = ingest.connect();
    ingest.stop();
    drop(idle);
}

#[tokio::test]
async fn bombs_do_not_go_off() {
    let redis = RedisServer::temporary().unwrap();
    let ingest = Ingest::start(&redis, &["--body-limit=1048576"]).await;
    let zeros = vec![b' '; 64 << 20];
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&zeros).unwrap();
    let zstd = zstd::bulk::compress(&zeros, 19).unwrap();
    let form = "application/x-www-form-urlencoded";
    for (encoding, bomb) in [("gzip", gzip.finish().unwrap()), ("zstd", zstd)] {
        assert!(bomb.len() < 100_000, "{encoding}: {}", bomb.len());
        for (path, kind) in [("/v1/observations", "application/json"), ("/data/report/", form), (WU, form)] {
            let mut request = format!(
                "POST {path} HTTP/1.1\r\nHost: h\r\nContent-Type: {kind}\r\nContent-Encoding: {encoding}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            )
            .into_bytes();
            request.extend_from_slice(&bomb);
            assert_eq!(parts(&ingest.send(request)).0, 413, "{encoding} {path}");
        }
    }
    assert_eq!(ingest.metric("rejected_observations_total", "too_large"), 6.0);
}

#[tokio::test]
async fn no_secret_is_ever_written_down() {
    let mut redis = RedisServer::temporary().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = file(folder.path(), "keys", &format!("{SECRET} A\n"));
    let ingest = Ingest::start(&redis, &["--auth", &format!("--keys-file={keys}"), "--key-rate-limit=40"]).await;
    let requests = [
        format!("GET {WU}?ID=A&PASSWORD={SECRET}&dateutc=now&tempf=50 HTTP/1.0\r\n\r\n"),
        format!("GET {WU}?ID=B&PASSWORD={SECRET}&dateutc=now&tempf=50 HTTP/1.0\r\n\r\n"),
        format!("GET {WU}?ID={SECRET}/&PASSWORD={SECRET}&dateutc={SECRET}&tempf={SECRET} HTTP/1.0\r\n\r\n"),
        format!("GET {WU}?action={SECRET}&PASSWORD={SECRET}%ff HTTP/1.0\r\n\r\n"),
        format!("GET {WU}&ID=A&PASSWORD={SECRET}&softwaretype=x HTTP/1.0\r\n\r\n"),
        format!("GET /nothing/{SECRET}?PASSWORD={SECRET} HTTP/1.0\r\n\r\n"),
        format!("GET /data/report/PASSKEY={SECRET}&tempf=50 HTTP/1.0\r\n\r\n"),
        format!("POST /ecowitt/{SECRET} HTTP/1.0\r\nContent-Length: 8\r\n\r\ntempf=50"),
        format!("PUT /ecowitt/{SECRET} HTTP/1.0\r\n\r\n"),
        format!("GET {WU}?ID=A&PASSWORD={SECRET} &broken HTTP/1.0\r\n\r\n"),
        format!("GET {WU}?PASSWORD={SECRET}{} HTTP/1.0\r\n\r\n", "a".repeat(100_000)),
        format!("PUT /v1/stations/B HTTP/1.0\r\nAuthorization: Bearer {SECRET}\r\nContent-Length: 2\r\n\r\n{{}}"),
        format!("PUT /v1/stations/A HTTP/1.0\r\nAuthorization: Bearer x{SECRET}\r\nContent-Length: 2\r\n\r\n{{}}"),
    ];
    for answer in requests.iter().map(|request| ingest.send(request)) {
        assert!(!answer.contains(SECRET), "{answer}");
    }
    for observation in arrived(&redis).await {
        assert!(!format!("{observation:?}").contains(SECRET), "{observation:?}");
    }
    redis.kill();
    let answer = ingest.send(&requests[0]);
    assert_eq!(parts(&answer).0, 503, "{answer}");
    for _ in 0..60 {
        ingest.send(&requests[1]);
    }
    assert_eq!(parts(&ingest.send(&requests[1])).0, 429);
    let (log, metrics) = (ingest.log(), ingest.metrics_page());
    assert!(log.len() > 1000 && metrics.contains("weatherglass_ingest_received"), "nothing was written at all");
    for line in log.lines().chain(metrics.lines()) {
        assert!(!line.contains(SECRET), "{line}");
    }
}
