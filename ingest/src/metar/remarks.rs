//! What follows `RMK`: the groups of it that hold numbers we use. Everything else there is for people.

use super::groups::{INCH, number};

/// Hectopascals in a millimetre of mercury.
const MERCURY: f32 = 1.333_224;
/// Millimetres in an inch.
const INCH_OF_RAIN: f32 = crate::units::factor::INCH as f32;

/// Numbers found in the remarks, or in their place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Remarks<'a> {
    /// All of it, as it was sent.
    pub text: &'a str,
    /// Temperature in tenths, °C (`T02280183`).
    pub temperature: Option<f32>,
    /// Dew point in tenths, °C.
    pub dew_point: Option<f32>,
    /// The digits of the sea-level pressure (`SLP187`): its last three figures in tenths of hPa.
    pub sea_level_digits: Option<u16>,
    /// Altimeter setting, inches of mercury (East Asia repeats it there).
    pub altimeter: Option<f32>,
    /// Pressure at the aerodrome, hPa (`QFE748/0997`, in Russia and around it).
    pub aerodrome_pressure: Option<f32>,
    /// Precipitation, mm, and the period over which it fell, s: since the last hourly report in the
    /// United States (`P0013`), of the past hour in Canada, of ten minutes in Australia (`RF00.2/`).
    pub precipitation: Option<(f32, f32)>,
    /// Density altitude, feet (Canada, Colorado).
    pub density_altitude: Option<i32>,
    /// The station asks for maintenance (`$`).
    pub maintenance: bool,
}

impl<'a> Remarks<'a> {
    /// Reads remarks, `text`, that have been split into `groups`.
    #[must_use]
    pub(super) fn read(text: &'a str, groups: &[&'a str]) -> Self {
        let mut remarks = Self { text, ..Self::default() };
        for (at, group) in groups.iter().enumerate() {
            remarks.group(group.trim_end_matches('=').as_bytes(), groups.get(at + 1..).unwrap_or_default());
        }
        remarks
    }

    fn group(&mut self, group: &[u8], after: &[&str]) {
        let group = match group {
            [group @ .., b'$'] => {
                self.maintenance = true;
                group
            }
            group => group,
        };
        match group {
            [b'T', rest @ ..] if rest.len() == 8 && self.temperature.is_none() => {
                if let (Some(temperature), Some(dew_point)) = (tenths(&rest[..4]), tenths(&rest[4..])) {
                    (self.temperature, self.dew_point) = (Some(temperature), Some(dew_point));
                }
            }
            [b'T', rest @ ..] if rest.len() == 4 && self.temperature.is_none() => self.temperature = tenths(rest),
            [b'S', b'L', b'P', digits @ ..] if digits.len() == 3 && self.sea_level_digits.is_none() => {
                self.sea_level_digits = number(digits).and_then(|n| u16::try_from(n).ok());
            }
            [b'P', digits @ ..] if digits.len() == 4 && self.precipitation.is_none() => {
                let amount = number(digits).map(|n| n as f32 * INCH_OF_RAIN / 100.0);
                self.precipitation = amount.map(|mm| (mm, 3600.0));
            }
            [b'A', digits @ ..] if digits.len() == 4 && self.altimeter.is_none() => {
                let inches = number(digits).filter(|n| (2500..=3220).contains(n));
                self.altimeter = inches.map(|n| n as f32 / 100.0);
            }
            [b'Q', b'F', b'E', rest @ ..] if self.aerodrome_pressure.is_none() => {
                self.aerodrome_pressure = aerodrome_pressure(rest);
            }
            [b'R', b'F', rest @ ..] if self.precipitation.is_none() => {
                let amount = rest.split(|b| *b == b'/').next().and_then(decimal);
                self.precipitation = amount.map(|mm| (mm, 600.0));
            }
            b"PCPN" if self.precipitation.is_none() => self.precipitation = past_hour(after),
            b"DENSITY" if after.first() == Some(&"ALT") => {
                let feet = after.get(1).and_then(|feet| feet.strip_suffix("FT"));
                self.density_altitude = feet.and_then(|feet| feet.replacen('M', "-", 1).parse().ok());
            }
            _ => {}
        }
    }

    /// The sea-level pressure, hPa, whose last figures the remarks give. Below 500 they follow 10, else
    /// 9; where the altimeter setting, hPa, says that the other one must be meant, that one.
    #[must_use]
    pub fn sea_level_pressure(&self, altimeter: Option<f32>) -> Option<f32> {
        let tenths = f32::from(self.sea_level_digits?) / 10.0;
        let (usual, other) =
            if tenths < 50.0 { (1000.0 + tenths, 900.0 + tenths) } else { (900.0 + tenths, 1000.0 + tenths) };
        // Reductions by different means differ by 20 hPa at most, on high plateaus in great cold.
        let far = altimeter.is_some_and(|a| (usual - a).abs() > 60.0 && (other - a).abs() < 40.0);
        Some(if far { other } else { usual })
    }
}

/// `0228`: a sign (1 is minus) and tenths.
fn tenths(text: &[u8]) -> Option<f32> {
    let sign = match text.first()? {
        b'0' => 1.0,
        b'1' => -1.0,
        _ => return None,
    };
    number(&text[1..]).map(|n| sign * n as f32 / 10.0)
}

/// `00.2`.
fn decimal(text: &[u8]) -> Option<f32> {
    let text = std::str::from_utf8(text).ok()?;
    let plain = text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    text.parse().ok().filter(|_| plain)
}

/// `748/0997` in mm of mercury and hPa, `745`, `740.5`, `0997`.
fn aerodrome_pressure(text: &[u8]) -> Option<f32> {
    let mut parts = text.split(|b| *b == b'/');
    let (first, second) = (parts.next().and_then(decimal)?, parts.next().and_then(decimal));
    let plausible = |hectopascals: &f32| (500.0..=1090.0).contains(hectopascals);
    let mercury = first * MERCURY;
    match second {
        // The two say the same, or one of them is a typing error.
        Some(second) => Some(second).filter(|second| plausible(second) && (second - mercury).abs() < 3.0),
        // Both units are in use; only mercury has three figures and no leading zero.
        None if text.len() == 4 && text.iter().all(u8::is_ascii_digit) => Some(first).filter(plausible),
        None => Some(mercury).filter(plausible),
    }
}

/// Canada's `PCPN 0.4MM PAST HR`.
fn past_hour(after: &[&str]) -> Option<(f32, f32)> {
    let amount = after.first()?.strip_suffix("MM").map(str::as_bytes).and_then(decimal)?;
    matches!(after.get(1..3)?, ["PAST", "HR"]).then_some((amount, 3600.0))
}

/// Hectopascals of inches of mercury.
pub(super) fn hectopascals(inches: f32) -> f32 {
    inches * INCH
}
