//! Home Assistant's statestream: `<base>/<domain>/<entity>/state` has one value, and
//! `.../unit_of_measurement` its unit, as JSON or bare. Which entity measures what, and where, the
//! configuration says.
//!
//! A state is told when it changes and has no time: it is of the moment that it arrives. A retained
//! one, of which nobody knows how old it is, is passed by.

use std::collections::BTreeMap;

use weather::admission::Reason;
use weather::{Rejection, StationId, Time, Values, Variable};

use super::part::{self, Part};
use crate::units::{self, Unit};

const STATE: &str = "state";
/// The last level of the topics of units.
pub(crate) const UNIT: &str = "unit_of_measurement";
/// States that are no value.
const ABSENT: [&str; 5] = ["unavailable", "unknown", "none", "None", ""];

/// What an entity measures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entity {
    pub(crate) station: StationId,
    pub(crate) variable: Variable,
    /// Its unit, when the configuration says it.
    pub(crate) unit: Option<Unit>,
    /// Whether it is a counter of rain.
    pub(crate) counter: bool,
}

/// By `domain.entity` or by the entity alone.
pub(crate) type Entities = BTreeMap<String, Entity>;

/// The units that entities told, by the key of [`Entities`].
pub(crate) type Units = BTreeMap<String, Unit>;

/// What a message says.
#[derive(Debug, PartialEq)]
pub(crate) enum Said {
    /// A value.
    Part(Result<Part, Rejection>),
    /// The unit of an entity's values, from now on.
    Unit(String, Unit),
    /// A value whose unit was not told yet.
    WithoutUnit(String),
    /// Nothing that we want to know.
    Nothing,
}

/// Reads a message that arrived at `now`.
pub(crate) fn read(topic: &str, payload: &[u8], now: Time, entities: &Entities, units: &Units) -> Said {
    let mut levels = topic.rsplit('/');
    let (Some(leaf), Some(name)) = (levels.next(), levels.next()) else { return Said::Nothing };
    let full = format!("{}.{name}", levels.next().unwrap_or_default());
    let Some((key, entity)) = entities.get_key_value(&full).or_else(|| entities.get_key_value(name)) else {
        return Said::Nothing;
    };
    let text = scalar(payload);
    match leaf {
        UNIT => match Unit::named(&text) {
            Some(unit) if unit.measures(entity.variable) => Said::Unit(key.clone(), unit),
            Some(_) | None if ABSENT.contains(&text.as_str()) => Said::Nothing,
            _ => Said::Part(Err(bad_unit(key, entity.variable))),
        },
        STATE if ABSENT.contains(&text.as_str()) => Said::Nothing,
        STATE => {
            let only = units::only_unit(entity.variable);
            match entity.unit.or_else(|| units.get(key).copied()).or(only) {
                Some(unit) => Said::Part(value(&text, now, key, entity, unit)),
                None => Said::WithoutUnit(key.clone()),
            }
        }
        _ => Said::Nothing,
    }
}

fn value(text: &str, now: Time, key: &str, entity: &Entity, unit: Unit) -> Result<Part, Rejection> {
    let Some(number) = part::number(text) else {
        return Err(Rejection::new(key.to_owned(), Reason::WrongType, "a state that is a number"));
    };
    let (mut values, mut counter) = (Values::default(), None);
    if entity.counter {
        counter = Some(unit.convert(entity.variable, number));
    } else {
        units::set(&mut values, entity.variable, unit, number);
        if values.get(Variable::Precipitation).is_some() {
            values.set(Variable::PrecipitationPeriod, 3600.0);
        }
    }
    Part::measured(entity.station.clone(), now, values, counter, ("homeassistant", entity.variable.name()))
}

/// Text that may be quoted as JSON is.
fn scalar(payload: &[u8]) -> String {
    match serde_json::from_slice::<serde_json::Value>(payload) {
        Ok(serde_json::Value::String(text)) => text.trim().to_owned(),
        _ => String::from_utf8_lossy(payload).trim().to_owned(),
    }
}

fn bad_unit(key: &str, variable: Variable) -> Rejection {
    let detail = format!("{variable} comes in {}: or say the unit in the entry", Unit::names_for(variable));
    Rejection::new(key.to_owned(), Reason::WrongType, detail)
}

/// The refusal of a value whose unit was not told in time.
pub(crate) fn without_unit(key: &str, entities: &Entities) -> Rejection {
    let names = entities.get(key).map(|entity| Unit::names_for(entity.variable)).unwrap_or_default();
    let detail = format!("no unit was told: switch publish_attributes on, or say in the entry which of {names}");
    Rejection::new(key.to_owned(), Reason::MissingField, detail)
}

/// What a name such as `garden_relative_humidity` says by itself, for whoever has no configuration.
pub(crate) fn by_name(entity: &str) -> Option<Entity> {
    let named = |v: &Variable| entity.strip_suffix(v.name()).is_some_and(|s| s.ends_with('_') && s.len() > 1);
    let variable = Variable::ALL.into_iter().filter(named).max_by_key(|v| v.name().len())?;
    let station = StationId::new(&entity[..entity.len() - variable.name().len() - 1]).ok()?;
    Some(Entity { station, variable, unit: units::ours(variable), counter: false })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::mqtt::part::tests::{is_possible, mutated};

    const STREAM: &str = include_str!("../../fixtures/mqtt/homeassistant.txt");

    fn now() -> Time {
        Time::parse("2026-11-23T08:10:00Z").unwrap()
    }

    fn entities() -> Entities {
        let entity = |variable, unit: Option<&str>, counter| Entity {
            station: StationId::new("garden").unwrap(),
            variable,
            unit: unit.and_then(Unit::named),
            counter,
        };
        [
            ("sensor.garden_temperature", entity(Variable::Temperature, None, false)),
            ("garden_humidity", entity(Variable::RelativeHumidity, None, false)),
            ("garden_rain_total", entity(Variable::Precipitation, Some("in"), true)),
            ("garden_wind", entity(Variable::WindSpeed, Some("km/h"), false)),
        ]
        .map(|(key, entity)| (key.to_owned(), entity))
        .into()
    }

    fn lines() -> impl Iterator<Item = (&'static str, &'static str)> {
        STREAM.lines().map(|line| line.split_once(' ').unwrap_or((line, "")))
    }

    #[test]
    fn a_stream_with_its_units() {
        let (mut units, mut values, mut waiting, mut refused) = (Units::new(), Vec::new(), 0, 0);
        for (topic, payload) in lines() {
            match read(topic, payload.as_bytes(), now(), &entities(), &units) {
                Said::Part(Ok(part)) => values.push(part),
                Said::Part(Err(_)) => refused += 1,
                Said::Unit(key, unit) => drop(units.insert(key, unit)),
                Said::WithoutUnit(key) => {
                    assert_eq!(key, "sensor.garden_temperature");
                    waiting += 1;
                }
                Said::Nothing => {}
            }
        }
        let get = |at: usize, variable| values[at].values.get(variable).unwrap();
        assert!((get(0, Variable::Temperature) - 10.0).abs() < 1e-4, "50 °F");
        assert_eq!(get(1, Variable::RelativeHumidity), 81.0);
        assert_eq!(get(2, Variable::WindSpeed), 10.0);
        assert!((values[3].rain.unwrap() - 25.4).abs() < 1e-9);
        assert_eq!((values.len(), waiting, refused), (4, 1, 1));
        assert!(values.iter().all(|part| part.station.as_str() == "garden" && part.time == now()));
        assert!(without_unit("sensor.garden_temperature", &entities()).detail.contains("°F"));
    }

    #[test]
    fn names_may_speak_for_themselves() {
        let entity = by_name("garden_2_relative_humidity").unwrap();
        assert_eq!((entity.station.as_str(), entity.variable), ("garden_2", Variable::RelativeHumidity));
        let period = by_name("garden_precipitation_period").unwrap();
        assert_eq!(period.variable, Variable::PrecipitationPeriod);
        for nameless in ["temperature", "_temperature", "gardentemperature", "garden_ozone"] {
            assert_eq!(by_name(nameless), None, "{nameless}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_states_are_taken_or_refused(
            name in prop::sample::select(vec!["garden_humidity", "garden_wind", "garden_rain_total", "x", ""]),
            leaf in prop::sample::select(vec![STATE, UNIT]),
            payload in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            if let Said::Part(part) = read(&format!("ha/sensor/{name}/{leaf}"), &payload, now(), &entities(), &Units::new()) {
                is_possible(&vec![part]);
            }
        }

        #[test]
        fn damaged_states_are_taken_or_refused(
            line in 0usize..8,
            changes in prop::collection::vec((any::<u16>(), any::<u8>(), any::<u8>()), 0..3),
        ) {
            let (topic, payload) = lines().nth(line).unwrap();
            if let Said::Part(part) = read(topic, &mutated(payload.as_bytes(), &changes), now(), &entities(), &Units::new()) {
                is_possible(&vec![part]);
            }
        }

        #[test]
        fn any_number_is_possible_or_missing(value in any::<f64>()) {
            for name in ["garden_humidity", "garden_wind", "garden_rain_total"] {
                let topic = format!("ha/sensor/{name}/state");
                if let Said::Part(part) = read(&topic, format!("{value:e}").as_bytes(), now(), &entities(), &Units::new()) {
                    is_possible(&vec![part]);
                }
            }
        }
    }
}
