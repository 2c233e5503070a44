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
    kinds: &[COARSE, FINE],
    kind: 1,
    mean: [0.5071, 0.4865, 0.4409],
    deviation: [0.2673, 0.2564, 0.2762],
    archives: ["cifar-100-binary", "cifar-100-python"],
    python: &["cifar-100-python"],
};

/// In the order of the file `coarse_label_names.txt`.
#[rustfmt::skip]
const COARSE: &[&str] = &[
    "aquatic_mammals", "fish", "flowers", "food_containers", "fruit_and_vegetables", "household_electrical_devices",
    "household_furniture", "insects", "large_carnivores", "large_man-made_outdoor_things",
    "large_natural_outdoor_scenes", "large_omnivores_and_herbivores", "medium_mammals", "non-insect_invertebrates",
    "people", "reptiles", "small_mammals", "trees", "vehicles_1", "vehicles_2",
];

/// In the order of the file `fine_label_names.txt`.
#[rustfmt::skip]
const FINE: &[&str] = &[
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle", "bowl", "boy",
    "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle", "chair", "chimpanzee", "clock",
    "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur", "dolphin", "elephant", "flatfish",
    "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard", "lamp", "lawn_mower", "leopard", "lion",
    "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain", "mouse", "mushroom", "oak_tree", "orange",
    "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree", "plain", "plate", "poppy", "porcupine",
    "possum", "rabbit", "raccoon", "ray", "road", "rocket", "rose", "sea", "seal", "shark", "shrew", "skunk",
    "skyscraper", "snail", "snake", "spider", "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank",
    "telephone", "television", "tiger", "tractor", "train", "trout", "tulip", "turtle", "wardrobe", "whale",
    "willow_tree", "wolf", "woman", "worm",
];

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
