//! Initial weights from a file: what is refused and how, other classes, other precision, and a run that begins with them.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{self, SIDE, Tiny};
use ast_core::burn::tensor::Device;
use ast_core::data::Shape;
use ast_core::model::zoo::ResNet;
use ast_core::model::{Network, Weights};
use ast_core::plugin::Params;
use ast_core::random::Random;
use ast_core::run::{Event, RunConfig, Snapshot};
use ast_core::testing::{DirectLoader, RandomSamples};
use ast_core::train::{Callback, Flow, Resolved, Setup, TrainError, Training, WeightsError, load_weights, safetensors};

const SHAPE: Shape = Shape::Image([3, 8, 8]);

/// Weights of a ResNet-18 of width 2 for images in three channels and three classes.
fn resnet18() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pytorch/resnet18.safetensors")
}

fn network(stem: &str, shape: Shape, classes: usize) -> ResNet<18> {
    let given = [("width".to_string(), 2.into()), ("stem".to_string(), stem.into())];
    let params = Params::resolve(<ResNet<18>>::PARAMS, &given.into()).unwrap();
    ResNet::build(&params, shape, classes, Weights::new(Random::new(1), &Device::flex())).unwrap()
}

/// A file with one tensor after the other: name, type, shape and bytes.
fn file(tensors: &[(&str, &str, &[usize], Vec<u8>)]) -> Vec<u8> {
    let (mut header, mut data) = (Vec::new(), Vec::new());
    for (name, kind, shape, bytes) in tensors {
        let begin = data.len();
        data.extend_from_slice(bytes);
        let end = data.len();
        header.push(format!(r#""{name}":{{"dtype":"{kind}","shape":{shape:?},"data_offsets":[{begin},{end}]}}"#));
    }
    let header = format!("{{{}}}", header.join(","));
    [(header.len() as u64).to_le_bytes().to_vec(), header.into_bytes(), data].concat()
}

#[test]
fn files_that_are_not_weights_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let whole = fs::read(resnet18()).unwrap();
    let refused = |content: &[u8]| {
        let path = folder.path().join("file");
        fs::write(&path, content).unwrap();
        load_weights(network("cifar", SHAPE, 3), SHAPE, &[], &path).unwrap_err().to_string()
    };
    for content in [&[][..], b"PK\x03\x04", b"some text, long enough for a length", &[0xff; 100]] {
        let message = refused(content);
        assert!(message.contains("no safetensors file") && message.contains("save_file("), "{message}");
    }
    for length in [7, 8, 100, whole.len() / 2, whole.len() - 1] {
        let message = refused(&whole[..length]);
        assert!(message.contains("its end is missing"), "{length}: {message}");
    }
    for path in [folder.path().join("nowhere"), folder.path().to_path_buf()] {
        let error = load_weights(network("cifar", SHAPE, 3), SHAPE, &[], &path).unwrap_err();
        assert!(matches!(error, WeightsError::Read(_)), "{error}");
    }
    let other = load_weights(network("cifar", Shape::Image([1, 8, 8]), 3), Shape::Image([1, 8, 8]), &[], &resnet18());
    let message = other.unwrap_err().to_string();
    assert!(message.ends_with("; of another shape: conv1.weight ([2, 3, 3, 3] instead of [2, 1, 3, 3])"), "{message}");
}

/// The first running variance of a file that is good otherwise.
#[test]
fn a_negative_variance_is_refused() {
    let mut content = fs::read(resnet18()).unwrap();
    let header: usize = u64::from_le_bytes(content[..8].try_into().unwrap()) as usize;
    let text = String::from_utf8(content[8..8 + header].to_vec()).unwrap();
    let after = &text[text.find(r#""bn1.running_var""#).unwrap()..];
    let offset = after.split_once(r#""data_offsets":["#).unwrap().1;
    let offset: usize = offset.split(',').next().unwrap().parse().unwrap();
    content[8 + header + offset + 4..][..4].copy_from_slice(&(-1_f32).to_le_bytes());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    fs::write(&path, content).unwrap();
    let message = load_weights(network("cifar", SHAPE, 3), SHAPE, &[], &path).unwrap_err().to_string();
    assert_eq!(message, "value 1 of the parameter `bn1.running_var` is -1: no network was trained to that");
}

/// All but the last layer is the file's; the last layer's values are those of a network without the file.
#[test]
fn a_last_layer_for_other_classes_starts_anew() {
    let (new, shape) = (network("cifar", SHAPE, 5), SHAPE);
    let before = common::parameters(safetensors(&new).unwrap());
    let (loaded, warning) = load_weights(new, shape, &[], &resnet18()).unwrap();
    let expected = "the file of `model.weights` has 3 classes, the data 5: the last layer, fc, starts anew";
    assert_eq!(warning.as_deref(), Some(expected));
    let (after, theirs) =
        (common::parameters(safetensors(&loaded).unwrap()), common::parameters(fs::read(resnet18()).unwrap()));
    for (name, value) in &after {
        let from = if name.starts_with("fc.") { &before } else { &theirs };
        assert_eq!(value, &from[name], "{name}");
    }
    assert_ne!(after["conv1.weight"], before["conv1.weight"]);
}

/// 0x3fc0 is 1.5 as bfloat16, 0x3e00 as float16.
#[test]
fn numbers_of_half_precision_are_converted_and_integers_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let (device, shape) = (Device::flex().autodiff(), Shape::Image([3, SIDE, SIDE]));
    let load = |kind: &str, one: &[u8]| {
        let bytes = file(&[
            ("bias", kind, &[2], one.repeat(2)),
            ("weight", kind, &[3 * SIDE * SIDE, 2], one.repeat(3 * SIDE * SIDE * 2)),
        ]);
        fs::write(&path, bytes).unwrap();
        load_weights(Tiny::new(Weights::new(Random::new(1), &device)), shape, &[], &path)
    };
    for (kind, one) in [("BF16", &[0xc0, 0x3f][..]), ("F16", &[0x00, 0x3e]), ("F64", &1.5_f64.to_le_bytes())] {
        let (model, _) = load(kind, one).unwrap();
        assert!(model.values().iter().all(|bits| f32::from_bits(*bits) == 1.5), "{kind}");
    }
    let huge = [("F32", f32::NAN.to_le_bytes().to_vec(), "NaN"), ("F64", 1e300_f64.to_le_bytes().to_vec(), "inf")];
    for (kind, one, shown) in huge {
        let message = load(kind, &one).map(drop).unwrap_err().to_string();
        assert_eq!(message, format!("value 0 of the parameter `bias` is {shown}: no network was trained to that"));
    }
    let message = load("F8_E4M3", &[0; 1]).map(drop).unwrap_err().to_string();
    assert!(message.starts_with("it cannot be used: ") && message.contains("F8_E4M3"), "{message}");
    let message = load("I64", &[0; 8]).map(drop).unwrap_err().to_string();
    assert_eq!(message, "the parameter `bias` has the type I64, not one of floating-point numbers");
}

fn trainer(weights: Option<PathBuf>) -> Result<Box<dyn Training>, TrainError> {
    let mut config = RunConfig::default();
    (config.model.name, config.model.weights) = ("resnet18".into(), weights);
    config.model.params.insert("width".into(), 2.into());
    (config.train.epochs, config.train.batch_size, config.control.target) = (2, 8, Some(0.5));
    let data = || Box::new(DirectLoader::new(Arc::new(RandomSamples { shape: SHAPE, classes: 2 })));
    let (train, test, device) = (data(), data(), Device::flex().autodiff());
    let policy = common::policy("random", None, &config);
    let run = Resolved::of(config, policy, Box::new(common::Loss)).unwrap();
    Setup { run, train, test, model: (), device, energy: Err("not counted".into()) }.build()
}

/// The warnings of a run, and its third snapshot.
#[derive(Default)]
struct Seen(Vec<String>, Option<Snapshot>);

impl Callback for Seen {
    fn event(&mut self, event: &Event) -> io::Result<()> {
        if let Event::Warning { message } = event {
            self.0.push(message.clone());
        }
        Ok(())
    }
    fn flow(&mut self, step: u64) -> Flow {
        if step == 3 { Flow::Checkpoint } else { Flow::Continue }
    }
    fn save(&mut self, snapshot: &Snapshot) -> io::Result<()> {
        self.1 = Some(snapshot.clone());
        Ok(())
    }
}

/// A resumed run needs no file: it goes on to the same bits and the same warnings.
#[test]
fn a_run_begins_with_the_weights_and_goes_on_without_the_file() {
    let begun = common::parameters(trainer(Some(resnet18())).unwrap().weights().unwrap());
    assert_eq!(begun["conv1.weight"], common::parameters(fs::read(resnet18()).unwrap())["conv1.weight"]);
    let (mut whole, mut seen) = (trainer(Some(resnet18())).unwrap(), Seen::default());
    let summary = whole.run(&mut seen).unwrap().unwrap();
    let warned = |warnings: &[String]| warnings.iter().filter(|warning| warning.contains("starts anew")).count();
    assert_eq!((warned(&seen.0), warned(&summary.ran.unwrap().warnings)), (1, 1));
    let mut resumed = trainer(None).unwrap();
    resumed.restore(&seen.1.unwrap()).unwrap();
    let summary = resumed.run(&mut Seen::default()).unwrap().unwrap();
    assert_eq!(warned(&summary.ran.unwrap().warnings), 1);
    assert!(whole.weights().unwrap() == resumed.weights().unwrap());
    assert!(trainer(None).unwrap().weights().unwrap() != trainer(Some(resnet18())).unwrap().weights().unwrap());
    let message = trainer(Some("nowhere".into())).map(drop).unwrap_err().to_string();
    assert!(message.starts_with("`model.weights` = \"nowhere\": cannot read it: "), "{message}");
}
