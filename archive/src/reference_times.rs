//! Lists of moments at which forecasts are wanted.

use std::path::Path;

use weather::{StationId, Time};

use crate::csv_file::{self, parse_time};
use crate::error::ArchiveError;

/// A moment at which a station's forecast is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceTime {
    /// Whose.
    pub station: StationId,
    /// When: what arrived later is not known yet.
    pub time: Time,
    /// The line of the file, the header being 1.
    pub line: u64,
}

/// Reads CSV with the columns `station` (or `id`) and `reference_time`, which is RFC 3339 or
/// `YYYY-MM-DD HH:MM[:SS]` in UTC.
///
/// # Errors
/// [`ArchiveError`] when the file is unreadable, lacks a column, or a line has no station or time.
pub fn read_reference_times(path: &Path) -> Result<Vec<ReferenceTime>, ArchiveError> {
    let mut reader = csv_file::reader(path)?;
    let failed = |source| ArchiveError::Csv { path: path.to_owned(), source };
    let names: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
    let at = |wanted: &str| names.iter().position(|n| n.trim_start_matches('\u{feff}') == wanted);
    let missing = |column| ArchiveError::MissingColumn { path: path.to_owned(), column, found: names.join(", ") };
    let station = at("station").or_else(|| at("id")).ok_or_else(|| missing("station"))?;
    let time = at("reference_time").ok_or_else(|| missing("reference_time"))?;
    let mut moments = Vec::new();
    for record in reader.records() {
        let record = record.map_err(failed)?;
        let line = record.position().map_or(0, csv::Position::line);
        let wrong = |column: &str, message: String| ArchiveError::Line {
            path: path.to_owned(),
            line,
            message: format!("{column}: {message}"),
        };
        let cell = |column: usize| record.get(column).unwrap_or_default();
        moments.push(ReferenceTime {
            station: StationId::new(cell(station)).map_err(|e| wrong("station", e.detail))?,
            time: parse_time(cell(time)).map_err(|message| wrong("reference_time", message))?,
            line,
        });
    }
    Ok(moments)
}
