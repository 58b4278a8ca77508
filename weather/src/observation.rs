//! One station's measurements at one time.

use std::fmt;

use serde::de::{self, IgnoredAny, MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::station::StationId;
use crate::time::Time;
use crate::variable::Variable;

/// The measured values of one observation; what was not measured is absent.
#[derive(Clone, Copy, Debug)]
pub struct Values([f32; Variable::COUNT]);

impl Default for Values {
    fn default() -> Self {
        Self([f32::NAN; Variable::COUNT])
    }
}

/// Bit for bit, so that an absent value equals an absent one and a correction of the last
/// digit is a correction.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
    }
}

impl Values {
    /// The value of `variable`, in its unit, when it was measured.
    #[must_use]
    pub fn get(&self, variable: Variable) -> Option<f32> {
        let value = self.0[variable as usize];
        (!value.is_nan()).then_some(value)
    }

    /// Sets `variable`; NaN takes it away.
    pub fn set(&mut self, variable: Variable, value: f32) {
        self.0[variable as usize] = value;
    }

    /// The measured variables and their values, in packed order.
    pub fn iter(&self) -> impl Iterator<Item = (Variable, f32)> + '_ {
        Variable::ALL.into_iter().filter_map(|v| self.get(v).map(|value| (v, value)))
    }

    /// How many variables were measured.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.iter().filter(|v| !v.is_nan()).count()
    }

    /// Whether nothing was measured.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl FromIterator<(Variable, f32)> for Values {
    fn from_iter<I: IntoIterator<Item = (Variable, f32)>>(pairs: I) -> Self {
        let mut values = Self::default();
        for (variable, value) in pairs {
            values.set(variable, value);
        }
        values
    }
}

/// One station's measurements at one time. (station, time) identifies it.
///
/// Serialised as one flat map: `station`, `time`, each measured variable by its name, `source`.
/// Reading ignores names it does not know, so that an older reader can read a newer minor version.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Who measured.
    pub station: StationId,
    /// When, UTC.
    pub time: Time,
    /// What.
    pub values: Values,
    /// Where the report came from, free text (`metar`, `simulated`, a console's model).
    pub source: Option<String>,
}

impl Serialize for Observation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let length = 2 + self.values.len() + usize::from(self.source.is_some());
        let mut map = serializer.serialize_map(Some(length))?;
        map.serialize_entry("station", &self.station)?;
        map.serialize_entry("time", &self.time)?;
        for (variable, value) in self.values.iter() {
            map.serialize_entry(variable.name(), &value)?;
        }
        if let Some(source) = &self.source {
            map.serialize_entry("source", source)?;
        }
        map.end()
    }
}

struct ObservationVisitor;

impl<'de> Visitor<'de> for ObservationVisitor {
    type Value = Observation;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an observation: a map with station, time and measured values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Observation, A::Error> {
        let (mut station, mut time, mut source) = (None, None, None);
        let mut values = Values::default();
        while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
            match name.as_ref() {
                "station" => station = Some(map.next_value()?),
                "time" => time = Some(map.next_value()?),
                "source" => source = map.next_value()?,
                other => match Variable::from_name(other) {
                    Some(variable) => {
                        if let Some(value) = map.next_value::<Option<f32>>()? {
                            values.set(variable, value);
                        }
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                },
            }
        }
        let station = station.ok_or_else(|| de::Error::missing_field("station"))?;
        let time = time.ok_or_else(|| de::Error::missing_field("time"))?;
        Ok(Observation { station, time, values, source })
    }
}

impl<'de> Deserialize<'de> for Observation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObservationVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Observation {
        Observation {
            station: StationId::new("X1").unwrap(),
            time: Time::parse("2026-11-23T08:00:00Z").unwrap(),
            values: [(Variable::Temperature, 12.3), (Variable::WindGust, 8.0)].into_iter().collect(),
            source: Some("test".into()),
        }
    }

    #[test]
    fn json_is_flat_and_short() {
        let json = serde_json::to_string(&sample()).unwrap();
        assert_eq!(
            json,
            r#"{"station":"X1","time":"2026-11-23T08:00:00Z","temperature":12.3,"wind_gust":8.0,"source":"test"}"#
        );
        assert_eq!(serde_json::from_str::<Observation>(&json).unwrap(), sample());
    }

    #[test]
    fn messagepack_round_trips_and_skips_what_is_newer() {
        let packed = rmp_serde::to_vec_named(&sample()).unwrap();
        assert_eq!(rmp_serde::from_slice::<Observation>(&packed).unwrap(), sample());
        let newer = r#"{"station":"X1","time":"2026-11-23T08:00:00Z","ozone":{"ppb":[1]},"temperature":null}"#;
        assert!(serde_json::from_str::<Observation>(newer).unwrap().values.is_empty());
    }

    #[test]
    fn absent_equals_absent() {
        assert_eq!(Values::default(), Values::default());
        let one: Values = [(Variable::Temperature, 1.0)].into_iter().collect();
        assert_ne!(one, Values::default());
    }
}
