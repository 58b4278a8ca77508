//! What can be wrong with a whole file.

use std::path::PathBuf;

/// A file that cannot be read. A bad row is no such error: see [`crate::Report`].
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It does not exist, or may not be read.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Neither `.parquet` nor `.csv`.
    #[error("{path}: unknown kind of file; use .parquet or .csv")]
    Kind {
        /// The file.
        path: PathBuf,
    },
    /// A required column is absent.
    #[error("{path}: no column `{column}`; found: {found}")]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The column that is needed.
        column: &'static str,
        /// The columns that are there.
        found: String,
    },
    /// A column of a type that cannot hold what it should.
    #[error("{path}: column `{column}` has type {found}; {expected}")]
    ColumnType {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
        /// Its type.
        found: String,
        /// What would be right.
        expected: &'static str,
    },
    /// The file is damaged or not what its name says.
    #[error("{path}: {source}")]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: parquet::errors::ParquetError,
    },
    /// The file is damaged or not what its name says.
    #[error("{path}: {source}")]
    Csv {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        source: csv::Error,
    },
    /// A file that cannot be written.
    #[error("{path}: cannot be written: {message}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What stood in the way.
        message: String,
    },
    /// A line of a list that does not say what it should.
    #[error("{path}: line {line}: {message}")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, the header being 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
}
