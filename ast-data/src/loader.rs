use std::collections::VecDeque;
use std::sync::{Arc, mpsc};

use ast_core::data::{Dataset, HostBatch, LoadError, Loader, Request};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Assembles batches on worker threads and returns them in the order of their requests.
///
/// A batch is a function of its request: the number of workers changes when it is ready, but not its content. With 0
/// workers the calling thread assembles a batch when it receives it. A batch of images that are read from files is
/// assembled by all workers, each a part of it; one from memory by one of them.
pub struct OrderedLoader {
    dataset: Arc<dyn Dataset>,
    pool: Option<ThreadPool>,
    batches: VecDeque<Pending>,
}

enum Pending {
    Here(Request),
    /// The parts of a batch, in order.
    Workers(Vec<mpsc::Receiver<Result<HostBatch, LoadError>>>),
}

impl OrderedLoader {
    /// A loader with `workers` threads.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn new(dataset: Arc<dyn Dataset>, workers: usize) -> Result<Self, ThreadPoolBuildError> {
        // A worker that panics drops its sender, which `receive` reports; without a handler it would end the process.
        let builder = ThreadPoolBuilder::new().num_threads(workers).panic_handler(drop);
        let pool = (workers > 0).then(|| builder.thread_name(|i| format!("loader-{i}")).build()).transpose()?;
        Ok(Self { dataset, pool, batches: VecDeque::new() })
    }
}

impl OrderedLoader {
    /// Starts to assemble a batch, on a pool.
    fn start(&self, pool: &ThreadPool, request: &Request) -> Vec<mpsc::Receiver<Result<HostBatch, LoadError>>> {
        let parts = if self.dataset.reads_files() { pool.current_num_threads() } else { 1 };
        let start = |part: Request| {
            let (sender, receiver) = mpsc::sync_channel(1);
            let dataset = self.dataset.clone();
            // Sending fails only if the loader was dropped; then the batch is not needed.
            pool.spawn_fifo(move || drop(sender.send(part.collate(dataset.as_ref()))));
            receiver
        };
        request.split(parts).into_iter().map(start).collect()
    }
}

/// Waits for all parts, so that the first error in the order of the samples is reported, whichever worker is first.
fn wait(parts: Vec<mpsc::Receiver<Result<HostBatch, LoadError>>>) -> Result<HostBatch, LoadError> {
    let received = parts.into_iter().map(|part| part.recv().unwrap_or(Err(LoadError::Worker)));
    HostBatch::join(received.collect::<Result<Vec<_>, _>>()?).ok_or(LoadError::Worker)
}

impl Loader for OrderedLoader {
    fn dataset(&self) -> &Arc<dyn Dataset> {
        &self.dataset
    }

    fn request(&mut self, request: Request) {
        let pending = match &self.pool {
            None => Pending::Here(request),
            Some(pool) => Pending::Workers(self.start(pool, &request)),
        };
        self.batches.push_back(pending);
    }

    fn receive(&mut self) -> Result<Option<HostBatch>, LoadError> {
        match self.batches.pop_front() {
            None => Ok(None),
            Some(Pending::Here(request)) => request.collate(self.dataset.as_ref()).map(Some),
            Some(Pending::Workers(parts)) => wait(parts).map(Some),
        }
    }

    fn load(&self, request: &Request) -> Result<HostBatch, LoadError> {
        match &self.pool {
            Some(pool) if self.dataset.reads_files() => wait(self.start(pool, request)),
            _ => request.collate(self.dataset.as_ref()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::procedural::{Difficulty, Split, procedural};
    use ast_core::data::{Augment, Flip, ImageSize, Padding, Resize};
    use ast_core::random::Random;
    use ast_core::select::Visit;

    #[test]
    fn a_panic_in_a_worker_becomes_an_error() {
        let dataset = Arc::new(procedural(Random::new(1), Split::Train, 3, 32, Difficulty::default()));
        let mut loader = OrderedLoader::new(dataset, 1).unwrap();
        for id in [0, 99, 1] {
            loader.request(Request { visits: vec![Visit { id, epoch: 0, earlier: 0 }], augment: None, size: None });
        }
        assert_eq!(loader.receive().unwrap().unwrap().ids, [0]);
        assert!(loader.receive().is_err());
        assert_eq!(loader.receive().unwrap().unwrap().ids, [1]);
    }

    /// Any number of workers gives the same batches in the same order, augmented and resized.
    #[test]
    fn the_worker_count_does_not_change_batches() {
        let dataset: Arc<dyn Dataset> =
            Arc::new(procedural(Random::new(1), Split::Train, 300, 32, Difficulty::default()));
        let augment = Augment { flip: Flip::Alternate, padding: Padding::Reflect, ..Augment::standard(Random::new(5)) };
        let by = [Resize::Scale, Resize::Crop, Resize::Scale];
        let batches = |workers| {
            let mut loader = OrderedLoader::new(dataset.clone(), workers).unwrap();
            for k in 0..20u32 {
                let visits = (0..(k % 7) * 9 + 1)
                    .map(|i| Visit { id: (k * 31 + i * 7) % 300, epoch: k / 5, earlier: i % 3 })
                    .collect();
                let sides = [[32, 32], [20, 26]][k as usize % 2];
                let size = (k % 4 > 0).then_some(ImageSize { sides, by: by[k as usize % 3], random: Random::new(5) });
                loader.request(Request { visits, augment: Some(augment), size });
            }
            let mut all = Vec::new();
            while let Some(batch) = loader.receive().unwrap() {
                all.push(batch);
            }
            all
        };
        let expected = batches(0);
        assert_eq!(expected.len(), 20);
        for workers in [1, 2, 4] {
            assert!(batches(workers) == expected, "{workers} workers");
        }
    }
}
