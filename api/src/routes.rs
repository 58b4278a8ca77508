//! Every route, and the OpenAPI document that is made of the same list.

use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::extract::{MatchedPath, Request};
use axum::middleware::{Next, from_fn, map_response};
use axum::response::Response;
use axum::routing::get;
use metrics::{counter, histogram};
use tower_http::compression::CompressionLayer;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::SwaggerUi;

use crate::contacts;
use crate::frames::{Channel, ServerFrame};
use crate::live::{self, Live};
use crate::metrics::{DURATION, REQUESTS};
use crate::rest::{self, Sources};
use crate::subscribe::ClientFrame;
use crate::web::{self, Web};

/// The label of requests that no route matched: files of the dashboard, and nothing.
const NO_ROUTE: &str = "static";

#[derive(OpenApi)]
#[openapi(
    info(title = "Weatherglass", description = "Live probabilistic forecasts from weather-station observations."),
    components(schemas(ClientFrame, ServerFrame, Channel)),
    tags(
        (name = "stations", description = "Stations and what they measured"),
        (name = "forecasts", description = "What is forecast for them"),
        (name = "live", description = "The same, as it happens"),
        (name = "service", description = "The state of the service itself"),
    )
)]
struct Document;

fn reads() -> OpenApiRouter<Arc<Sources>> {
    OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(rest::stations))
        .routes(routes!(rest::one_station))
        .routes(routes!(rest::observations))
        .routes(routes!(contacts::contact))
        .routes(routes!(contacts::contacts))
        .routes(routes!(rest::forecast))
        .routes(routes!(rest::forecast_of))
        .routes(routes!(rest::models))
        .routes(routes!(rest::openapi_document))
        .routes(routes!(rest::healthz))
        .routes(routes!(rest::readyz))
}

fn sockets() -> OpenApiRouter<Arc<Live>> {
    OpenApiRouter::new().routes(routes!(live::live))
}

/// The OpenAPI 3.1 document of the api, as pretty JSON.
#[must_use]
pub fn openapi() -> String {
    let (_, mut document) = reads().split_for_parts();
    document.merge(sockets().split_for_parts().1);
    // Writing to memory fails only if a `Serialize` is at fault, which the tests would show.
    document.to_pretty_json().unwrap_or_default()
}

/// The whole service.
pub(crate) fn router(sources: Sources, live: Arc<Live>, web: &Arc<Web>) -> Router {
    let (reads, _) = reads().split_for_parts();
    let (sockets, _) = sockets().split_for_parts();
    // The validator badge would be loaded from another host.
    let docs = utoipa_swagger_ui::Config::from("/api/openapi.json").validator_url("none");
    let answers = reads
        // The slash belongs to the old address; clients leave it out as often as not.
        .route("/forecast", get(rest::forecast_of))
        .with_state(Arc::new(sources))
        .merge(SwaggerUi::new("/api/docs").config(docs))
        .fallback(web::serve)
        .with_state(web.clone())
        .layer(CompressionLayer::new());
    sockets
        .with_state(live)
        .merge(answers)
        .method_not_allowed_fallback(web::method_not_allowed)
        .layer(map_response(web::secured))
        .layer(from_fn(counted))
}

async fn counted(request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let route = matched.unwrap_or_else(|| NO_ROUTE.to_owned());
    let started = Instant::now();
    let response = next.run(request).await;
    histogram!(DURATION, "route" => route.clone()).record(started.elapsed().as_secs_f64());
    counter!(REQUESTS, "route" => route, "status" => response.status().as_str().to_owned()).increment(1);
    response
}
