//! What a station measures: names, units and physical limits, in one table.

use std::fmt;

/// A measured quantity of an observation.
///
/// The order is part of the packed window format ([`crate::window`]): append, never reorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
#[allow(missing_docs)] // the names are the documentation; units are in `SPECS`
pub enum Variable {
    Temperature,
    DewPoint,
    RelativeHumidity,
    PressureMsl,
    PressureStation,
    WindSpeed,
    WindDirection,
    WindGust,
    Precipitation,
    PrecipitationPeriod,
    SolarRadiation,
    CloudCover,
    Visibility,
    PresentWeather,
}

/// The contract of one variable.
#[derive(Clone, Copy, Debug)]
pub struct Spec {
    /// The JSON and MessagePack name.
    pub name: &'static str,
    /// The unit as people write it.
    pub unit: &'static str,
    /// The smallest value nature and instruments allow; below it the item is refused.
    pub minimum: f32,
    /// The largest such value.
    pub maximum: f32,
}

const fn spec(name: &'static str, unit: &'static str, minimum: f32, maximum: f32) -> Spec {
    Spec { name, unit, minimum, maximum }
}

/// Names, units and hard limits, in the order of [`Variable`].
///
/// A value outside its limits cannot be an observation in this unit (a Fahrenheit reading, an
/// error code) and is refused. Sources: temperature, the WMO world records (-89.2, 56.7 °C) with a
/// margin; dew point, pressure, wind and gust, MADIS "Meteorological Surface Quality Control Checks"
/// validity limits, rounded outward to hold the world records (station pressure down to the highest
/// stations, gust 113 m/s); humidity, WMO tolerance of 103 % of a saturated sensor; rain, the record
/// minute-to-day totals; solar, WMO-8 with cloud enhancement.
pub const SPECS: [Spec; Variable::COUNT] = [
    spec("temperature", "degC", -95.0, 62.0),
    spec("dew_point", "degC", -100.0, 40.0),
    spec("relative_humidity", "%", 0.0, 103.0),
    spec("pressure_msl", "hPa", 846.0, 1100.0),
    spec("pressure_station", "hPa", 300.0, 1100.0),
    spec("wind_speed", "m/s", 0.0, 129.0),
    spec("wind_direction", "deg", 0.0, 360.0),
    spec("wind_gust", "m/s", 0.0, 129.0),
    spec("precipitation", "mm", 0.0, 2000.0),
    spec("precipitation_period", "s", 1.0, 86_400.0),
    spec("solar_radiation", "W/m2", -20.0, 1800.0),
    spec("cloud_cover", "%", 0.0, 100.0),
    spec("visibility", "m", 0.0, 500_000.0),
    spec("present_weather", "code", 0.0, 99.0),
];

impl Variable {
    /// How many variables there are.
    pub const COUNT: usize = 14;

    /// Every variable, in packed order.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Temperature,
        Self::DewPoint,
        Self::RelativeHumidity,
        Self::PressureMsl,
        Self::PressureStation,
        Self::WindSpeed,
        Self::WindDirection,
        Self::WindGust,
        Self::Precipitation,
        Self::PrecipitationPeriod,
        Self::SolarRadiation,
        Self::CloudCover,
        Self::Visibility,
        Self::PresentWeather,
    ];

    /// Name, unit and limits.
    #[must_use]
    pub const fn spec(self) -> &'static Spec {
        &SPECS[self as usize]
    }

    /// The JSON and MessagePack name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.spec().name
    }

    /// The variable of that JSON name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.name() == name)
    }
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of variables in 16 bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct VariableSet(u16);

impl VariableSet {
    /// No variable.
    pub const EMPTY: Self = Self(0);

    /// The set with these bits; unknown bits are dropped.
    #[must_use]
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & ((1 << Variable::COUNT) - 1))
    }

    /// Bit `n` is the `n`th variable of [`Variable::ALL`].
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// Puts `variable` into the set.
    pub const fn insert(&mut self, variable: Variable) {
        self.0 |= 1 << variable as u8;
    }

    /// The set with those of `other` too.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The set without those of `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Whether `variable` is in the set.
    #[must_use]
    pub const fn contains(self, variable: Variable) -> bool {
        self.0 & (1 << variable as u8) != 0
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members, in packed order.
    pub fn iter(self) -> impl Iterator<Item = Variable> {
        Variable::ALL.into_iter().filter(move |v| self.contains(*v))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_names_and_limits_agree() {
        for (index, variable) in Variable::ALL.into_iter().enumerate() {
            assert_eq!(variable as usize, index);
            assert_eq!(Variable::from_name(variable.name()), Some(variable));
            assert!(variable.spec().minimum < variable.spec().maximum);
        }
    }

    #[test]
    fn a_set_holds_what_was_put_in() {
        let mut set = VariableSet::EMPTY;
        set.insert(Variable::PresentWeather);
        set.insert(Variable::DewPoint);
        assert_eq!(set.iter().collect::<Vec<_>>(), [Variable::DewPoint, Variable::PresentWeather]);
        assert_eq!(VariableSet::from_bits(set.bits() | 0x8000), set);
    }
}
