//! The units that sources speak in, and ours, for every door.
//!
//! Factors are exact by definition (inch, mile), but for the knot, and for inches of mercury: 33.8639 hPa,
//! the conventional one at 0 °C.

use weather::{Values, Variable};

/// A unit: ours = (theirs + offset) × scale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Unit {
    quantity: Quantity,
    offset: f64,
    scale: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quantity {
    Temperature,
    Share,
    Pressure,
    Speed,
    Angle,
    /// Of rain, mm; visibility, m, is a thousand of them.
    Length,
    Irradiance,
}

/// What makes ours of a number of theirs.
pub(crate) mod factor {
    /// hPa.
    pub(crate) const INCH_OF_MERCURY: f64 = 33.8639;
    /// m/s; six digits, as everybody converts it: the same report by two doors is the same number.
    pub(crate) const KNOT: f64 = 0.514_444;
    /// m/s.
    pub(crate) const MILE_PER_HOUR: f64 = 0.447_04;
    /// mm.
    pub(crate) const INCH: f64 = 25.4;
    /// m.
    pub(crate) const STATUTE_MILE: f64 = 1609.344;
    /// m.
    pub(crate) const NAUTICAL_MILE: f64 = 1852.0;
    /// m.
    pub(crate) const FOOT: f64 = 0.3048;
}

const fn unit(quantity: Quantity, offset: f64, scale: f64) -> Unit {
    Unit { quantity, offset, scale }
}

pub(crate) const CELSIUS: Unit = unit(Quantity::Temperature, 0.0, 1.0);
pub(crate) const FAHRENHEIT: Unit = unit(Quantity::Temperature, -32.0, 1.0 / 1.8);
pub(crate) const KELVIN: Unit = unit(Quantity::Temperature, -273.15, 1.0);
pub(crate) const PERCENT: Unit = unit(Quantity::Share, 0.0, 1.0);
pub(crate) const HPA: Unit = unit(Quantity::Pressure, 0.0, 1.0);
pub(crate) const KPA: Unit = unit(Quantity::Pressure, 0.0, 10.0);
pub(crate) const PA: Unit = unit(Quantity::Pressure, 0.0, 0.01);
pub(crate) const INHG: Unit = unit(Quantity::Pressure, 0.0, factor::INCH_OF_MERCURY);
pub(crate) const MMHG: Unit = unit(Quantity::Pressure, 0.0, factor::INCH_OF_MERCURY / factor::INCH);
pub(crate) const MPS: Unit = unit(Quantity::Speed, 0.0, 1.0);
pub(crate) const KMH: Unit = unit(Quantity::Speed, 0.0, 1.0 / 3.6);
pub(crate) const MPH: Unit = unit(Quantity::Speed, 0.0, factor::MILE_PER_HOUR);
pub(crate) const KNOT: Unit = unit(Quantity::Speed, 0.0, factor::KNOT);
pub(crate) const DEGREE: Unit = unit(Quantity::Angle, 0.0, 1.0);
pub(crate) const MM: Unit = unit(Quantity::Length, 0.0, 1.0);
pub(crate) const CM: Unit = unit(Quantity::Length, 0.0, 10.0);
pub(crate) const INCH: Unit = unit(Quantity::Length, 0.0, factor::INCH);
pub(crate) const METRE: Unit = unit(Quantity::Length, 0.0, 1000.0);
pub(crate) const KILOMETRE: Unit = unit(Quantity::Length, 0.0, 1_000_000.0);
pub(crate) const MILE: Unit = unit(Quantity::Length, 0.0, 1000.0 * factor::STATUTE_MILE);
pub(crate) const FOOT: Unit = unit(Quantity::Length, 0.0, 1000.0 * factor::FOOT);
pub(crate) const WATT: Unit = unit(Quantity::Irradiance, 0.0, 1.0);

/// As people, Home Assistant, WeeWX, the NWS and Open-Meteo write them.
const NAMES: [(&str, Unit); 59] = [
    ("°C", CELSIUS),
    ("C", CELSIUS),
    ("degC", CELSIUS),
    ("°F", FAHRENHEIT),
    ("F", FAHRENHEIT),
    ("degF", FAHRENHEIT),
    ("K", KELVIN),
    ("%", PERCENT),
    ("percent", PERCENT),
    ("hPa", HPA),
    ("mbar", HPA),
    ("mb", HPA),
    ("kPa", KPA),
    ("Pa", PA),
    ("inHg", INHG),
    ("mmHg", MMHG),
    ("m/s", MPS),
    ("mps", MPS),
    ("m_s", MPS),
    ("ms", MPS),
    ("km/h", KMH),
    ("km_h", KMH),
    ("kmh", KMH),
    ("kph", KMH),
    ("mph", MPH),
    ("mi_h", MPH),
    ("mi/h", MPH),
    ("kn", KNOT),
    ("kt", KNOT),
    ("kts", KNOT),
    ("knot", KNOT),
    ("°", DEGREE),
    ("deg", DEGREE),
    ("degree_compass", DEGREE),
    ("mm", MM),
    ("cm", CM),
    ("in", INCH),
    ("inch", INCH),
    ("m", METRE),
    ("meter", METRE),
    ("km", KILOMETRE),
    ("mi", MILE),
    ("mile", MILE),
    ("W/m²", WATT),
    ("W/m2", WATT),
    ("Wpm2", WATT),
    ("W_m2", WATT),
    ("W_m-2", WATT),
    ("W m-2", WATT),
    ("m_s-1", MPS),
    ("m s-1", MPS),
    ("km_h-1", KMH),
    ("km h-1", KMH),
    ("mi_h-1", MPH),
    ("mp/h", MPH),
    ("degree", DEGREE),
    ("degree_(angle)", DEGREE),
    ("ft", FOOT),
    ("foot", FOOT),
];

impl Unit {
    /// The unit of that name, which may have a vocabulary in front: `wmoUnit:degC`.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let name = name.rsplit(':').next().unwrap_or(name);
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, unit)| *unit)
    }

    /// Whether `variable` can be measured in it.
    pub(crate) fn measures(self, variable: Variable) -> bool {
        quantity(variable) == Some(self.quantity)
    }

    /// `value` in the unit of `variable`.
    pub(crate) fn convert(self, variable: Variable, value: f64) -> f64 {
        let ours = (value + self.offset) * self.scale;
        if variable == Variable::Visibility { ours / 1000.0 } else { ours }
    }

    /// The names that `variable` may come in, for a person.
    pub(crate) fn names_for(variable: Variable) -> String {
        let names: Vec<&str> = NAMES.iter().filter(|(_, u)| u.measures(variable)).map(|(name, _)| *name).collect();
        names.join(", ")
    }
}

/// The unit of a variable that everyone gives in the same one; none where units differ.
pub(crate) const fn only_unit(variable: Variable) -> Option<Unit> {
    match variable {
        Variable::RelativeHumidity | Variable::CloudCover => Some(PERCENT),
        Variable::WindDirection => Some(DEGREE),
        Variable::SolarRadiation => Some(WATT),
        _ => None,
    }
}

/// The unit that we keep a variable in; none for what is no measurement.
pub(crate) const fn ours(variable: Variable) -> Option<Unit> {
    match quantity(variable) {
        Some(Quantity::Temperature) => Some(CELSIUS),
        Some(Quantity::Share) => Some(PERCENT),
        Some(Quantity::Pressure) => Some(HPA),
        Some(Quantity::Speed) => Some(MPS),
        Some(Quantity::Angle) => Some(DEGREE),
        Some(Quantity::Length) if matches!(variable, Variable::Visibility) => Some(METRE),
        Some(Quantity::Length) => Some(MM),
        Some(Quantity::Irradiance) => Some(WATT),
        None => None,
    }
}

const fn quantity(variable: Variable) -> Option<Quantity> {
    match variable {
        Variable::Temperature | Variable::DewPoint => Some(Quantity::Temperature),
        Variable::RelativeHumidity | Variable::CloudCover => Some(Quantity::Share),
        Variable::PressureMsl | Variable::PressureStation => Some(Quantity::Pressure),
        Variable::WindSpeed | Variable::WindGust => Some(Quantity::Speed),
        Variable::WindDirection => Some(Quantity::Angle),
        Variable::Precipitation | Variable::Visibility => Some(Quantity::Length),
        Variable::SolarRadiation => Some(Quantity::Irradiance),
        Variable::PrecipitationPeriod | Variable::PresentWeather => None,
    }
}

/// Sets `variable` if `value`, in `unit`, can be a measurement; an instrument's error code
/// (-9999, 32767) is a missing value.
pub(crate) fn set(values: &mut Values, variable: Variable, unit: Unit, value: f64) {
    let ours = unit.convert(variable, value) as f32;
    if weather::admission::check_value(variable, ours).is_ok() {
        values.set(variable, ours);
    }
}

/// The number in our unit of `variable`, when its unit is one of that quantity and the value possible.
pub(crate) fn convert(number: f64, unit: &str, variable: Variable) -> Option<f32> {
    let ours = match variable {
        // A code has no unit, but a name.
        Variable::PresentWeather => (unit == "wmo code").then_some(number)?,
        _ => Unit::named(unit).filter(|unit| unit.measures(variable))?.convert(variable, number),
    };
    weather::admission::check_value(variable, ours as f32).is_ok().then_some(ours as f32)
}

/// A length, m.
pub(crate) fn metres(number: f64, unit: &str) -> Option<f64> {
    let unit = Unit::named(unit).filter(|unit| unit.quantity == Quantity::Length)?;
    Some((number + unit.offset) * unit.scale / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours(variable: Variable, unit: Unit, value: f64) -> Option<f32> {
        let mut values = Values::default();
        set(&mut values, variable, unit, value);
        values.get(variable)
    }

    #[test]
    fn known_conversions() {
        for (variable, unit, theirs, expected) in [
            (Variable::Temperature, FAHRENHEIT, 87.08, 30.6),
            (Variable::Temperature, KELVIN, 273.15, 0.0),
            (Variable::PressureStation, INHG, 27.885, 944.294_85),
            (Variable::PressureMsl, MMHG, 760.0, 1013.25),
            (Variable::WindSpeed, MPH, 3.13, 1.399_235),
            (Variable::WindSpeed, KMH, 36.0, 10.0),
            (Variable::WindGust, KNOT, 10.0, 5.144_44),
            (Variable::Precipitation, INCH, 0.1, 2.54),
            (Variable::Precipitation, CM, 0.1, 1.0),
            (Variable::Visibility, MILE, 1.0, 1609.344),
            (Variable::Visibility, METRE, 800.0, 800.0),
        ] {
            let value = ours(variable, unit, theirs).unwrap();
            assert!((f64::from(value) - expected).abs() < 0.003, "{variable} {theirs} -> {value}, not {expected}");
        }
    }

    #[test]
    fn units_by_name_with_and_without_a_vocabulary() {
        let near = |number, unit, variable, expected: f32| {
            let found = convert(number, unit, variable).unwrap();
            assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{number} {unit}: {found}");
        };
        near(87.08, "unit:degF", Variable::Temperature, 30.6);
        near(101_860.0, "wmoUnit:Pa", Variable::PressureMsl, 1018.6);
        near(18.0, "wmoUnit:km_h-1", Variable::WindSpeed, 5.0);
        near(10.0, "kn", Variable::WindSpeed, 5.144);
        near(0.0025, "wmoUnit:m", Variable::Precipitation, 2.5);
        near(2.5, "wmoUnit:m", Variable::Visibility, 2.5);
        near(61.0, "wmo code", Variable::PresentWeather, 61.0);
        assert!((metres(100.0, "unit:ft").unwrap() - 30.48).abs() < 1e-9);
        assert_eq!(convert(1.0, "wmoUnit:Pa", Variable::Temperature), None);
        assert_eq!(convert(1.0, "furlong", Variable::Visibility), None);
        assert_eq!(convert(-9999.0, "degC", Variable::Temperature), None);
        assert_eq!((metres(1.0, "hPa"), convert(f64::NAN, "degC", Variable::Temperature)), (None, None));
    }

    #[test]
    fn error_codes_are_missing() {
        for variable in [Variable::Temperature, Variable::PressureMsl, Variable::WindDirection, Variable::WindSpeed] {
            for code in [-9999.0, 32767.0, f64::NAN, f64::INFINITY, 1e300] {
                assert_eq!(ours(variable, unit(Quantity::Share, 0.0, 1.0), code), None, "{variable} {code}");
            }
        }
    }

    #[test]
    fn names_are_told_apart_and_fit_their_variables() {
        for (at, (name, _)) in NAMES.iter().enumerate() {
            assert!(NAMES[at + 1..].iter().all(|(other, _)| other != name), "{name} twice");
        }
        assert!(Unit::named("hPa").unwrap().measures(Variable::PressureMsl));
        assert!(!Unit::named("hPa").unwrap().measures(Variable::Temperature));
        assert!(Unit::names_for(Variable::WindGust).contains("km/h"));
        assert!(Unit::named("furlong").is_none());
    }
}
