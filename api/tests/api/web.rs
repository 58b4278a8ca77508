//! The dashboard's files.

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::harness::{Api, Network, config};

#[tokio::test]
async fn files_pages_and_their_headers() {
    let network = Network::start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(&network.config());
    settings.web = folder.path().join("dist");
    let api = Api::start(settings).await;
    let missing = api.get("/").await;
    assert_eq!(missing.status(), 503);
    assert!(missing.text().await.unwrap().contains("make web"));

    // Built while the api runs: no restart is needed.
    std::fs::create_dir_all(folder.path().join("dist/assets")).unwrap();
    std::fs::write(folder.path().join("dist/index.html"), "<title>dashboard</title>").unwrap();
    std::fs::write(folder.path().join("dist/assets/app-1a2b.js"), "let x;").unwrap();
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    for page in ["/", "/index.html", "/stations/X1", "/deep/er/still"] {
        let response = api.get(page).await;
        assert_eq!(response.status(), 200, "{page}");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.contains("default-src 'self'; ") && policy.contains("connect-src 'self' ws: wss:; "),
            "{policy}"
        );
        assert_eq!(response.headers()["x-content-type-options"], "nosniff");
        assert!(response.headers().contains_key("referrer-policy"));
        assert_eq!(response.text().await.unwrap(), "<title>dashboard</title>");
    }
    let asset = api.get("/assets/app-1a2b.js").await;
    assert_eq!(asset.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(asset.headers()["content-type"], "text/javascript");
    assert_eq!(api.get("/assets/gone.js").await.status(), 404);
    assert_eq!(api.get("/favicon.ico").await.status(), 404);
    let dotted = reqwest::Client::new().get(api.url("/stations/A.B")).header("accept", "text/html,*/*").send().await;
    assert_eq!(dotted.unwrap().status(), 200);
    for outside in ["/..%2fsecret", "/%2e%2e/secret", "/assets/..%2f..%2fsecret"] {
        assert!(!api.get(outside).await.text().await.unwrap().contains("secret\n"), "{outside}");
        assert_ne!(api.get(outside).await.text().await.unwrap(), "secret", "{outside}");
    }
    api.stop().await;
}

#[tokio::test]
async fn one_api_on_two_ports() {
    let network = Network::start().await;
    let listeners = [TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap()];
    let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(api::serve_on(config(&network.config()), listeners.into(), shutdown.clone()));
    for address in addresses {
        let mut status = None;
        while status.is_none() {
            status = reqwest::get(format!("http://{address}/healthz")).await.ok().map(|r| r.status().as_u16());
        }
        assert_eq!(status, Some(200));
    }
    shutdown.cancel();
    running.await.unwrap().unwrap();
}
