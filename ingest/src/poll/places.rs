//! Stations that a source describes: registered with their position, unless somebody has done so.

use std::collections::HashSet;

use tracing::{debug, warn};
use weather::{Station, StationId};

use crate::accept::Door;

/// Sees to it that these stations have a position. What an operator has said of a station stays: only
/// one that nobody has described, or that has no position, gets what the source says.
pub(super) async fn introduce(door: &Door, stations: Vec<Station>, introduced: &mut HashSet<StationId>) {
    let new: Vec<Station> = stations.into_iter().filter(|station| !introduced.contains(&station.id)).collect();
    if new.is_empty() {
        return;
    }
    let ids: Vec<StationId> = new.iter().map(|station| station.id.clone()).collect();
    let known = match door.stations(&ids).await {
        Ok(known) => known,
        // With the next answer again; observations don't wait for it.
        Err(error) => return debug!(%error, "stations are introduced later"),
    };
    for (station, known) in new.into_iter().zip(known) {
        let id = station.id.clone();
        if let Some(station) = merged(station, known) {
            if let Err(rejection) = station.check() {
                warn!(station = %id, %rejection, "what the source says of the station can't be used");
            } else if let Err(error) = door.put_station(&station).await {
                debug!(station = %id, %error, "the station is introduced later");
                continue;
            }
        }
        introduced.insert(id);
    }
}

/// The description to register; none when there is nothing to add.
fn merged(offered: Station, known: Option<Station>) -> Option<Station> {
    let Some(known) = known else {
        return offered.position().is_some().then_some(offered);
    };
    if known.position().is_some() || offered.position().is_none() {
        return None;
    }
    let is_named = known.name != known.id.as_str();
    Some(Station {
        name: if is_named { known.name.clone() } else { offered.name },
        latitude: offered.latitude,
        longitude: offered.longitude,
        elevation: known.elevation.or(offered.elevation),
        ..known
    })
}

/// A source's name of a station, as short and plain as ours are; the identifier when there is none.
pub(crate) fn name(text: Option<&str>, id: &StationId) -> String {
    let plain: String = text.unwrap_or_default().chars().filter(|c| !c.is_control()).take(200).collect();
    if plain.trim().is_empty() { id.as_str().to_owned() } else { plain.trim().to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn station(name: &str, position: Option<f64>) -> Station {
        let id = StationId::new("KJFK").unwrap();
        Station {
            name: name.to_owned(),
            latitude: position,
            longitude: position,
            elevation: position.map(|_| 3.0),
            ..Station::unregistered(id)
        }
    }

    #[test]
    fn an_operators_words_stay() {
        let offered = || station("New York/JFK", Some(40.0));
        assert_eq!(merged(offered(), None), Some(offered()));
        assert_eq!(merged(offered(), Some(station("mine", Some(1.0)))), None);
        assert_eq!(merged(station("x", None), None), None);
        let found = merged(offered(), Some(Station { public: false, ..station("mine", None) })).unwrap();
        assert_eq!((found.name.as_str(), found.latitude, found.public), ("mine", Some(40.0), false));
        let found = merged(offered(), Some(station("KJFK", None))).unwrap();
        assert_eq!((found.name.as_str(), found.elevation), ("New York/JFK", Some(3.0)));
    }

    #[test]
    fn names_are_plain() {
        let id = StationId::new("A").unwrap();
        assert_eq!(name(Some(" a\u{7}b "), &id), "ab");
        assert_eq!(name(Some(" "), &id), "A");
        assert_eq!(name(Some(&"x".repeat(500)), &id).len(), 200);
    }
}
