use serde::{Deserialize, Serialize};

/// Exponential moving average, `y += alpha (x - y)`, starting at the first value it sees.
///
/// Starting at the first value instead of at zero removes the start-up bias without a correction term.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ema {
    alpha: f64,
    value: Option<f64>,
}

impl Ema {
    /// `alpha` in (0, 1]: the weight of the newest value. 1 means no smoothing.
    #[must_use]
    pub fn new(alpha: f64) -> Self {
        Self { alpha, value: None }
    }

    /// Takes a value and returns the new average.
    pub fn update(&mut self, x: f64) -> f64 {
        let y = self.value.map_or(x, |y| y + self.alpha * (x - y));
        self.value = Some(y);
        y
    }

    /// The average so far, if any value was seen.
    #[must_use]
    pub fn value(&self) -> Option<f64> {
        self.value
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The closed form of a step response: after n steps at 1 from a start of 0, `1 - (1 - alpha)^n`.
    #[test]
    fn step_response_is_the_closed_form() {
        let mut ema = Ema::new(0.3);
        ema.update(0.0);
        for n in 1..=50 {
            let expected = 1.0 - 0.7_f64.powi(n);
            assert!((ema.update(1.0) - expected).abs() < 1e-12);
        }
    }

    proptest! {
        #[test]
        fn stays_within_what_it_has_seen(alpha in 0.001..=1.0f64, xs in prop::collection::vec(-1e3..1e3f64, 1..100)) {
            let mut ema = Ema::new(alpha);
            let (low, high) = xs.iter().fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(*x), h.max(*x)));
            for x in xs {
                let y = ema.update(x);
                prop_assert!(y >= low - 1e-9 && y <= high + 1e-9);
            }
        }
    }
}
