//! Policies by name, and the properties that are constant for a kind of policy.

use std::ops::{Deref, DerefMut};

use super::goal::{Goal, RunLength};
use super::policy::{Policy, PolicyError};
use crate::plugin::{Entry, ParamValue, Params, Registry};

/// How a policy uses the scores of the run's scorer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScorerRule {
    /// It does not use scores.
    Unused,
    /// It works with any scorer.
    Any,
    /// It works with any scorer; this one is the default.
    Prefer(&'static str),
    /// It requires this scorer and refuses others.
    Only(&'static str),
}

/// Properties of a policy that do not depend on its parameters or on the goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyKind {
    /// How it uses scores.
    pub scorer: ScorerRule,
    /// How it uses the budget.
    pub run_length: RunLength,
    /// Whether it trains the target share of the offered samples, to within rounding, for any scores. A policy that
    /// does not decides by itself how much it trains; the run then says so at its start, in its report and in its
    /// summary.
    pub keeps_target: bool,
}

impl PolicyKind {
    /// A policy that takes any scorer, runs to the end of the budget and keeps its target.
    pub const PLAIN: Self = Self { scorer: ScorerRule::Any, run_length: RunLength::Budget, keeps_target: true };
}

/// A policy with its kind. [`From`] wraps any [`Policy`], with the kind [`PolicyKind::PLAIN`].
pub struct BoxedPolicy {
    /// Its constant properties.
    pub kind: PolicyKind,
    policy: Box<dyn Policy>,
}

impl BoxedPolicy {
    /// Combines a policy with its kind.
    pub fn new(kind: PolicyKind, policy: impl Policy + 'static) -> Self {
        Self { kind, policy: Box::new(policy) }
    }
}

impl<P: Policy + 'static> From<P> for BoxedPolicy {
    fn from(policy: P) -> Self {
        Self::new(PolicyKind::PLAIN, policy)
    }
}

impl Deref for BoxedPolicy {
    type Target = dyn Policy;

    fn deref(&self) -> &Self::Target {
        self.policy.as_ref()
    }
}

impl DerefMut for BoxedPolicy {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.policy.as_mut()
    }
}

/// A registered policy.
pub type PolicyEntry = Entry<BuildPolicy>;
inventory::collect!(PolicyEntry);

/// How a registered policy is built.
#[derive(Debug)]
pub struct BuildPolicy {
    /// Its constant properties.
    pub kind: PolicyKind,
    /// Its constructor.
    pub new: NewPolicy,
}

/// Makes a policy from checked parameters and the goal of the run.
pub type NewPolicy = fn(&Params, Goal) -> Result<Box<dyn Policy>, PolicyError>;

impl PolicyEntry {
    /// Builds the policy for a goal.
    ///
    /// # Errors
    /// [`PolicyError`] if it refuses the parameters or the goal.
    pub fn build(&self, params: &Params, goal: Goal) -> Result<BoxedPolicy, PolicyError> {
        Ok(BoxedPolicy { kind: self.build.kind, policy: (self.build.new)(params, goal)? })
    }
}

/// A registered policy with its parameters. The goal is still missing.
#[derive(Debug, Clone)]
pub struct PolicyChoice {
    entry: &'static PolicyEntry,
    params: Params,
}

/// Looks a registered policy up by name and sets parameters that differ from their defaults.
///
/// The registry lists all policies with their parameters. Your own crate can add policies with
/// [`register_policy!`](crate::register_policy).
///
/// ```
/// use ast_core::plugin::Registry;
/// use ast_core::select::BuildPolicy;
///
/// let policies = Registry::<BuildPolicy>::linked()?;
/// let names: Vec<&str> = policies.iter().map(|policy| policy.name).collect();
/// assert!(["ast", "dense", "random"].iter().all(|name| names.contains(name)));
/// for policy in policies.iter() {
///     println!("{}: {}", policy.name, policy.summary);
///     policy.params.iter().for_each(|param| println!("    {}: {}", param.name, param.summary));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`PolicyError::Unknown`], which lists the registered names, or [`PolicyError::Param`].
pub fn policy(name: &str, params: &[(&str, ParamValue)]) -> Result<PolicyChoice, PolicyError> {
    let entry = Registry::linked()?.get(name)?;
    let given = params.iter().map(|(key, value)| ((*key).to_string(), value.clone())).collect();
    Ok(PolicyChoice { entry, params: Params::resolve(entry.params, &given)? })
}

impl PolicyChoice {
    /// Its name and parameters, for messages and snapshots.
    pub(crate) fn title(&self) -> String {
        let given = self.params.given().into_iter().map(|(key, value)| format!("{key} = {value}"));
        format!("{} ({})", self.entry.name, given.collect::<Vec<_>>().join(", "))
    }

    /// Builds the policy for a goal, for [`Selector::of`](super::Selector::of).
    ///
    /// # Errors
    /// [`PolicyError`] if it refuses the goal.
    pub fn build(self, goal: Goal) -> Result<BoxedPolicy, PolicyError> {
        self.entry.build(&self.params, goal)
    }
}

/// Registers a policy under a name. The fields `scorer`, `run_length` and `keeps_target` are those of
/// [`PolicyKind`](crate::select::PolicyKind); they may be omitted where they equal
/// [`PolicyKind::PLAIN`](crate::select::PolicyKind::PLAIN). The order of the fields is fixed:
///
/// ```standalone_crate
/// use ast_core::select::{Offer, Policy, PolicyError, RunLength, SampleId, ScorerRule, SelectionContext};
///
/// /// Selects the first candidate of every chunk.
/// struct First;
///
/// impl Policy for First {
///     fn begin(&mut self, _: f64) -> f64 {
///         0.0
///     }
///
///     fn select(
///         &mut self,
///         offer: Offer<'_>,
///         _: &mut SelectionContext<'_>,
///         accepted: &mut Vec<SampleId>,
///     ) -> Result<(), PolicyError> {
///         accepted.extend(offer.candidates.first());
///         Ok(())
///     }
/// }
///
/// ast_core::register_policy! {
///     name: "first",
///     aliases: &["head"],            // earlier names; default: none
///     summary: "the first candidate of every chunk; costs one over the batch size",
///     params: &[],
///     scorer: ScorerRule::Unused,    // default: any scorer
///     run_length: RunLength::Budget, // this is the default
///     keeps_target: false,           // default: true
///     build: |_, _| Ok(Box::new(First)),
/// }
///
/// let policies = ast_core::plugin::Registry::<ast_core::select::BuildPolicy>::linked()?;
/// let first = policies.get("head")?;
/// assert_eq!((first.name, first.build.kind.keeps_target), ("first", false));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[macro_export]
macro_rules! register_policy {
    (
        name: $name:expr,
        $(aliases: &[$($alias:expr),* $(,)?],)?
        $(family: $family:ident,)?
        summary: $summary:expr,
        params: $params:expr,
        $(scorer: $scorer:expr,)?
        $(run_length: $run_length:expr,)?
        $(keeps_target: $keeps_target:expr,)?
        build: $build:expr $(,)?
    ) => {
        $crate::register_entry! {
            $crate::select::PolicyEntry,
            name: $name,
            $(aliases: &[$($alias),*],)?
            $(family: $family,)?
            summary: $summary,
            params: $params,
            build: $crate::select::BuildPolicy {
                // A policy may name all three.
                #[allow(clippy::needless_update)]
                kind: $crate::select::PolicyKind {
                    $(scorer: $scorer,)?
                    $(run_length: $run_length,)?
                    $(keeps_target: $keeps_target,)?
                    ..$crate::select::PolicyKind::PLAIN
                },
                new: $build,
            },
        }
    };
}
