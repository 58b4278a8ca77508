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

#[cfg(test)]
mod tests {
    use super::*;
    use weather::{ModelId, Prediction, Time};

    fn id(milliseconds: u64) -> StreamId {
        StreamId { milliseconds, sequence: 0 }
    }

    fn forecast(station: &str, cause: &str) -> Forecast {
        Forecast {
            station: StationId::new(station).unwrap(),
            reference_time: Time::from_unix(0),
            issue_time: Time::from_unix(0),
            expires: Time::from_unix(3600),
            model: ModelId { name: "m".into(), version: "1".into() },
            inputs: weather::forecast::Inputs { age_seconds: 0, missing_share: 0.0, masked_share: 0.0 },
            cause: cause.to_owned(),
            revision: 0,
            prediction: Prediction::default(),
        }
    }

    #[test]
    fn what_was_on_its_way_is_told_from_what_comes_after() {
        let mut removals = Removals::default();
        removals.note(StationId::new("A").unwrap(), id(1000));
        assert!(removals.before(&forecast("A", "999-5")));
        assert!(!removals.before(&forecast("A", "1000-1")), "of an observation from after it");
        assert!(!removals.before(&forecast("B", "999-5")), "another station");
        for n in 0..MOST as u64 {
            removals.note(StationId::new(&n.to_string()).unwrap(), id(2000 + n));
        }
        assert_eq!(removals.0.len(), MOST);
        assert!(!removals.before(&forecast("A", "999-5")), "the oldest is forgotten first");
    }
}
