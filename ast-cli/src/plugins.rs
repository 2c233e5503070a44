//! The only place where crates of plugins are linked. A crate that no code names is left out of the program, and what it
//! registers with it, silently.

use ast_data as _;
use ast_scoring as _;
