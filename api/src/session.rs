//! One live session: reads the client's frames, writes what waits for it, notices when it is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use bytes::Bytes;
use futures_util::SinkExt;
use metrics::{counter, gauge};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};
use tokio_tungstenite::tungstenite;
use tokio_util::sync::CancellationToken;

use crate::frames::{Encoded, ErrorFrame, Format, RecoveredFrame, ServerFrame};
use crate::interest::Key;
use crate::live::Live;
use crate::metrics::{CLIENT_ERRORS, CLOSED, REDIS_ERRORS, SENT_FRAMES, SESSIONS};
use crate::outbox::{Item, Outbox};
use crate::recover;
use crate::snapshot::Parts;
use crate::subscribe::{Command, ErrorCode, Refusal, Subscription, parse_json, parse_msgpack};

/// For the close frame to leave; a peer that takes nothing won't take it either.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a session ended. Each is also a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CloseReason {
    /// The client closed it.
    Client,
    /// The api is stopping: code 1001.
    Shutdown,
    /// The client took nothing for a minute: code 4008.
    Slow,
    /// Nothing was heard from the client for a minute, not even an answer to pings: code 4008.
    Silent,
    /// A client frame was over the limit: code 1009.
    TooBig,
    /// What came was not WebSocket, or text that was not UTF-8: code 1002.
    Protocol,
    /// The connection broke.
    Lost,
}

impl CloseReason {
    /// Every reason, for counters that start at zero.
    pub(crate) const ALL: [Self; 7] =
        [Self::Client, Self::Shutdown, Self::Slow, Self::Silent, Self::TooBig, Self::Protocol, Self::Lost];

    /// The metric label.
    #[must_use]
    pub(crate) const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Shutdown => "shutdown",
            Self::Slow => "slow",
            Self::Silent => "silent",
            Self::TooBig => "too_big",
            Self::Protocol => "protocol",
            Self::Lost => "lost",
        }
    }

    /// Close code and text, when there is anyone to tell.
    const fn frame(self) -> Option<(u16, &'static str)> {
        match self {
            Self::Shutdown => Some((1001, "the server is stopping, come back with your cursor")),
            Self::Slow => Some((4008, "nothing was read for too long, come back with your cursor")),
            Self::Silent => Some((4008, "pings were not answered, come back with your cursor")),
            Self::TooBig => Some((1009, "a client frame is too large")),
            Self::Protocol => Some((1002, "not a WebSocket message")),
            Self::Client | Self::Lost => None,
        }
    }

    fn from_error(error: axum::Error) -> Self {
        match error.into_inner().downcast_ref::<tungstenite::Error>() {
            Some(tungstenite::Error::Capacity(_)) => Self::TooBig,
            Some(tungstenite::Error::Protocol(tungstenite::error::ProtocolError::ResetWithoutClosingHandshake)) => {
                Self::Lost
            }
            Some(tungstenite::Error::Protocol(_) | tungstenite::Error::Utf8(_)) => Self::Protocol,
            Some(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => Self::Client,
            _ => Self::Lost,
        }
    }
}

struct Session {
    live: Arc<Live>,
    socket: WebSocket,
    format: Format,
    outbox: Arc<Outbox>,
    subscriptions: HashMap<String, (Key, Arc<Subscription>)>,
    shutdown: CancellationToken,
}

/// Serves a session until either side has had enough.
pub(crate) async fn serve(live: Arc<Live>, socket: WebSocket, format: Format, shutdown: CancellationToken) {
    let outbox = Arc::new(Outbox::new(format, &live.limits));
    let open = gauge!(SESSIONS, "protocol" => format.label());
    open.increment(1.0);
    let mut session = Session { live, socket, format, outbox, subscriptions: HashMap::new(), shutdown };
    let reason = session.run().await;
    counter!(CLOSED, "reason" => reason.label()).increment(1);
    session.close(reason).await;
    open.decrement(1.0);
    tracing::debug!(reason = reason.label(), "a live session ended");
}

impl Session {
    async fn run(&mut self) -> CloseReason {
        let limits = self.live.limits;
        let mut ping = interval_at(Instant::now() + limits.ping, limits.ping);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut heard = Instant::now();
        let shutdown = self.shutdown.clone();
        loop {
            let step = tokio::select! {
                () = shutdown.cancelled() => Err(CloseReason::Shutdown),
                item = self.outbox.next() => {
                    let started = Instant::now();
                    let written = self.write(item).await;
                    // While we waited for the peer to take it, we could not hear the peer.
                    heard += started.elapsed();
                    written
                }
                message = self.socket.recv() => {
                    heard = Instant::now();
                    self.read(message).await
                }
                _ = ping.tick() => {
                    if heard.elapsed() >= limits.stall {
                        Err(CloseReason::Silent)
                    } else {
                        self.send(Message::Ping(Bytes::new())).await
                    }
                }
            };
            if let Err(reason) = step {
                return reason;
            }
        }
    }

    async fn close(mut self, reason: CloseReason) {
        for (key, subscription) in self.subscriptions.values() {
            self.live.hub.unsubscribe(*key, &subscription.selection);
        }
        let goodbye = async {
            if let Some((code, text)) = reason.frame() {
                let _ = self.socket.send(Message::Close(Some(CloseFrame { code, reason: text.into() }))).await;
                // What the peer had on its way would make the kernel reset the connection under the
                // close frame; reading on until the peer answers lets it arrive.
                while let Some(Ok(_)) = self.socket.recv().await {}
            }
            let _ = self.socket.close().await;
        };
        let _ = timeout(GOODBYE, goodbye).await;
    }

    async fn read(&mut self, message: Option<Result<Message, axum::Error>>) -> Result<(), CloseReason> {
        let command = match message {
            None | Some(Ok(Message::Close(_))) => return Err(CloseReason::Client),
            Some(Err(error)) => return Err(CloseReason::from_error(error)),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
            Some(Ok(Message::Text(text))) => match self.format {
                Format::Json => parse_json(&text, &self.live.limits),
                Format::MsgPack => Err(Refusal::new(ErrorCode::BadFrame, "this session's frames are binary")),
            },
            Some(Ok(Message::Binary(bytes))) => match self.format {
                Format::Json => Err(Refusal::new(ErrorCode::BadFrame, "this session's frames are text")),
                Format::MsgPack => parse_msgpack(&bytes, &self.live.limits),
            },
        };
        match command.and_then(|command| self.follow(command)) {
            Ok(None) => Ok(()),
            Ok(Some(answer)) => self.send_frame(&answer).await,
            Err(refusal) => {
                counter!(CLIENT_ERRORS, "code" => refusal.code.label()).increment(1);
                self.send_frame(&ServerFrame::Error(ErrorFrame::from(refusal))).await
            }
        }
    }

    fn follow(&mut self, command: Command) -> Result<Option<ServerFrame>, Refusal> {
        match command {
            Command::Ping => return Ok(Some(ServerFrame::Pong)),
            Command::Unsubscribe(id) => {
                let Some((key, subscription)) = self.subscriptions.remove(&id) else {
                    return Err(Refusal::new(ErrorCode::UnknownSubscription, "no such subscription").of(&id));
                };
                self.live.hub.unsubscribe(key, &subscription.selection);
            }
            Command::Subscribe(subscription) => self.subscribe(Arc::new(subscription))?,
        }
        Ok(None)
    }

    fn subscribe(&mut self, subscription: Arc<Subscription>) -> Result<(), Refusal> {
        let most = self.live.limits.subscriptions;
        if !self.subscriptions.contains_key(&subscription.id) && self.subscriptions.len() >= most {
            let message = format!("a session has at most {most} subscriptions: end one first");
            return Err(Refusal::new(ErrorCode::TooManySubscriptions, message).of(&subscription.id));
        }
        let key = self.live.hub.subscribe(&subscription, &self.outbox);
        if let Some((old, replaced)) = self.subscriptions.insert(subscription.id.clone(), (key, subscription)) {
            self.live.hub.unsubscribe(old, &replaced.selection);
        }
        Ok(())
    }

    async fn write(&mut self, item: Item) -> Result<(), CloseReason> {
        match item {
            Item::Update(update) => {
                let encoded = update.encoded(self.format).clone();
                counter!(SENT_FRAMES).increment(1);
                self.send(encoded.into()).await
            }
            Item::Snapshot(snapshot) => {
                for part in Parts::new(snapshot, self.format, self.live.limits.snapshot_frame) {
                    self.send_frame(&ServerFrame::Snapshot(part)).await?;
                }
                Ok(())
            }
            Item::Recover(recovery) => self.recover(&recovery).await,
        }
    }

    async fn recover(&mut self, recovery: &crate::hub::Recovery) -> Result<(), CloseReason> {
        let subscription = &recovery.subscription;
        let missed = {
            // What a crowd that comes back at once missed must fit into memory.
            let _turn = self.live.recoveries.acquire().await;
            recover::missed(&self.live.redis, &self.live.hub, recovery, self.live.limits.recovered).await
        };
        let missed = missed.unwrap_or_else(|error| {
            counter!(REDIS_ERRORS, "kind" => error.label()).increment(1);
            tracing::warn!(%error, kind = error.label(), "could not read what a client missed: it gets a snapshot");
            None
        });
        let complete = missed.is_some();
        for frame in missed.unwrap_or_default() {
            self.send_frame(&frame).await?;
        }
        self.send_frame(&ServerFrame::Recovered(RecoveredFrame { id: subscription.id.clone(), complete })).await?;
        if !complete {
            self.live.hub.send_snapshot(subscription, &self.outbox);
        }
        Ok(())
    }

    async fn send_frame(&mut self, frame: &ServerFrame) -> Result<(), CloseReason> {
        counter!(SENT_FRAMES).increment(1);
        self.send(Encoded::new(frame, self.format).into()).await
    }

    async fn send(&mut self, message: Message) -> Result<(), CloseReason> {
        tokio::select! {
            biased;
            sent = timeout(self.live.limits.stall, self.socket.send(message)) => match sent {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => Err(CloseReason::from_error(error)),
                Err(_) => Err(CloseReason::Slow),
            },
            () = self.shutdown.cancelled() => Err(CloseReason::Shutdown),
        }
    }
}
