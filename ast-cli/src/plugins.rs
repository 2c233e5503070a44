//! The only place where crates of scorers are linked. A crate that no code names is left out of the program, and its
//! scorers with it, silently.

use ast_scoring as _;
