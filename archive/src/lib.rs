//! Files of observations: Parquet and CSV of the shared schema, station lists, reference times;
//! and the predictions that a backtest writes.
//!
//! Columns are known by name, in any order; others are ignored. `station` (or `id`) and `time` are
//! required, and at least one measured column. Two vocabularies are understood:
//!
//! - our JSON names (`temperature`, `pressure_msl`, ... see [`weather::Variable`]), in our units;
//! - the shared schema, recognised by its column `pressure_kind`: `pressure` belongs to station
//!   level (`station`) or sea level (`msl`, `qnh`), `cloud_cover` is in oktas (9 = sky obscured =
//!   missing), `precipitation` is over the file's cadence; extras `pressure_msl`,
//!   `pressure_station`, `precipitation_1h`, `cloud_cover_percent`, `solar_radiation_wm2`.
//!
//! `received`, where there is one, is when an observation arrived: a backtest knows nothing earlier.
//!
//! Present weather is read only where it is a number of WMO 4677 outside the shared schema; METAR
//! groups and other vocabularies are left out for now.

mod columns;
mod csv_file;
mod error;
mod observations;
mod parquet_file;
mod predictions;
mod reference_times;
mod report;
mod stations;

pub use error::ArchiveError;
pub use observations::{Arrival, Filter, Observations, count_rows, read_observations};
pub use predictions::{Predicted, PredictionRow, PredictionWriter, read_predictions};
pub use reference_times::{ReferenceTime, read_reference_times};
pub use report::{BadRow, Impossible, Report};
pub use stations::read_stations;
