//! A client that costs as little as can be: bodies are made beforehand and only their times are
//! rewritten, so that what is measured is the door and not its sender.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use weather::{Observation, Time};

use crate::simulate::Network;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Ndjson,
    MessagePack,
}

impl Format {
    const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::MessagePack => "application/msgpack",
        }
    }
}

/// A whole request whose observations can be moved to another time.
#[derive(Clone)]
pub(super) struct Body {
    request: Vec<u8>,
    /// Where the times stand.
    times: Vec<usize>,
    format: Format,
}

impl Body {
    /// A request of one observation or more; JSON takes one.
    pub(super) fn new(observations: &[Observation], format: Format) -> anyhow::Result<Self> {
        let mut body = Vec::new();
        let mut times = Vec::new();
        if format == Format::MessagePack {
            body.push(0xdd);
            body.extend_from_slice(&u32::try_from(observations.len())?.to_be_bytes());
        }
        for observation in observations {
            let (item, mark) = match format {
                // A string of four, then 32 bits without a sign.
                Format::MessagePack => (rmp_serde::to_vec_named(observation)?, b"\xa4time\xce".as_slice()),
                _ => (serde_json::to_vec(observation)?, b"\"time\":\"".as_slice()),
            };
            let at = item.windows(mark.len()).position(|part| part == mark).context("an observation without a time")?;
            times.push(body.len() + at + mark.len());
            body.extend_from_slice(&item);
            if format == Format::Ndjson {
                body.push(b'\n');
            }
        }
        let head = format!(
            "POST /v1/observations HTTP/1.1\r\nhost: bench\r\ncontent-type: {}\r\ncontent-length: {}\r\n\r\n",
            format.content_type(),
            body.len()
        );
        times.iter_mut().for_each(|at| *at += head.len());
        Ok(Self { request: [head.into_bytes(), body].concat(), times, format })
    }

    /// Moves all its observations to `time`.
    pub(super) fn stamp(&mut self, time: Time) {
        let text = match self.format {
            Format::MessagePack => u32::try_from(time.unix()).unwrap_or_default().to_be_bytes().to_vec(),
            _ => time.to_string().into_bytes(),
        };
        for at in &self.times {
            self.request[*at..*at + text.len()].copy_from_slice(&text);
        }
    }

    /// How many observations it has.
    pub(super) fn len(&self) -> usize {
        self.times.len()
    }
}

/// The network's stations in turn, `batch` to a request.
pub(super) fn bodies(network: &Network, format: Format, batch: usize) -> anyhow::Result<Vec<Body>> {
    // A whole second, so that its text is as long as any other's.
    let now = Time::from_unix(Time::now().unix());
    let all: Vec<Observation> = (0..network.stations().len()).filter_map(|index| network.observe(index, now)).collect();
    all.chunks(batch).map(|chunk| Body::new(chunk, format)).collect()
}

/// A connection to a door, one request at a time.
pub(super) struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(port: u16) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(("127.0.0.1", port)).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, answer: Vec::new() })
    }

    /// Sends a request and reads its answer, which must be a 202.
    pub(super) async fn post(&mut self, body: &Body) -> anyhow::Result<()> {
        self.stream.write_all(&body.request).await?;
        self.answer.clear();
        loop {
            ensure!(self.stream.read_buf(&mut self.answer).await? > 0, "the door closed the connection");
            let Some(head) = self.answer.windows(4).position(|part| part == b"\r\n\r\n") else { continue };
            let text = std::str::from_utf8(&self.answer[..head])?.to_ascii_lowercase();
            let length: usize = text
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"))
                .and_then(|length| length.trim().parse().ok())
                .context("an answer without a length")?;
            if self.answer.len() >= head + 4 + length {
                let whole = String::from_utf8_lossy(&self.answer);
                ensure!(text.starts_with("http/1.1 202"), "an observation was not taken: {whole}");
                return Ok(());
            }
        }
    }
}

/// The first second that a flood's observations are of: none may lie in the future, and no two of a
/// station may be of the same second.
pub(super) fn first_second() -> Time {
    Time::from_unix(Time::now().unix() - 3000)
}

/// Posts these bodies round after round over so many connections, as fast as they are taken;
/// observations accepted and the time it took.
pub(super) async fn flood(
    port: u16,
    bodies: &[Body],
    connections: usize,
    time: Duration,
) -> anyhow::Result<(usize, Duration)> {
    let begun = Instant::now();
    let from = first_second();
    let mut tasks = Vec::new();
    // One without bodies would never look at the time.
    for own in 0..connections.min(bodies.len()) {
        let mut own: Vec<Body> = bodies.iter().skip(own).step_by(connections).cloned().collect();
        tasks.push(tokio::spawn(async move {
            let mut connection = Connection::open(port).await?;
            let mut sent = 0;
            for round in 0.. {
                for body in &mut own {
                    if begun.elapsed() >= time {
                        return Ok::<usize, anyhow::Error>(sent);
                    }
                    body.stamp(from + round);
                    connection.post(body).await?;
                    sent += body.len();
                }
            }
            Ok(sent)
        }));
    }
    let mut sent = 0;
    for task in tasks {
        sent += task.await??;
    }
    Ok((sent, begun.elapsed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_moves_to_another_time_and_stays_an_observation() {
        let network = Network::new(1, 3);
        let time = Time::from_unix(1_790_000_000);
        let expected: Vec<Observation> = (0..3).filter_map(|index| network.observe(index, time)).collect();
        let moved = |format| {
            let mut body = bodies(&network, format, 3).unwrap().remove(0);
            body.stamp(time);
            let from = body.request.windows(4).position(|part| part == b"\r\n\r\n").unwrap() + 4;
            let mut read: Vec<Observation> = match format {
                Format::MessagePack => rmp_serde::from_slice(&body.request[from..]).unwrap(),
                _ => {
                    let text = String::from_utf8(body.request[from..].to_vec()).unwrap();
                    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
                }
            };
            read.iter_mut().for_each(|observation| assert_eq!(observation.time, time));
            read.into_iter().map(|observation| observation.station).collect::<Vec<_>>()
        };
        let stations: Vec<_> = expected.into_iter().map(|observation| observation.station).collect();
        assert_eq!(moved(Format::Ndjson), stations);
        assert_eq!(moved(Format::MessagePack), stations);
    }
}
