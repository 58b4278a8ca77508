//! What one message says: an observation, or a part of one whose rest comes in other messages.

use std::borrow::Cow;

use serde_json::{Map, Value};
use weather::admission::Reason;
use weather::{Observation, Rejection, StationId, Time, Values, Variable, VariableSet};

use crate::pieces;

/// The largest rain counter that is believed, mm: a century of the wettest place.
const MOST_RAIN: f64 = 3_000_000.0;

/// What one message says of one station.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) station: StationId,
    pub(crate) time: Time,
    pub(crate) values: Values,
    /// The reading of a counter of rain, mm since some time in the past.
    pub(crate) rain: Option<f64>,
    pub(crate) source: Option<String>,
}

/// The parts of a message, each readable or not.
pub(crate) type Parts = Vec<Result<Part, Rejection>>;

impl Part {
    /// A part, if there is anything in it.
    ///
    /// # Errors
    /// [`Reason::MissingField`] when nothing was measured; `known` says what could have been.
    pub(crate) fn measured(
        station: StationId,
        time: Time,
        values: Values,
        rain: Option<f64>,
        (source, known): (&str, &str),
    ) -> Result<Self, Rejection> {
        let rain = rain.filter(|mm| (0.0..=MOST_RAIN).contains(mm));
        let is_empty = values.iter().all(|(v, _)| v == Variable::PrecipitationPeriod);
        if is_empty && rain.is_none() {
            let detail = format!("nothing of the weather that is possible in its unit; looked for {known}");
            return Err(Rejection::new("values", Reason::MissingField, detail));
        }
        Ok(Self { station, time, values, rain, source: Some(source.to_owned()) })
    }

    /// What it measures; a counter of rain counts as precipitation.
    pub(crate) fn variables(&self) -> VariableSet {
        let mut set = VariableSet::EMPTY;
        for (variable, _) in self.values.iter() {
            set.insert(variable);
        }
        if self.rain.is_some() {
            set.insert(Variable::Precipitation);
        }
        set
    }

    /// The observation that it is by itself. A counter says nothing without an earlier reading.
    pub(crate) fn alone(self) -> Observation {
        Observation { station: self.station, time: self.time, values: self.values, source: self.source }
    }
}

impl From<Observation> for Part {
    fn from(o: Observation) -> Self {
        Self { station: o.station, time: o.time, values: o.values, rain: None, source: o.source }
    }
}

/// A message's members by name.
pub(crate) struct Fields(Map<String, Value>);

impl Fields {
    /// Reads a JSON object; bare `NaN` and `Infinity`, which some programs write, are missing values.
    ///
    /// # Errors
    /// [`Reason::Unparseable`] with the parser's words.
    pub(crate) fn of_json(payload: &[u8]) -> Result<Self, Rejection> {
        let read = serde_json::from_slice::<Map<String, Value>>(payload)
            .or_else(|error| serde_json::from_slice(&pieces::quote_non_finite(payload)).map_err(|_| error));
        let unreadable = |e: serde_json::Error| {
            Rejection::new("payload", Reason::Unparseable, format!("must be one JSON object: {e}"))
        };
        read.map(Self).map_err(unreadable)
    }

    /// Reads a form, as a console posts it.
    pub(crate) fn of_form(payload: &[u8]) -> Self {
        Self(form_urlencoded::parse(payload).map(|(k, v)| (k.into_owned(), Value::from(v.into_owned()))).collect())
    }

    /// A number, also one written as text; none for anything else, `None` and `""` included.
    pub(crate) fn number(&self, name: &str) -> Option<f64> {
        match self.0.get(name)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => number(text),
            _ => None,
        }
    }

    /// Text, or a number as it is written.
    pub(crate) fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.0.get(name)? {
            Value::String(text) => Some(Cow::Borrowed(text)),
            Value::Number(number) => Some(Cow::Owned(number.to_string())),
            _ => None,
        }
    }

    /// Names with their numbers.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.0.keys().filter_map(|name| Some((name.as_str(), self.number(name)?)))
    }
}

/// A finite number in text.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|n: &f64| n.is_finite())
}

/// A finite number of seconds since 1970 as a time; none before 1970 or after the year 9999.
pub(crate) fn epoch(seconds: f64) -> Option<Time> {
    (0.0..253_402_300_800.0).contains(&seconds).then(|| Time::from_unix(seconds as i64))
}

/// The refusal of a time.
pub(crate) fn bad_time(field: &'static str, allowed: &str) -> Rejection {
    Rejection::new(field, Reason::BadTime, allowed.to_owned())
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What every parser keeps: values within their limits, something in every part.
    pub(crate) fn is_possible(parts: &Parts) {
        for part in parts.iter().flatten() {
            for (variable, value) in part.values.iter() {
                weather::admission::check_value(variable, value).unwrap();
            }
            assert!(part.rain.is_none_or(|mm| (0.0..=MOST_RAIN).contains(&mm)));
            assert!(!part.variables().is_empty());
        }
    }

    /// A message with a few bytes changed, cut out or put in.
    pub(crate) fn mutated(message: &[u8], changes: &[(u16, u8, u8)]) -> Vec<u8> {
        let mut bytes = message.to_vec();
        for (at, byte, how) in changes {
            if bytes.is_empty() {
                break;
            }
            let at = usize::from(*at) % bytes.len();
            match how % 3 {
                0 => bytes[at] = *byte,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, *byte),
            }
        }
        bytes
    }

    /// Text of these characters.
    pub(crate) fn text(of: &'static str, most: usize) -> impl Strategy<Value = String> {
        let one = prop::sample::select(of.chars().collect::<Vec<_>>());
        prop::collection::vec(one, 0..=most).prop_map(String::from_iter)
    }

    #[test]
    fn numbers_come_as_numbers_and_as_text() {
        let fields = Fields::of_json(br#"{"a": 1.5, "b": " 2 ", "c": "None", "d": null, "e": NaN, "f": [1]}"#).unwrap();
        assert_eq!(fields.number("a"), Some(1.5));
        assert_eq!(fields.number("b"), Some(2.0));
        for missing in ["c", "d", "e", "f", "g"] {
            assert_eq!(fields.number(missing), None, "{missing}");
        }
        assert_eq!(Fields::of_form(b"tempf=71.2&model=GW+1000").number("tempf"), Some(71.2));
        assert_eq!(Fields::of_json(b"[1]").err().unwrap().reason, Reason::Unparseable);
    }

    #[test]
    fn epochs_have_bounds() {
        assert_eq!(epoch(1_790_000_000.9), Some(Time::from_unix(1_790_000_000)));
        for bad in [-1.0, 1e15, f64::NAN] {
            assert_eq!(epoch(bad), None);
        }
    }
}
