//! Files of observations: Parquet and CSV of the shared schema, station lists.
