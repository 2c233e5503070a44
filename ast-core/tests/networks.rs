//! Every registered network trains, saves and resumes, and refuses images that it does not support.
#![forbid(unsafe_code)]

mod common;

use std::sync::Arc;

use ast_core::burn::tensor::Device;
use ast_core::data::Dataset;
use ast_core::plugin::{Params, Registry};
use ast_core::random::Stream;
use ast_core::run::{Event, Snapshot};
use ast_core::select::SampleId;
use ast_core::testing::DirectLoader;
use ast_core::train::{BuildNetwork, Callback, Flow, NetworkEntry, Resolved, Setup, TrainError, Training};
use common::{Halves, Loss, config, policy};

/// The images of [`Halves`] with another declared shape.
struct Sized(Halves, [usize; 3]);

impl Dataset for Sized {
    fn samples(&self) -> usize {
        self.0.samples()
    }
    fn classes(&self) -> usize {
        2
    }
    fn shape(&self) -> [usize; 3] {
        self.1
    }
    fn label(&self, id: SampleId) -> usize {
        self.0.label(id)
    }
    fn write(&self, id: SampleId, augment: Option<&mut Stream>, out: &mut [f32]) {
        self.0.write(id, augment, out);
    }
    fn input_deviation(&self, _: SampleId) -> f32 {
        0.25
    }
}

fn build(entry: &NetworkEntry, shape: [usize; 3]) -> Result<Box<dyn Training>, TrainError> {
    let config = config(0.5, 2);
    let data = || Box::new(DirectLoader::new(Arc::new(Sized(Halves { samples: 128, broken: None }, shape))));
    let setup = Setup {
        run: Resolved::of(config.clone(), policy("ast", None, &config), Box::new(Loss)).unwrap(),
        train: data(),
        test: data(),
        model: (),
        device: Device::flex().autodiff(),
        energy: Err("not counted".into()),
    };
    (entry.build)(&Params::resolve(entry.params, &Default::default()).unwrap(), setup)
}

/// Keeps the snapshot of step 3.
#[derive(Default)]
struct Third(Option<Snapshot>);

impl Callback for Third {
    fn event(&mut self, _: &Event) -> std::io::Result<()> {
        Ok(())
    }
    fn flow(&mut self, step: u64) -> Flow {
        if step == 3 { Flow::Checkpoint } else { Flow::Continue }
    }
    fn save(&mut self, snapshot: &Snapshot) -> std::io::Result<()> {
        self.0 = Some(snapshot.clone());
        Ok(())
    }
}

#[test]
fn every_network_resumes_with_the_same_bits() {
    let networks = Registry::<BuildNetwork>::linked().unwrap();
    assert!(networks.get("resnet-nonsense").unwrap_err().to_string().contains("there are: simple-cnn"));
    for entry in networks.iter() {
        let (mut whole, mut third) = (build(entry, [3, 8, 8]).unwrap(), Third::default());
        let summary = whole.run(&mut third).unwrap().unwrap();
        assert!(summary.steps > 6 && summary.flops.total > 0, "{}", entry.name);
        let mut again = build(entry, [3, 8, 8]).unwrap();
        again.restore(&third.0.unwrap()).unwrap();
        again.run(&mut Third::default()).unwrap().unwrap();
        assert!(again.weights().unwrap() == whole.weights().unwrap(), "{}", entry.name);
    }
}

#[test]
fn unsupported_images_are_refused() {
    let entry = Registry::<BuildNetwork>::linked().unwrap().get("simple-cnn").unwrap();
    for shape in [[3, 6, 8], [1, 8, 8], [3, 0, 8]] {
        let error = build(entry, shape).err().unwrap().to_string();
        assert!(error.contains("multiples of 4") && error.contains(&format!("{} channels", shape[0])), "{error}");
    }
}
