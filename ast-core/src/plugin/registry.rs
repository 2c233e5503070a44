use std::collections::BTreeMap;

use crate::plugin::params::ParamSpec;

/// A plugin that registers itself when it is linked: its name, summary, origin, parameters and constructor.
///
/// `B` is the type of the constructor. It distinguishes the kinds, such as [`ScorerEntry`](crate::score::ScorerEntry)
/// and [`PolicyEntry`](crate::select::PolicyEntry).
#[derive(Debug)]
pub struct Entry<B: 'static> {
    /// The name on the command line and in configurations. For a scorer also its cargo feature and, with `_` for `-`,
    /// its file stem.
    pub name: &'static str,
    /// Earlier names, which are still accepted but not listed.
    pub aliases: &'static [&'static str],
    /// One line: the formula or rule, and its source.
    pub summary: &'static str,
    /// The crate that registers it.
    pub origin: &'static str,
    /// Where its idea comes from, which groups lists; told for scorers and policies.
    pub family: Family,
    /// Its parameters.
    pub params: &'static [ParamSpec],
    /// The constructor.
    pub build: B,
}

/// Where the idea of a plugin comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// What others are compared with.
    Baseline,
    /// The crate that registers it.
    Own,
    /// A paper, or another program.
    Literature,
}

/// Adds an [`Entry`] to the registry of its kind. Every `register_*!` macro expands to it.
#[doc(hidden)]
#[macro_export]
macro_rules! register_entry {
    (
        $entry:path,
        name: $name:expr,
        $(aliases: &[$($alias:expr),* $(,)?],)?
        $(family: $family:ident,)?
        summary: $summary:expr,
        params: $params:expr,
        build: $build:expr $(,)?
    ) => {
        $crate::inventory::submit! {
            $entry {
                name: $name,
                aliases: &[$($($alias),*)?],
                summary: $summary,
                origin: env!("CARGO_PKG_NAME"),
                family: $crate::family!($($family)?),
                params: $params,
                build: $build,
            }
        }
    };
}

/// The named family, by default [`Family::Own`].
#[doc(hidden)]
#[macro_export]
macro_rules! family {
    () => {
        $crate::plugin::Family::Own
    };
    ($family:ident) => {
        $crate::plugin::Family::$family
    };
}

/// All linked plugins of one kind, sorted by name.
#[derive(Debug)]
pub struct Registry<B: 'static> {
    entries: BTreeMap<&'static str, &'static Entry<B>>,
    aliases: BTreeMap<&'static str, &'static Entry<B>>,
}

/// An error of a registry or a look-up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegistryError {
    /// Two plugins have the same name.
    #[error("`{name}` is registered twice, by {first} and by {second}; rename or remove one of them")]
    Duplicate {
        /// The name.
        name: &'static str,
        /// The first crate.
        first: &'static str,
        /// The second crate.
        second: &'static str,
    },
    /// No linked plugin has that name.
    #[error("`{name}` is not compiled in; there are: {}", if known.is_empty() { "none".into() } else { known.join(", ") })]
    Unknown {
        /// The requested name.
        name: String,
        /// The names that are linked.
        known: Vec<&'static str>,
    },
}

impl<B> Registry<B>
where
    Entry<B>: inventory::Collect,
{
    /// Collects all linked plugins.
    ///
    /// # Errors
    /// [`RegistryError::Duplicate`] for a repeated name; the last one never wins silently.
    pub fn linked() -> Result<Self, RegistryError> {
        Self::of(inventory::iter::<Entry<B>>)
    }
}

impl<B> Registry<B> {
    fn of(all: impl IntoIterator<Item = &'static Entry<B>>) -> Result<Self, RegistryError> {
        let (mut entries, mut aliases) = (BTreeMap::new(), BTreeMap::new());
        let mut taken: BTreeMap<&str, &Entry<B>> = BTreeMap::new();
        for entry in all {
            for name in std::iter::once(&entry.name).chain(entry.aliases) {
                if let Some(first) = taken.insert(name, entry) {
                    let (first, second) = (first.origin, entry.origin);
                    return Err(RegistryError::Duplicate { name, first, second });
                }
            }
            entries.insert(entry.name, entry);
            aliases.extend(entry.aliases.iter().map(|alias| (*alias, entry)));
        }
        Ok(Self { entries, aliases })
    }

    /// Finds a plugin by its name or an earlier name.
    ///
    /// # Errors
    /// [`RegistryError::Unknown`], which lists the names that exist; there is no fallback.
    pub fn get(&self, name: &str) -> Result<&'static Entry<B>, RegistryError> {
        let unknown =
            || RegistryError::Unknown { name: name.to_string(), known: self.entries.keys().copied().collect() };
        self.entries.get(name).or(self.aliases.get(name)).copied().ok_or_else(unknown)
    }

    /// All entries, sorted by name.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &'static Entry<B>> {
        self.entries.values().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn entry(name: &'static str, origin: &'static str) -> Entry<()> {
        Entry { name, aliases: &[], summary: "", origin, family: Family::Own, params: &[], build: () }
    }
    static RENAMED: Entry<()> = Entry { aliases: &["old"], ..entry("new", "here") };
    static OLD: Entry<()> = entry("old", "there");
    static ONE: Entry<()> = entry("one", "here");
    static TWO: Entry<()> = entry("two", "here");
    static TWIN: Entry<()> = entry("one", "there");

    #[test]
    fn the_error_for_a_repeated_name_names_both_crates() {
        let error = Registry::of([&ONE, &TWO, &TWIN]).unwrap_err();
        assert_eq!(error, RegistryError::Duplicate { name: "one", first: "here", second: "there" });
    }

    #[test]
    fn an_alias_is_accepted_but_not_listed() {
        let registry = Registry::of([&ONE, &RENAMED]).unwrap();
        assert_eq!(registry.get("old").unwrap().name, "new");
        assert_eq!(registry.iter().map(|entry| entry.name).collect::<Vec<_>>(), ["new", "one"]);
        let error = Registry::of([&RENAMED, &OLD]).unwrap_err();
        assert_eq!(error, RegistryError::Duplicate { name: "old", first: "here", second: "there" });
    }

    #[test]
    fn the_error_for_an_unknown_name_lists_the_names_in_order() {
        let registry = Registry::of([&TWO, &ONE]).unwrap();
        assert_eq!(registry.get("one").unwrap().origin, "here");
        assert_eq!(registry.get("three").unwrap_err().to_string(), "`three` is not compiled in; there are: one, two");
    }
}
