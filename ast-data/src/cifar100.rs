//! CIFAR-100: a hundred classes, each with 500 training and 100 test images, in twenty groups of five. One training file
//! and one test file; a record has the group and then the class.

use ast_core::data::{Download, Published, PublishedFile};
use ast_core::plugin::{ParamKind, ParamSpec};

use crate::cifar::Cifar;

ast_core::register_dataset! {
    name: "cifar100",
    summary: "60,000 photographs of 32 x 32 pixels in a hundred classes (Krizhevsky 2009); `ast data fetch cifar100` downloads it, 169 MB",
    params: &[ParamSpec {
        name: "labels",
        summary: "`fine`: the hundred classes; `coarse`: the twenty groups of five that they form",
        kind: ParamKind::Choice(&["fine", "coarse"]),
    }],
    build: |params| Ok(Box::new(Cifar { kind: usize::from(params.word("labels")? == "fine"), ..CIFAR100 })),
}

pub(crate) const CIFAR100: Cifar = Cifar {
    title: "CIFAR-100",
    published,
    folder: "cifar-100-binary",
    train: &["train.bin"],
    test: "test.bin",
    records: [50_000, 10_000],
    kinds: &[20, 100],
    kind: 1,
    mean: [0.5071, 0.4865, 0.4409],
    deviation: [0.2673, 0.2564, 0.2762],
    archives: ["cifar-100-binary", "cifar-100-python"],
    python: &["cifar-100-python"],
};

fn published() -> Published {
    Published {
        page: "https://www.cs.toronto.edu/~kriz/cifar.html",
        licence: "none is stated; the page asks to cite the report of 2009",
        downloads: vec![Download {
            path: "cifar-100-binary.tar.gz",
            bytes: 168_513_733,
            sha256: "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
            url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            members: &[
                PublishedFile {
                    path: "cifar-100-binary/train.bin",
                    bytes: 153_700_000,
                    sha256: "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
                },
                PublishedFile {
                    path: "cifar-100-binary/test.bin",
                    bytes: 30_740_000,
                    sha256: "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
                },
            ],
        }],
    }
}
