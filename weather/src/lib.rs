//! The domain of Weatherglass, pure: no I/O, no async, no Redis, no Burn.
//!
//! Units everywhere: degrees Celsius, percent, hPa, m/s, degrees (the wind comes *from*),
//! millimetres, W/m², metres, UTC seconds.

pub mod admission;
pub mod derived;
pub mod forecast;
pub mod freshness;
pub mod observation;
pub mod quality;
pub mod station;
pub mod sun;
pub mod time;
pub mod variable;
pub mod window;

pub use admission::{Admission, Reason, Rejection};
pub use forecast::{Distribution, Forecast, LEADS, ModelId, Prediction, QUANTILES, Quantity};
pub use observation::{Observation, Values};
pub use quality::Flags;
pub use station::{Station, StationId};
pub use time::Time;
pub use variable::{Variable, VariableSet};
pub use window::{Change, Sample, WINDOW_HOURS, Window};
