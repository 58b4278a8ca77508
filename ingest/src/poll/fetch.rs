//! One conditional request: bounded in time and size.

use std::time::Duration;

use anyhow::Context;
use reqwest::header::{
    ACCEPT, ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED, RETRY_AFTER,
};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode, Url};

use crate::accept::Closed;

/// The longest body, bytes after decompression.
const LONGEST: usize = 16 << 20;
/// The longest wait that a source can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(6 * 3600);
/// Redirects that are followed.
const REDIRECTS: usize = 4;

/// What a source said of the age of its answer.
#[derive(Clone, Debug, Default)]
pub(super) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

/// An answer.
pub(super) enum Fetched {
    /// The same as before.
    Unchanged,
    /// A body, which may be empty.
    Body(Vec<u8>, Validators),
}

/// Why a poll gave nothing. Each is a metric label.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// 429, or 503 with the wish to be left alone.
    #[error("the source asks for fewer requests ({status})")]
    Throttled {
        /// 429 or 503.
        status: StatusCode,
        /// For how long.
        after: Option<Duration>,
    },
    /// 5xx.
    #[error("the source has failed ({0})")]
    Server(StatusCode),
    /// Any other status than 200.
    #[error("the source refuses the request ({0}): check the stations and the URL")]
    Refused(StatusCode),
    /// Longer than [`LONGEST`].
    #[error("the body is longer than {} MiB", LONGEST >> 20)]
    TooLarge,
    /// It took too long.
    #[error("the source did not answer in time")]
    Timeout,
    /// No connection, or one that broke.
    #[error("{0}")]
    Network(String),
    /// The body is not what the source is known to send.
    #[error("the body can't be read: {0}")]
    Unreadable(String),
    /// Our own door does not take it now.
    #[error("not kept: {0}")]
    Closed(Closed),
}

impl Failure {
    /// All labels.
    pub(super) const LABELS: [&'static str; 8] =
        ["throttled", "server_error", "refused", "too_large", "timeout", "network", "unreadable", "not_kept"];

    pub(super) const fn label(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "throttled",
            Self::Server(_) => "server_error",
            Self::Refused(_) => "refused",
            Self::TooLarge => "too_large",
            Self::Timeout => "timeout",
            Self::Network(_) => "network",
            Self::Unreadable(_) => "unreadable",
            Self::Closed(_) => "not_kept",
        }
    }

    /// How long the source wants to be left alone.
    pub(super) const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Throttled { after, .. } => *after,
            _ => None,
        }
    }

    /// Whether the other addresses of the source would fail too.
    pub(super) const fn is_of_all(&self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Timeout | Self::Network(_) | Self::Closed(_))
    }
}

/// Asks one source.
#[derive(Clone, Debug)]
pub(crate) struct Fetcher {
    client: Client,
}

/// Checks who is told to sources as our contact.
pub(super) fn contact(text: &str) -> Result<String, String> {
    let plain = text.len() <= 200 && text.bytes().all(|b| (b' '..=b'~').contains(&b) && !matches!(b, b'(' | b')'));
    if plain { Ok(text.trim().to_owned()) } else { Err("at most 200 plain characters, without parentheses".to_owned()) }
}

impl Fetcher {
    /// A client of `source` that takes the content types `accepts`, tells `contact` and waits at most `timeout`.
    ///
    /// # Errors
    /// When the system has no certificates to know others by.
    pub(super) fn new(
        source: &'static str,
        accepts: &'static str,
        contact: &str,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        // The second to install it finds it there.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let version = env!("CARGO_PKG_VERSION");
        let reach = if contact.is_empty() { env!("CARGO_PKG_REPOSITORY") } else { contact };
        let client = Client::builder()
            .user_agent(format!("weatherglass/{version} ({reach})"))
            .default_headers(HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accepts))]))
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(10)))
            .redirect(Policy::limited(REDIRECTS))
            .build()
            .with_context(|| format!("source {source}: no HTTPS client (are ca-certificates installed?)"))?;
        Ok(Self { client })
    }

    /// Asks for what has changed.
    pub(super) async fn fetch(&self, address: &Url, known: &Validators) -> Result<Fetched, Failure> {
        let mut request = self.client.get(address.clone());
        if let Some(etag) = &known.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(modified) = &known.modified {
            request = request.header(IF_MODIFIED_SINCE, modified);
        }
        let response = request.send().await.map_err(broken)?;
        match response.status() {
            StatusCode::NOT_MODIFIED => Ok(Fetched::Unchanged),
            // A source that has nothing at all to tell.
            StatusCode::NO_CONTENT => Ok(Fetched::Body(Vec::new(), Validators::default())),
            StatusCode::OK => {
                let header = |name| response.headers().get(name).cloned();
                let validators = Validators { etag: header(ETAG), modified: header(LAST_MODIFIED) };
                Ok(Fetched::Body(body(response).await?, validators))
            }
            status @ (StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) => {
                Err(Failure::Throttled { status, after: wait(response.headers()) })
            }
            status if status.is_server_error() => Err(Failure::Server(status)),
            status => Err(Failure::Refused(status)),
        }
    }
}

/// The body, given up when it becomes too long: its length is believed only to refuse it sooner.
async fn body(mut response: Response) -> Result<Vec<u8>, Failure> {
    if response.content_length().is_some_and(|length| length > LONGEST as u64) {
        return Err(Failure::TooLarge);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(broken)? {
        if body.len() + chunk.len() > LONGEST {
            return Err(Failure::TooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn broken(error: reqwest::Error) -> Failure {
    if error.is_timeout() {
        return Failure::Timeout;
    }
    // The address is told beside it, and the cause says more than the outermost words.
    let error = error.without_url();
    let mut words = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(inner) = cause {
        words = format!("{words}: {inner}");
        cause = inner.source();
    }
    Failure::Network(words)
}

/// `Retry-After`, in seconds or as a date.
fn wait(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = match text.parse::<u64>() {
        Ok(seconds) => seconds,
        Err(_) => {
            let date = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            u64::try_from(date.as_second() - jiff::Timestamp::now().as_second()).unwrap_or_default()
        }
    };
    Some(Duration::from_secs(seconds).min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates_and_bounded() {
        let of = |text: &str| wait(&HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]));
        assert_eq!(of("120"), Some(Duration::from_secs(120)));
        assert_eq!(of("99999999999"), Some(LONGEST_WAIT));
        assert_eq!(of("Wed, 21 Oct 2015 07:28:00 GMT"), Some(Duration::ZERO));
        let soon = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(300)).unwrap();
        let date = jiff::fmt::rfc2822::to_string(&soon.to_zoned(jiff::tz::TimeZone::UTC)).unwrap();
        assert!((295..=300).contains(&of(&date).unwrap().as_secs()), "{date}");
        assert_eq!(of("soon"), None);
        assert_eq!(wait(&HeaderMap::new()), None);
    }

    #[test]
    fn contacts_can_stand_in_a_header() {
        assert_eq!(contact(" me@example.org ").unwrap(), "me@example.org");
        assert!(contact("a\nb").is_err() && contact("(x)").is_err() && contact(&"x".repeat(201)).is_err());
    }
}
