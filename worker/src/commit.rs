//! What a batch writes: one atomic commit per partition.

use std::collections::HashMap;

use models::Output;
use streams::codec::{Judgement, encode_forecast};
use streams::commit::{Batch, WindowField};
use streams::{Entry, Keys, Partition, Received};
use weather::forecast::Inputs;
use weather::{Forecast, ModelId, Observation, Sample, StationId, Time, Window, freshness};

use crate::tally::Tally;
use crate::windows::{Remembered, Touched};

/// The commits of a batch, by partition.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    pub(crate) batches: HashMap<Partition, Batch>,
    pub(crate) tallies: HashMap<Partition, Tally>,
    pub(crate) stations: HashMap<Partition, Vec<StationId>>,
}

impl Commits {
    pub(crate) fn partition(&mut self, partition: Partition) -> &mut Batch {
        self.batches.entry(partition).or_default()
    }

    pub(crate) fn tally(&mut self, partition: Partition) -> &mut Tally {
        self.tallies.entry(partition).or_default()
    }

    /// Adds a station's changed hours, its newest observation and its forecast.
    pub(crate) fn add(
        &mut self,
        keys: &Keys,
        model: &ModelId,
        remembered: &Remembered,
        touched: Touched,
        output: Output,
    ) {
        let station = remembered.station.id.clone();
        let partition = keys.partition_of(&station);
        self.stations.entry(partition).or_default().push(station.clone());
        let tally = self.tally(partition);
        tally.received.extend(touched.received);
        let forecast = issue(model, remembered, touched.cause, output);
        tally.forecasts += u64::from(forecast.is_some());
        let batch = self.partition(partition);
        batch.windows.extend(fields(&station, &remembered.window, &touched));
        let judged = |time: &Time| remembered.window.at(*time).map(|sample| judgement(&station, sample));
        batch.judgements.extend(touched.judged.iter().filter_map(judged));
        if let Some(bytes) = touched.newest {
            batch.newest.push((station.clone(), as_judged(bytes, &remembered.window)));
        }
        if let Some(forecast) = forecast {
            batch.forecasts.push((station, encode_forecast(&forecast)));
        }
    }
}

/// The touched hours as they are now; an hour that the window has left is deleted.
fn fields(station: &StationId, window: &Window, touched: &Touched) -> Vec<WindowField> {
    let write = |hour: &i64| WindowField { station: station.clone(), hour: *hour, bytes: window.pack_hour(*hour) };
    touched.hours.iter().map(write).collect()
}

fn judgement(station: &StationId, sample: &Sample) -> Vec<u8> {
    let Sample { time, values, flags, .. } = sample;
    let observation = Observation { station: station.clone(), time: *time, values: *values, source: None };
    Judgement { observation, flags: *flags }.encode()
}

/// The newest observation's entry, with the flags that the window has by now: neighbours believe them.
fn as_judged(bytes: Vec<u8>, window: &Window) -> Vec<u8> {
    let Some(newest) = window.newest().filter(|newest| !newest.flags.is_clean()) else { return bytes };
    match Entry::decode(&bytes) {
        Ok(Entry::Observation(received)) if received.observation.time == newest.time => {
            Entry::Observation(Received { flags: newest.flags, ..received }).encode()
        }
        _ => bytes,
    }
}

fn issue(
    model: &ModelId,
    remembered: &Remembered,
    cause: Option<streams::StreamId>,
    output: Output,
) -> Option<Forecast> {
    let newest = remembered.window.newest()?;
    let issue_time = Time::now();
    Some(Forecast {
        station: remembered.station.id.clone(),
        reference_time: newest.time,
        issue_time,
        expires: freshness::forecast_expires(newest.time, remembered.window.cadence()),
        model: model.clone(),
        inputs: Inputs {
            age_seconds: (issue_time - newest.time).max(0),
            missing_share: output.missing_share,
            masked_share: remembered.window.masked_share(),
        },
        cause: cause.unwrap_or_default().to_string(),
        revision: u32::from(newest.revision),
        prediction: output.prediction,
    })
}
