//! Batches of training data on the device: moved from the host, or gathered from images that stay on the device.

use std::collections::VecDeque;
use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use crate::data::{BadSample, Dataset, HostBatch, LoadError, Loader, Reads, Request, Shape, Values};
use crate::model::Input;
use crate::select::SampleId;

/// A batch on a device.
pub(crate) struct Uploaded {
    pub(crate) ids: Vec<SampleId>,
    pub(crate) input_deviation: Vec<f32>,
    pub(crate) input: Input,
    /// `[rows]`: one per sample for images, one per token for text.
    pub(crate) targets: Tensor<1, Int>,
}

/// The answer to a request.
pub(super) struct Received {
    /// The samples that could be loaded; `None` if none could.
    pub(super) data: Option<Uploaded>,
    /// The others.
    pub(super) bad: Vec<BadSample>,
    pub(super) reads: Reads,
}

impl Received {
    /// Moves a batch to a device.
    pub(super) fn new(mut host: HostBatch, device: &Device) -> Self {
        let (bad, reads) = (std::mem::take(&mut host.bad), host.reads);
        Self { data: (!host.ids.is_empty()).then(|| upload(host, device)), bad, reads }
    }
}

/// The training data of a run, in the order of the requests.
pub(super) struct Feed {
    loader: Box<dyn Loader>,
    device: Device,
    resident: Option<Resident>,
}

/// All images of a dataset on the device, and the requests that are not answered yet.
struct Resident {
    /// Normalised, `[samples, channels, height, width]`.
    images: Tensor<4>,
    requests: VecDeque<Request>,
}

impl Feed {
    /// From a loader. If `hold`, the images stay on the device, and the loader only names the dataset.
    pub(super) fn new(loader: Box<dyn Loader>, device: Device, hold: bool) -> Self {
        let images = if hold { images(loader.dataset().as_ref(), &device) } else { None };
        let resident = images.map(|images| Resident { images, requests: VecDeque::new() });
        Self { loader, device, resident }
    }

    pub(super) fn dataset(&self) -> &Arc<dyn Dataset> {
        self.loader.dataset()
    }

    pub(super) fn loader(&self) -> &dyn Loader {
        self.loader.as_ref()
    }

    /// Requests a batch.
    pub(super) fn request(&mut self, request: Request) {
        match &mut self.resident {
            Some(resident) => resident.requests.push_back(request),
            None => self.loader.request(request),
        }
    }

    /// The oldest requested batch that was not received yet; `None` if there is none.
    pub(super) fn receive(&mut self) -> Result<Option<Received>, LoadError> {
        let Some(Resident { images, requests }) = &mut self.resident else {
            return Ok(self.loader.receive()?.map(|host| Received::new(host, &self.device)));
        };
        let dataset = self.loader.dataset().as_ref();
        let received = |request: Request| match request.size {
            None => {
                let data = Some(gather(&request, images, dataset));
                Ok(Received { data, bad: Vec::new(), reads: Reads::default() })
            }
            // Interpolation would round differently.
            Some(_) => Ok(Received::new(request.collate(dataset)?, &self.device)),
        };
        requests.pop_front().map(received).transpose()
    }

    /// Forgets all requests.
    pub(super) fn clear(&mut self) {
        // A batch that cannot be loaded is not needed either.
        while !matches!(self.receive(), Ok(None)) {}
    }
}

/// Bytes of the images of a dataset on a device; `None` if it has no images, or reads them from files.
pub(super) fn image_bytes(dataset: &dyn Dataset) -> Option<usize> {
    let Shape::Image(sides) = dataset.shape() else { return None };
    if dataset.reads_files() {
        return None;
    }
    Some(size_of::<f32>() * dataset.samples() * sides.iter().product::<usize>())
}

/// All images of a dataset; `None` if it has none.
fn images(dataset: &dyn Dataset, device: &Device) -> Option<Tensor<4>> {
    let Shape::Image(sides @ [channels, height, width]) = dataset.shape() else { return None };
    let (samples, size) = (dataset.samples(), sides.iter().product());
    let mut pixels = vec![0.0; samples * size];
    (0..).zip(pixels.chunks_exact_mut(size)).for_each(|(id, out)| dataset.write(id, out));
    Some(Tensor::from_data(TensorData::new(pixels, [samples, channels, height, width]), device))
}

/// A batch of images on the device, the same bits as those of [`Request::collate`]: augmentation only moves pixels.
fn gather(request: &Request, images: &Tensor<4>, dataset: &dyn Dataset) -> Uploaded {
    let (device, [_, channels, height, width]) = (images.device(), images.dims());
    let batch = request.visits.len();
    let indices = |values: Vec<i32>, shape: [usize; 4]| {
        Tensor::<1, Int>::from_data(values.as_slice(), &device).reshape(shape).expand([batch, channels, height, width])
    };
    let ids: Vec<_> = request.visits.iter().map(|visit| visit.id).collect();
    let places: Vec<i32> = ids.iter().map(|id| *id as i32).collect();
    let mut x = images.clone().select(0, Tensor::from_data(places.as_slice(), &device));
    if let Some(augment) = request.augment {
        let mirrors = dataset.mirrors();
        let (mut rows, mut columns) = (Vec::with_capacity(batch * height), Vec::with_capacity(batch * width));
        for visit in &request.visits {
            let both = augment.sources(*visit, mirrors, [height, width]);
            let [of_rows, of_columns] = both.map(|sources| sources.into_iter().map(|at| at.map_or(-1, |at| at as i32)));
            rows.extend(of_rows);
            columns.extend(of_columns);
        }
        for (dim, places, shape) in [(2, rows, [batch, 1, height, 1]), (3, columns, [batch, 1, 1, width])] {
            let places = indices(places, shape);
            let zeros = places.clone().lower_elem(0);
            x = x.gather(dim, places.clamp_min(0)).mask_fill(zeros, 0.0);
        }
    }
    let targets: Vec<i32> = ids.iter().map(|id| dataset.label(*id) as i32).collect();
    Uploaded {
        input_deviation: ids.iter().map(|id| dataset.input_deviation(*id)).collect(),
        ids,
        input: Input::Image(x),
        targets: Tensor::from_data(targets.as_slice(), &device),
    }
}

/// Moves a batch to a device.
pub(crate) fn upload(host: HostBatch, device: &Device) -> Uploaded {
    let HostBatch { ids, values, targets, input_deviation, .. } = host;
    let batch = ids.len();
    let input = match values {
        Values::Pixels(pixels, [channels, height, width]) => {
            let pixels = TensorData::new(pixels, [batch, channels, height, width]);
            Input::Image(Tensor::from_data(pixels, device))
        }
        Values::Tokens(tokens, context) => {
            Input::Tokens(Tensor::from_data(TensorData::new(tokens, [batch, context]), device))
        }
    };
    let rows = targets.len();
    let targets = Tensor::from_data(TensorData::new(targets, [rows]), device);
    Uploaded { ids, input_deviation, input, targets }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Augment, Flip, ImageSize, Padding, Resize};
    use crate::random::Random;
    use crate::select::Visit;
    use crate::testing::DirectLoader;

    /// Images of 2 x 3 x 5 pixels, each pixel different, with negative zeros.
    struct Numbered;

    impl Dataset for Numbered {
        fn samples(&self) -> usize {
            7
        }
        fn classes(&self) -> usize {
            7
        }
        fn shape(&self) -> Shape {
            Shape::Image([2, 3, 5])
        }
        fn label(&self, id: SampleId) -> usize {
            id as usize
        }
        fn write(&self, id: SampleId, out: &mut [f32]) {
            (0..).zip(out).for_each(|(i, out)| *out = if i % 4 == 0 { -0.0 } else { (30 * id + i) as f32 });
        }
        fn input_deviation(&self, id: SampleId) -> f32 {
            id as f32 / 8.0
        }
    }

    fn bits(batch: Uploaded) -> (Vec<SampleId>, Vec<f32>, Vec<u32>, Vec<i32>) {
        let Input::Image(pixels) = batch.input else { panic!("images") };
        let pixels: Vec<f32> = pixels.into_data().try_into_vec().unwrap();
        let targets = batch.targets.into_data().convert::<i32>().try_into_vec().unwrap();
        (batch.ids, batch.input_deviation, pixels.into_iter().map(f32::to_bits).collect(), targets)
    }

    #[test]
    fn gathered_batches_are_those_of_the_loader() {
        let feed = |hold| Feed::new(Box::new(DirectLoader::new(Arc::new(Numbered))), Device::flex().autodiff(), hold);
        let (mut host, mut held) = (feed(false), feed(true));
        assert!(host.resident.is_none() && held.resident.is_some());
        let standard = Augment { shift: 2, ..Augment::standard(Random::new(3)) };
        let mut augments = vec![None, Some(Augment { flip: Flip::Off, ..standard })];
        augments.extend([Padding::Zeros, Padding::Reflect].map(|padding| Some(Augment { padding, ..standard })));
        let small = ImageSize { sides: [2, 3], by: Resize::Scale, random: Random::new(4) };
        for augment in augments {
            for epoch in 0..4 {
                let visits = [3, 0, 6, 3, 2].map(|id| Visit { id, epoch, earlier: epoch }).to_vec();
                let request = Request { visits, augment, size: (epoch == 3).then_some(small) };
                [&mut host, &mut held].into_iter().for_each(|feed| feed.request(request.clone()));
            }
            for _ in 0..4 {
                let [host, held] =
                    [&mut host, &mut held].map(|feed| bits(feed.receive().unwrap().unwrap().data.unwrap()));
                assert_eq!(host, held, "{augment:?}");
            }
        }
        assert!(held.receive().unwrap().is_none());
    }
}
