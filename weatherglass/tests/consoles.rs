//! Consoles at the door: as they speak, what they are answered, and what becomes of their rain.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod console;
mod stack;

use console::{Ingest, ago, arrived, file, parts};
use stack::eventually;
use streams::server::RedisServer;
use weather::{Observation, Variable};

const WU: &str = "/weatherstation/updateweatherstation.php";
const KEY: &str = "0123456789abcdef0123";
const OTHER: &str = "abcdefghij0123456789";

fn of<'a>(observations: &'a [Observation], station: &str) -> Vec<&'a Observation> {
    observations.iter().filter(|o| o.station.as_str().starts_with(station)).collect()
}

/// The rain of each report, hundredths of a millimetre.
fn rain(observations: &[&Observation]) -> Vec<Option<i64>> {
    let hundredths = |o: &&Observation| o.values.get(Variable::Precipitation).map(|mm| (mm * 100.0).round() as i64);
    observations.iter().map(hundredths).collect()
}

#[tokio::test]
async fn they_are_understood_however_they_speak() {
    let redis = RedisServer::temporary().unwrap();
    let ingest = Ingest::start(&redis, &[]).await;
    let query = |id: &str| format!("ID={id}&PASSWORD=x&action=updateraw&dateutc={}&tempf=50&winddir=005", ago(60));
    let weewx = format!(
        "GET {WU}?{} HTTP/1.1\r\nAccept-Encoding: identity\r\nHost: h\r\nUser-Agent: weewx/5\r\nConnection: close\r\n\r\n",
        query("A1")
    );
    let lower = format!(
        "GET //weatherstation/updateweatherstation.php?{} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
        query("A2")
    );
    for request in [weewx, lower, format!("GET {WU}?{} HTTP/1.0\r\n\r\n", query("A3"))] {
        let answer = ingest.send(&request);
        let (status, body) = parts(&answer);
        assert_eq!((status, body.as_str()), (200, "success\n"), "{answer}");
        assert!(answer.to_lowercase().contains("content-type: text/plain"), "{answer}");
    }
    assert_eq!(ingest.post(WU, &query("A4")), (200, "success\n".to_owned()));
    assert_eq!(ingest.get(&format!("/anything/at/all?{}", query("A5"))), (200, "success\n".to_owned()));
    assert_eq!(ingest.get(&format!("{WU}&{}", query("A6"))), (200, "success\n".to_owned()));
    let hub = "GET /weatherstation/updateweatherstation?dateutc=now&action=updateraw&realtime=1&id=24C86E000001&mt=5N1x38&sensor=00001398&windspeedmph=9&humidity=76&tempf=84.0&baromin=29.92&battery=normal&rssi=1 HTTP/1.1\r\nHost: hubapi.myacurite.com\r\nUser-Agent: Hub/224\r\nConnection: close\r\n\r\n";
    assert!(ingest.send(hub).ends_with(r#""checkversion":"224"}"#));

    let form =
        |key: &str| format!("PASSKEY={key}&stationtype=GW2000A_V3.1.0&dateutc={}&tempf=50.0&humidity=34", ago(60));
    for (n, path) in ["/data/report/", "/data/report", "/", "/my/own.php?x=1"].iter().enumerate() {
        assert_eq!(ingest.post(path, &form(&format!("E{n}"))), (200, "OK\n".to_owned()), "{path}");
    }
    let body = form("E9");
    let (first, second) = body.split_at(20);
    let chunks = format!("{:x}\r\n{first}\r\n{:x}\r\n{second}\r\n0\r\n\r\n", first.len(), second.len());
    let head = "POST /data/report/ HTTP/1.1\r\nhost: h\r\ncontent-type: application/x-www-form-urlencoded\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n";
    assert_eq!(parts(&ingest.send(format!("{head}{chunks}"))).0, 200);
    let glued = form("00:11:22:33:44:55").replace("GW2000A_V3.1.0", "AMBWeatherV4.2.9");
    for (n, glue) in ["?", "", "&", "??"].iter().enumerate() {
        let glued = glued.replace("44:55", &format!("44:5{n}"));
        assert_eq!(ingest.get(&format!("/data/report/{glue}{glued}")).0, 200, "{glue}");
    }

    let observations = arrived(&redis).await;
    assert_eq!(of(&observations, "A").len(), 6);
    assert_eq!((of(&observations, "ecowitt-").len(), of(&observations, "ambient-").len()), (5, 4));
    assert_eq!(of(&observations, "24C86E000001").len(), 1);
    for observation in observations.iter().filter(|o| o.station.as_str() != "24C86E000001") {
        assert_eq!(observation.values.get(Variable::Temperature), Some(10.0), "{observation:?}");
    }
    assert_eq!(ingest.metric("received_observations_total", ""), 16.0);
    assert_eq!(ingest.metric("accepted_observations_total", ""), 16.0);
    assert!(ingest.metric("requests_total", "wunderground") > 0.0 && ingest.metric("requests_total", "ecowitt") > 0.0);
}

#[tokio::test]
async fn what_is_refused_is_told_in_words_that_senders_know() {
    let redis = RedisServer::temporary().unwrap();
    let ingest = Ingest::start(&redis, &[]).await;
    for (query, field) in [
        ("", "ID"),
        ("ID=A&tempf=50&dateutc=yesterday", "dateutc"),
        ("ID=A&tempf=50&dateutc=2020-01-01%2000:00:00", "time"),
        ("ID=A&tempf=-9999&dateutc=now", "tempf"),
    ] {
        let (status, body) = ingest.get(&format!("{WU}?{query}"));
        assert_eq!(status, 200);
        assert!(body.starts_with(&format!("invalid report: {field}: ")), "{body}");
    }
    assert_eq!(ingest.post("/data/report/", "PASSKEY=E&dateutc=now").0, 422);
    assert_eq!(ingest.post("/data/report/", "tempf=50").0, 422);
    assert_eq!(ingest.metric("rejected_observations_total", ""), 6.0);
    assert_eq!(ingest.metric("received_observations_total", ""), 6.0);
    assert_eq!(ingest.get("/nothing").0, 404);
    assert_eq!(ingest.post("/nothing", "tempf=50").0, 404);
    assert_eq!(parts(&ingest.send(format!("PUT {WU} HTTP/1.0\r\n\r\n"))).0, 405);
    assert_eq!(ingest.post("/data/report/", &"a=1&".repeat(30_000)).0, 413);
    assert!(arrived(&redis).await.is_empty());
}

#[tokio::test]
async fn a_console_opens_what_its_key_is_for() {
    let redis = RedisServer::temporary().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let keys = file(folder.path(), "keys", &format!("{KEY} A1\n{OTHER} ecowitt-*\n"));
    let names = file(folder.path(), "consoles", "00:11:22:33:44:55 A1\n");
    let (keys, names) = (format!("--keys-file={keys}"), format!("--consoles-file={names}"));
    let ingest = Ingest::start(&redis, &["--auth", "--registration=open", &keys, &names]).await;
    let wu = |id: &str, key: &str| ingest.get(&format!("{WU}?ID={id}&PASSWORD={key}&dateutc=now&tempf=50")).1;
    assert_eq!(wu("A1", KEY), "success\n");
    for refused in [wu("A1", OTHER), wu("A2", KEY), wu("A1", ""), wu("A1", &KEY.to_uppercase())] {
        assert!(refused.starts_with("INVALIDPASSWORDID|") && refused.contains("\nERROR"), "{refused}");
    }
    let form = |key: &str| format!("PASSKEY={key}&dateutc=now&tempf=50");
    assert_eq!(ingest.post("/data/report/", &form(OTHER)).0, 200);
    assert_eq!(ingest.post("/data/report/", &form(KEY)).0, 401);
    assert_eq!(ingest.post(&format!("/ecowitt/{OTHER}"), &form("0011223344")).0, 200, "a key in the path");
    assert_eq!(
        ingest.post(&format!("/ecowitt/{OTHER}"), &format!("dateutc={}&tempf=50", ago(30))).0,
        200,
        "and nothing else"
    );
    assert_eq!(ingest.post("/ecowitt/wrong", &form("0011223344")).0, 401);
    let ambient = format!("/ambient/{KEY}?MAC=00:11:22:33:44:55&stationtype=AMBWeatherV4&dateutc={}&tempf=50", ago(30));
    assert_eq!(ingest.get(&ambient).0, 200, "named by the operator");
    assert_eq!(ingest.metric("rejected_observations_total", "not_allowed"), 6.0);
    let observations = arrived(&redis).await;
    assert_eq!((of(&observations, "A1").len(), of(&observations, "ecowitt-").len()), (2, 3));
}

#[tokio::test]
async fn rain_is_the_same_however_often_and_to_whom_it_is_told() {
    let redis = RedisServer::temporary().unwrap();
    let mut ingest = Ingest::start(&redis, &[]).await;
    let second = Ingest::start(&redis, &[]).await;
    let times: Vec<String> = (0..8).map(|n| ago(600 - 60 * n)).collect();
    let tell = |ingest: &Ingest, n: usize, inches: &str| {
        let target = format!("{WU}?ID=A&PASSWORD=x&dateutc={}&tempf=50&dailyrainin={inches}", times[n]);
        assert_eq!(ingest.get(&target), (200, "success\n".to_owned()));
    };
    tell(&ingest, 0, "0.50");
    tell(&ingest, 2, "0.60");
    tell(&second, 3, "0.61");
    tell(&second, 2, "0.60"); // again, to another
    tell(&ingest, 3, "0.61"); // again
    tell(&ingest, 1, "0.55"); // too late
    tell(&ingest, 4, "0.00"); // midnight
    ingest.restart().await;
    tell(&ingest, 4, "0.00"); // again, after a restart
    tell(&ingest, 5, "0.02");
    let observations = arrived(&redis).await;
    let mut mine = of(&observations, "A");
    mine.sort_by_key(|o| o.time);
    assert_eq!(rain(&mine), [None, None, Some(254), Some(25), None, Some(51)]);
    assert_eq!(mine[2].values.get(Variable::PrecipitationPeriod), Some(120.0));
    assert_eq!(second.metric("duplicate_observations_total", ""), 1.0);
}

#[tokio::test]
async fn no_rain_is_lost_or_told_twice_while_redis_is_away() {
    let mut redis = RedisServer::temporary().unwrap();
    redis.say("CONFIG SET appendfsync always").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let ingest = Ingest::start(&redis, &[&format!("--spool={}", folder.path().display())]).await;
    let start = 3000;
    let tell = |n: i64| {
        let form = format!("PASSKEY=E&dateutc={}&tempf=50&yearlyrainin={}", ago(start - 60 * n), 0.1 * n as f64);
        assert_eq!(ingest.post("/data/report/", &form), (200, "OK\n".to_owned()), "{n}");
    };
    (0..3).for_each(tell);
    redis.kill();
    (3..6).for_each(tell);
    redis.restart().unwrap();
    eventually("an empty spool", || async { ingest.metric("spool_observations", "") == 0.0 }).await;
    console::pause(2500).await; // Redis is left alone for a moment after a failure
    (6..9).for_each(tell);
    let observations = arrived(&redis).await;
    let mut mine = of(&observations, "ecowitt-");
    mine.sort_by_key(|o| o.time);
    let expected: Vec<Option<i64>> = std::iter::once(None).chain((1..9).map(|_| Some(254))).collect();
    assert_eq!(rain(&mine), expected);
}
