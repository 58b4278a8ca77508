//! Forecasts that need no model.

use crate::features::Past;
use crate::grid::Channel;

/// What the simplest forecasts say of one quantity.
pub(crate) struct Baselines {
    /// The newest value, for every lead.
    pub(crate) persistence: Option<f32>,
}

impl Baselines {
    pub(crate) fn new(past: &Past, channel: Channel) -> Self {
        Self { persistence: past.newest(channel) }
    }

    /// The newest value at the same hour of the day as the lead's valid time.
    pub(crate) fn diurnal(past: &Past, channel: Channel, lead: usize) -> Option<f32> {
        past.same_hour(channel, lead, 0)
    }
}
