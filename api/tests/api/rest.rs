//! The REST reads.

use serde_json::json;

use crate::harness::{Api, Network, ago, scrape, station};

#[tokio::test]
async fn stations_observations_forecasts_and_models() {
    let mut network = Network::start().await;
    let mut described = station("X1", 47.5, 19.0);
    described.elevation = Some(120.0);
    described.simulated = true;
    network.appender.put_station(&described).await.unwrap();
    let (early, late) = (ago(360), ago(60));
    network.observe("X1", early, 12.3).await;
    network.observe("X1", late, 12.7).await;
    network.work("X1").await;
    network.observe("X2", late, 1.0).await;
    let api = Api::on(&network.config()).await;

    let stations = api.json("/api/v1/stations").await;
    assert_eq!(stations["type"], "FeatureCollection");
    assert_eq!(stations["features"][0]["geometry"], json!({"type": "Point", "coordinates": [19.0, 47.5, 120.0]}));
    assert_eq!(stations["features"][0]["properties"]["simulated"], true);
    assert_eq!(stations["features"][1]["geometry"], json!(null));
    assert_eq!(stations["features"][1]["properties"]["state"], "up", "what no worker has seen yet counts, too");
    assert_eq!(api.json("/api/v1/stations/X1").await, stations["features"][0]);

    let text = api.get("/api/v1/stations/X1/observations").await.text().await.unwrap();
    assert!(text.contains(r#""temperature":12.3,"#), "numbers print short: {text}");
    let observations: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(observations["station"], "X1");
    assert_eq!(observations["observations"].as_array().unwrap().len(), 2);
    let expires = weather::freshness::observation_expires(late, 300).to_string();
    assert_eq!(observations["observations"][1]["expires"], expires);
    assert_eq!(observations["observations"][1]["source"], "test", "the newest says where it came from");
    assert!(observations["observations"][0].get("source").is_none());
    let some = api.json(&format!("/api/v1/stations/X1/observations?from={late}&to={late}")).await;
    assert_eq!(some["observations"].as_array().unwrap().len(), 1);

    let forecast = api.json("/api/v1/stations/X1/forecast").await;
    assert_eq!(forecast["reference_time"], late.to_string());
    assert_eq!(forecast["model"], json!({"name": "mixer", "version": "1"}));
    assert_eq!(forecast["variables"]["temperature"]["q50"].as_array().unwrap().len(), 48);
    assert!(forecast["variables"].get("precipitation").is_none());
    for old in ["/forecast/?station_id=X1", "/forecast?station_id=X1"] {
        assert_eq!(api.json(old).await, forecast);
    }
    let models = api.json("/api/v1/models").await;
    assert_eq!(
        models,
        json!([{"name": "mixer", "version": "1", "stations": 1, "newest_issue_time": (late + 1).to_string()}])
    );
    api.stop().await;
}

#[tokio::test]
async fn problems_say_what_to_do() {
    let network = Network::start().await;
    network.observe("X2", ago(60), 1.0).await;
    let api = Api::on(&network.config()).await;
    for (path, status, word) in [
        ("/api/v1/stations/NOBODY", 404, "NOBODY"),
        ("/api/v1/stations/a%20b", 400, "station"),
        ("/api/v1/stations/%ff", 400, ""),
        ("/api/v1/stations/NOBODY/observations", 404, "NOBODY"),
        ("/api/v1/stations/X2/observations?from=yesterday", 400, "from"),
        ("/api/v1/stations/X2/observations?to=2026-11-23T08:00:00", 400, "to"),
        ("/api/v1/stations/X2/observations?from=2026-11-23T08:00:00+01:00", 400, "%2B"),
        ("/api/v1/stations/X2/observations?from=2026-11-23T08:00:00Z&to=2026-11-22T08:00:00Z", 400, "later"),
        ("/api/v1/stations/X2/observations?from=1&from=2", 400, "from"),
        ("/api/v1/stations/X2/forecast", 404, "yet"),
        ("/api/v1/stations/NOBODY/forecast", 404, "NOBODY"),
        ("/forecast/", 400, "station_id"),
        ("/forecast/?station_id=", 400, "station"),
        ("/forecast/?station_id=%3Cscript%3E", 400, "station"),
        ("/forecast/?station_id=NOBODY", 404, "NOBODY"),
        ("/api/v1/nothing", 404, "/api/v1/nothing"),
        ("/api", 404, "/api"),
        ("/api/v1/live", 400, "WebSocket"),
    ] {
        let detail = api.problem(path, status).await;
        assert!(detail.contains(word), "{path}: {detail}");
    }
    for path in ["/api/v1/stations", "/healthz", "/anything"] {
        let response = reqwest::Client::new().post(api.url(path)).send().await.unwrap();
        assert_eq!(response.status(), 405, "{path}");
        assert!(response.headers().contains_key("allow"));
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }
    let seen = scrape();
    assert!(seen.contains(r#"weatherglass_api_requests_total{route="/api/v1/stations/{id}",status="404"}"#), "{seen}");
    assert!(!seen.contains("NOBODY"));
    api.stop().await;
}

#[tokio::test]
async fn unchanged_answers_are_not_sent_again_and_long_ones_are_compressed() {
    let mut network = Network::start().await;
    network.observe("X1", ago(60), 1.0).await;
    network.work("X1").await;
    let api = Api::on(&network.config()).await;
    // One that shows what was sent, packed as it is.
    let client = reqwest::Client::builder().no_gzip().build().unwrap();
    let path = "/api/v1/stations/X1/forecast";
    let first = api.get(path).await;
    assert_eq!(first.headers()["cache-control"], "no-cache");
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let ask = |tag: &str| client.get(api.url(path)).header("if-none-match", tag).send();
    for known in [tag.clone(), format!("\"other\", {tag}"), tag.replace("W/", ""), "*".to_owned()] {
        let again = ask(&known).await.unwrap();
        assert_eq!((again.status().as_u16(), &again.headers()["etag"]), (304, &tag.parse().unwrap()), "{known}");
        assert_eq!(again.text().await.unwrap(), "");
    }
    assert_eq!(ask("\"other\"").await.unwrap().status(), 200);
    for encoding in ["gzip", "br"] {
        let packed = client.get(api.url(path)).header("accept-encoding", encoding).send().await.unwrap();
        assert_eq!(packed.headers()["content-encoding"], encoding);
        assert!(packed.bytes().await.unwrap().len() < 1500);
    }
    api.stop().await;
}

#[tokio::test]
async fn the_document_names_every_route_and_the_docs_are_served() {
    let network = Network::start().await;
    let api = Api::on(&network.config()).await;
    let document = api.json("/api/openapi.json").await;
    assert_eq!(document, serde_json::from_str::<serde_json::Value>(&api::openapi()).unwrap());
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"));
    let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
    assert_eq!(
        paths,
        [
            "/api/openapi.json",
            "/api/v1/contacts",
            "/api/v1/live",
            "/api/v1/models",
            "/api/v1/stations",
            "/api/v1/stations/{id}",
            "/api/v1/stations/{id}/contact",
            "/api/v1/stations/{id}/forecast",
            "/api/v1/stations/{id}/observations",
            "/forecast/",
            "/healthz",
            "/readyz",
        ]
    );
    for path in paths {
        let status = api.get(&path.replace("{id}", "NOBODY")).await.status();
        assert!([200, 400, 404].contains(&status.as_u16()), "{path}: {status}");
        assert_ne!(reqwest::Client::new().post(api.url(path)).send().await.unwrap().status(), 404);
    }
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in ["Observation", "Forecast", "Problem", "ClientFrame", "ServerFrame", "SnapshotEntry", "SubscribeFrame"]
    {
        assert!(schemas.contains_key(name), "{name}");
    }
    let docs = api.get("/api/docs").await;
    assert_eq!(docs.status(), 200);
    assert!(docs.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'self'"));
    let page = docs.text().await.unwrap();
    assert!(page.contains("swagger-ui") && !page.contains("<script>"), "inline scripts would be blocked");
    let start = api.get("/api/docs/swagger-initializer.js").await.text().await.unwrap();
    assert!(start.contains("/api/openapi.json"));
    api.stop().await;
}

#[tokio::test]
async fn every_metric_is_there_from_the_start() {
    let network = Network::start().await;
    let api = Api::on(&network.config()).await;
    let seen = scrape();
    for name in [
        "weatherglass_api_sessions{protocol=\"json\"}",
        "weatherglass_api_updates_total{kind=\"forecast\"}",
        "weatherglass_api_sent_frames_total",
        "weatherglass_api_conflated_updates_total",
        "weatherglass_api_closed_sessions_total{reason=\"slow\"}",
        "weatherglass_api_client_errors_total{code=\"bad_frame\"}",
        "weatherglass_api_requests_total{route=\"/readyz\",status=\"200\"}",
        "weatherglass_api_request_duration_seconds",
        "weatherglass_api_stations{state=\"silent\"}",
        "weatherglass_api_tail_lag_seconds",
        "weatherglass_api_redis_errors_total{kind=\"unavailable\"}",
        "weatherglass_api_unreadable_entries_total{reason=\"malformed\"}",
    ] {
        assert!(seen.contains(name), "{name} is not in\n{seen}");
    }
    api.stop().await;
}
