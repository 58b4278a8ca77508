//! Forecasts that need no model: what every model must beat.

use crate::features::Past;
use crate::grid::Channel;

/// The newest value, for every lead.
pub(crate) fn persistence(past: &Past, channel: Channel) -> Option<f32> {
    past.newest(channel)
}

/// The newest value at the same hour of the day as the valid time of `lead`, 1 to 48 hours.
pub(crate) fn diurnal(past: &Past, channel: Channel, lead: usize) -> Option<f32> {
    past.same_hour(channel, lead, 0)
}
