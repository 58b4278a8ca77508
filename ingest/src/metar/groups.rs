//! The groups of numbers: wind, visibility, runways, sky, temperature, pressure, sea.

use crate::units::factor;

/// Metres in a statute mile.
pub(super) const MILE: f32 = factor::STATUTE_MILE as f32;
/// Metres in a foot.
const FOOT: f32 = factor::FOOT as f32;
/// Metres per second in a knot.
const KNOT: f32 = factor::KNOT as f32;
/// Hectopascals in an inch of mercury.
pub(super) const INCH: f32 = factor::INCH_OF_MERCURY as f32;

/// The number that `bytes` spell, if they are one to nine digits and nothing else.
pub(super) fn number(bytes: &[u8]) -> Option<u32> {
    if bytes.is_empty() || bytes.len() > 9 {
        return None;
    }
    bytes.iter().try_fold(0, |sum: u32, b| b.is_ascii_digit().then(|| sum * 10 + u32::from(b - b'0')))
}

/// The first `count` bytes and the others.
fn cut(bytes: &[u8], count: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(count)
}

/// A length that is how it was reported.
fn digits_at_start(bytes: &[u8]) -> usize {
    bytes.iter().take_while(|b| b.is_ascii_digit()).count()
}

/// The wind of the minutes before the report.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Wind {
    /// Degrees the wind comes from; none when variable or not reported. A calm has 0.
    pub direction: Option<u16>,
    /// Whether the direction is variable (`VRB`).
    pub variable: bool,
    /// Mean speed, m/s.
    pub speed: Option<f32>,
    /// Highest gust, m/s.
    pub gust: Option<f32>,
}

/// `dddff(f)(Gff(f))` with its unit; also `VRB`, slashes for what is missing, `P` for more than.
pub(super) fn wind(group: &[u8]) -> Option<Wind> {
    let (rest, unit) = match group {
        [rest @ .., b'K', b'T'] | [rest @ .., b'K', b'T', b'S' | b'T'] => (rest, KNOT),
        [rest @ .., b'M', b'P', b'S'] => (rest, 1.0),
        [rest @ .., b'K', b'M', b'H'] | [rest @ .., b'K', b'P', b'H'] => (rest, 1.0 / 3.6),
        _ => return None,
    };
    // Canada marks an estimated wind.
    let rest = rest.strip_prefix(b"E").unwrap_or(rest);
    let (direction, rest) = cut(rest, 3)?;
    let mut wind = Wind { variable: direction == b"VRB", ..Wind::default() };
    if !wind.variable && direction != b"///" {
        wind.direction = Some(u16::try_from(number(direction)?).ok().filter(|d| *d <= 360)?);
    }
    let mut parts = rest.splitn(2, |b| *b == b'G');
    let speed = parts.next()?;
    wind.speed = if speed == b"//" || speed == b"///" { None } else { Some(force(speed)? * unit) };
    wind.gust = match parts.next() {
        None | Some(b"//") => None,
        Some(gust) => Some(force(gust)? * unit),
    };
    Some(wind)
}

/// Two or three digits, with `P` in front when it is more than that.
fn force(text: &[u8]) -> Option<f32> {
    let text = text.strip_prefix(b"P").unwrap_or(text);
    if !(2..=3).contains(&text.len()) {
        return None;
    }
    number(text).map(|n| n as f32)
}

/// `dddVddd`: between which degrees the direction varies.
pub(super) fn variation(group: &[u8]) -> Option<(u16, u16)> {
    let (from, to) = (group.get(..3)?, group.get(4..7)?);
    if group.len() != 7 || group[3] != b'V' {
        return None;
    }
    let degrees = |text| number(text).and_then(|n| u16::try_from(n).ok()).filter(|d| *d <= 360);
    Some((degrees(from)?, degrees(to)?))
}

/// Whether a quantity is what is said, or beyond it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bound {
    /// Less than.
    Below,
    /// What is said.
    #[default]
    Exact,
    /// More than.
    Above,
}

/// How far one sees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Visibility {
    /// Metres.
    pub metres: f32,
    /// Whether it is less (`M1/4SM`) or more (`P6SM`, `9999`) than that.
    pub bound: Bound,
}

/// The least visibility in any direction, where it differs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Minimum {
    /// Metres.
    pub metres: f32,
    /// Degrees of the direction in which it is found, when it was said.
    pub direction: Option<u16>,
}

/// The sector of a compass point, degrees.
fn compass(text: &[u8]) -> Option<u16> {
    const POINTS: [&[u8]; 8] = [b"N", b"NE", b"E", b"SE", b"S", b"SW", b"W", b"NW"];
    let place = POINTS.iter().position(|point| *point == text)?;
    Some([360, 45, 90, 135, 180, 225, 270, 315][place])
}

/// Four digits in metres, with `NDV` or the point of the compass; or whole kilometres.
pub(super) fn metric_visibility(group: &[u8]) -> Option<(Visibility, Option<u16>)> {
    if let Some(kilometres) = group.strip_suffix(b"KM") {
        let kilometres = number(kilometres).filter(|_| kilometres.len() <= 2)?;
        return Some((Visibility { metres: kilometres as f32 * 1000.0, bound: Bound::Exact }, None));
    }
    // Less than that, at automatic stations of the United States' forces.
    let (below, group) = group.strip_prefix(b"M").map_or((false, group), |rest| (true, rest));
    let (metres, suffix) = cut(group, 4)?;
    let metres = number(metres)?;
    let direction = match suffix {
        b"" | b"NDV" | b"M" | b"//" => None,
        point => Some(compass(point)?),
    };
    let bound = match metres {
        _ if below => Bound::Below,
        9999 => Bound::Above,
        _ => Bound::Exact,
    };
    let metres = if metres == 9999 { 10_000.0 } else { metres as f32 };
    Some((Visibility { metres, bound }, direction))
}

/// `10SM`, `1/4SM`, `M1/4SM`, `P6SM`; `whole` are the miles of the group before, as in `1 1/2SM`.
pub(super) fn miles(group: &[u8], whole: Option<u32>) -> Option<Visibility> {
    let rest = group.strip_suffix(b"SM")?;
    let (rest, bound) = match rest {
        [b'M', rest @ ..] => (rest, Bound::Below),
        [b'P', rest @ ..] => (rest, Bound::Above),
        rest => (rest, Bound::Exact),
    };
    let mut parts = rest.splitn(2, |b| *b == b'/');
    let above = parts.next()?;
    let miles = match parts.next() {
        None => number(above).filter(|_| above.len() <= 3 && whole.is_none())? as f32,
        Some(below) => {
            let below = number(below).filter(|n| (1..=16).contains(n))?;
            // `11/2SM`: the space between 1 and 1/2 got lost.
            let (lost, above) = match above {
                [tens, ones] if number(above)? >= below && *ones != b'0' => (u32::from(tens - b'0'), &above[1..]),
                above => (0, above),
            };
            let above = number(above).filter(|n| *n < 16)?;
            (whole.unwrap_or_default() + lost) as f32 + above as f32 / below as f32
        }
    };
    Some(Visibility { metres: miles * MILE, bound })
}

/// The visual range along a runway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunwayRange<'a> {
    /// The runway, as `28L`.
    pub runway: &'a str,
    /// The range, or the lower of the two between which it varies, m.
    pub metres: f32,
    /// Whether it is beyond that.
    pub bound: Bound,
    /// The higher of the two, m.
    pub most: Option<f32>,
    /// `U`p, `D`own or `N`o change.
    pub tendency: Option<char>,
}

/// Whether the group speaks of a runway: `R28L/...`, and the older eight figures of its state.
pub(super) fn is_runway(group: &[u8]) -> bool {
    match group {
        [b'R', b'/', rest @ ..] => rest == b"SNOCLO" || rest.iter().all(|b| *b == b'/'),
        [b'R', b'0'..=b'9', b'0'..=b'9', rest @ ..] => {
            let side = rest.iter().take_while(|b| matches!(b, b'L' | b'R' | b'C')).count();
            side <= 2 && rest.get(side) == Some(&b'/')
        }
        [b'0'..=b'9', b'0'..=b'9', rest @ ..] if group.len() == 8 => {
            rest.iter().all(|b| b.is_ascii_digit() || *b == b'/') || rest.starts_with(b"CLRD")
        }
        _ => group == b"SNOCLO",
    }
}

/// `R28L/2600FT/U`, `R06/0600V1200D`, `R24/P1500N`, `R06/M0050`; none for the state of a runway.
pub(super) fn runway_range(group: &str) -> Option<RunwayRange<'_>> {
    let (runway, rest) = group.strip_prefix('R')?.split_once('/')?;
    let rest = rest.as_bytes();
    let (first, bound, rest) = range(rest)?;
    let (most, rest) = match rest {
        [b'V', rest @ ..] => range(rest).map(|(most, _, rest)| (Some(most), rest))?,
        rest => (None, rest),
    };
    let (unit, rest) = rest.strip_prefix(b"FT").map_or((1.0, rest), |rest| (FOOT, rest));
    let rest = rest.strip_prefix(b"/").unwrap_or(rest);
    let tendency = match rest {
        [] => None,
        [tendency @ (b'U' | b'D' | b'N')] => Some(char::from(*tendency)),
        _ => return None,
    };
    Some(RunwayRange { runway, metres: first * unit, bound, most: most.map(|m| m * unit), tendency })
}

fn range(text: &[u8]) -> Option<(f32, Bound, &[u8])> {
    let (text, bound) = match text {
        [b'M', rest @ ..] => (rest, Bound::Below),
        [b'P', rest @ ..] => (rest, Bound::Above),
        rest => (rest, Bound::Exact),
    };
    let (digits, rest) = cut(text, 4)?;
    Some((number(digits)? as f32, bound, rest))
}

/// One layer of cloud.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Layer<'a> {
    /// How much of the sky, in eighths: FEW 2, SCT 4, BKN 7, OVC 8; none when not known (`///`).
    pub oktas: Option<u8>,
    /// Height of its base above the aerodrome, m.
    pub base: Option<f32>,
    /// `CB`, `TCU`, or another kind that was named.
    pub kind: Option<&'a str>,
}

/// What a group says of the sky.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Sky<'a> {
    /// `SKC`, `CLR`, `NSC`, `NCD`: no cloud, or none that matters.
    Clear,
    /// The sky can't be seen; the vertical visibility, m, when it is known.
    Obscured(Option<f32>),
    /// A layer.
    Layer(Layer<'a>),
}

/// `FEW020CB`, `BKN///`, `///015`, `//////TCU`, `VV002`, `NSC`.
pub(super) fn sky(group: &str) -> Option<Sky<'_>> {
    let oktas = match group.get(..3)? {
        "SKC" | "CLR" | "NSC" | "NCD" if group.len() == 3 => return Some(Sky::Clear),
        "FEW" => Some(2),
        "SCT" => Some(4),
        "BKN" => Some(7),
        "OVC" => Some(8),
        "///" => None,
        _ => {
            let height = group.strip_prefix("VV")?.as_bytes();
            let known = number(height).filter(|_| height.len() == 3).map(|n| n as f32 * 100.0 * FOOT);
            let missing = height.iter().all(|b| *b == b'/') && (2..=3).contains(&height.len());
            return (known.is_some() || missing).then_some(Sky::Obscured(known));
        }
    };
    let rest = &group[3..];
    let digits = digits_at_start(rest.as_bytes());
    let (base, rest) = match digits {
        // Hundreds of feet. With a digit lost or doubled the amount still stands.
        3 => (number(&rest.as_bytes()[..3]).map(|n| n as f32 * 100.0 * FOOT), &rest[3..]),
        2 | 4 if oktas.is_some() => (None, &rest[digits..]),
        0 => (None, rest.strip_prefix("///").unwrap_or(rest)),
        _ => return None,
    };
    let kind = match rest {
        "" | "///" | "//" | "/" => None,
        "CB" | "TCU" | "CU" | "CI" | "CC" | "CS" | "AC" | "ACC" | "AS" | "NS" | "SC" | "ST" => Some(rest),
        _ => return None,
    };
    // Six slashes or more say only that the instrument is out.
    Some(Sky::Layer(Layer { oktas, base, kind }))
}

/// Temperature and dew point, whole °C; what is missing is none. The group as a whole is none when it is
/// another one, or out of any thermometer's range.
pub(super) fn temperatures(group: &[u8]) -> Option<(Option<f32>, Option<f32>)> {
    let slash = if group.starts_with(b"///") { 2 } else { group.iter().position(|b| *b == b'/')? };
    let (first, second) = (&group[..slash], &group[slash + 1..]);
    if first.is_empty() {
        return None;
    }
    Some((degrees(first)?, degrees(second)?))
}

fn degrees(text: &[u8]) -> Option<Option<f32>> {
    if matches!(text, b"" | b"/" | b"//" | b"///" | b"XX" | b"MM" | b"M") {
        return Some(None);
    }
    let (digits, sign) = match text {
        // `MS`: menos, in Peru.
        [b'M', b'S', rest @ ..] | [b'M' | b'-', rest @ ..] => (rest, -1.0),
        rest => (rest, 1.0),
    };
    let value = number(digits).filter(|_| digits.len() <= 2)? as f32 * sign;
    (-95.0..=62.0).contains(&value).then_some(Some(value))
}

/// A pressure that a group reports, reduced to sea level with the standard atmosphere.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Pressure {
    /// `Q`: hPa.
    Hectopascals(f32),
    /// `A`: inches of mercury.
    Inches(f32),
    /// The group is there and says nothing.
    Missing,
}

/// `Q1013`, `A2992`, `Q////`, `QNH2992INS`.
pub(super) fn pressure(group: &[u8]) -> Option<Pressure> {
    let rest = match group {
        [b'Q', b'N', b'H', rest @ ..] | [b'Q' | b'A', rest @ ..] => rest,
        _ => return None,
    };
    let rest = rest.strip_suffix(b"INS").or_else(|| rest.strip_suffix(b"HPA")).unwrap_or(rest);
    if rest.len() >= 2 && rest.iter().all(|b| *b == b'/') || matches!(rest, [_, _, b'/', b'/']) {
        return Some(Pressure::Missing);
    }
    // Both units in one group: Q1014/2995.
    let rest = rest.iter().position(|b| *b == b'/').map_or(rest, |slash| &rest[..slash]);
    if !(3..=4).contains(&rest.len()) {
        return None;
    }
    // The letter is mistaken now and then; the numbers can't be.
    match number(rest)? {
        0 => Some(Pressure::Missing),
        hectopascals @ 850..=1090 => Some(Pressure::Hectopascals(hectopascals as f32)),
        inches @ 2500..=3220 => Some(Pressure::Inches(inches as f32 / 100.0)),
        _ => None,
    }
}

/// Whether it is `W15/S4` or `W15/H14`: the sea's temperature and state.
pub(super) fn is_sea(group: &[u8]) -> bool {
    if group == b"W/////" {
        return true;
    }
    let Some((temperature, rest)) = group.strip_prefix(b"W").and_then(|rest| {
        let slash = rest.iter().rposition(|b| matches!(b, b'S' | b'H'))?;
        Some((rest[..slash].strip_suffix(b"/")?, &rest[slash + 1..]))
    }) else {
        return false;
    };
    let filled = |text: &[u8]| text.iter().all(|b| b.is_ascii_digit() || *b == b'/');
    let temperature = temperature.strip_prefix(b"M").unwrap_or(temperature);
    temperature.len() == 2 && filled(temperature) && rest.len() <= 3 && filled(rest)
}

/// Whether it is a colour state of military aerodromes: `BLU`, `YLO2`, `BLACKRED`, `BLU+`.
pub(super) fn is_colour(group: &str) -> bool {
    const COLOURS: [&str; 7] = ["BLACK", "BLU", "WHT", "GRN", "YLO", "AMB", "RED"];
    let mut rest = group;
    while let Some(after) = COLOURS.iter().find_map(|colour| rest.strip_prefix(colour)) {
        rest = after.strip_prefix(['1', '2', '+', '/']).unwrap_or(after);
    }
    rest.is_empty() && !group.is_empty()
}
