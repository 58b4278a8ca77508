//! What the hub holds of one station.

use std::sync::Arc;

use streams::codec::Judgement;
use streams::{Received, StreamId};
use weather::{Forecast, Station, StationId, Time, freshness};

use crate::hub::Held;
use crate::shape::{self, State};

/// Report times that the cadence is taken from.
const TIMES: usize = 12;

/// Where an observation stands among those of its station.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the newest now.
    Newest,
    /// It is older than the newest.
    Late,
}

impl Place {
    /// Whether it is older than the newest.
    #[must_use]
    pub(crate) fn is_late(self) -> bool {
        self == Self::Late
    }
}

/// One station: who it is, what it said last, what is forecast for it.
#[derive(Debug)]
pub(crate) struct Record {
    station: Station,
    newest: Option<Arc<Received>>,
    forecast: Option<Arc<Forecast>>,
    times: Vec<Time>,
    cadence: i64,
    announced: State,
}

impl Record {
    /// A station that has not been heard.
    #[must_use]
    pub(crate) fn new(station: Station) -> Self {
        let cadence = freshness::cadence(&[]);
        Self { station, newest: None, forecast: None, times: Vec::new(), cadence, announced: State::Silent }
    }

    /// Who it is.
    #[must_use]
    pub(crate) const fn station(&self) -> &Station {
        &self.station
    }

    /// Whether anyone may see it.
    #[must_use]
    pub(crate) const fn visible(&self) -> bool {
        self.station.public
    }

    /// Seconds between its reports.
    #[must_use]
    pub(crate) const fn cadence(&self) -> i64 {
        self.cadence
    }

    /// The state that subscribers were told last.
    #[must_use]
    pub(crate) const fn announced(&self) -> State {
        self.announced
    }

    /// Its state at `now`.
    #[must_use]
    pub(crate) fn state(&self, now: Time) -> State {
        freshness::contact(self.newest.as_ref().map(|r| r.observation.time), self.cadence, now).into()
    }

    /// Takes a new description.
    pub(crate) fn describe(&mut self, station: Station) {
        self.station = station;
    }

    /// The station as subscribers are told it is at `now`.
    pub(crate) fn announce(&mut self, now: Time) -> shape::Station {
        self.announced = self.state(now);
        shape::Station::new(&self.station, self.announced)
    }

    /// Takes an observation; none when it says nothing new.
    pub(crate) fn observe(&mut self, received: &Arc<Received>) -> Option<Place> {
        let time = received.observation.time;
        let place = match self.newest.as_ref().map(|r| &r.observation) {
            Some(newest) if newest.time == time && newest.values == received.observation.values => return None,
            Some(newest) if newest.time > time => Place::Late,
            _ => Place::Newest,
        };
        self.heard_at(&[time]);
        if place == Place::Newest {
            self.newest = Some(received.clone());
        }
        Some(place)
    }

    /// Takes what quality control says now of an observation; none when nobody needs to be told, since it is
    /// known already, or another report of that time has come meanwhile.
    pub(crate) fn judge(&mut self, judgement: Judgement) -> Option<(Arc<Received>, Place)> {
        let Judgement { observation, flags } = judgement;
        let newest = self.newest.as_mut()?;
        if newest.observation.time > observation.time {
            return Some((Arc::new(Received { observation, flags, received: 0 }), Place::Late));
        }
        let same = newest.observation.time == observation.time && newest.observation.values == observation.values;
        if !same || newest.flags == flags {
            return None;
        }
        Arc::make_mut(newest).flags = flags;
        Some((newest.clone(), Place::Newest))
    }

    /// Takes a forecast; false when it is older than the one held, or the same.
    pub(crate) fn forecast(&mut self, forecast: &Arc<Forecast>) -> bool {
        // Late and corrected observations leave the reference time as it is. Which came last is
        // known from their stream IDs, Redis's clock; workers' clocks differ.
        let order = |f: &Forecast| (f.reference_time, f.cause.parse::<StreamId>().ok(), f.issue_time);
        let newer = match &self.forecast {
            None => true,
            Some(held) => match order(forecast).cmp(&order(held)) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => held.cause != forecast.cause,
                std::cmp::Ordering::Greater => true,
            },
        };
        if newer {
            self.forecast = Some(forecast.clone());
        }
        newer
    }

    /// Learns when it reported.
    pub(crate) fn heard_at(&mut self, times: &[Time]) {
        self.times.extend_from_slice(times);
        self.times.sort_unstable();
        self.times.dedup();
        self.times.drain(..self.times.len().saturating_sub(TIMES));
        self.cadence = freshness::cadence(&self.times);
    }

    /// All of it at `now`.
    #[must_use]
    pub(crate) fn held(&self, now: Time) -> Held {
        Held {
            station: shape::Station::new(&self.station, self.state(now)),
            observation: self.newest.clone(),
            forecast: self.forecast.clone(),
            cadence: self.cadence,
        }
    }
}

impl Held {
    /// Its newest observation, as people see it.
    #[must_use]
    pub(crate) fn observation(&self) -> Option<shape::Observation> {
        self.observation.as_ref().map(|received| shape::Observation::received(received, self.cadence))
    }

    /// Its latest forecast, as people see it.
    #[must_use]
    pub(crate) fn forecast(&self) -> Option<shape::Forecast> {
        self.forecast.as_deref().map(shape::Forecast::from)
    }

    /// Which station.
    #[must_use]
    pub(crate) const fn id(&self) -> &StationId {
        &self.station.id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use weather::{ModelId, Prediction};

    fn forecast(reference_time: i64, cause: &str, issue_time: i64) -> Arc<Forecast> {
        Arc::new(Forecast {
            station: StationId::new("A").unwrap(),
            reference_time: Time::from_unix(reference_time),
            issue_time: Time::from_unix(issue_time),
            expires: Time::from_unix(issue_time + 3600),
            model: ModelId { name: "m".into(), version: "1".into() },
            inputs: weather::forecast::Inputs { age_seconds: 0, missing_share: 0.0, masked_share: 0.0 },
            cause: cause.to_owned(),
            revision: 0,
            prediction: Prediction::default(),
        })
    }

    #[test]
    fn the_later_cause_wins_whatever_the_workers_clock_says() {
        let mut record = Record::new(Station::unregistered(StationId::new("A").unwrap()));
        assert!(record.forecast(&forecast(100, "999-0", 900)));
        assert!(record.forecast(&forecast(100, "1000-9", 500)), "as numbers, and before the issue time");
        assert!(record.forecast(&forecast(100, "1000-10", 400)));
        assert!(!record.forecast(&forecast(100, "1000-9", 9000)));
        assert!(!record.forecast(&forecast(100, "1000-10", 400)), "the same again");
        assert!(record.forecast(&forecast(100, "1000-10", 401)));
        assert!(!record.forecast(&forecast(99, "2000-0", 9000)), "an earlier reference time is older");
        assert!(record.forecast(&forecast(101, "1-0", 1)));
    }
}
