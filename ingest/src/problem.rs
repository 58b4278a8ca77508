//! Refusals of whole requests, as RFC 9457 problem details.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::accept::Closed;
use crate::limits::TooMany;

/// A request that could not be taken.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    pub(crate) status: StatusCode,
    pub(crate) title: &'static str,
    pub(crate) detail: String,
    /// Seconds after which it may be sent again.
    retry: Option<u64>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, title: &'static str, detail: impl Into<String>) -> Self {
        let retry = (status == StatusCode::SERVICE_UNAVAILABLE).then_some(5);
        Self { status, title, detail: detail.into(), retry }
    }
}

impl From<Closed> for Problem {
    fn from(closed: Closed) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "The request was not taken", format!("{closed}; send it again"))
    }
}

impl From<TooMany> for Problem {
    fn from(TooMany(wait): TooMany) -> Self {
        let seconds = wait.as_secs() + 1;
        let detail = format!("more requests than are allowed; send it again in {seconds} s");
        let problem = Self::new(StatusCode::TOO_MANY_REQUESTS, "Too many requests", detail);
        Self { retry: Some(seconds), ..problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body =
            json!({"type": "about:blank", "title": self.title, "status": self.status.as_u16(), "detail": self.detail});
        let mut response = (self.status, body.to_string()).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let Some(seconds) = self.retry {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
