//! Checks a configuration and derives the numbers that a run works with.

use ast_control::PiConfig;

use crate::data::{Augment, Padding, Resize, Shape};
use crate::optim::Schedule;
use crate::random::Random;
use crate::run::config::{
    BudgetConfig, ConfigError, ControlConfig, DataConfig, EvalConfig, OnNan, RunConfig, Switch, TrainConfig,
};
use crate::run::numbers::NUMBERS;
use crate::select::{Goal, Limit};

/// The default activation rate.
const DEFAULT_TARGET: f64 = 0.1;

/// Largest number of image sizes in a run.
const MOST_SIZES: usize = 16;

/// The checked numbers of a run, for the trainer.
#[derive(Debug, Clone, PartialEq)]
pub struct Checked {
    pub(crate) goal: Goal,
    /// Whether the configuration sets the target.
    pub(crate) target_is_given: bool,
    pub(crate) batch_size: usize,
    pub(crate) schedule: Schedule,
    /// See [`TrainConfig::label_smoothing`].
    pub(crate) label_smoothing: f64,
    pub(crate) clip_norm: Option<f64>,
    /// See [`PolicyConfig::warmup`](crate::run::PolicyConfig::warmup).
    pub(crate) warm_up: f64,
    pub(crate) lookahead: bool,
    pub(crate) seed: u64,
    pub(crate) on_nan: OnNan,
    /// `None` without augmentation.
    pub(crate) augment: Option<Augment>,
    pub(crate) eval_every: u32,
    pub(crate) tta: bool,
    /// Image sizes over the run; empty for that of the dataset.
    pub(crate) sizes: Vec<u32>,
    /// The share of the budget of each size.
    pub(crate) size_shares: Vec<f64>,
    pub(crate) resize: Resize,
    pub(crate) phase_times: Switch,
    pub(crate) hold_data: Switch,
}

impl RunConfig {
    /// Checks every number and the stability of the control loop.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key.
    pub fn check(&self) -> Result<Checked, ConfigError> {
        let ControlConfig { target, kp, ki, ema } = self.control;
        let TrainConfig { epochs, batch_size, lr, schedule, warm_up, lr_start, lr_end, .. } = self.train;
        let TrainConfig { label_smoothing, clip_norm, lookahead, seed, on_nan, resize, .. } = self.train;
        let BudgetConfig { fraction, seconds, free_scoring } = self.budget;
        if fraction.is_some() && (target.is_some() || seconds.is_some()) {
            return Err(ConfigError::Both);
        }
        for number in NUMBERS {
            number.check(self)?;
        }
        let limit = fraction.map(Limit::Fraction).or(seconds.map(Limit::Seconds));
        let target_is_given = target.is_some();
        let target = target.or(fraction).unwrap_or(DEFAULT_TARGET);
        let control = PiConfig { kp, ki, ema };
        control.check(1.0)?;
        let DataConfig { flip, shift, padding, .. } = self.data;
        let augment = Augment { random: Random::new(seed), flip, shift, padding };
        let augment = self.data.augment.then_some(augment);
        let EvalConfig { every_epochs: eval_every, tta } = self.eval;
        let goal = Goal { target, epochs, limit, charges_scoring: !free_scoring, control };
        let (sizes, size_shares) = sizes(&self.train)?;
        let [means, deviations] = [&self.data.mean, &self.data.deviation].map(|of| of.as_ref().map_or(0, Vec::len));
        let is_set = self.data.mean.is_some() || self.data.deviation.is_some();
        if is_set && (means == 0 || means != deviations) {
            let reason = format!(
                "{means} means and {deviations} deviations: set data.mean and data.deviation, one for each channel"
            );
            return Err(ConfigError::Unfit { key: "data.mean", reason });
        }
        Ok(Checked {
            goal,
            target_is_given,
            batch_size,
            schedule: Schedule { peak: lr, fall: schedule, warm_up, start: lr_start, end: lr_end },
            label_smoothing,
            clip_norm,
            warm_up: self.policy.warmup,
            lookahead,
            seed,
            on_nan,
            augment,
            eval_every,
            tta,
            sizes,
            size_shares,
            resize,
            phase_times: self.device.phase_times,
            hold_data: self.device.hold_data,
        })
    }
}

impl Checked {
    /// How much is trained, and when the run ends.
    #[must_use]
    pub fn goal(&self) -> Goal {
        self.goal
    }

    /// Checks that the configuration fits samples of this shape. `mirrors` says whether mirror images keep their class.
    ///
    /// # Errors
    /// [`ConfigError`], which names the key.
    pub fn check_data(&self, shape: Shape, mirrors: bool) -> Result<(), ConfigError> {
        let unfit = |key, reason: String| Err(ConfigError::Unfit { key, reason });
        let Shape::Image([_, height, width]) = shape else {
            return if self.tta {
                unfit("eval.tta", "test-time augmentation is for images only".into())
            } else {
                Ok(())
            };
        };
        if self.tta && !mirrors {
            return unfit(
                "eval.tta",
                "six views include mirror images, which are of another class in this data".into(),
            );
        }
        if self.tta && height.min(width) < 2 {
            return unfit("eval.tta", format!("images of {height} x {width} pixels cannot be moved by one pixel"));
        }
        let shift =
            self.augment.filter(|augment| augment.padding == Padding::Reflect).map_or(0, |augment| augment.shift);
        if shift >= height.min(width) {
            let reason = format!(
                "a shift of up to {shift} pixels with data.padding = \"reflect\" must be smaller than the images, which have \
                 {height} x {width} pixels"
            );
            return unfit("data.shift", reason);
        }
        Ok(())
    }

    /// The randomness of the run.
    #[must_use]
    pub fn random(&self) -> Random {
        Random::new(self.seed)
    }
}

/// The image sizes and the share of the budget of each.
fn sizes(train: &TrainConfig) -> Result<(Vec<u32>, Vec<f64>), ConfigError> {
    let unfit = |key, reason: String| Err(ConfigError::Unfit { key, reason });
    let (sizes, shares) = match (&train.sizes, &train.size_shares) {
        (None, None) => return Ok((Vec::new(), Vec::new())),
        (None, Some(_)) => {
            return unfit("train.size_shares", "they are the shares of train.sizes, which is not set".into());
        }
        (Some(sizes), None) => (sizes, vec![1.0 / sizes.len() as f64; sizes.len()]),
        (Some(sizes), Some(shares)) => (sizes, shares.clone()),
    };
    if sizes.is_empty() || sizes.len() > MOST_SIZES {
        return unfit("train.sizes", format!("{} sizes; there can be 1 to {MOST_SIZES}", sizes.len()));
    }
    if shares.len() != sizes.len() {
        let reason = format!("{} shares for {} sizes: give one for each", shares.len(), sizes.len());
        return unfit("train.size_shares", reason);
    }
    let sum: f64 = shares.iter().sum();
    if (sum - 1.0).abs() > 1e-6 {
        return unfit("train.size_shares", format!("the shares add up to {sum}, not to 1"));
    }
    Ok((sizes.clone(), shares))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reflected_shift_is_smaller_than_the_image() {
        let mut config = RunConfig::default();
        let fits = |config: &RunConfig, height| config.check().unwrap().check_data(Shape::Image([3, height, 32]), true);
        assert_eq!(fits(&config, 2), Ok(()), "zeros pad any shift");
        config.data.padding = Padding::Reflect;
        assert_eq!(fits(&config, 5), Ok(()));
        let message = fits(&config, 4).unwrap_err().to_string();
        assert!(message.starts_with("`data.shift`: ") && message.contains("4 x 32 pixels"), "{message}");
        assert_eq!(config.check().unwrap().check_data(Shape::Tokens(4), true), Ok(()));
        config.data.augment = false;
        assert_eq!(fits(&config, 4), Ok(()));
    }

    #[test]
    fn test_time_augmentation_is_for_images_that_can_be_mirrored() {
        let mut config = RunConfig::default();
        config.eval.tta = true;
        let checked = config.check().unwrap();
        assert_eq!(checked.check_data(Shape::Image([1, 2, 2]), true), Ok(()));
        for (shape, mirrors, words) in [
            (Shape::Tokens(8), true, "for images only"),
            (Shape::Image([3, 8, 8]), false, "of another class"),
            (Shape::Image([3, 8, 1]), true, "8 x 1 pixels"),
        ] {
            let message = checked.check_data(shape, mirrors).unwrap_err().to_string();
            assert!(message.starts_with("`eval.tta`: ") && message.contains(words), "{message}");
        }
    }

    #[test]
    fn the_default_passes_and_errors_name_the_bad_number() {
        assert!(RunConfig::default().check().is_ok());
        type Break = fn(&mut RunConfig);
        let cases: [(&str, Break); 38] = [
            ("train.warm_up", |c| c.train.warm_up = -0.1),
            ("train.lr_start", |c| c.train.lr_start = 1.1),
            ("train.lr_end", |c| c.train.lr_end = f64::NAN),
            ("train.label_smoothing", |c| c.train.label_smoothing = 2.0),
            ("train.clip_norm", |c| c.train.clip_norm = Some(0.0)),
            ("control.target", |c| c.control.target = Some(0.0)),
            ("control.target", |c| c.control.target = Some(1.5)),
            ("control.target", |c| c.control.target = Some(f64::NAN)),
            ("budget.fraction", |c| c.budget.fraction = Some(0.0)),
            ("--budget) alone", |c| (c.control.target, c.budget.fraction) = (Some(0.1), Some(0.1))),
            ("--budget) alone", |c| (c.budget.seconds, c.budget.fraction) = (Some(9.0), Some(0.1))),
            ("budget.seconds", |c| c.budget.seconds = Some(0.0)),
            ("data.label_noise", |c| c.data.label_noise = 1.1),
            ("data.shift", |c| c.data.shift = 17),
            ("train.sizes", |c| c.train.sizes = Some(vec![])),
            ("train.sizes", |c| c.train.sizes = Some(vec![32; 17])),
            ("train.sizes", |c| c.train.sizes = Some(vec![20, 3])),
            ("which is not set", |c| c.train.size_shares = Some(vec![1.0])),
            ("2 shares for 1 sizes", |c| (c.train.sizes, c.train.size_shares) = (Some(vec![20]), Some(vec![0.5, 0.5]))),
            ("add up to 0.9", |c| (c.train.sizes, c.train.size_shares) = (Some(vec![20, 26]), Some(vec![0.5, 0.4]))),
            ("train.size_shares", |c| {
                (c.train.sizes, c.train.size_shares) = (Some(vec![20, 26]), Some(vec![0.0, 1.0]))
            }),
            ("train.size_shares", |c| (c.train.sizes, c.train.size_shares) = (Some(vec![20]), Some(vec![f64::NAN]))),
            ("data.validation", |c| c.data.validation = Some(0)),
            ("checkpoint.keep", |c| c.checkpoint.keep = 0),
            ("checkpoint.every_minutes", |c| c.checkpoint.every_minutes = f64::INFINITY),
            ("train.epochs", |c| c.train.epochs = 0),
            ("train.batch_size", |c| c.train.batch_size = 0),
            ("train.lr", |c| c.train.lr = f64::INFINITY),
            ("checkpoint.every_minutes", |c| c.checkpoint.every_minutes = 1e18),
            ("checkpoint.every_steps", |c| c.checkpoint.every_steps = u64::MAX),
            ("checkpoint.keep", |c| c.checkpoint.keep = usize::MAX),
            ("budget.seconds", |c| c.budget.seconds = Some(1e18)),
            ("train.epochs", |c| c.train.epochs = u32::MAX),
            ("train.lr", |c| c.train.lr = 1e308),
            ("eval.every_epochs", |c| c.eval.every_epochs = u32::MAX),
            ("control.ema", |c| c.control.ema = f64::NAN),
            ("control.kp", |c| c.control.kp = -1.0),
            ("unstable", |c| c.control.ki = 50.0),
        ];
        for (named, broken) in cases {
            let mut config = RunConfig::default();
            broken(&mut config);
            let message = config.check().unwrap_err().to_string();
            assert!(message.contains(named), "{message}");
        }
    }
}
