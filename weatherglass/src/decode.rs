//! `weatherglass decode DIALECT`: raw messages in, one JSON observation or rejection a line out, by the
//! very parsers of the doors.

use std::io::{BufRead, Write};

use anyhow::{Context, bail};
use clap::builder::PossibleValuesParser;
use ingest::files::Hints;
use jiff::tz::TimeZone;
use serde_json::json;
use weather::{Admission, Observation, Rejection, StationId, Time};

/// `weatherglass decode`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What the messages are written in.
    #[arg(value_parser = PossibleValuesParser::new(ingest::decode::dialects()))]
    dialect: String,
    /// When the messages arrived, RFC 3339; now if not given.
    #[arg(long, value_name = "TIME")]
    received: Option<String>,
    /// Whose observations they are, for a dialect that does not say it: isd-lite.
    #[arg(long, value_name = "ID", value_parser = parse_station)]
    station: Option<StationId>,
    /// The time zone of times that carry none, such as America/Chicago: iem. UTC if not given.
    #[arg(long, value_name = "ZONE", value_parser = parse_zone)]
    tz: Option<TimeZone>,
}

pub(crate) fn parse_station(text: &str) -> Result<StationId, String> {
    StationId::new(text).map_err(|rejection| rejection.detail)
}

pub(crate) fn parse_zone(text: &str) -> Result<TimeZone, String> {
    TimeZone::get(text).map_err(|_| "an IANA name such as America/Chicago".to_owned())
}

/// Reads standard input to its end. Fails at the end when no message could be read.
pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let now = match &args.received {
        None => Time::now(),
        Some(text) => Time::parse(text).map_err(|_| {
            anyhow::anyhow!("--received {text:?} is no time: RFC 3339 with an offset, such as 2026-11-23T08:00:00Z")
        })?,
    };
    let (mut good, mut bad) = (0_u64, 0_u64);
    let mut output = std::io::BufWriter::new(std::io::stdout().lock());
    let mut input = std::io::stdin().lock();
    let mut line = Vec::new();
    let hints = Hints { zone: args.tz.clone(), station: args.station.clone() };
    let mut reader = ingest::decode::reader(&args.dialect, hints).context("no such dialect")?;
    loop {
        let more = input.read_until(b'\n', &mut line).context("standard input")? > 0;
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        line.clear();
        if more && text.is_empty() {
            continue;
        }
        for item in if more { reader.read(&text, now) } else { reader.finish() } {
            let written = match item {
                Ok(observation) => {
                    good += 1;
                    shown(&observation, now)
                }
                Err(rejection) => {
                    bad += 1;
                    refused(&rejection)
                }
            };
            match writeln!(output, "{written}") {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                written => written.context("standard output")?,
            }
        }
        if !more {
            break;
        }
    }
    output.flush().context("standard output")?;
    if good == 0 && bad > 0 {
        bail!("none of {bad} messages could be read");
    }
    Ok(())
}

/// The observation, with what the door would flag in it or refuse it for.
fn shown(observation: &Observation, now: Time) -> serde_json::Value {
    // By way of text: 32 bits have a short form there, and none as a 64-bit number.
    let text = serde_json::to_string(observation).unwrap_or_default();
    let mut shown: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    // By age alone a message from an archive would be refused; here that is no fault of the message.
    let admission = Admission { retention: i64::MAX / 4, ..Admission::default() };
    match admission.admit(observation, now) {
        Err(rejection) => refused(&rejection),
        Ok(flags) => {
            let marks: serde_json::Map<String, serde_json::Value> = weather::Variable::ALL
                .into_iter()
                .filter_map(|v| flags.label(v).map(|label| (v.name().to_owned(), label.into())))
                .collect();
            if !marks.is_empty() {
                shown["flags"] = marks.into();
            }
            shown
        }
    }
}

fn refused(rejection: &Rejection) -> serde_json::Value {
    json!({"rejected": {"field": rejection.field, "reason": rejection.reason.label(), "detail": rejection.detail}})
}
