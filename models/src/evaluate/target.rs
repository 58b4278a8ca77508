//! What is forecast, as the baselines see it: eight series of numbers.

use crate::features::Anchors;
use crate::grid::Channel;

/// A series that a baseline forecasts. The direction of the wind is that of its two components.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Target {
    /// °C.
    Temperature,
    /// °C.
    DewPoint,
    /// hPa.
    Pressure,
    /// m/s.
    WindSpeed,
    /// m/s.
    WindGust,
    /// East component, m/s.
    WindU,
    /// North component, m/s.
    WindV,
    /// mm in the hour; learned baselines forecast the chance of [`crate::decode::WET`] instead.
    Rain,
}

impl Target {
    pub(crate) const COUNT: usize = 8;
    pub(crate) const ALL: [Self; Self::COUNT] = [
        Self::Temperature,
        Self::DewPoint,
        Self::Pressure,
        Self::WindSpeed,
        Self::WindGust,
        Self::WindU,
        Self::WindV,
        Self::Rain,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Temperature => "temperature",
            Self::DewPoint => "dew_point",
            Self::Pressure => "pressure",
            Self::WindSpeed => "wind_speed",
            Self::WindGust => "wind_gust",
            Self::WindU => "wind_u",
            Self::WindV => "wind_v",
            Self::Rain => "rain",
        }
    }

    pub(crate) const fn channel(self) -> Channel {
        match self {
            Self::Temperature => Channel::Temperature,
            Self::DewPoint => Channel::DewPoint,
            Self::Pressure => Channel::Pressure,
            Self::WindSpeed => Channel::WindSpeed,
            Self::WindGust => Channel::WindGust,
            Self::WindU => Channel::WindU,
            Self::WindV => Channel::WindV,
            Self::Rain => Channel::Precipitation,
        }
    }

    /// What a forecast of it is a change from; rain has no memory worth that.
    pub(crate) fn anchor(self, anchors: &Anchors) -> Option<f32> {
        match self {
            Self::WindU => anchors.wind.map(|(u, _)| u),
            Self::WindV => anchors.wind.map(|(_, v)| v),
            Self::Rain => Some(0.0),
            _ => anchors.values[self as usize],
        }
    }

    /// Whether it can't be negative.
    pub(crate) const fn non_negative(self) -> bool {
        matches!(self, Self::WindSpeed | Self::WindGust | Self::Rain)
    }
}
