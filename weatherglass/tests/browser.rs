//! The dashboard in a real browser, on the real stack: `web/e2e/dashboard.test.mjs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test's helpers may fail it

mod stack;

use stack::{Service, Stack, history, repository};
use weather::Time;

#[tokio::test(flavor = "multi_thread")]
async fn an_observation_moves_the_chart_without_a_reload() {
    let bundle = repository().join("web/dist/index.html");
    assert!(bundle.is_file(), "{} is missing: run `make web`", bundle.display());
    let stack = Stack::start().await;
    let described = serde_json::json!({"name": "Garden <b>Kert</b>", "latitude": 47.5, "longitude": 19.0, "timezone": "Europe/Budapest"});
    let url = format!("{}/v1/stations/GARDEN", stack.url(Service::Ingest));
    assert_eq!(stack.client.put(&url).json(&described).send().await.unwrap().status(), 200);
    let mut past = history("GARDEN", 72);
    past.push(stack::observation("GARDEN", Time::now() - 90, 12.0));
    stack.post(rmp_serde::to_vec_named(&past).unwrap(), "application/msgpack").await;
    stack.settled().await;

    let (api, ingest) = (stack.url(Service::Api), stack.url(Service::Ingest));
    let script = tokio::task::spawn_blocking(move || {
        std::process::Command::new("npm")
            .args(["run", "--silent", "e2e"])
            .current_dir(repository().join("web"))
            .env("WEATHERGLASS_URL", api)
            .env("WEATHERGLASS_INGEST_URL", ingest)
            .env("WEATHERGLASS_STATION", "GARDEN")
            .output()
            .expect("npm runs: `make setup` installs it")
    });
    let output = script.await.unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", text(&output.stdout), text(&output.stderr));
    stack.settled().await;
}
