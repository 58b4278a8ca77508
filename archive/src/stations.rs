//! Lists of stations.

use std::path::Path;
use std::str::FromStr;

use weather::{Station, StationId};

use crate::csv_file;
use crate::error::ArchiveError;

/// Reads a station list: CSV with the columns `station` (or `id`) and, where known, `name`,
/// `latitude`, `longitude`, `elevation` (m), `timezone`. Empty cells are unknown.
///
/// # Errors
/// [`ArchiveError`] when the file is unreadable, has no station column, or a line describes no
/// valid station: a position that is wrong by a typing error would spoil every forecast for it.
pub fn read_stations(path: &Path) -> Result<Vec<Station>, ArchiveError> {
    let mut reader = csv_file::reader(path)?;
    let failed = |source| ArchiveError::Csv { path: path.to_owned(), source };
    let names: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    let at = |wanted: &str| names.iter().position(|n| n.trim_start_matches('\u{feff}') == wanted);
    let id = at("station").or_else(|| at("id")).ok_or_else(|| ArchiveError::MissingColumn {
        path: path.to_owned(),
        column: "station",
        found: names.join(", "),
    })?;
    let [name, latitude, longitude, elevation, timezone] =
        ["name", "latitude", "longitude", "elevation", "timezone"].map(at);
    let mut stations = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |message: String| ArchiveError::Line { path: path.to_owned(), line, message };
        let cell = |column: Option<usize>| column.and_then(|c| record.get(c)).filter(|text| !text.is_empty());
        let id = StationId::new(cell(Some(id)).unwrap_or_default()).map_err(|e| wrong(e.to_string()))?;
        let mut station = Station::unregistered(id);
        if let Some(name) = cell(name) {
            name.clone_into(&mut station.name);
        }
        station.latitude = number(cell(latitude), "latitude").map_err(wrong)?;
        station.longitude = number(cell(longitude), "longitude").map_err(wrong)?;
        station.elevation = number(cell(elevation), "elevation").map_err(wrong)?;
        station.timezone = cell(timezone).map(str::to_owned);
        station.check().map_err(|e| wrong(format!("{}: {e}", station.id)))?;
        stations.push(station);
    }
    Ok(stations)
}

fn number<T: FromStr>(cell: Option<&str>, column: &str) -> Result<Option<T>, String> {
    cell.map(|text| text.parse().map_err(|_| format!("{column} `{text}` is no number"))).transpose()
}
