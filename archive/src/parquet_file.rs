//! Parquet by typed column readers, a batch of rows at a time.

use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use parquet::basic::{ConvertedType, LogicalType, TimeUnit};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::types::ColumnDescriptor;
use weather::{StationId, Time, Values};

use crate::columns::{self, Layout, PressureKind};
use crate::csv_file::parse_time;
use crate::error::ArchiveError;
use crate::observations::Row;
use crate::report::Report;

/// Rows decoded at once: enough to make the per-batch work vanish, small enough to stay in cache.
const BATCH: usize = 16_384;

/// Stations repeat for thousands of rows, so each identifier is checked and allocated once.
type Stations = HashMap<Vec<u8>, Result<StationId, String>>;

pub(crate) struct ParquetFile {
    path: PathBuf,
    reader: SerializedFileReader<File>,
    pub(crate) layout: Layout,
    next_group: usize,
    group: Option<Group>,
    batch: Batch,
    row: usize,
    stations: Stations,
}

/// The open columns of one row group.
struct Group {
    station: ColumnReader,
    time: ColumnReader,
    received: Option<ColumnReader>,
    pressure_kind: Option<ColumnReader>,
    measured: Vec<ColumnReader>,
    /// Rows not yet decoded.
    left: usize,
}

/// Decoded rows, column by column.
#[derive(Default)]
struct Batch {
    station: Vec<Result<StationId, String>>,
    time: Vec<Result<Time, String>>,
    received: Vec<Result<Option<Time>, String>>,
    pressure_kind: Vec<PressureKind>,
    measured: Vec<Vec<f32>>,
}

impl ParquetFile {
    pub(crate) fn open(path: &Path) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(|source| ArchiveError::Io { path: path.to_owned(), source })?;
        let reader = SerializedFileReader::new(file)
            .map_err(|source| ArchiveError::Parquet { path: path.to_owned(), source })?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        // Nested columns have longer paths and never match a name of ours.
        let names: Vec<String> = schema.columns().iter().map(|c| c.path().string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let mut layout = Layout::find(&names).map_err(|column| ArchiveError::MissingColumn {
            path: path.to_owned(),
            column,
            found: names.join(", "),
        })?;
        // Weather in words is not read; any other column must hold numbers.
        layout.measured.retain(|(index, meaning)| {
            *meaning != columns::Meaning::Value(weather::Variable::PresentWeather)
                || schema.column(*index).physical_type() != parquet::basic::Type::BYTE_ARRAY
        });
        Ok(Self {
            path: path.to_owned(),
            reader,
            layout,
            next_group: 0,
            group: None,
            batch: Batch::default(),
            row: 0,
            stations: Stations::new(),
        })
    }

    pub(crate) fn row_count(&self) -> u64 {
        u64::try_from(self.reader.metadata().file_metadata().num_rows()).unwrap_or(0)
    }

    pub(crate) fn next(&mut self, report: &mut Report) -> Result<Option<Row>, ArchiveError> {
        if self.row == self.batch.station.len() && !self.fill()? {
            return Ok(None);
        }
        let row = self.row;
        self.row += 1;
        report.rows += 1;
        let kind = self.batch.pressure_kind.get(row).copied().unwrap_or_default();
        let mut values = Values::default();
        for ((_, meaning), column) in self.layout.measured.iter().zip(&self.batch.measured) {
            columns::put(&mut values, *meaning, kind, column[row], report);
        }
        Ok(Some(Row {
            station: self.batch.station[row].clone(),
            time: self.batch.time[row].clone(),
            received: self.batch.received.get(row).cloned().unwrap_or(Ok(None)),
            values,
        }))
    }

    /// Decodes the next batch; false at the end of the file.
    fn fill(&mut self) -> Result<bool, ArchiveError> {
        loop {
            let failed = |source| ArchiveError::Parquet { path: self.path.clone(), source };
            match self.group.as_mut() {
                Some(group) if group.left > 0 => {
                    let schema = self.reader.metadata().file_metadata().schema_descr_ptr();
                    let time = schema.column(self.layout.time);
                    let received = self.layout.received.map(|index| schema.column(index));
                    self.batch =
                        group.read(&time, received.as_deref(), &mut self.stations).map_err(|fault| match fault {
                            Fault::Parquet(source) => failed(source),
                            Fault::Type(at, expected) => {
                                let index = at.resolve(&self.layout);
                                ArchiveError::ColumnType {
                                    path: self.path.clone(),
                                    column: schema.column(index).name().to_owned(),
                                    found: schema.column(index).physical_type().to_string(),
                                    expected,
                                }
                            }
                        })?;
                    self.row = 0;
                    return Ok(true);
                }
                _ if self.next_group < self.reader.num_row_groups() => {
                    let group = Group::open(&self.reader, self.next_group, &self.layout).map_err(failed)?;
                    self.next_group += 1;
                    self.group = Some(group);
                }
                _ => return Ok(false),
            }
        }
    }
}

/// A column of a role, to name it in an error.
#[derive(Clone, Copy)]
enum Role {
    Station,
    Time,
    Received,
    PressureKind,
    Measured(usize),
}

impl Role {
    fn resolve(self, layout: &Layout) -> usize {
        match self {
            Self::Station => layout.station,
            Self::Time => layout.time,
            Self::Received => layout.received.unwrap_or(layout.time),
            Self::PressureKind => layout.pressure_kind.unwrap_or(layout.station),
            Self::Measured(at) => layout.measured[at].0,
        }
    }
}

/// What can fail while decoding a batch.
enum Fault {
    Parquet(ParquetError),
    Type(Role, &'static str),
}

impl From<ParquetError> for Fault {
    fn from(error: ParquetError) -> Self {
        Self::Parquet(error)
    }
}

impl Group {
    fn open(file: &SerializedFileReader<File>, index: usize, layout: &Layout) -> Result<Self, ParquetError> {
        let group = file.get_row_group(index)?;
        let measured: Result<Vec<_>, _> =
            layout.measured.iter().map(|(column, _)| group.get_column_reader(*column)).collect();
        Ok(Self {
            station: group.get_column_reader(layout.station)?,
            time: group.get_column_reader(layout.time)?,
            received: layout.received.map(|column| group.get_column_reader(column)).transpose()?,
            pressure_kind: layout.pressure_kind.map(|column| group.get_column_reader(column)).transpose()?,
            measured: measured?,
            left: usize::try_from(group.metadata().num_rows()).unwrap_or(0),
        })
    }

    fn read(
        &mut self,
        time: &ColumnDescriptor,
        received: Option<&ColumnDescriptor>,
        known: &mut Stations,
    ) -> Result<Batch, Fault> {
        let rows = self.left.min(BATCH);
        self.left -= rows;
        let observed = times(&mut self.time, rows, time, Role::Time)?;
        let mut batch = Batch {
            station: stations(&mut self.station, rows, known)?,
            time: observed.into_iter().map(|time| time?.ok_or_else(|| "no time".to_owned())).collect(),
            ..Batch::default()
        };
        if let Some((reader, descriptor)) = self.received.as_mut().zip(received) {
            batch.received = times(reader, rows, descriptor, Role::Received)?;
        }
        if let Some(reader) = &mut self.pressure_kind {
            let ColumnReader::ByteArrayColumnReader(reader) = reader else {
                return Err(Fault::Type(Role::PressureKind, "text is needed"));
            };
            batch.pressure_kind =
                column(reader, rows, |text: &ByteArray| PressureKind::of(text.data()), || PressureKind::Unknown)?;
        }
        for (at, reader) in self.measured.iter_mut().enumerate() {
            let Some(numbers) = numbers(reader, rows)? else {
                return Err(Fault::Type(Role::Measured(at), "numbers are needed"));
            };
            batch.measured.push(numbers);
        }
        Ok(batch)
    }
}

/// Reads `rows` rows of a flat column: `convert` each value, `absent` for each null.
pub(crate) fn column<T: DataType, V>(
    reader: &mut ColumnReaderImpl<T>,
    rows: usize,
    mut convert: impl FnMut(&T::T) -> V,
    absent: impl Fn() -> V,
) -> Result<Vec<V>, ParquetError> {
    let mut levels: Vec<i16> = Vec::with_capacity(rows);
    let mut values: Vec<T::T> = Vec::with_capacity(rows);
    let (records, _, _) = reader.read_records(rows, Some(&mut levels), None, &mut values)?;
    if records != rows {
        return Err(ParquetError::General(format!("a column ends {} rows early", rows - records)));
    }
    if levels.is_empty() {
        return Ok(values.iter().map(convert).collect());
    }
    let mut values = values.iter();
    Ok(levels
        .iter()
        .map(|level| if *level > 0 { values.next().map_or_else(&absent, &mut convert) } else { absent() })
        .collect())
}

#[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)] // measurements have few digits
fn numbers(reader: &mut ColumnReader, rows: usize) -> Result<Option<Vec<f32>>, ParquetError> {
    let absent = || f32::NAN;
    let numbers = match reader {
        ColumnReader::FloatColumnReader(r) => column(r, rows, |v| *v, absent)?,
        ColumnReader::DoubleColumnReader(r) => column(r, rows, |v| *v as f32, absent)?,
        ColumnReader::Int32ColumnReader(r) => column(r, rows, |v| *v as f32, absent)?,
        ColumnReader::Int64ColumnReader(r) => column(r, rows, |v| *v as f32, absent)?,
        _ => return Ok(None),
    };
    Ok(Some(numbers))
}

fn stations(
    reader: &mut ColumnReader,
    rows: usize,
    known: &mut Stations,
) -> Result<Vec<Result<StationId, String>>, Fault> {
    let absent = || Err("no station".to_owned());
    let numbered = |n: String| StationId::new(&n).map_err(|e| e.to_string());
    Ok(match reader {
        ColumnReader::ByteArrayColumnReader(r) => column(r, rows, |text| intern(text, known), absent)?,
        ColumnReader::Int32ColumnReader(r) => column(r, rows, |n| numbered(n.to_string()), absent)?,
        ColumnReader::Int64ColumnReader(r) => column(r, rows, |n| numbered(n.to_string()), absent)?,
        _ => return Err(Fault::Type(Role::Station, "text or whole numbers are needed")),
    })
}

fn intern(text: &ByteArray, known: &mut Stations) -> Result<StationId, String> {
    if let Some(id) = known.get(text.data()) {
        return id.clone();
    }
    let id = match std::str::from_utf8(text.data()) {
        Ok(text) => StationId::new(text).map_err(|e| e.to_string()),
        Err(_) => Err("the station is not UTF-8".to_owned()),
    };
    known.insert(text.data().to_vec(), id.clone());
    id
}

fn times(
    reader: &mut ColumnReader,
    rows: usize,
    descriptor: &ColumnDescriptor,
    role: Role,
) -> Result<Vec<Result<Option<Time>, String>>, Fault> {
    let absent = || Ok(None);
    let expected = "a timestamp in ms, us or ns, or text in RFC 3339, is needed";
    Ok(match reader {
        ColumnReader::Int64ColumnReader(r) => {
            let per_second = per_second(descriptor).ok_or(Fault::Type(role, expected))?;
            column(r, rows, |v| Ok(Some(Time::from_unix(v.div_euclid(per_second)))), absent)?
        }
        ColumnReader::Int96ColumnReader(r) => column(r, rows, |v| Ok(Some(Time::from_unix(v.to_seconds()))), absent)?,
        ColumnReader::ByteArrayColumnReader(r) => {
            column(r, rows, |v| v.as_utf8().map_err(|e| e.to_string()).and_then(parse_time).map(Some), absent)?
        }
        _ => return Err(Fault::Type(role, expected)),
    })
}

/// How many units of an integer timestamp make a second.
fn per_second(descriptor: &ColumnDescriptor) -> Option<i64> {
    match (descriptor.logical_type_ref(), descriptor.converted_type()) {
        (Some(LogicalType::Timestamp(time)), _) => Some(match time.unit {
            TimeUnit::MILLIS => 1_000,
            TimeUnit::MICROS => 1_000_000,
            TimeUnit::NANOS => 1_000_000_000,
        }),
        (_, ConvertedType::TIMESTAMP_MILLIS) => Some(1_000),
        (_, ConvertedType::TIMESTAMP_MICROS) => Some(1_000_000),
        _ => None,
    }
}
