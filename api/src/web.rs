//! The dashboard's files, and what stands where no route is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use tower::ServiceExt;
use tower_http::services::{ServeDir, ServeFile};

use crate::problem::Problem;

/// The page loads nothing from elsewhere, and nobody else may frame it. Styles are inline because
/// the map sets them; blobs are its tiles and workers. Swagger UI lives within it, too.
pub(crate) const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; \
    img-src 'self' data: blob:; connect-src 'self' ws: wss:; worker-src 'self' blob:; \
    object-src 'none'; base-uri 'self'; frame-ancestors 'self'";

const MISSING: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Weatherglass</title>\
    <h1>The dashboard is not built</h1><p>Run <code>make web</code> and load this page again. \
    The API is at <a href=\"/api/docs/\">/api/docs</a>.</p></html>";

/// Where the dashboard is.
pub(crate) struct Web {
    folder: PathBuf,
}

impl Web {
    pub(crate) fn new(folder: &Path) -> Arc<Self> {
        Arc::new(Self { folder: folder.to_owned() })
    }
}

/// A file of the dashboard; its page for any other address, which its own router reads.
pub(crate) async fn serve(State(web): State<Arc<Web>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    if path == "/api" || path.starts_with("/api/") {
        return Problem::not_found(format!("there is nothing at {path}: see /api/docs")).into_response();
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return method_not_allowed().await;
    }
    let hashed = path.starts_with("/assets/");
    let wants_page = !hashed && wants_page(&path, &request);
    let (parts, _) = request.into_parts();
    let asked = Request::from_parts(parts.clone(), Body::empty());
    let file = ServeDir::new(&web.folder).oneshot(asked).await.into_response();
    if file.status() != StatusCode::NOT_FOUND {
        return cached(file, hashed);
    }
    if !wants_page {
        return Problem::not_found(format!("there is no file {path}")).into_response();
    }
    let again = Request::from_parts(parts, Body::empty());
    let page = ServeFile::new(web.folder.join("index.html")).oneshot(again).await.into_response();
    if page.status() == StatusCode::NOT_FOUND {
        return cached((StatusCode::SERVICE_UNAVAILABLE, Html(MISSING)).into_response(), false);
    }
    cached(page, false)
}

/// A station's identifier may have a dot, so an address with one may be a page as well as a file.
fn wants_page(path: &str, request: &Request) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    let accepts = request.headers().get_all(header::ACCEPT).iter();
    !last.contains('.') || accepts.filter_map(|v| v.to_str().ok()).any(|v| v.contains("text/html"))
}

/// The names of hashed files change with what is in them.
fn cached(mut response: Response, hashed: bool) -> Response {
    let good = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let value = if hashed && good { "public, max-age=31536000, immutable" } else { "no-cache" };
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(value));
    response
}

/// The answer to a method that a path does not have.
pub(crate) async fn method_not_allowed() -> Response {
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "Method not allowed", "everything here is read by GET");
    let mut response = problem.into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
    response
}

/// What every answer tells browsers.
pub(crate) async fn secured(mut response: Response) -> Response {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "strict-origin-when-cross-origin"),
    ] {
        insert(&mut response, name, value);
    }
    response
}

fn insert(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}
