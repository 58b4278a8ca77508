//! The connection to the broker: what arrives goes to the keeper, what the keeper has kept is
//! acknowledged.
//!
//! `rumqttc` reconnects when polled again after an error. It then forgets acknowledgements that it had
//! not sent, since the broker sends their messages again. One of an earlier connection must not
//! follow on a later one, where its number may be another message's: so each token carries its connection.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ::metrics::{counter, gauge};
use rumqttc::mqttbytes::Error as PacketError;
use rumqttc::{
    AsyncClient, ConnectReturnCode, ConnectionError, Event, EventLoop, Incoming, MqttOptions, Outgoing, Publish, QoS,
    StateError, SubscribeFilter, SubscribeReasonCode, Transport,
};
use streams::Backoff;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use weather::Time;

use super::homeassistant::UNIT;
use super::metrics;
use super::settings::{Broker, Dialect, Entry, Settings};

/// The largest message that the protocol knows, bytes.
const LARGEST: usize = 268_435_455;
/// What a packet may have beside its payload, bytes.
const HEADER: usize = 70_000;
/// How much more than the payload's limit is read, so that it can be refused and acknowledged.
const ROOM: usize = 8 << 20;
/// A connection that lasted so long was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// How long the last acknowledgements may take at the end.
const FAREWELL: Duration = Duration::from_secs(2);

/// Kinds of failures, as on metrics.
pub(crate) const KINDS: [&str; 5] = ["refused", "tls", "io", "timeout", "protocol"];

/// Names a message to the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    /// Which connection it came by, counted from 1.
    pub(crate) connection: u64,
    /// Its number there.
    pub(crate) packet: u16,
}

/// A message that arrived.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) publish: Publish,
    /// None if it was published with QoS 0.
    pub(crate) token: Option<Token>,
    pub(crate) arrived: Time,
    pub(crate) since: Instant,
}

/// The session with the broker.
pub(crate) struct Session {
    client: AsyncClient,
    events: EventLoop,
    subscriptions: Vec<(String, QoS)>,
    deliveries: mpsc::Sender<Delivery>,
    acknowledge: mpsc::Receiver<Token>,
    /// Acknowledgements that `rumqttc` had no room for yet.
    waiting: VecDeque<u16>,
    state: State,
}

/// What is known of the connection.
struct State {
    connection: u64,
    connected: Option<Instant>,
    ever: bool,
    unacknowledged: usize,
    /// The failure that was told last.
    told: Option<String>,
    limit: usize,
    address: String,
}

/// What happened next.
enum Next {
    Event(Result<Event, ConnectionError>),
    /// The keeper has ended: everything that it kept is acknowledged or about to be.
    Over,
}

impl Session {
    /// A session that is not connected yet, and the ends of its queues: what arrives, and what may be
    /// acknowledged. They hold twice what the broker sends at once; when they are full nothing is read,
    /// and the broker keeps the rest.
    pub(crate) fn new(
        settings: &Settings,
        transport: Transport,
        password: Option<String>,
    ) -> (Self, mpsc::Receiver<Delivery>, mpsc::Sender<Token>) {
        let broker = &settings.broker;
        let limit = settings.payload_limit + ROOM + HEADER;
        let room = 2 * usize::from(broker.in_flight) + 16;
        let (client, mut events) = AsyncClient::new(options(broker, transport, password, limit), room);
        events.network_options.set_tcp_nodelay(true);
        let (deliveries, arrivals) = mpsc::channel(room);
        let (kept, acknowledge) = mpsc::channel(room);
        let session = Self {
            client,
            events,
            subscriptions: settings.topics.iter().flat_map(subscriptions).collect(),
            deliveries,
            acknowledge,
            waiting: VecDeque::new(),
            state: State {
                connection: 1,
                connected: None,
                ever: false,
                unacknowledged: 0,
                told: None,
                limit,
                address: format!("{}:{}", broker.host, broker.port),
            },
        };
        (session, arrivals, kept)
    }

    /// Keeps the session up until the keeper has ended.
    pub(crate) async fn run(mut self, shutdown: CancellationToken) {
        let mut backoff = Backoff::default();
        loop {
            match self.next(shutdown.is_cancelled()).await {
                Next::Over => break,
                Next::Event(Ok(event)) => self.take(event, &shutdown).await,
                Next::Event(Err(failure)) => {
                    if self.state.connected.is_some_and(|since| since.elapsed() > GOOD) {
                        backoff.reset();
                    }
                    self.fail(&failure, &shutdown).await;
                    if self.pause(backoff.pause()).await {
                        break;
                    }
                }
            }
        }
        self.leave().await;
    }

    /// The next event. The poll is never given up half-way while the session lasts.
    async fn next(&mut self, ending: bool) -> Next {
        let Self { client, events, acknowledge, waiting, state, .. } = self;
        let is_connected = events.network.is_some();
        let poll = events.poll();
        tokio::pin!(poll);
        loop {
            while let Some(packet) = waiting.front()
                && acknowledged(client, *packet)
            {
                waiting.pop_front();
            }
            tokio::select! {
                event = &mut poll => return Next::Event(event),
                token = acknowledge.recv(), if waiting.is_empty() => match token {
                    Some(token) => state.acknowledge(&token, waiting),
                    None => return Next::Over,
                },
                // A connection that is being made is of no use any more.
                () = std::future::ready(()), if ending && !is_connected => return Next::Over,
            }
        }
    }

    async fn take(&mut self, event: Event, shutdown: &CancellationToken) {
        match event {
            Event::Incoming(Incoming::ConnAck(answer)) => {
                self.state.begin(answer.session_present);
                // Also in a session that goes on: the file may name other filters by now, and what is
                // retained, such as units, is sent again.
                let filters = self.subscriptions.iter().map(|(filter, qos)| SubscribeFilter::new(filter.clone(), *qos));
                if let Err(failure) = self.client.try_subscribe_many(filters) {
                    error!(%failure, "the subscription could not be sent");
                }
            }
            Event::Incoming(Incoming::SubAck(answer)) => {
                for ((filter, _), code) in self.subscriptions.iter().zip(&answer.return_codes) {
                    if *code == SubscribeReasonCode::Failure {
                        error!(filter, "the broker refuses this subscription: its access list has to allow it");
                    }
                }
            }
            Event::Incoming(Incoming::Publish(publish)) => self.deliver(publish, shutdown).await,
            _ => {}
        }
    }

    /// Hands a message on. Waits while the queue is full; acknowledgements go on meanwhile.
    async fn deliver(&mut self, publish: Publish, shutdown: &CancellationToken) {
        let token = (publish.qos != QoS::AtMostOnce)
            .then_some(Token { connection: self.state.connection, packet: publish.pkid });
        if token.is_some() {
            self.state.unacknowledged += 1;
            self.state.show();
        }
        let delivery = Delivery { publish, token, arrived: Time::now(), since: Instant::now() };
        loop {
            tokio::select! {
                permit = self.deliveries.reserve() => {
                    // The keeper has ended: the broker sends it again to who comes after us.
                    if let Ok(permit) = permit {
                        permit.send(delivery);
                    }
                    return;
                }
                Some(token) = self.acknowledge.recv() => self.state.acknowledge(&token, &mut self.waiting),
                () = shutdown.cancelled() => return,
            }
        }
    }

    /// Tells of a failure, and makes what is known fit.
    async fn fail(&mut self, failure: &ConnectionError, shutdown: &CancellationToken) {
        // What had been read before the connection broke. Under the number of the old one: `rumqttc`
        // would hand it over as the new one's.
        for event in std::mem::take(&mut self.events.state.events) {
            if let Event::Incoming(Incoming::Publish(publish)) = event {
                self.deliver(publish, shutdown).await;
            }
        }
        self.waiting.clear();
        let (kind, text) = explain(failure);
        counter!(metrics::FAILURES, "kind" => kind).increment(1);
        self.state.end(text);
        if matches!(
            failure,
            ConnectionError::MqttState(StateError::Deserialization(PacketError::PayloadSizeLimitExceeded(_)))
        ) {
            // It would come again for ever. So it is read, if only to be refused.
            self.events.mqtt_options.set_max_packet_size(LARGEST, HEADER);
        } else {
            self.events.mqtt_options.set_max_packet_size(self.state.limit, HEADER);
        }
    }

    /// Waits before the next try. True when the keeper has ended.
    async fn pause(&mut self, pause: Duration) -> bool {
        let pause = tokio::time::sleep(pause);
        tokio::pin!(pause);
        loop {
            tokio::select! {
                () = &mut pause => return false,
                // Of the connection that is gone.
                token = self.acknowledge.recv() => if token.is_none() { return true },
            }
        }
    }

    /// Sends what is still to be acknowledged, and says goodbye. The session stays with the broker.
    async fn leave(mut self) {
        if self.state.connected.is_none() || self.events.network.is_none() {
            return;
        }
        let farewell = async {
            let mut said = false;
            loop {
                while let Some(packet) = self.waiting.front()
                    && acknowledged(&self.client, *packet)
                {
                    self.waiting.pop_front();
                }
                said = said || (self.waiting.is_empty() && self.client.try_disconnect().is_ok());
                match self.events.poll().await {
                    Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_) => return,
                    Ok(_) => {}
                }
            }
        };
        let _ = tokio::time::timeout(FAREWELL, farewell).await;
        gauge!(metrics::CONNECTED).set(0);
    }
}

impl State {
    fn begin(&mut self, session_present: bool) {
        self.connected = Some(Instant::now());
        self.told = None;
        gauge!(metrics::CONNECTED).set(1);
        if std::mem::replace(&mut self.ever, true) {
            counter!(metrics::RECONNECTS).increment(1);
        }
        info!(broker = self.address, session_present, "the MQTT broker is connected");
    }

    fn end(&mut self, failure: String) {
        self.connection += 1;
        self.connected = None;
        self.unacknowledged = 0;
        self.show();
        gauge!(metrics::CONNECTED).set(0);
        // Once, not at every try.
        if self.told.as_ref() != Some(&failure) {
            warn!(broker = self.address, "{failure}; it is tried again and again");
            self.told = Some(failure);
        }
    }

    /// Takes a message for acknowledged, unless it came by an earlier connection: then it comes again.
    fn acknowledge(&mut self, token: &Token, waiting: &mut VecDeque<u16>) {
        if token.connection == self.connection {
            waiting.push_back(token.packet);
            self.unacknowledged = self.unacknowledged.saturating_sub(1);
            self.show();
        }
    }

    fn show(&self) {
        gauge!(metrics::UNACKNOWLEDGED).set(self.unacknowledged as f64);
    }
}

/// Whether `rumqttc` has taken the acknowledgement.
fn acknowledged(client: &AsyncClient, packet: u16) -> bool {
    let mut publish = Publish::new("", QoS::AtLeastOnce, Vec::new());
    publish.pkid = packet;
    client.try_ack(&publish).is_ok()
}

/// What an entry subscribes to. Units of entities come once more with QoS 0: so they come, when they are
/// retained, although the broker waits for acknowledgements, and values for their units.
fn subscriptions(entry: &Entry) -> Vec<(String, QoS)> {
    let filter = entry.filter.as_str();
    let mut all = vec![(filter.to_owned(), QoS::AtLeastOnce)];
    if matches!(entry.dialect, Dialect::HomeAssistant(_)) {
        let units = match filter.rsplit_once('/') {
            Some((base, "+")) => Some(format!("{base}/{UNIT}")),
            Some((base, "#")) => Some(format!("{base}/+/+/{UNIT}")),
            _ => None,
        };
        all.extend(units.map(|units| (units, QoS::AtMostOnce)));
    }
    all
}

fn options(broker: &Broker, transport: Transport, password: Option<String>, limit: usize) -> MqttOptions {
    let mut options = MqttOptions::new(&broker.client_id, &broker.host, broker.port);
    options
        .set_clean_session(false)
        .set_manual_acks(true)
        .set_keep_alive(broker.keep_alive)
        .set_max_packet_size(limit, HEADER)
        .set_transport(transport);
    if let Some(username) = &broker.username {
        options.set_credentials(username, password.unwrap_or_default());
    }
    options
}

/// Whether what failed was the cryptography: a broker says only afterwards that it does not like us.
fn is_tls(error: &std::io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<rustls::Error>())
}

/// The kind of a failure, and one line for a person that names what may be wrong.
fn explain(failure: &ConnectionError) -> (&'static str, String) {
    match failure {
        ConnectionError::ConnectionRefused(
            ConnectReturnCode::BadUserNamePassword | ConnectReturnCode::NotAuthorized,
        ) => (KINDS[0], "the MQTT broker refuses username and password_file".to_owned()),
        ConnectionError::ConnectionRefused(ConnectReturnCode::BadClientId) => {
            (KINDS[0], "the MQTT broker refuses the client_id".to_owned())
        }
        ConnectionError::ConnectionRefused(code) => {
            (KINDS[0], format!("the MQTT broker refuses the connection: {code:?}"))
        }
        ConnectionError::Tls(error) => (
            KINDS[1],
            format!("no TLS with the MQTT broker: {error}: its certificate has to be of the broker's name, by ca_file"),
        ),
        ConnectionError::Io(error) => (KINDS[2], format!("the MQTT broker can't be reached: {error}")),
        ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(PacketError::Io(error)))
            if is_tls(error) =>
        {
            (KINDS[1], format!("no TLS with the MQTT broker: {error}: it may ask for another client_certificate_file"))
        }
        ConnectionError::MqttState(StateError::Io(error) | StateError::Deserialization(PacketError::Io(error))) => {
            (KINDS[2], format!("the MQTT broker is gone: {error}"))
        }
        ConnectionError::MqttState(StateError::ConnectionAborted) => (
            KINDS[2],
            "the MQTT broker closed the connection: it stops, or another client has the same client_id".to_owned(),
        ),
        ConnectionError::NetworkTimeout
        | ConnectionError::FlushTimeout
        | ConnectionError::MqttState(StateError::AwaitPingResp) => {
            (KINDS[3], "the MQTT broker does not answer".to_owned())
        }
        other => (KINDS[4], format!("the MQTT connection failed: {other}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_kind_that_metrics_know_and_one_line() {
        let io = || std::io::Error::other("no route");
        for failure in [
            ConnectionError::ConnectionRefused(ConnectReturnCode::NotAuthorized),
            ConnectionError::ConnectionRefused(ConnectReturnCode::ServiceUnavailable),
            ConnectionError::Io(io()),
            ConnectionError::MqttState(StateError::Io(io())),
            ConnectionError::MqttState(StateError::Deserialization(PacketError::Io(io()))),
            ConnectionError::MqttState(StateError::ConnectionAborted),
            ConnectionError::NetworkTimeout,
            ConnectionError::RequestsDone,
        ] {
            let (kind, text) = explain(&failure);
            assert!(KINDS.contains(&kind) && text.contains("MQTT") && !text.contains('\n'), "{text}");
        }
    }

    #[test]
    fn what_came_by_an_earlier_connection_is_not_acknowledged() {
        let (address, told) = (String::new(), None);
        let mut state =
            State { connection: 2, connected: None, ever: true, unacknowledged: 2, told, limit: 0, address };
        let mut waiting = VecDeque::new();
        state.acknowledge(&Token { connection: 1, packet: 7 }, &mut waiting);
        assert!(waiting.is_empty() && state.unacknowledged == 2);
        state.acknowledge(&Token { connection: 2, packet: 7 }, &mut waiting);
        assert!(waiting == [7] && state.unacknowledged == 1);
    }
}
