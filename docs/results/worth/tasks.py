"""Tasks with uneven data and wrong labels, made of CIFAR-10, as `.npz` files for the dataset `arrays`.

    python tasks.py CIFAR OUT [--held-out] [TASK...]

CIFAR is a folder `cifar-10-batches-bin`. Each task becomes a folder of OUT with `train.npz`, `test.npz` and, where labels
are wrong, `wrong.csv`: the rows of the training images whose label is. Test labels are always right. The test images are
those of CIFAR-10. With --held-out they are 5,000 training images that no task trains on: settings are chosen on those.

    clean       12,500 images
    flip5       the same with 5 % of the labels replaced by another class, at random
    flip20      the same with 20 %
    pairs20     a fifth of the cats become dogs and so on: cat/dog, truck/car, deer/horse, plane/ship, both ways
    copies      2,500 images and 10,000 near copies of 250 others: moved, of another brightness, with noise
    copies5     the same with 5 % of the labels replaced
    trivial     2,500 images and 10,000 of one colour, which tells the class; the test is of images only
    longtail    n_c = 5000 x 100^(-c/9) images of class c; the test is balanced
    hard        12,500 images, all classes equal; in three of them, test included, half of the pixels are noise
"""
import sys
from pathlib import Path

import numpy as np

CLASSES, HELD_OUT = 10, 5_000
PAIRS = {3: 5, 5: 3, 9: 1, 1: 9, 4: 7, 7: 4, 0: 8, 8: 0}
HARD = [2, 3, 4]


def read(file):
    rows = np.fromfile(file, np.uint8).reshape(-1, 3073)
    return rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1), rows[:, 0].astype(np.int64)


def flipped(labels, share, random):
    """The labels with an exact share replaced by another class, and the rows of those."""
    wrong = np.sort(random.permutation(len(labels))[: round(share * len(labels))])
    labels = labels.copy()
    labels[wrong] = (labels[wrong] + random.integers(1, CLASSES, len(wrong))) % CLASSES
    return labels, wrong


def swapped(labels, share, random):
    """The labels with a share of each class of a pair replaced by the other class of it, and the rows of those."""
    of = [np.flatnonzero(labels == a) for a in PAIRS]
    wrong = np.sort(np.concatenate([random.permutation(rows)[: round(share * len(rows))] for rows in of]))
    labels = labels.copy()
    labels[wrong] = [PAIRS[label] for label in labels[wrong]]
    return labels, wrong


def near_copy(image, random):
    image = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="reflect")
    up, left = random.integers(0, 5, 2)
    image = image[up : up + 32, left : left + 32].astype(float)
    image = image * random.uniform(0.85, 1.15) + random.uniform(-10, 10) + random.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def of_one_colour(label, random):
    """An image whose hue tells the class, with a little noise."""
    turn = 2 * np.pi * (label / CLASSES + np.array([0, 1 / 3, 2 / 3]))
    image = 128 + 80 * np.cos(turn) + random.uniform(-15, 15) + random.normal(0, 6, (32, 32, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def half_noise(image, random):
    noise = random.integers(0, 256, image.shape, dtype=np.uint8)
    return np.where(random.random((32, 32, 1)) < 0.5, noise, image)


def make(task, pool, test, random):
    """Training images, labels, rows with wrong labels, test images and labels."""
    (images, labels), (test_images, test_labels) = pool, test
    order = random.permutation(len(labels))
    if task.startswith("copies"):
        rows, originals = order[:2500], order[2500:2750]
        copies = np.array([near_copy(images[k], random) for k in originals for _ in range(40)])
        images = np.concatenate([images[rows], copies])
        labels = np.concatenate([labels[rows], np.repeat(labels[originals], 40)])
    elif task == "trivial":
        rows, told = order[:2500], random.integers(0, CLASSES, 10_000)
        images = np.concatenate([images[rows], [of_one_colour(label, random) for label in told]])
        labels = np.concatenate([labels[rows], told])
    elif task == "longtail":
        of = [order[labels[order] == c] for c in range(CLASSES)]
        full = len(labels) / CLASSES
        rows = np.concatenate([of[c][: int(full * 100 ** (-c / 9))] for c in range(CLASSES)])
        images, labels = images[rows], labels[rows]
    else:
        images, labels = images[order[:12500]], labels[order[:12500]]
    wrong = np.array([], np.int64)
    if task.startswith("flip") or task == "copies5":
        labels, wrong = flipped(labels, {"flip20": 0.2}.get(task, 0.05), random)
    elif task == "pairs20":
        labels, wrong = swapped(labels, 0.2, random)
    elif task == "hard":
        noisy = lambda x, y: np.array([half_noise(a, random) if b in HARD else a for a, b in zip(x, y)])
        images, test_images = noisy(images, labels), noisy(test_images, test_labels)
    order = random.permutation(len(labels))
    wrong = np.flatnonzero(np.isin(order, wrong))
    return images[order], labels[order], wrong, test_images, test_labels


TASKS = ["clean", "flip5", "flip20", "pairs20", "copies", "copies5", "trivial", "longtail", "hard"]


def main():
    given = [arg for arg in sys.argv[1:] if not arg.startswith("--")]
    if len(given) < 2 or not set(given[2:]) <= set(TASKS):
        sys.exit(__doc__)
    cifar, out = Path(given[0]), Path(given[1])
    batches = [read(cifar / f"data_batch_{i}.bin") for i in range(1, 6)]
    images, labels = (np.concatenate(parts) for parts in zip(*batches))
    test = read(cifar / "test_batch.bin")
    if "--held-out" in sys.argv:
        test, images, labels = (images[-HELD_OUT:], labels[-HELD_OUT:]), images[:-HELD_OUT], labels[:-HELD_OUT]
    for task in given[2:] or TASKS:
        random = np.random.default_rng(7)  # the same images in each
        train_images, train_labels, wrong, test_images, test_labels = make(task, (images, labels), test, random)
        folder = out / task
        folder.mkdir(parents=True, exist_ok=True)
        np.savez(folder / "train.npz", images=train_images, labels=train_labels)
        np.savez(folder / "test.npz", images=test_images, labels=test_labels)
        (folder / "wrong.csv").unlink(missing_ok=True)
        if len(wrong):
            np.savetxt(folder / "wrong.csv", wrong, "%d")
        print(f"{task}: {len(train_labels)} training images, {len(wrong)} wrong labels, by class {np.bincount(train_labels)}")


main()
