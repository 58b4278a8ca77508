//! Settings of the doors for consoles.

use std::path::PathBuf;

use super::names::Gauge;

/// What the doors for consoles can be told.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// Paths that Ecowitt and Ambient consoles are set to, separated by commas. A form with a PASSKEY is
    /// read at any other path too, unless it has another meaning.
    #[arg(
        long,
        env = "WEATHERGLASS_CONSOLE_PATHS",
        default_value = "/data/report/",
        value_delimiter = ',',
        value_name = "PATH"
    )]
    pub console_paths: Vec<String>,
    /// File of consoles, one a line: `CONSOLE STATION [tipping|piezo]`, where CONSOLE is a PASSKEY, a MAC, or
    /// the id that the station has without this line.
    #[arg(long, env = "WEATHERGLASS_CONSOLES_FILE", value_name = "FILE")]
    pub consoles_file: Option<PathBuf>,
    /// The rain gauge that counts where a station has both.
    #[arg(long, env = "WEATHERGLASS_RAIN_GAUGE", default_value = "tipping")]
    pub rain_gauge: Gauge,
}

impl Default for Settings {
    fn default() -> Self {
        Self { console_paths: vec!["/data/report/".to_owned()], consoles_file: None, rain_gauge: Gauge::Tipping }
    }
}
