#!/usr/bin/env python3
"""The preset cifar10-94 in plain PyTorch, on the CPU: the same recipe, network, data and test-time augmentation.

    airbench_in_pytorch.py DATA [--seed S] [--way WAY] [--epochs N] [--width W]

DATA is the folder with data_batch_1.bin to data_batch_5.bin and test_batch.bin. A WAY is words joined by `+`, as in
benches/networks.py: channels-last, compiled, fused. Prints one JSON line: accuracy in percent, plain and with test-time
augmentation, and the seconds of training, with augmentation and without evaluation.

Source of the recipe: K. Jordan, 94% on CIFAR-10 in 3.29 Seconds on a Single GPU (2024), and his repository
KellerJordan/cifar10-airbench, file airbench94.py.
"""

import argparse
import json
import pathlib
import sys
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "benches"))
from networks import Airbench

BATCH, MOMENTUM, SMOOTHING, SHIFT = 1024, 0.85, 0.2, 2
# Of the sum over a batch, per 1,024 samples, and decoupled from the momentum.
SCALE = 1024 * (1 + 1 / (1 - MOMENTUM))
LR, DECAY, NORM_BIAS = 11.5 / SCALE, 0.0153 * BATCH / SCALE, 64.0
BIAS_SHARE, LOOKAHEAD = 0.3, 5
MEAN, DEVIATION = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


def load(folder, files):
    raw = np.concatenate([np.fromfile(pathlib.Path(folder) / file, np.uint8).reshape(-1, 3073) for file in files])
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (MEAN, DEVIATION))
    images = torch.from_numpy(raw[:, 1:].reshape(-1, 3, 32, 32).copy()).float() / 255
    return (images - mean) / deviation, torch.from_numpy(raw[:, 0].astype(np.int64))


def build(width, images):
    network = Airbench(width)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d) and layer.weight.requires_grad:
            nn.init.dirac_(layer.weight.data[: layer.in_channels])
    patches = images[:5000].unfold(2, 2, 1).unfold(3, 2, 1).permute(0, 2, 3, 1, 4, 5).reshape(-1, 12)
    variances, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = vectors.T.reshape(12, 3, 2, 2) / torch.sqrt(variances.view(-1, 1, 1, 1) + 5e-4)
    whiten = network.body[0]
    whiten.weight.data[:] = torch.cat([filters, -filters])
    whiten.bias.data.zero_()
    return network, whiten


def augmented(images, flipped):
    images = torch.where(flipped.view(-1, 1, 1, 1), images.flip(-1), images)
    padded = functional.pad(images, (SHIFT,) * 4, "reflect")
    down, right = torch.randint(0, 2 * SHIFT + 1, (2, len(images), 1))
    rows, columns = down + torch.arange(32), right + torch.arange(32)
    image, channel = torch.arange(len(images)).view(-1, 1, 1, 1), torch.arange(3).view(1, -1, 1, 1)
    return padded[image, channel, rows.view(-1, 1, 32, 1), columns.view(-1, 1, 1, 32)]


def evaluate(network, images, labels):
    network.eval()
    plain = views = 0
    with torch.no_grad():
        for x, y in zip(images.split(1000), labels.split(1000)):
            padded = functional.pad(x, (1,) * 4, "reflect")
            weighted = [(0.5, x), (0.25, padded[:, :, :32, :32]), (0.25, padded[:, :, 2:, 2:])]
            plain += (network(x).argmax(1) == y).sum().item()
            logits = sum(weight * (network(x) + network(x.flip(-1))) for weight, x in weighted)
            views += (logits.argmax(1) == y).sum().item()
    return 100 * plain / len(labels), 100 * views / len(labels)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--way", default="channels-last")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    torch.set_num_threads(arguments.threads)
    words = arguments.way.split("+")
    layout = torch.channels_last if "channels-last" in words else torch.contiguous_format

    images, labels = load(arguments.data, [f"data_batch_{number}.bin" for number in range(1, 6)])
    test = load(arguments.data, ["test_batch.bin"])
    network, whiten = build(arguments.width, images)
    network = network.to(memory_format=layout)
    forward = torch.compile(network) if "compiled" in words else network
    trained = {name: value for name, value in network.named_parameters() if value.requires_grad}
    norms = {name for name, layer in network.named_modules() if isinstance(layer, nn.BatchNorm2d)}
    of_norms = [value for name, value in trained.items() if name.rsplit(".", 1)[0] in norms]
    others = [value for name, value in trained.items() if name.rsplit(".", 1)[0] not in norms]
    groups = [
        {"params": of_norms, "lr": LR * NORM_BIAS, "weight_decay": DECAY / (LR * NORM_BIAS)},
        {"params": others, "lr": LR, "weight_decay": DECAY / LR},
    ]
    optimizer = torch.optim.SGD(groups, momentum=MOMENTUM, nesterov=True, fused="fused" in words)
    steps = arguments.epochs * len(images) // BATCH
    triangle = lambda step: np.interp(step, [0, int(0.23 * steps), steps], [0.2, 1, 0.07])
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, triangle)
    averaged = [value for value in network.state_dict().values() if value.is_floating_point()]
    averages = [value.clone() for value in averaged]

    begun = time.time()
    flip_first = torch.randint(0, 2, (len(images),))
    order, at, epoch = torch.randperm(len(images)), 0, 0
    network.train()
    for step in range(steps):
        if at + BATCH > len(images):
            order, at, epoch = torch.randperm(len(images)), 0, epoch + 1
        ids, at = order[at : at + BATCH], at + BATCH
        x = augmented(images[ids], (flip_first[ids] + epoch) % 2 == 1).contiguous(memory_format=layout)
        loss = functional.cross_entropy(forward(x), labels[ids], label_smoothing=SMOOTHING, reduction="sum")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if step >= BIAS_SHARE * steps:
            whiten.bias.grad = None
        optimizer.step()
        schedule.step()
        if (step + 1) % LOOKAHEAD == 0:
            kept = 0.95**LOOKAHEAD * (step / steps) ** 3
            with torch.no_grad():
                for average, value in zip(averages, averaged):
                    average.lerp_(value, 1 - kept)
                    value.copy_(average)
    seconds = time.time() - begun
    plain, views = evaluate(network, test[0].contiguous(memory_format=layout), test[1])
    result = {"seed": arguments.seed, "way": arguments.way, "accuracy": plain, "tta": views, "seconds": round(seconds, 1)}
    print(json.dumps(result))


if __name__ == "__main__":
    main()
