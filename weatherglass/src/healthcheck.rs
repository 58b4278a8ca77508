//! `weatherglass healthcheck URL`: for images that have no curl.

use std::time::Duration;

use anyhow::{Context, bail};

/// What to ask.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// The URL, as http://127.0.0.1:8000/readyz.
    url: String,
}

/// Succeeds if the URL answers 2xx within three seconds.
pub(crate) async fn run(args: Args) -> anyhow::Result<()> {
    let client = reqwest::Client::builder().timeout(Duration::from_secs(3)).build()?;
    let response = client.get(&args.url).send().await.with_context(|| format!("{} does not answer", args.url))?;
    let status = response.status();
    if !status.is_success() {
        bail!("{} answers {status}: {}", args.url, response.text().await.unwrap_or_default().trim());
    }
    Ok(())
}
