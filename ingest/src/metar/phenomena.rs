//! Weather groups, and the WMO 4677 code that says the same.
//!
//! | group | code | | group | code |
//! |---|---|---|---|---|
//! | `FU` `VA` | 4 | | `-DZ` `DZ` `+DZ` | 51 53 55 |
//! | `HZ` | 5 | | `-FZDZ`, `FZDZ` `+FZDZ` | 56, 57 |
//! | `DU` | 6 | | `-DZRA`, `DZRA` `+DZRA` | 58, 59 |
//! | `SA` `BLDU` `DRSA` `BLPY` and so on | 7 | | `-RA` `RA` `+RA` | 61 63 65 |
//! | `PO` | 8 | | `-FZRA`, `FZRA` `+FZRA` (and `FZUP`) | 66, 67 |
//! | `VCDS` `VCSS` | 9 | | `-RASN`, `RASN` `+RASN` (and with `DZ`) | 68, 69 |
//! | `BR` | 10 | | `-SN` `SN` `+SN` | 71 73 75 |
//! | `MIFG` | 12 | | `IC`, `SG`, `PL` | 76, 77, 79 |
//! | `VCTS` | 13 | | `-SHRA`, `SHRA` `+SHRA` (and `SH`) | 80, 81 |
//! | `VCSH` `VCRA` | 16 | | `-SHRASN`, `SHRASN` | 83, 84 |
//! | `TS` | 17 | | `-SHSN`, `SHSN` | 85, 86 |
//! | `SQ`, `FC` | 18, 19 | | `-GS`, `GS` (and `SHPL`) | 87, 88 |
//! | `REDZ` `RERA` `RESN` `RERASN` | 20 21 22 23 | | `-GR`, `GR` | 89, 90 |
//! | `REFZRA` `RESHRA` `RESHSN` | 24 25 26 | | `TSRA` `TSSN` | 95 |
//! | `REGR` `REFG` `RETS` | 27 28 29 | | `TSRAGR` `TSGS` | 96 |
//! | `DS` `SS`, `+DS` `+SS` | 31, 34 | | `+TSRA` | 97 |
//! | `DRSN` `+DRSN` `BLSN` `+BLSN` | 36 37 38 39 | | `TSDS` `TSSA` | 98 |
//! | `VCFG` `BCFG` `PRFG` `FG` `FZFG` | 40 41 44 45 48 | | `+TSRAGR` | 99 |
//!
//! Of several the highest is taken, and 17 before 20 to 49, as WMO-306, 12.2.6.4 has it. Precipitation
//! that the instrument can't name (`UP`) has no code there; with `TS`, `SH` or `FZ` it has theirs.

/// How strong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Intensity {
    /// `-`.
    Light,
    /// No sign.
    #[default]
    Moderate,
    /// `+`.
    Heavy,
}

/// The two-letter codes; each has its bit in [`Weather::codes`].
const CODES: [&[u8; 2]; 32] = [
    b"MI", b"PR", b"BC", b"DR", b"BL", b"SH", b"TS", b"FZ", b"DZ", b"RA", b"SN", b"SG", b"IC", b"PL", b"GR", b"GS",
    b"UP", b"BR", b"FG", b"FU", b"VA", b"DU", b"SA", b"HZ", b"PY", b"PO", b"SQ", b"FC", b"SS", b"DS", b"PE", b"VC",
];

const fn bit(code: &[u8; 2]) -> u32 {
    let mut at = 0;
    while at < CODES.len() {
        if CODES[at][0] == code[0] && CODES[at][1] == code[1] {
            return 1 << at;
        }
        at += 1;
    }
    0
}

/// The most two-letter codes in one group.
const MOST: usize = 8;

/// One weather group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather<'a> {
    /// As it was sent.
    pub group: &'a str,
    /// How strong.
    pub intensity: Intensity,
    /// In the past hour, not now (`RE`).
    pub recent: bool,
    /// The two-letter codes, one bit each; [`Weather::has`] asks for one.
    pub codes: u32,
}

impl<'a> Weather<'a> {
    /// Reads a group; none when it is another one. `RE//` is a group without codes.
    #[must_use]
    pub fn parse(group: &'a str) -> Option<Self> {
        let mut rest = group.as_bytes();
        let mut weather = Self { group, intensity: Intensity::Moderate, recent: false, codes: 0 };
        while let Some(after) = rest.strip_prefix(b"RE") {
            weather.recent = true;
            if after == b"//" {
                return Some(weather);
            }
            rest = after;
        }
        match rest {
            [b'-', after @ ..] => (weather.intensity, rest) = (Intensity::Light, after),
            [b'+', after @ ..] => (weather.intensity, rest) = (Intensity::Heavy, after),
            _ => {}
        }
        if rest.is_empty() || rest.len() > 2 * MOST || !rest.len().is_multiple_of(2) {
            return None;
        }
        for pair in rest.chunks_exact(2) {
            let at = CODES.iter().position(|code| code.as_slice() == pair)?;
            weather.codes |= 1 << at;
        }
        // Ice pellets had another name before 1998.
        if weather.has(b"PE") {
            weather.codes |= bit(b"PL");
        }
        (weather.codes != bit(b"VC")).then_some(weather)
    }

    /// Whether the group has this code.
    #[must_use]
    pub const fn has(&self, code: &[u8; 2]) -> bool {
        self.codes & bit(code) != 0
    }

    const fn any(&self, codes: u32) -> bool {
        self.codes & codes != 0
    }

    /// One of two or three codes, by intensity.
    const fn by(&self, light: u8, moderate: u8, heavy: u8) -> u8 {
        match self.intensity {
            Intensity::Light => light,
            Intensity::Moderate => moderate,
            Intensity::Heavy => heavy,
        }
    }

    /// The WMO 4677 code, when there is one.
    #[must_use]
    pub fn code(&self) -> Option<u8> {
        if self.codes == 0 {
            None
        } else if self.recent {
            self.past()
        } else if self.has(b"VC") {
            self.nearby()
        } else if self.has(b"TS") {
            Some(self.thunder())
        } else {
            self.precipitation().or_else(|| self.obscuration())
        }
    }

    fn past(&self) -> Option<u8> {
        let solid = bit(b"GR") | bit(b"GS");
        let code = match () {
            () if self.has(b"TS") => 29,
            () if self.has(b"FZ") && self.any(WET | bit(b"UP")) => 24,
            () if self.any(solid) => 27,
            () if self.has(b"SH") && self.has(b"SN") => 26,
            () if self.has(b"SH") => 25,
            () if self.has(b"PL") || self.any(WET) && self.has(b"SN") => 23,
            () if self.has(b"BL") || self.has(b"DR") => return None,
            () if self.has(b"SN") => 22,
            () if self.has(b"RA") => 21,
            () if self.has(b"DZ") || self.has(b"SG") => 20,
            () if self.has(b"FG") => 28,
            () => return None,
        };
        Some(code)
    }

    fn nearby(&self) -> Option<u8> {
        let code = match () {
            () if self.has(b"TS") => 13,
            () if self.has(b"FG") => 40,
            () if self.has(b"SS") || self.has(b"DS") => 9,
            () if self.has(b"PO") => 8,
            () if self.has(b"FC") => 19,
            () if self.has(b"BL") && self.has(b"SN") => 38,
            () if self.has(b"BL") || self.has(b"DR") => 7,
            () if self.has(b"SH") || self.any(FALLING) => 16,
            () if self.has(b"VA") || self.has(b"FU") => 4,
            () => return None,
        };
        Some(code)
    }

    fn thunder(&self) -> u8 {
        let heavy = self.intensity == Intensity::Heavy;
        if self.has(b"GR") || self.has(b"GS") {
            if heavy { 99 } else { 96 }
        } else if self.any(bit(b"DU") | bit(b"SA") | bit(b"DS") | bit(b"SS")) {
            98
        } else if self.any(FALLING) {
            if heavy { 97 } else { 95 }
        } else {
            17
        }
    }

    fn precipitation(&self) -> Option<u8> {
        if self.has(b"BL") || self.has(b"DR") {
            return None;
        }
        let (rain, drizzle, snow) = (self.has(b"RA"), self.has(b"DZ"), self.has(b"SN"));
        let code = match () {
            () if self.has(b"GR") => self.by(89, 90, 90),
            () if self.has(b"GS") || self.has(b"SH") && self.has(b"PL") => self.by(87, 88, 88),
            () if self.has(b"SH") && snow && (rain || drizzle) => self.by(83, 84, 84),
            () if self.has(b"SH") && snow => self.by(85, 86, 86),
            () if self.has(b"SH") => self.by(80, 81, 81),
            () if self.has(b"PL") => 79,
            () if self.has(b"FZ") && (rain || self.has(b"UP")) => self.by(66, 67, 67),
            () if self.has(b"FZ") && drizzle => self.by(56, 57, 57),
            () if self.has(b"SG") => 77,
            () if snow && (rain || drizzle) => self.by(68, 69, 69),
            () if snow => self.by(71, 73, 75),
            () if rain && drizzle => self.by(58, 59, 59),
            () if rain => self.by(61, 63, 65),
            () if drizzle => self.by(51, 53, 55),
            () if self.has(b"IC") => 76,
            () => return None,
        };
        Some(code)
    }

    fn obscuration(&self) -> Option<u8> {
        let code = match () {
            () if self.has(b"BC") => 41,
            () if self.has(b"MI") => 12,
            () if self.has(b"PR") => 44,
            () if self.has(b"FG") => {
                if self.has(b"FZ") {
                    48
                } else {
                    45
                }
            }
            () if self.has(b"BL") && self.has(b"SN") => self.by(38, 38, 39),
            () if self.has(b"DR") && self.has(b"SN") => self.by(36, 36, 37),
            () if self.has(b"SS") || self.has(b"DS") => self.by(31, 31, 34),
            () if self.has(b"FC") => 19,
            () if self.has(b"SQ") => 18,
            () if self.has(b"BR") => 10,
            () if self.has(b"PO") => 8,
            () if self.has(b"BL") || self.has(b"DR") || self.has(b"SA") => 7,
            () if self.has(b"DU") => 6,
            () if self.has(b"HZ") => 5,
            () if self.has(b"FU") || self.has(b"VA") => 4,
            () => return None,
        };
        Some(code)
    }
}

/// What wets.
const WET: u32 = bit(b"RA") | bit(b"DZ");
/// What falls.
const FALLING: u32 = WET | bit(b"SN") | bit(b"SG") | bit(b"IC") | bit(b"PL") | bit(b"GR") | bit(b"GS") | bit(b"UP");

/// The WMO 4677 code of all groups of a report together.
#[must_use]
pub fn present(groups: &[Weather<'_>]) -> Option<u8> {
    let rank = |code: &u8| if *code == 17 { 99 } else { 2 * u16::from(*code) };
    groups.iter().filter_map(Weather::code).max_by_key(rank)
}
