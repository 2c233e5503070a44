//! CIFAR-10: ten classes, each with 5,000 training and 1,000 test images. Five training files and one test file hold 10,000
//! images each.

use ast_core::data::{Download, Published, PublishedFile};

use crate::cifar::Cifar;

ast_core::register_dataset! {
    name: "cifar10",
    summary: "60,000 photographs of 32 x 32 pixels in ten classes (Krizhevsky 2009); `ast data fetch cifar10` downloads it, 170 MB",
    params: &[],
    build: |_| Ok(Box::new(CIFAR10)),
}

pub(crate) const CIFAR10: Cifar = Cifar {
    title: "CIFAR-10",
    published,
    folder: "cifar-10-batches-bin",
    train: &["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"],
    test: "test_batch.bin",
    records: [10_000, 10_000],
    kinds: &[CLASSES],
    kind: 0,
    mean: [0.4914, 0.4822, 0.4465],
    deviation: [0.2470, 0.2435, 0.2616],
    archives: ["cifar-10-binary", "cifar-10-python"],
    python: &["cifar-10-batches-py", "data_batch_1", "test_batch"],
};

/// In the order of the file `batches.meta.txt`.
const CLASSES: &[&str] = &["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

fn published() -> Published {
    Published {
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "none is stated; the page asks to cite the report of 2009",
        downloads: vec![Download {
            path: "cifar-10-binary.tar.gz",
            bytes: 170_052_171,
            sha256: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
            url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            members: FILES,
        }],
    }
}

const FILES: &[PublishedFile] = &[
    file("cifar-10-batches-bin/data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
    file("cifar-10-batches-bin/data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
    file("cifar-10-batches-bin/data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
    file("cifar-10-batches-bin/data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
    file("cifar-10-batches-bin/data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
    file("cifar-10-batches-bin/test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
];

const fn file(path: &'static str, sha256: &'static str) -> PublishedFile {
    PublishedFile { path, bytes: 30_730_000, sha256 }
}
