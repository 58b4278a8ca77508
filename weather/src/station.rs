//! Stations and their identifiers.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::admission::{Reason, Rejection};

/// The longest station identifier, in bytes.
pub const ID_LENGTH: usize = 64;

/// A station's identifier: 1 to 64 of `A-Z a-z 0-9 _ . : -`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StationId(Arc<str>);

impl StationId {
    /// Checks `text` and makes it an identifier.
    ///
    /// # Errors
    /// [`Reason::BadStation`] when it is empty, too long, or has another character.
    pub fn new(text: &str) -> Result<Self, Rejection> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'-');
        // `.` and `..` mean something else in a URL's path.
        if text.is_empty() || text.len() > ID_LENGTH || !text.bytes().all(allowed) || matches!(text, "." | "..") {
            return Err(Rejection::new(
                "station",
                Reason::BadStation,
                format!("a station id has 1 to {ID_LENGTH} characters of A-Z a-z 0-9 _ . : -"),
            ));
        }
        Ok(Self(Arc::from(text)))
    }

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for StationId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for StationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Serialize for StationId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StationId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::new(&text).map_err(de::Error::custom)
    }
}

/// What is known of a station.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Station {
    /// Its identifier.
    pub id: StationId,
    /// What people call it; the identifier until someone registers it.
    pub name: String,
    /// Degrees north; absent until someone registers the station.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latitude: Option<f64>,
    /// Degrees east.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub longitude: Option<f64>,
    /// Metres above sea level.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevation: Option<f32>,
    /// IANA name, as `Europe/Budapest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// Whether people without rights may see it.
    #[serde(default = "yes")]
    pub public: bool,
    /// Whether its observations are made up. Shown wherever the station is.
    #[serde(default)]
    pub simulated: bool,
}

const fn yes() -> bool {
    true
}

impl Station {
    /// A station that has spoken but that nobody has described: no name, no position.
    #[must_use]
    pub fn unregistered(id: StationId) -> Self {
        Self {
            name: id.as_str().to_owned(),
            id,
            latitude: None,
            longitude: None,
            elevation: None,
            timezone: None,
            public: true,
            simulated: false,
        }
    }

    /// Latitude and longitude in degrees, when both are known.
    #[must_use]
    pub fn position(&self) -> Option<(f64, f64)> {
        self.latitude.zip(self.longitude)
    }

    /// Checks name, position, elevation and time zone.
    ///
    /// # Errors
    /// A [`Rejection`] that names the first bad field.
    pub fn check(&self) -> Result<(), Rejection> {
        let bad = |field: &'static str, fix: &str| Err(Rejection::new(field, Reason::OutOfRange, fix.to_owned()));
        let length = self.name.chars().count();
        if length == 0 || length > 200 || self.name.chars().any(char::is_control) {
            return bad("name", "a name has 1 to 200 characters and no control characters");
        }
        if self.latitude.is_some_and(|v| !(-90.0..=90.0).contains(&v)) {
            return bad("latitude", "degrees north, -90 to 90");
        }
        if self.longitude.is_some_and(|v| !(-180.0..=180.0).contains(&v)) {
            return bad("longitude", "degrees east, -180 to 180");
        }
        if self.latitude.is_some() != self.longitude.is_some() {
            let field = if self.latitude.is_some() { "longitude" } else { "latitude" };
            return bad(field, "latitude and longitude go together: give both or neither");
        }
        if self.elevation.is_some_and(|v| !(-500.0..=9000.0).contains(&v)) {
            return bad("elevation", "metres above sea level, -500 to 9000");
        }
        if let Some(zone) = &self.timezone
            && jiff::tz::TimeZone::get(zone).is_err()
        {
            return bad("timezone", "an IANA name such as Europe/Budapest");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> StationId {
        StationId::new(text).unwrap()
    }

    #[test]
    fn identifiers_are_checked() {
        assert!(StationId::new("KJFK:roof-2_b.1").is_ok());
        for bad in ["", ".", "..", "a b", "ő", "a/b", "<b>", &"x".repeat(65)] {
            assert_eq!(StationId::new(bad).unwrap_err().reason, Reason::BadStation, "{bad}");
        }
    }

    #[test]
    fn positions_and_zones_are_checked() {
        let mut station = Station::unregistered(id("A"));
        station.check().unwrap();
        station.latitude = Some(47.5);
        assert_eq!(station.check().unwrap_err().field, "longitude");
        station.longitude = Some(f64::NAN);
        assert_eq!(station.check().unwrap_err().field, "longitude");
        station.longitude = Some(19.0);
        station.timezone = Some("Europe/Atlantis".into());
        assert_eq!(station.check().unwrap_err().field, "timezone");
        station.timezone = Some("Europe/Budapest".into());
        station.check().unwrap();
    }
}
