//! Units by the names that sources give them.

use weather::Variable;
use weather::admission::check_value;

/// Our unit, as in `weather::variable::SPECS`, its names elsewhere, and what makes ours of a number: the
/// factor and then the summand.
type Unit = (&'static str, &'static [&'static str], f64, f64);

/// The names are those of the NWS (`wmoUnit:`, `unit:` and so on in front) and of Open-Meteo.
const UNITS: [Unit; 22] = [
    ("degC", &["degC", "°C"], 1.0, 0.0),
    ("degC", &["degF", "°F"], 1.0 / 1.8, -32.0 / 1.8),
    ("degC", &["K"], 1.0, -273.15),
    ("%", &["percent", "%"], 1.0, 0.0),
    ("hPa", &["hPa", "mb", "mbar"], 1.0, 0.0),
    ("hPa", &["Pa"], 0.01, 0.0),
    ("hPa", &["inHg"], 33.8639, 0.0),
    ("m/s", &["m_s-1", "m s-1", "m/s"], 1.0, 0.0),
    ("m/s", &["km_h-1", "km h-1", "km/h"], 1.0 / 3.6, 0.0),
    ("m/s", &["kt", "kn", "knot"], 0.514_444, 0.0),
    ("m/s", &["mi_h-1", "mp/h", "mph"], 0.447_04, 0.0),
    ("deg", &["degree_(angle)", "degree", "deg", "°"], 1.0, 0.0),
    ("mm", &["mm"], 1.0, 0.0),
    ("mm", &["m"], 1000.0, 0.0),
    ("mm", &["in", "inch"], 25.4, 0.0),
    ("W/m2", &["W_m-2", "W m-2", "W/m²"], 1.0, 0.0),
    ("m", &["m"], 1.0, 0.0),
    ("m", &["km"], 1000.0, 0.0),
    ("m", &["mi", "mile"], 1609.344, 0.0),
    ("m", &["ft", "foot"], 0.3048, 0.0),
    ("code", &["wmo code"], 1.0, 0.0),
    ("s", &["s", "seconds"], 1.0, 0.0),
];

/// The number in our unit of `variable`, when the unit is one of that quantity and the value possible.
pub(crate) fn convert(number: f64, unit: &str, variable: Variable) -> Option<f32> {
    let value = convert_to(number, unit, variable.spec().unit)? as f32;
    check_value(variable, value).is_ok().then_some(value)
}

/// The number in one of our units.
pub(crate) fn convert_to(number: f64, unit: &str, ours: &str) -> Option<f64> {
    // `wmoUnit:degC`, `unit:degC`, `wmo:degC`.
    let name = unit.rsplit(':').next().unwrap_or(unit);
    let (_, _, factor, summand) = UNITS.iter().find(|(to, names, _, _)| *to == ours && names.contains(&name))?;
    Some(number * factor + summand)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_are_the_exact_ones() {
        let near = |number, unit, variable, expected: f32| {
            let found = convert(number, unit, variable).unwrap();
            assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0), "{number} {unit}: {found}");
        };
        near(87.08, "unit:degF", Variable::Temperature, 30.6);
        near(22.8, "wmoUnit:degC", Variable::Temperature, 22.8);
        near(101_860.0, "wmoUnit:Pa", Variable::PressureMsl, 1018.6);
        near(27.885, "inHg", Variable::PressureStation, 944.295);
        near(18.0, "wmoUnit:km_h-1", Variable::WindSpeed, 5.0);
        near(10.0, "kn", Variable::WindSpeed, 5.144);
        near(0.0025, "wmoUnit:m", Variable::Precipitation, 2.5);
        near(2.5, "wmoUnit:m", Variable::Visibility, 2.5);
        near(10.0, "mi", Variable::Visibility, 16_093.44);
    }

    #[test]
    fn foreign_units_and_impossible_values_are_missing() {
        assert_eq!(convert(1.0, "wmoUnit:Pa", Variable::Temperature), None);
        assert_eq!(convert(1.0, "furlong", Variable::Visibility), None);
        assert_eq!(convert(-9999.0, "degC", Variable::Temperature), None);
        assert_eq!(convert(f64::NAN, "degC", Variable::Temperature), None);
    }

    #[test]
    fn every_unit_is_one_of_ours() {
        for (ours, names, factor, _) in UNITS {
            assert!(weather::variable::SPECS.iter().any(|spec| spec.unit == ours) && !names.is_empty() && factor > 0.0);
        }
    }
}
