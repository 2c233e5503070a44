//! Every test of the program as its users run it, in one binary: linking Burn once takes seconds, forty times minutes.
#![forbid(unsafe_code)]

#[cfg(target_os = "linux")]
mod after;
mod arrows;
mod book;
mod command;
mod common;
mod compare;
mod data;
mod documented;
#[cfg(target_os = "linux")]
mod evaluation;
#[cfg(target_os = "linux")]
mod image_folder;
mod limits;
#[cfg(target_os = "linux")]
mod prepared;
mod progress;
#[cfg(feature = "loss-intensity")]
mod quickstart;
#[cfg(target_os = "linux")]
mod resume;
#[cfg(target_os = "linux")]
mod resume_refused;
#[cfg(target_os = "linux")]
mod run_folder;
#[cfg(target_os = "linux")]
mod settings;
mod simulate;
#[cfg(target_os = "linux")]
mod text;
mod values;
#[cfg(target_os = "linux")]
mod weights;
