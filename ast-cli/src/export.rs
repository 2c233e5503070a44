//! `--csv`: the log of a run as a table, and its energy in the columns of CodeCarbon's `emissions.csv`.

use ast_core::run::{Event, Summary};
use serde::Serialize;

use crate::failure::Failure;
use crate::records;

pub(crate) const METRICS: &str = "metrics.csv";
pub(crate) const EMISSIONS: &str = "emissions.csv";
/// Joules of a kilowatt-hour.
const KWH: f64 = 3.6e6;

/// A step or an evaluation. Absent values are empty.
#[derive(Debug, Default, Serialize)]
struct Line {
    step: u64,
    epoch: f64,
    offered: Option<u64>,
    trained: Option<u64>,
    loss: Option<f64>,
    accuracy: Option<f64>,
    lr: Option<f64>,
    activation: Option<f64>,
    target: Option<f64>,
    rate: Option<f64>,
    threshold: Option<f64>,
    selected: Option<f64>,
    test_accuracy: Option<f64>,
    test_loss: Option<f64>,
    test_tta: Option<f64>,
}

/// The steps and evaluations of a run, a line each.
pub(crate) fn metrics(events: &[Event]) -> Result<Vec<u8>, Failure> {
    let line = |event: &Event| match event {
        Event::Step(step) => Some(Line {
            step: step.step,
            epoch: step.epoch,
            offered: Some(step.offered),
            trained: Some(step.trained),
            loss: Some(step.loss),
            accuracy: Some(step.accuracy),
            lr: Some(step.lr),
            activation: Some(step.activation),
            target: Some(step.control.target),
            rate: step.control.rate,
            threshold: step.control.threshold,
            selected: step.selected,
            ..Line::default()
        }),
        Event::Evaluated { step, epoch, accuracy, loss, tta } => Some(Line {
            step: *step,
            epoch: *epoch,
            test_accuracy: Some(*accuracy),
            test_loss: Some(*loss),
            test_tta: *tta,
            ..Line::default()
        }),
        _ => None,
    };
    records::csv(events.iter().filter_map(line))
}

/// The columns of CodeCarbon 3.3. What was not measured is empty: emissions need the carbon intensity of the place.
#[derive(Debug, Default, Serialize)]
struct Emissions {
    timestamp: Option<String>,
    project_name: &'static str,
    run_id: String,
    experiment_id: Option<String>,
    duration: f64,
    emissions: Option<f64>,
    emissions_rate: Option<f64>,
    cpu_power: Option<f64>,
    gpu_power: Option<f64>,
    ram_power: Option<f64>,
    cpu_energy: Option<f64>,
    gpu_energy: Option<f64>,
    ram_energy: Option<f64>,
    energy_consumed: Option<f64>,
    water_consumed: Option<f64>,
    country_name: Option<String>,
    country_iso_code: Option<String>,
    region: Option<String>,
    cloud_provider: Option<String>,
    cloud_region: Option<String>,
    os: &'static str,
    python_version: Option<String>,
    codecarbon_version: Option<String>,
    cpu_count: usize,
    cpu_model: Option<String>,
    gpu_count: Option<usize>,
    gpu_model: Option<String>,
    longitude: Option<f64>,
    latitude: Option<f64>,
    ram_total_size: Option<f64>,
    tracking_mode: &'static str,
    cpu_utilization_percent: Option<f64>,
    gpu_utilization_percent: Option<f64>,
    ram_utilization_percent: Option<f64>,
    ram_used_gb: Option<f64>,
    on_cloud: Option<String>,
    pue: Option<f64>,
    wue: Option<f64>,
}

/// Energy and duration of a run without evaluation.
pub(crate) fn emissions(summary: &Summary, run: String, device: &str) -> Result<Vec<u8>, Failure> {
    let energy = summary.joules.total.map(|joules| joules / KWH);
    let evaluation = summary.seconds.phases.get("eval").copied().unwrap_or(0.0);
    let duration = summary.seconds.total - evaluation;
    let power = summary.joules.total.map(|joules| joules / duration);
    let on_gpu = device == "cuda";
    records::csv(std::iter::once(Emissions {
        project_name: "ast",
        run_id: run,
        duration,
        cpu_power: power.filter(|_| !on_gpu),
        gpu_power: power.filter(|_| on_gpu),
        cpu_energy: energy.filter(|_| !on_gpu),
        gpu_energy: energy.filter(|_| on_gpu),
        energy_consumed: energy,
        os: std::env::consts::OS,
        cpu_count: std::thread::available_parallelism().map_or(1, usize::from),
        tracking_mode: "machine",
        ..Emissions::default()
    }))
}
