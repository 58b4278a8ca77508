//! Stations that were removed: what was on its way then must not bring them back.

use std::collections::HashMap;

use streams::StreamId;
use weather::{Forecast, StationId};

/// Removals that are remembered; what is on its way arrives within seconds.
const MOST: usize = 1000;

/// When stations were removed.
#[derive(Debug, Default)]
pub(crate) struct Removals(HashMap<StationId, StreamId>);

impl Removals {
    /// Remembers that a station was removed by the entry `id`.
    pub(crate) fn note(&mut self, station: StationId, id: StreamId) {
        if self.0.len() >= MOST {
            let oldest = self.0.iter().min_by_key(|(_, id)| **id).map(|(station, _)| station.clone());
            oldest.map(|station| self.0.remove(&station));
        }
        self.0.insert(station, id);
    }

    /// Whether a forecast is of observations from before its station's removal: a worker had them in hand.
    #[must_use]
    pub(crate) fn before(&self, forecast: &Forecast) -> bool {
        let Some(removed) = self.0.get(&forecast.station) else { return false };
        forecast.cause.parse::<StreamId>().is_ok_and(|cause| cause <= *removed)
    }
}
