use burn::optim::ModuleOptimizer;

use crate::plugin::{Entry, ParamError, Params};

/// A registered optimizer.
pub type OptimizerEntry = Entry<BuildOptimizer>;
/// Its constructor. Returns an optimizer before its first step.
///
/// Different rules for different parameters are one optimizer with parameter groups, which match by the path of a
/// parameter in its network: [`ModuleOptimizer::with_group`]. The learning rate is passed to each step, from the
/// schedule of the run.
pub type BuildOptimizer = fn(&Params) -> Result<ModuleOptimizer, ParamError>;
inventory::collect!(OptimizerEntry);

/// Registers an optimizer under a name. See `CONTRIBUTING.md` for the recipe.
#[macro_export]
macro_rules! register_optimizer {
    ($($entry:tt)*) => {
        $crate::register_entry! { $crate::optim::OptimizerEntry, $($entry)* }
    };
}
