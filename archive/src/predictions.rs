//! Predictions as a Parquet file, one row per station, reference time, variable and lead.
//!
//! | column | type | |
//! |---|---|---|
//! | `station` | string | |
//! | `reference_time` | timestamp (ms, UTC) | the newest observation known by then; leads count from it |
//! | `lead` | int32 | hours after `reference_time`, 1 to 48 |
//! | `variable` | string | a [`Quantity`], `wind_direction` or `precipitation_probability` |
//! | `q05` ... `q95` | float | in the variable's unit; of the last two only `q50` has a value |
//! | `requested_time` | timestamp (ms, UTC) | what was asked for: nothing that arrived later is known |
//!
//! A quantity that was not forecast has no rows. The model stands in the file's metadata, as
//! `weatherglass.model` and `weatherglass.model_version`.

use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::{Compression, ZstdLevel};
use parquet::column::reader::ColumnReader;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use weather::forecast::MEDIAN;
use weather::{LEADS, ModelId, Prediction, QUANTILES, Quantity, StationId, Time};

use crate::error::ArchiveError;
use crate::parquet_file::column;

/// Rows of a row group: this many are in memory before they are written, some 40 MB.
const GROUP: usize = 393_216;
/// The variables that have a `q50` only.
const WIND_DIRECTION: &str = "wind_direction";
const PROBABILITY: &str = "precipitation_probability";
const LEVELS: usize = QUANTILES.len();
/// The column of `q05`.
const FIRST_LEVEL: usize = 4;
const COLUMNS: usize = FIRST_LEVEL + LEVELS + 1;

const SCHEMA: &str = "message predictions {
    required binary station (UTF8);
    required int64 reference_time (TIMESTAMP(MILLIS,true));
    required int32 lead;
    required binary variable (UTF8);
    optional float q05; optional float q10; optional float q25; required float q50;
    optional float q75; optional float q90; optional float q95;
    required int64 requested_time (TIMESTAMP(MILLIS,true));
}";

/// One station's prediction at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicted {
    /// Whose.
    pub station: StationId,
    /// The moment that was asked for.
    pub requested_time: Time,
    /// The newest observation that was known then; leads count from it.
    pub reference_time: Time,
    /// The numbers.
    pub prediction: Prediction,
}

/// A row as it is read back.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionRow {
    /// Whose.
    pub station: String,
    /// The moment that was asked for.
    pub requested_time: Time,
    /// The newest observation that was known then.
    pub reference_time: Time,
    /// Hours after the reference time.
    pub lead: i32,
    /// What.
    pub variable: String,
    /// By [`QUANTILES`], in the variable's unit.
    pub quantiles: [Option<f32>; LEVELS],
}

/// Writes predictions. The file has its name only once [`PredictionWriter::finish`] has returned:
/// what ends earlier leaves nothing behind.
pub struct PredictionWriter {
    path: PathBuf,
    partial: PathBuf,
    writer: SerializedFileWriter<BufWriter<File>>,
    group: Group,
}

/// Rows by column, until there are enough for a row group.
#[derive(Default)]
struct Group {
    station: Vec<ByteArray>,
    requested: Vec<i64>,
    reference: Vec<i64>,
    lead: Vec<i32>,
    variable: Vec<ByteArray>,
    /// By level; without the rows that have none.
    quantiles: [Vec<f32>; LEVELS],
    /// Per row, whether levels other than the median are there: 1 or 0.
    spread: Vec<i16>,
}

impl PredictionWriter {
    /// Begins a file of what `model` predicts, replacing one of that name in the end.
    ///
    /// # Errors
    /// [`ArchiveError`] when the file's folder can't be written to.
    pub fn create(path: &Path, model: &ModelId) -> Result<Self, ArchiveError> {
        let failed = |message: String| ArchiveError::Write { path: path.to_owned(), message };
        let name = path.file_name().ok_or_else(|| failed("not the name of a file".to_owned()))?;
        if path.is_dir() {
            return Err(failed("it is a folder; give the name of a file".to_owned()));
        }
        let partial = path.with_file_name(format!(".{}.{}.partial", name.to_string_lossy(), std::process::id()));
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(|e| failed(e.to_string()))?);
        let note = |key: &str, value: &str| KeyValue::new(format!("weatherglass.{key}"), value.to_owned());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(vec![note("model", &model.name), note("model_version", &model.version)]))
            .build();
        let file = File::create(&partial).map_err(|e| failed(e.to_string()))?;
        let writer = SerializedFileWriter::new(BufWriter::new(file), schema, Arc::new(properties))
            .map_err(|e| failed(e.to_string()))?;
        Ok(Self { path: path.to_owned(), partial, writer, group: Group::default() })
    }

    /// Adds the rows of one prediction.
    ///
    /// # Errors
    /// [`ArchiveError::Write`], as when the disk is full.
    pub fn write(&mut self, predicted: &Predicted) -> Result<(), ArchiveError> {
        self.group.add(predicted);
        if self.group.lead.len() >= GROUP { self.flush() } else { Ok(()) }
    }

    /// Writes what is left and gives the file its name.
    ///
    /// # Errors
    /// [`ArchiveError::Write`].
    pub fn finish(mut self) -> Result<(), ArchiveError> {
        if !self.group.lead.is_empty() {
            self.flush()?;
        }
        let failed = |message: String| ArchiveError::Write { path: self.path.clone(), message };
        self.writer.finish().map_err(|e| failed(e.to_string()))?;
        self.writer.inner().get_ref().sync_all().map_err(|e| failed(e.to_string()))?;
        fs::rename(&self.partial, &self.path).map_err(|e| failed(e.to_string()))
    }

    fn flush(&mut self) -> Result<(), ArchiveError> {
        let group = std::mem::take(&mut self.group);
        let mut write = || -> Result<(), ParquetError> {
            let mut rows = self.writer.next_row_group()?;
            group.write(&mut rows)?;
            rows.close().map(|_| ())
        };
        write().map_err(|e| ArchiveError::Write { path: self.path.clone(), message: e.to_string() })
    }
}

impl Drop for PredictionWriter {
    fn drop(&mut self) {
        // After `finish` there is no such file any more.
        let _ = fs::remove_file(&self.partial);
    }
}

impl Group {
    fn add(&mut self, predicted: &Predicted) {
        let prediction = &predicted.prediction;
        let station = ByteArray::from(predicted.station.as_str());
        for quantity in Quantity::ALL {
            if let Some(distribution) = prediction.get(quantity) {
                self.add_rows(predicted, &station, quantity.name(), 1);
                for (level, values) in self.quantiles.iter_mut().enumerate() {
                    values.extend(distribution.level(level));
                }
            }
        }
        for (name, row) in
            [(WIND_DIRECTION, &prediction.wind_direction), (PROBABILITY, &prediction.precipitation_probability)]
        {
            if let Some(row) = row {
                self.add_rows(predicted, &station, name, 0);
                self.quantiles[MEDIAN].extend(row.iter());
            }
        }
    }

    fn add_rows(&mut self, predicted: &Predicted, station: &ByteArray, variable: &str, spread: i16) {
        let more = |length: usize| length + LEADS;
        self.station.resize(more(self.station.len()), station.clone());
        self.requested.resize(more(self.requested.len()), predicted.requested_time.unix().saturating_mul(1000));
        self.reference.resize(more(self.reference.len()), predicted.reference_time.unix().saturating_mul(1000));
        self.lead.extend((1..).take(LEADS));
        self.variable.resize(more(self.variable.len()), ByteArray::from(variable));
        self.spread.resize(more(self.spread.len()), spread);
    }

    fn write(&self, rows: &mut SerializedRowGroupWriter<'_, BufWriter<File>>) -> Result<(), ParquetError> {
        write_column::<ByteArrayType>(rows, &self.station, None)?;
        write_column::<Int64Type>(rows, &self.reference, None)?;
        write_column::<Int32Type>(rows, &self.lead, None)?;
        write_column::<ByteArrayType>(rows, &self.variable, None)?;
        for (level, values) in self.quantiles.iter().enumerate() {
            let levels = (level != MEDIAN).then_some(self.spread.as_slice());
            write_column::<FloatType>(rows, values, levels)?;
        }
        write_column::<Int64Type>(rows, &self.requested, None)
    }
}

fn write_column<T: DataType>(
    rows: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<(), ParquetError> {
    let mut writer =
        rows.next_column()?.ok_or_else(|| ParquetError::General("more columns than the schema has".to_owned()))?;
    writer.typed::<T>().write_batch(values, levels, None)?;
    writer.close()
}

/// Reads a file of predictions and hands each row to `take`, in the file's order.
///
/// # Errors
/// [`ArchiveError`] when the file is unreadable or is none that [`PredictionWriter`] writes.
pub fn read_predictions(path: &Path, mut take: impl FnMut(PredictionRow)) -> Result<(), ArchiveError> {
    let file = File::open(path).map_err(|source| ArchiveError::Io { path: path.to_owned(), source })?;
    let failed = |source| ArchiveError::Parquet { path: path.to_owned(), source };
    let reader = SerializedFileReader::new(file).map_err(failed)?;
    let columns = reader.metadata().file_metadata().schema_descr().num_columns();
    if columns != COLUMNS {
        return Err(failed(ParquetError::General(format!("{columns} columns, predictions have {COLUMNS}"))));
    }
    for group in 0..reader.num_row_groups() {
        read_group(&reader, group, &mut take).map_err(failed)?;
    }
    Ok(())
}

fn read_group(
    reader: &SerializedFileReader<File>,
    index: usize,
    take: &mut impl FnMut(PredictionRow),
) -> Result<(), ParquetError> {
    let group = reader.get_row_group(index)?;
    let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
    let other = |column: usize| ParquetError::General(format!("column {column} is not one of predictions"));
    let text = |at: usize| match group.get_column_reader(at)? {
        ColumnReader::ByteArrayColumnReader(mut r) => {
            column(&mut r, rows, |v: &ByteArray| String::from_utf8_lossy(v.data()).into_owned(), String::new)
        }
        _ => Err(other(at)),
    };
    let time = |at: usize| match group.get_column_reader(at)? {
        ColumnReader::Int64ColumnReader(mut r) => {
            column(&mut r, rows, |v| Time::from_unix(v.div_euclid(1000)), Time::default)
        }
        _ => Err(other(at)),
    };
    let number = |at: usize| match group.get_column_reader(at)? {
        ColumnReader::FloatColumnReader(mut r) => column(&mut r, rows, |v| Some(*v), || None),
        _ => Err(other(at)),
    };
    let leads = match group.get_column_reader(2)? {
        ColumnReader::Int32ColumnReader(mut r) => column(&mut r, rows, |v| *v, || 0)?,
        _ => return Err(other(2)),
    };
    let (stations, requested, reference, variables) = (text(0)?, time(COLUMNS - 1)?, time(1)?, text(3)?);
    let quantiles: Vec<Vec<Option<f32>>> = (FIRST_LEVEL..COLUMNS - 1).map(number).collect::<Result<_, _>>()?;
    for (row, (station, variable)) in stations.into_iter().zip(variables).enumerate() {
        take(PredictionRow {
            station,
            requested_time: requested[row],
            reference_time: reference[row],
            lead: leads[row],
            variable,
            quantiles: std::array::from_fn(|level| quantiles[level][row]),
        });
    }
    Ok(())
}
