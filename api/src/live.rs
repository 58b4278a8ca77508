//! The door of the live WebSocket.

use std::sync::Arc;

use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use streams::Redis;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::config::Limits;
use crate::frames::{Format, JSON, MSGPACK};
use crate::hub::Hub;
use crate::problem::Problem;
use crate::session;

/// Bytes read from a connection at once: axum's default costs every idle session 128 KiB.
const READ_BUFFER: usize = 4096;
/// Clients that are brought up to date at the same time.
const RECOVERIES: usize = 4;

/// What sessions share.
pub(crate) struct Live {
    pub(crate) hub: Arc<Hub>,
    pub(crate) redis: Redis,
    pub(crate) limits: Limits,
    pub(crate) recoveries: Semaphore,
    pub(crate) sessions: TaskTracker,
    pub(crate) shutdown: CancellationToken,
}

impl Live {
    pub(crate) fn new(hub: Arc<Hub>, redis: Redis, limits: Limits, shutdown: CancellationToken) -> Self {
        let recoveries = Semaphore::new(RECOVERIES);
        Self { hub, redis, limits, recoveries, sessions: TaskTracker::new(), shutdown }
    }
}

/// Live updates over WebSocket
///
/// Subprotocols `weatherglass.v1+json` (text frames; also when none is asked for) and
/// `weatherglass.v1+msgpack` (binary frames with the same names). A client sends `ClientFrame`, the
/// server `ServerFrame`. A subscription is answered by a snapshot, then updates. A snapshot comes in
/// frames of about half a megabyte: all but the last say `more` and have no cursor, and together
/// they are everything there is to show. Stations that are private or unknown are left out of it
/// without a word; one that is made private or removed while subscribed is told on the `station` channel, with
/// the state `removed`. Every update has a cursor: a client that comes back with its last one gets
/// what it missed and then `recovered`.
/// A client that reads slowly gets the newest state of each station. Close codes: 1001 the server
/// stops, 1002 not WebSocket, 1009 a client frame over 64 KiB, 4008 nothing read, or no ping
/// answered, for a minute.
#[utoipa::path(
    get,
    path = "/api/v1/live",
    tag = "live",
    responses(
        (status = 101, description = "Switching to WebSocket"),
        (status = 400, description = "Not a WebSocket handshake", body = Problem, content_type = "application/problem+json"),
        (status = 426, description = "The connection can't be upgraded", body = Problem, content_type = "application/problem+json"),
    )
)]
pub(crate) async fn live(
    State(live): State<Arc<Live>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return refused(&rejection),
    };
    let upgrade = upgrade
        .protocols([JSON, MSGPACK])
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(0)
        .max_message_size(live.limits.client_frame)
        .max_frame_size(live.limits.client_frame);
    let packed = upgrade.selected_protocol().is_some_and(|protocol| protocol.as_bytes() == MSGPACK.as_bytes());
    let format = if packed { Format::MsgPack } else { Format::Json };
    // Counted from here: a session whose upgrade is under way is waited for at shutdown, too.
    let token = live.sessions.token();
    let shutdown = live.shutdown.clone();
    upgrade.on_upgrade(move |socket| async move {
        let _counted = token;
        session::serve(live, socket, format, shutdown).await;
    })
}

fn refused(rejection: &WebSocketUpgradeRejection) -> Response {
    let status = match rejection {
        WebSocketUpgradeRejection::ConnectionNotUpgradable(_) => StatusCode::UPGRADE_REQUIRED,
        _ => StatusCode::BAD_REQUEST,
    };
    let detail = format!("{rejection}: connect with a WebSocket client, subprotocol {JSON} or {MSGPACK}");
    let mut response = Problem::new(status, "WebSocket only", detail).into_response();
    response.headers_mut().insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    response
}
