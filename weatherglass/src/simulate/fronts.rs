//! Cold and warm fronts that move across a network.
//!
//! Time is cut into slots, each with one front: a straight line with a direction, a speed and a strength that
//! depend on the seed and the slot alone. When it reaches a place follows from these and the place, and what
//! it does there from the time since: temperature and wind change within the hour, pressure falls before and
//! rises behind, rain falls in a band.

use weather::Time;

use super::unit;

/// The time that belongs to one front, s.
const SLOT: f64 = 2.4 * 86_400.0;
/// How long before and after a front's passage it is felt, s.
const REACH: f64 = 72.0 * HOUR;
const HOUR: f64 = 3600.0;
/// The slowest front, m/s.
const SLOWEST: f64 = 6.0;
/// Metres in a degree of latitude.
const DEGREE: f64 = 111_320.0;
/// The seed's numbers for fronts, apart from those for stations.
const STREAM: u64 = u64::MAX;

/// What passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Cold,
    Warm,
}

/// A front.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Front {
    pub(crate) kind: Kind,
    /// The direction it moves to, degrees.
    pub(crate) bearing: f64,
    /// m/s.
    pub(crate) speed: f64,
    /// By how much the temperature changes as it passes, °C, without a sign.
    pub(crate) step: f64,
    /// How deep the trough along it is, hPa.
    trough: f64,
    /// By how much the wind veers, degrees.
    veer: f64,
    /// Rain in the heaviest part of its band, mm/h.
    rain: f64,
    /// When it passes the middle, s since 1970.
    middle: f64,
}

/// What the fronts around add to the weather of a place.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Effect {
    /// °C.
    pub(crate) temperature: f64,
    /// hPa.
    pub(crate) pressure: f64,
    /// Degrees, clockwise.
    pub(crate) veer: f64,
    /// m/s.
    pub(crate) wind: f64,
    /// mm/h.
    pub(crate) rain: f64,
    /// 0 to 1.
    pub(crate) cloud: f64,
}

/// The fronts of a seed, which pass the middle of an area.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fronts {
    seed: u64,
    latitude: f64,
    longitude: f64,
}

impl Fronts {
    pub(crate) const fn new(seed: u64, latitude: f64, longitude: f64) -> Self {
        Self { seed, latitude, longitude }
    }

    /// The front of a slot.
    pub(crate) fn front(&self, slot: i64) -> Front {
        let draw = |channel| unit(self.seed, STREAM, channel, slot);
        let kind = if draw(1) < 0.65 { Kind::Cold } else { Kind::Warm };
        // Towards east-south-east, and towards north-east; in the south mirrored.
        let (bearing, speed, step) = match kind {
            Kind::Cold => (65.0 + 70.0 * draw(2), 9.0 + 6.0 * draw(3), 3.0 + 3.5 * draw(4)),
            Kind::Warm => (25.0 + 50.0 * draw(2), SLOWEST + 4.0 * draw(3), 2.0 + 2.0 * draw(4)),
        };
        let south = self.latitude < 0.0;
        Front {
            kind,
            bearing: if south { 180.0 - bearing } else { bearing },
            speed,
            step,
            trough: 2.0 + 3.0 * draw(5),
            veer: (40.0 + 40.0 * draw(6)) * if south { -1.0 } else { 1.0 },
            rain: if kind == Kind::Cold { 1.0 + 5.0 * draw(7) } else { 0.4 + 1.4 * draw(7) },
            middle: (slot as f64 + 0.15 + 0.7 * draw(8)) * SLOT,
        }
    }

    /// Metres east and north of the middle.
    fn offset(&self, latitude: f64, longitude: f64) -> (f64, f64) {
        let east = (longitude - self.longitude) * DEGREE * self.latitude.to_radians().cos();
        (east, (latitude - self.latitude) * DEGREE)
    }

    /// When a front reaches a place, s since 1970.
    fn arrival(&self, front: &Front, (east, north): (f64, f64)) -> f64 {
        let (sine, cosine) = front.bearing.to_radians().sin_cos();
        front.middle + (east * sine + north * cosine) / front.speed
    }

    /// The fronts that reach a place within `reach` seconds of a time, with the seconds since they did.
    pub(crate) fn near(
        &self,
        latitude: f64,
        longitude: f64,
        time: Time,
        reach: f64,
    ) -> impl Iterator<Item = (Front, f64)> + '_ {
        let offset = self.offset(latitude, longitude);
        let (now, most) = (time.unix() as f64, offset.0.hypot(offset.1) / SLOWEST + reach);
        let first = ((now - most) / SLOT).floor() as i64 - 1;
        let last = ((now + most) / SLOT).ceil() as i64;
        (first..=last).filter_map(move |slot| {
            let front = self.front(slot);
            let since = now - self.arrival(&front, offset);
            (since.abs() < reach).then_some((front, since))
        })
    }

    /// What they do at a place and time.
    pub(crate) fn effect(&self, latitude: f64, longitude: f64, time: Time) -> Effect {
        let mut sum = Effect::default();
        for (front, since) in self.near(latitude, longitude, time, REACH) {
            front.add(since, &mut sum);
        }
        sum.cloud = sum.cloud.min(1.0);
        sum
    }
}

impl Front {
    /// Adds what it does at a place that it reached so many seconds ago.
    fn add(&self, since: f64, sum: &mut Effect) {
        let hours = since / HOUR;
        // Nothing begins or ends at once.
        let fade = (1.0 - (since / REACH).powi(2)).powi(2);
        // From 0 ahead of it to 1 behind: within the hour for a cold front, within some for a warm one.
        let width = if self.kind == Kind::Cold { 0.22 } else { 0.9 };
        let behind = 1.0 / (1.0 + (-hours / width).exp());
        let ahead = 1.0 - behind;
        let (before, after) = (hours.min(0.0), hours.max(0.0));
        let bell = |centre: f64, spread: f64| (-((hours - centre) / spread).powi(2)).exp();

        let sign = if self.kind == Kind::Cold { -1.0 } else { 1.0 };
        let swing = 0.6 * behind * (-after / 20.0).exp() - 0.4 * ahead * (before / 18.0).exp();
        sum.temperature += fade * sign * self.step * swing;
        // The fall before it is slower than the rise behind.
        sum.pressure -= fade * self.trough * ((before / 10.0) - (after / 6.0)).exp();
        sum.veer += fade * self.veer * (0.5 * behind * (-after / 9.0).exp() - 0.5 * ahead * (before / 7.0).exp());
        match self.kind {
            Kind::Cold => {
                sum.wind += 2.5 * bell(0.2, 1.0) + 1.2 * fade * behind * (-after / 6.0).exp();
                sum.rain += self.rain * bell(0.3, 0.7);
                sum.cloud += 0.9 * bell(-0.5, 3.5);
            }
            Kind::Warm => {
                sum.wind += 1.0 * bell(-1.0, 3.0);
                sum.rain += self.rain * bell(-3.0, 2.2);
                sum.cloud += 0.9 * bell(-4.0, 5.0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRONTS: Fronts = Fronts::new(3, 46.5, 15.0);

    /// The first strong cold front after a time, and when it passes the middle.
    fn strong_cold() -> (Front, Time) {
        let slots = 7000..7400;
        let front = slots.map(|slot| FRONTS.front(slot)).find(|f| f.kind == Kind::Cold && f.step > 5.5).unwrap();
        (front, Time::from_unix(front.middle as i64))
    }

    #[test]
    fn a_cold_front_is_one() {
        let (front, middle) = strong_cold();
        let at = |minutes: i64| FRONTS.effect(46.5, 15.0, middle + minutes * 60);
        let drop = at(-45).temperature - at(45).temperature;
        assert!(drop > 0.85 * front.step && drop < 1.2 * front.step, "{drop} of {}", front.step);
        assert!(at(0).pressure < at(-180).pressure - 0.3 && at(0).pressure < at(180).pressure - 0.5, "a trough");
        assert!(at(60).veer - at(-60).veer > 0.6 * front.veer, "it veers");
        assert!(at(15).rain > 0.8 * front.rain && at(300).rain < 0.1 && at(-300).rain < 0.1, "a band of rain");
        assert!(at(10).wind > at(-360).wind + 1.5, "a squall");
    }

    #[test]
    fn it_moves_where_it_should_and_as_fast() {
        let (front, middle) = strong_cold();
        let (sine, cosine) = front.bearing.to_radians().sin_cos();
        let north = 100_000.0 * cosine / DEGREE;
        let east = 100_000.0 * sine / DEGREE / 46.5_f64.to_radians().cos();
        let ahead = FRONTS.near(46.5 + north, 15.0 + east, middle, REACH);
        let since = ahead.map(|(_, since)| since).min_by(|a, b| a.abs().total_cmp(&b.abs())).unwrap();
        assert!((since + 100_000.0 / front.speed).abs() < 60.0, "100 km ahead it is expected in {since} s");
    }

    #[test]
    fn it_veers_the_other_way_in_the_south() {
        let south = Fronts::new(3, -35.0, 150.0);
        assert!((7000..7010).all(|slot| south.front(slot).veer < 0.0));
    }

    #[test]
    fn nothing_jumps() {
        let begin = Time::from_unix(1_790_000_000);
        let mut last = FRONTS.effect(47.0, 16.0, begin);
        for minute in 1..60 * 24 * 30 {
            let next = FRONTS.effect(47.0, 16.0, begin + minute * 60);
            assert!((next.temperature - last.temperature).abs() < 0.5, "minute {minute}");
            assert!((next.pressure - last.pressure).abs() < 0.1 && (next.veer - last.veer).abs() < 6.0);
            last = next;
        }
    }
}
