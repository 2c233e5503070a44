//! What benches share: nothing but the place for it. Run them with `cargo bench`; one subject with
//! `cargo bench --bench gate`; each once, as a check, with `cargo bench -- --test`.
#![forbid(unsafe_code)]
