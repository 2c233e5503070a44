use serde::{Deserialize, Serialize};

/// The learning rate over the share of the budget that is spent, the same for every policy.
///
/// It rises linearly from `start` to 1 times the peak in the share `warm_up` of the budget, then falls to `end` times the
/// peak. As a function of the share *spent*, it gives every policy a complete schedule over its own budget. Comparisons
/// are often unfair because one side stops early under the schedule of a ten times longer run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// The peak.
    pub peak: f64,
    /// Shape of the fall.
    pub fall: Fall,
    /// Share of the budget in which the rate rises, 0..=1; 0: it starts at the peak.
    pub warm_up: f64,
    /// The first rate as a share of the peak, 0..=1.
    pub start: f64,
    /// The last rate as a share of the peak, 0..=1.
    pub end: f64,
}

/// Shape of the fall from the peak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", try_from = "String")]
pub enum Fall {
    /// A straight line. With a warm-up the whole is a triangle.
    #[default]
    Linear,
    /// Half a cosine wave (Loshchilov & Hutter, *SGDR*, ICLR 2017).
    Cosine,
}

impl TryFrom<String> for Fall {
    type Error = String;

    fn try_from(word: String) -> Result<Self, String> {
        match word.as_str() {
            "linear" => Ok(Self::Linear),
            "cosine" => Ok(Self::Cosine),
            _ => Err(format!("\"{word}\" is not one of linear, cosine")),
        }
    }
}

impl Schedule {
    /// A triangle from 0 to the peak at a tenth of the budget, and back to 0.
    #[must_use]
    pub fn triangle(peak: f64) -> Self {
        Self { peak, fall: Fall::Linear, warm_up: 0.1, start: 0.0, end: 0.0 }
    }

    /// The same schedule at another peak.
    #[must_use]
    pub fn scaled(self, factor: f64) -> Self {
        Self { peak: factor * self.peak, ..self }
    }

    /// The rate after a share `spent` of the budget, 0 and above. Beyond 1 it stays at its end.
    #[must_use]
    pub fn at(self, spent: f64) -> f64 {
        let Self { peak, fall, warm_up, start, end } = self;
        if spent < warm_up {
            return peak * (start + (1.0 - start) * (spent / warm_up));
        }
        let left = if spent < 1.0 { (1.0 - spent) / (1.0 - warm_up) } else { 0.0 };
        let left = match fall {
            Fall::Linear => left,
            Fall::Cosine => (1.0 - (std::f64::consts::PI * left).cos()) / 2.0,
        };
        peak * (end + (1.0 - end) * left)
    }
}

/// Learning rate after a share `spent` (0..=1) of the budget: [`Schedule::triangle`].
#[must_use]
pub fn learning_rate(peak: f64, spent: f64) -> f64 {
    Schedule::triangle(peak).at(spent)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(schedule: Schedule, points: &[(f64, f64)]) {
        for (spent, expected) in points {
            let rate = schedule.at(*spent);
            assert!((rate - expected * schedule.peak).abs() < 1e-12, "{schedule:?} at {spent}: {rate}");
        }
    }

    #[test]
    fn the_default_rises_to_the_peak_and_falls_to_zero() {
        close(Schedule::triangle(2e-3), &[(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0), (1.1, 0.0)]);
    }

    /// The triangle of the airbench recipe, and a line and half a wave without warm-up.
    #[test]
    fn every_shape_goes_through_its_corners() {
        let triangle = Schedule { warm_up: 0.23, start: 0.2, end: 0.07, ..Schedule::triangle(3.0) };
        close(triangle, &[(0.0, 0.2), (0.115, 0.6), (0.23, 1.0), (0.615, 0.535), (1.0, 0.07), (2.0, 0.07)]);
        let line = Schedule { warm_up: 0.0, ..triangle };
        close(line, &[(0.0, 1.0), (0.5, 0.535), (1.0, 0.07)]);
        let wave = Schedule { fall: Fall::Cosine, end: 0.0, ..line };
        close(wave, &[(0.0, 1.0), (0.25, (2.0 + 2.0_f64.sqrt()) / 4.0), (0.5, 0.5), (1.0, 0.0)]);
        // A warm-up of the whole budget never falls.
        close(Schedule { warm_up: 1.0, ..triangle }, &[(0.5, 0.6), (0.999_999_999_999_9, 1.0)]);
        assert!(Schedule { warm_up: 1.0, ..triangle }.at(1.0).is_finite());
    }
}
