//! Which observations are let in, and the typed reason when one is not.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::observation::Observation;
use crate::quality::{self, Flags, Limits};
use crate::station::StationId;
use crate::time::{HOUR, Time};
use crate::variable::Variable;
use crate::window::WINDOW_HOURS;

/// Why an item was refused. Each is also a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The item could not be parsed at all.
    Unparseable,
    /// A field has a value of the wrong type.
    WrongType,
    /// A field that the contract does not know.
    UnknownField,
    /// A required field is absent.
    MissingField,
    /// A number that is NaN or infinite.
    NotFinite,
    /// A number outside what is physically possible in its unit.
    OutOfRange,
    /// A station identifier that breaks the rules.
    BadStation,
    /// A time that is not RFC 3339.
    BadTime,
    /// A time more than five minutes ahead of our clock.
    InFuture,
    /// A time older than what is kept.
    PastRetention,
    /// The key does not open this station.
    NotAllowed,
    /// Nobody has registered this station, and an operator is to confirm who is new.
    Unconfirmed,
    /// The body is larger, or has more items, than the limit.
    TooLarge,
}

impl Reason {
    /// Every reason, for metrics that start at zero.
    pub const ALL: [Self; 13] = [
        Self::Unparseable,
        Self::WrongType,
        Self::UnknownField,
        Self::MissingField,
        Self::NotFinite,
        Self::OutOfRange,
        Self::BadStation,
        Self::BadTime,
        Self::InFuture,
        Self::PastRetention,
        Self::NotAllowed,
        Self::Unconfirmed,
        Self::TooLarge,
    ];

    /// The metric label and JSON value.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unparseable => "unparseable",
            Self::WrongType => "wrong_type",
            Self::UnknownField => "unknown_field",
            Self::MissingField => "missing_field",
            Self::NotFinite => "not_finite",
            Self::OutOfRange => "out_of_range",
            Self::BadStation => "bad_station",
            Self::BadTime => "bad_time",
            Self::InFuture => "in_future",
            Self::PastRetention => "past_retention",
            Self::NotAllowed => "not_allowed",
            Self::Unconfirmed => "unconfirmed",
            Self::TooLarge => "too_large",
        }
    }
}

/// A refused item: which field, why, and what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// The field at fault.
    pub field: Cow<'static, str>,
    /// The kind of fault.
    pub reason: Reason,
    /// One sentence for a person: what is allowed.
    pub detail: String,
    /// The station that the item is of, as far as it could be read: its owner can be told.
    pub station: Option<StationId>,
}

impl Rejection {
    /// A rejection of `field`.
    pub fn new(field: impl Into<Cow<'static, str>>, reason: Reason, detail: impl Into<String>) -> Self {
        Self { field: field.into(), reason, detail: detail.into(), station: None }
    }

    /// The same, of an item that names its station.
    #[must_use]
    pub fn of(self, station: StationId) -> Self {
        Self { station: Some(station), ..self }
    }

    /// A station that nobody has registered, where that is an operator's to do.
    #[must_use]
    pub fn unconfirmed(station: StationId) -> Self {
        let detail = format!(
            "nobody has registered {station}: an operator accepts it with `weatherglass stations accept {station}`"
        );
        Self::new("station", Reason::Unconfirmed, detail).of(station)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.field, self.reason.label(), self.detail)
    }
}

impl std::error::Error for Rejection {}

/// The bounds on an observation's time.
#[derive(Clone, Copy, Debug)]
pub struct Admission {
    /// How old an observation may be, seconds.
    pub retention: i64,
    /// How far ahead of our clock a station's clock may run, seconds.
    pub future: i64,
}

impl Default for Admission {
    fn default() -> Self {
        Self { retention: WINDOW_HOURS * HOUR, future: 5 * 60 }
    }
}

impl Admission {
    /// What becomes of an observation that arrives at `now`, by whichever way: the flags that it
    /// carries from here on. The door and the backtest both come through here.
    ///
    /// # Errors
    /// As [`Admission::check`].
    pub fn admit(&self, observation: &Observation, now: Time) -> Result<Flags, Rejection> {
        self.check(observation, now).map(|()| quality::check(&observation.values, Limits::standard()))
    }

    /// Whether the observation may enter at `now`.
    ///
    /// # Errors
    /// A [`Rejection`] naming the first field that is impossible: a value outside the limits of
    /// [`crate::variable::SPECS`], no value at all, or a time out of bounds.
    pub fn check(&self, observation: &Observation, now: Time) -> Result<(), Rejection> {
        let ahead = observation.time - now;
        if ahead > self.future {
            let detail = format!(
                "{} is {ahead} s ahead; at most {} s are allowed: check the clock",
                observation.time, self.future
            );
            return Err(Rejection::new("time", Reason::InFuture, detail));
        }
        if now - observation.time > self.retention {
            let detail = format!("{} is older than the {} h that are kept", observation.time, self.retention / HOUR);
            return Err(Rejection::new("time", Reason::PastRetention, detail));
        }
        let mut measured = false;
        for variable in Variable::ALL {
            let Some(value) = observation.values.get(variable) else {
                continue;
            };
            check_value(variable, value)?;
            measured |= variable != Variable::PrecipitationPeriod;
        }
        if !measured {
            return Err(Rejection::new("temperature", Reason::MissingField, "at least one measured value is needed"));
        }
        Ok(())
    }
}

/// Whether `value` is physically possible for `variable`.
///
/// # Errors
/// [`Reason::NotFinite`] or [`Reason::OutOfRange`] with the limits and the unit.
pub fn check_value(variable: Variable, value: f32) -> Result<(), Rejection> {
    let spec = variable.spec();
    if !value.is_finite() {
        return Err(Rejection::new(
            spec.name,
            Reason::NotFinite,
            format!("a finite number in {}, or leave it out", spec.unit),
        ));
    }
    if value < spec.minimum || value > spec.maximum {
        let detail = format!("{value} is outside {} to {} {}", spec.minimum, spec.maximum, spec.unit);
        return Err(Rejection::new(spec.name, Reason::OutOfRange, detail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{StationId, Values};

    fn at(time: i64, values: &[(Variable, f32)]) -> Observation {
        Observation {
            station: StationId::new("A").unwrap(),
            time: Time::from_unix(time),
            values: values.iter().copied().collect::<Values>(),
            source: None,
        }
    }

    #[test]
    fn time_bounds() {
        let now = Time::from_unix(1_000_000_000);
        let admission = Admission::default();
        let warm = [(Variable::Temperature, 20.0)];
        assert!(admission.check(&at(now.unix() + 300, &warm), now).is_ok());
        assert_eq!(admission.check(&at(now.unix() + 301, &warm), now).unwrap_err().reason, Reason::InFuture);
        let oldest = now.unix() - WINDOW_HOURS * HOUR;
        assert!(admission.check(&at(oldest, &warm), now).is_ok());
        assert_eq!(admission.check(&at(oldest - 1, &warm), now).unwrap_err().reason, Reason::PastRetention);
        assert_eq!(admission.check(&at(i64::MIN, &warm), now).unwrap_err().reason, Reason::PastRetention);
    }

    #[test]
    fn impossible_values_name_their_field() {
        let now = Time::from_unix(0);
        let rejection = Admission::default().check(&at(0, &[(Variable::Temperature, 72.5)]), now).unwrap_err();
        assert_eq!((rejection.field.as_ref(), rejection.reason), ("temperature", Reason::OutOfRange));
        let only_period = at(0, &[(Variable::PrecipitationPeriod, 600.0)]);
        assert_eq!(Admission::default().check(&only_period, now).unwrap_err().reason, Reason::MissingField);
    }

    #[test]
    fn labels_are_the_json_names() {
        for reason in Reason::ALL {
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.label());
        }
    }
}
