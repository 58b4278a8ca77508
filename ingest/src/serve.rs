//! Connections: taken, bounded, and ended.
//!
//! `axum::serve` waits forever for a request's head and takes any number of connections. Here a head, a
//! TLS handshake and the pause between two requests have a limit, and so have the bytes and lines of a
//! head (431), the time that an answer may lie unread, and the number of connections. When all are taken
//! new ones wait in the kernel's queue; an address that has its half of them is hung up on, so that no
//! single one can shut out all others.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use ::metrics::{counter, gauge};
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Sleep, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::util::MapRequest;
use tracing::{debug, info, warn};

use crate::limits::{Peer, Sender, Settings};
use crate::metrics;
use crate::tls::Tls;

/// The longest head of a request, bytes: a hundred times what consoles send.
const HEAD_BYTES: usize = 64 * 1024;
/// Lines of a head.
const HEAD_LINES: usize = 100;
/// How long an answer may wait for its reader.
const UNREAD: Duration = Duration::from_secs(30);
/// How long to wait when the system has no more file descriptors.
const BREATH: Duration = Duration::from_millis(200);

/// The floor that all listeners share.
#[derive(Clone)]
pub(crate) struct Server {
    router: Router,
    floor: Arc<Floor>,
    patience: Duration,
    tasks: TaskTracker,
    shutdown: CancellationToken,
    /// When even those that are being answered are cut off.
    deadline: CancellationToken,
}

/// The connections that are open.
struct Floor {
    room: Arc<Semaphore>,
    share: u32,
    by_sender: Mutex<HashMap<Sender, u32>>,
}

/// A connection's place; given back when dropped.
struct Place {
    floor: Arc<Floor>,
    sender: Sender,
    _permit: OwnedSemaphorePermit,
}

impl Floor {
    /// A place for a connection of that address, unless it has its share of them.
    fn admit(self: &Arc<Self>, address: SocketAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let sender = Sender::of(address.ip());
        let mut by_sender = self.by_sender.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_sender.entry(sender).or_default();
        if *open >= self.share {
            return None;
        }
        *open += 1;
        gauge!(metrics::CONNECTIONS).increment(1);
        Some(Place { floor: Arc::clone(self), sender, _permit: permit })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut by_sender = self.floor.by_sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_sender.get_mut(&self.sender) {
            *open -= 1;
            if *open == 0 {
                by_sender.remove(&self.sender);
            }
        }
        gauge!(metrics::CONNECTIONS).decrement(1);
    }
}

impl Server {
    /// A server of `router` within `settings`, until `shutdown`.
    pub(crate) fn new(router: Router, settings: &Settings, shutdown: CancellationToken) -> Self {
        let floor = Floor {
            room: Arc::new(Semaphore::new(settings.connections as usize)),
            share: settings.connections / 2,
            by_sender: Mutex::default(),
        };
        Self {
            router,
            floor: Arc::new(floor),
            patience: Duration::from_secs(settings.header_timeout),
            tasks: TaskTracker::new(),
            shutdown,
            deadline: CancellationToken::new(),
        }
    }

    /// Takes connections until shutdown, then waits as long as `drain` for requests in progress.
    pub(crate) async fn run(self, plain: TcpListener, secure: Option<(TcpListener, Tls)>, drain: Duration) {
        let (secure_listener, tls) = secure.unzip();
        tokio::join!(self.listen(Some(plain), None), self.listen(secure_listener, tls));
        self.tasks.close();
        if timeout(drain, self.tasks.wait()).await.is_err() {
            info!("ingest closed requests that were still open after {drain:?}");
            self.deadline.cancel();
            self.tasks.wait().await;
        }
        info!("ingest has stopped");
    }

    async fn listen(&self, listener: Option<TcpListener>, tls: Option<Tls>) {
        let Some(listener) = listener else { return };
        loop {
            let next = async {
                let permit = Arc::clone(&self.floor.room).acquire_owned().await;
                (permit, listener.accept().await)
            };
            let (permit, accepted) = tokio::select! {
                next = next => next,
                () = self.shutdown.cancelled() => return,
            };
            // Nobody closes the semaphore.
            let Ok(permit) = permit else { return };
            match accepted {
                Ok((stream, address)) => self.greet(stream, address, permit, tls.clone()),
                // The connection was gone before it was taken.
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    warn!(%error, "ingest can't take connections now");
                    tokio::select! {
                        () = sleep(BREATH) => {}
                        () = self.shutdown.cancelled() => return,
                    }
                }
            }
        }
    }

    fn greet(&self, stream: TcpStream, address: SocketAddr, permit: OwnedSemaphorePermit, tls: Option<Tls>) {
        let Some(place) = self.floor.admit(address, permit) else {
            refused("address");
            return;
        };
        // An answer must not wait for the acknowledgement of the one before.
        let _ = stream.set_nodelay(true);
        let server = self.clone();
        self.tasks.spawn(async move {
            let place = place;
            let stream = Unread::new(stream, UNREAD);
            match tls {
                None => server.talk(stream, address).await,
                Some(tls) => match timeout(server.patience, tls.accept(stream)).await {
                    Ok(Ok(stream)) => server.talk(stream, address).await,
                    Ok(Err(error)) => {
                        debug!(%error, "a TLS handshake failed");
                        refused("handshake");
                    }
                    Err(_) => refused("handshake"),
                },
            }
            drop(place);
        });
    }

    async fn talk(&self, stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, address: SocketAddr) {
        let peer = Peer(address.ip().to_canonical());
        let service = MapRequest::new(self.router.clone(), move |request: Request<Incoming>| {
            let mut request = request.map(Body::new);
            request.extensions_mut().insert(peer);
            request
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(self.patience)
            .max_buf_size(HEAD_BYTES)
            .max_headers(HEAD_LINES)
            .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service));
        let mut connection = pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            () = self.shutdown.cancelled() => {
                connection.as_mut().graceful_shutdown();
                tokio::select! {
                    ended = connection.as_mut() => Some(ended),
                    () = self.deadline.cancelled() => None,
                }
            }
        };
        if let Some(Err(error)) = ended {
            if error.is_timeout() {
                refused("head_timeout");
            } else if error.is_parse() {
                refused("head");
            }
        }
    }
}

fn refused(reason: &'static str) {
    counter!(metrics::REFUSED_CONNECTIONS, "reason" => reason).increment(1);
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

/// A stream whose reader must not make an answer wait too long.
struct Unread<S> {
    stream: S,
    patience: Duration,
    stalled: Option<Pin<Box<Sleep>>>,
}

impl<S> Unread<S> {
    const fn new(stream: S, patience: Duration) -> Self {
        Self { stream, patience, stalled: None }
    }

    fn watch<T>(&mut self, written: Poll<io::Result<T>>, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let patience = self.patience;
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(patience)));
        match stalled.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.watch(written, cx)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.watch(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.watch(shut, cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_has_half_of_the_connections_and_gives_them_back() {
        let floor = Arc::new(Floor { room: Arc::new(Semaphore::new(4)), share: 2, by_sender: Mutex::default() });
        let admit = |address: &str| {
            let permit = Arc::clone(&floor.room).try_acquire_owned().unwrap();
            floor.admit(address.parse().unwrap(), permit)
        };
        let first = admit("10.0.0.1:1").unwrap();
        let _second = admit("10.0.0.1:2").unwrap();
        assert!(admit("10.0.0.1:3").is_none());
        let _other = admit("10.0.0.2:1").unwrap();
        drop(first);
        assert!(admit("10.0.0.1:4").is_some());
        assert_eq!(floor.room.available_permits(), 2);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_is_given_up() {
        use tokio::io::AsyncWriteExt;
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut stream = Unread::new(ours, Duration::from_millis(50));
        let error = stream.write_all(&[0; 64]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }
}
