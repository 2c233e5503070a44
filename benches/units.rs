//! Wall-clock time, with rates in units that say what was counted.

use criterion::measurement::{Measurement, ValueFormatter, WallTime};
use criterion::{Criterion, Throughput};

/// What a bench counts.
#[derive(Debug, Clone, Copy)]
pub enum Unit {
    /// Keys that are compared with a threshold.
    Keys,
    /// Samples.
    Samples,
    /// Updates of a controller.
    Updates,
}

impl Unit {
    /// Per second: one, a thousand, a million, a thousand million.
    fn per_second(self) -> [&'static str; 4] {
        match self {
            Self::Keys => ["keys/s", "thousand keys/s", "million keys/s", "billion keys/s"],
            Self::Samples => ["samples/s", "thousand samples/s", "million samples/s", "billion samples/s"],
            Self::Updates => ["updates/s", "thousand updates/s", "million updates/s", "billion updates/s"],
        }
    }
}

/// Criterion with rates in this unit.
#[must_use]
pub fn criterion(unit: Unit) -> Criterion<Rate> {
    Criterion::default().with_measurement(Rate { time: WallTime, unit })
}

/// Time, and what was counted in it.
pub struct Rate {
    time: WallTime,
    unit: Unit,
}

impl Measurement for Rate {
    type Intermediate = <WallTime as Measurement>::Intermediate;
    type Value = <WallTime as Measurement>::Value;

    fn start(&self) -> Self::Intermediate {
        self.time.start()
    }
    fn end(&self, begin: Self::Intermediate) -> Self::Value {
        self.time.end(begin)
    }
    fn add(&self, one: &Self::Value, other: &Self::Value) -> Self::Value {
        self.time.add(one, other)
    }
    fn zero(&self) -> Self::Value {
        self.time.zero()
    }
    fn to_f64(&self, value: &Self::Value) -> f64 {
        self.time.to_f64(value)
    }
    fn formatter(&self) -> &dyn ValueFormatter {
        self
    }
}

impl ValueFormatter for Rate {
    fn scale_values(&self, typical: f64, values: &mut [f64]) -> &'static str {
        self.time.formatter().scale_values(typical, values)
    }
    fn scale_throughputs(&self, typical: f64, throughput: &Throughput, values: &mut [f64]) -> &'static str {
        let Throughput::Elements(elements) = throughput else {
            return self.time.formatter().scale_throughputs(typical, throughput, values);
        };
        // Values are nanoseconds.
        let rate = |nanoseconds: f64| *elements as f64 * 1e9 / nanoseconds;
        let power = ((rate(typical).log10() / 3.0).floor().max(0.0) as usize).min(3);
        values.iter_mut().for_each(|value| *value = rate(*value) / 1000_f64.powi(power as i32));
        self.unit.per_second()[power]
    }
    fn scale_for_machines(&self, values: &mut [f64]) -> &'static str {
        self.time.formatter().scale_for_machines(values)
    }
}
