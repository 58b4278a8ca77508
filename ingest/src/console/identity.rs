//! Which station a console is.
//!
//! A console of Ecowitt or Ambient is known by its PASSKEY or MAC, which is also its only secret. The
//! station is named after a digest of it, or as the operator says. (A digest hides a random key. Of a
//! PASSKEY that is made of a MAC address somebody with patience can find the address.)

use std::collections::HashMap;

use anyhow::{Context, bail};
use sha2::{Digest, Sha256};
use weather::{Rejection, StationId};

use super::Settings;
use super::names::Gauge;

/// Hexadecimal digits of the digest in a station's id.
const DIGITS: usize = 12;

/// The consoles that the operator has named, and what holds for all others.
#[derive(Clone, Debug)]
pub(crate) struct Consoles {
    named: HashMap<String, (StationId, Option<Gauge>)>,
    gauge: Gauge,
}

impl Consoles {
    /// Reads the file of consoles, if there is one.
    pub(crate) fn open(settings: &Settings) -> anyhow::Result<Self> {
        let mut consoles = Self { named: HashMap::new(), gauge: settings.rain_gauge };
        if let Some(file) = &settings.consoles_file {
            let setting = || format!("WEATHERGLASS_CONSOLES_FILE {}", file.display());
            consoles.name(&std::fs::read_to_string(file).with_context(setting)?).with_context(setting)?;
        }
        Ok(consoles)
    }

    /// No console is named.
    pub(crate) fn unnamed() -> Self {
        Self { named: HashMap::new(), gauge: Gauge::Tipping }
    }

    fn name(&mut self, text: &str) -> anyhow::Result<()> {
        for (number, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default();
            let mut words = line.split_whitespace();
            let Some(console) = words.next() else { continue };
            let line = number + 1;
            let Some(station) = words.next() else { bail!("line {line}: CONSOLE STATION [tipping|piezo]") };
            let station = StationId::new(station).with_context(|| format!("line {line}"))?;
            let gauge = match words.next() {
                None => None,
                Some("tipping") => Some(Gauge::Tipping),
                Some("piezo") => Some(Gauge::Piezo),
                Some(other) => bail!("line {line}: {other:?} is no rain gauge: tipping or piezo"),
            };
            let id = if is_derived(console) { digits_of(console).to_owned() } else { digits(console) };
            self.named.insert(id, (station, gauge));
        }
        Ok(())
    }

    /// The station of a console whose identity is a secret, and the gauge that counts there.
    pub(crate) fn secret(&self, maker: &str, identity: &str) -> Result<(StationId, Gauge), Rejection> {
        let digits = digits(identity);
        match self.named.get(&digits) {
            Some((station, gauge)) => Ok((station.clone(), gauge.unwrap_or(self.gauge))),
            None => Ok((StationId::new(&format!("{maker}-{digits}"))?, self.gauge)),
        }
    }

    /// The same of a console that has a public name.
    ///
    /// # Errors
    /// When the name can't be a station's.
    pub(crate) fn public(&self, name: &str) -> Result<(StationId, Gauge), Rejection> {
        match self.named.get(&digits(name)) {
            Some((station, gauge)) => Ok((station.clone(), gauge.unwrap_or(self.gauge))),
            None => Ok((StationId::new(name)?, self.gauge)),
        }
    }
}

fn is_derived(console: &str) -> bool {
    let digits = digits_of(console);
    digits.len() == DIGITS
        && digits.len() < console.len()
        && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn digits_of(console: &str) -> &str {
    console.rsplit_once('-').map_or("", |(_, digits)| digits)
}

fn digits(identity: &str) -> String {
    let digest = Sha256::digest(identity.trim().as_bytes());
    digest.iter().take(DIGITS / 2).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_station_is_named_after_a_digest_or_as_the_operator_says() {
        let mut consoles = Consoles::unnamed();
        // `printf %s 0123456789ABCDEF0123456789ABCDEF | sha256sum`
        let (station, gauge) = consoles.secret("ecowitt", "0123456789ABCDEF0123456789ABCDEF").unwrap();
        assert_eq!((station.as_str(), gauge), ("ecowitt-cd6c1f7d1dc6", Gauge::Tipping));
        consoles.name("# ours\necowitt-cd6c1f7d1dc6 HOME piezo\n00:11:22:33:44:55 BARN # old\n").unwrap();
        let (station, gauge) = consoles.secret("ecowitt", "0123456789ABCDEF0123456789ABCDEF").unwrap();
        assert_eq!((station.as_str(), gauge), ("HOME", Gauge::Piezo));
        assert_eq!(consoles.secret("ambient", "00:11:22:33:44:55").unwrap().0.as_str(), "BARN");
        assert_eq!(consoles.public("KXX1").unwrap().0.as_str(), "KXX1");
    }

    #[test]
    fn bad_files_are_refused_by_line() {
        for (text, wrong) in [("\nKEY", "line 2"), ("KEY a/b", "line 1"), ("KEY A bucket", "line 1")] {
            let error = format!("{:#}", Consoles::unnamed().name(text).unwrap_err());
            assert!(error.starts_with(wrong), "{error}");
        }
    }
}
