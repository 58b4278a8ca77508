//! CSV with a header.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::ByteRecord;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use weather::{StationId, Time, Values};

use crate::columns::{self, Layout, PressureKind};
use crate::error::ArchiveError;
use crate::observations::Row;
use crate::report::Report;

pub(crate) struct CsvFile {
    path: PathBuf,
    pub(crate) layout: Layout,
    reader: csv::Reader<File>,
    record: ByteRecord,
}

/// A CSV reader that takes rows of any length: a short row is one bad row, not a bad file.
pub(crate) fn reader(path: &Path) -> Result<csv::Reader<File>, ArchiveError> {
    let file = File::open(path).map_err(|source| ArchiveError::Io { path: path.to_owned(), source })?;
    Ok(csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(file))
}

impl CsvFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let mut reader = reader(path)?;
        let failed = |source| ArchiveError::Csv { path: path.to_owned(), source };
        let names: Vec<String> = reader.headers().map_err(failed)?.iter().map(str::to_owned).collect();
        let names: Vec<&str> = names.iter().map(|n| n.trim_start_matches('\u{feff}')).collect();
        let layout = Layout::find(&names).map_err(|column| ArchiveError::MissingColumn {
            path: path.to_owned(),
            column,
            found: names.join(", "),
        })?;
        Ok(Self { path: path.to_owned(), layout, reader, record: ByteRecord::new() })
    }

    pub(crate) fn next(&mut self, report: &mut Report) -> Result<Option<Row>, ArchiveError> {
        let more = self.reader.read_byte_record(&mut self.record);
        if !more.map_err(|source| ArchiveError::Csv { path: self.path.clone(), source })? {
            return Ok(None);
        }
        report.rows += 1;
        let cell = |index: usize| self.record.get(index).unwrap_or_default();
        let text = |index: usize| std::str::from_utf8(cell(index)).map_err(|_| "not UTF-8".to_owned());
        let station = text(self.layout.station).and_then(|t| StationId::new(t).map_err(|e| e.to_string()));
        let time = text(self.layout.time).and_then(parse_time);
        let received = match self.layout.received.map(text).transpose() {
            Ok(None | Some("")) => Ok(None),
            Ok(Some(text)) => parse_time(text).map(Some).map_err(|message| format!("received: {message}")),
            Err(message) => Err(message),
        };
        let kind = self.layout.pressure_kind.map_or(PressureKind::Unknown, |at| PressureKind::of(cell(at)));
        let mut values = Values::default();
        for (index, meaning) in &self.layout.measured {
            match number(cell(*index)) {
                Some(value) => columns::put(&mut values, *meaning, kind, value, report),
                None => report.dropped[meaning.variable() as usize] += 1,
            }
        }
        Ok(Some(Row { station, time, received, values }))
    }
}

/// A cell's number; NaN for the usual ways of writing that there is none; none for other text.
fn number(cell: &[u8]) -> Option<f32> {
    let text = std::str::from_utf8(cell).ok()?;
    match text {
        "" | "NA" | "N/A" | "NaN" | "nan" | "null" | "None" | "M" | "-" => Some(f32::NAN),
        _ => text.parse().ok(),
    }
}

/// RFC 3339, or `YYYY-MM-DD HH:MM[:SS]` in UTC.
pub(crate) fn parse_time(text: &str) -> Result<Time, String> {
    Time::parse(text).or_else(|_| {
        let civil: DateTime = text.parse().map_err(|_| format!("`{text}` is no time such as 2026-11-23T08:00:00Z"))?;
        let zoned = civil.to_zoned(TimeZone::UTC).map_err(|e| e.to_string())?;
        Ok(Time::from_unix(zoned.timestamp().as_second()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_accepted_form() {
        let expected = Time::parse("2026-11-23T08:05:00Z").unwrap();
        for text in ["2026-11-23T08:05:00Z", "2026-11-23 08:05", "2026-11-23 08:05:00", "2026-11-23T09:05:00+01:00"] {
            assert_eq!(parse_time(text), Ok(expected), "{text}");
        }
        assert!(parse_time("23.11.2026").is_err());
    }

    #[test]
    fn numbers_and_the_ways_to_have_none() {
        assert_eq!(number(b"-1.5"), Some(-1.5));
        assert!(number(b"").is_some_and(f32::is_nan));
        assert!(number(b"M").is_some_and(f32::is_nan));
        assert_eq!(number(b"warm"), None);
    }
}
