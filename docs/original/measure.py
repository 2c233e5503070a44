"""What the original's PyPI package saves: its trainer beside plain training, in one process, alternating.

    python3 -m venv venv && venv/bin/pip install torch numpy tqdm adaptive-sparse-training==1.0.1
    venv/bin/python docs/original/measure.py [--rounds 5] [--threads 2]

First its selection alone (scoring, gate and control of a batch), then its trainer. Times only, so the images are random numbers: SimpleCNN, batches of 128, Adam, 10 % target. Each round times one pass
over 2,560 images with plain training and one with the package, in turn. Last line: the ratio of the medians, and what
the package itself prints as saved.
"""
import argparse
import contextlib
import io
import time

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from adaptive_sparse_training import AdaptiveSparseTrainer, ASTConfig, SundewAlgorithm

BATCH, BATCHES = 128, 20


def simple_cnn():
    return nn.Sequential(
        nn.Conv2d(3, 32, 3, padding=1), nn.ReLU(),
        nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(8192, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10))


def selection(batch, repeats=300):
    gate = SundewAlgorithm(ASTConfig(target_activation_rate=0.1, device="cpu", use_amp=False))
    losses, logits = torch.rand(batch) * 4, torch.randn(batch, 10)
    for _ in range(50):
        gate.select_samples(losses, logits)
    begin = time.perf_counter()
    for _ in range(repeats):
        gate.select_samples(losses, logits)
    seconds = (time.perf_counter() - begin) / repeats
    print(f"selection of {batch:6}: {1e6 * seconds:8.1f} us, {batch / seconds / 1e6:6.2f} M samples/s (mean of {repeats})")


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--threads", type=int, default=2)
    options = options.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    for batch in (128, 1024, 65536):
        selection(batch)
    batches = [(torch.randn(BATCH, 3, 32, 32), torch.randint(0, 10, (BATCH,))) for _ in range(BATCHES)]

    plain = simple_cnn()
    adam = torch.optim.Adam(plain.parameters(), 1e-3)

    def plain_pass():
        for x, y in batches:
            adam.zero_grad()
            F.cross_entropy(plain(x), y).backward()
            adam.step()

    config = ASTConfig(target_activation_rate=0.1, device="cpu", use_amp=False)
    package = AdaptiveSparseTrainer(simple_cnn(), batches, [], config)
    stats = {}

    def package_pass():
        with contextlib.redirect_stderr(io.StringIO()):
            stats.update(package.train_epoch(1))

    passes = {"plain": plain_pass, "package": package_pass}
    for run in passes.values():
        run()
    seconds = {name: [] for name in passes}
    for _ in range(options.rounds):
        for name, run in passes.items():
            begin = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - begin)
    for name, times in seconds.items():
        rates = BATCH * BATCHES / np.array(times)
        print(f"{name:8} {np.median(rates):6.0f} samples/s (min {rates.min():.0f}, max {rates.max():.0f}, n = {len(times)})")
    speed = np.median(seconds["plain"]) / np.median(seconds["package"])
    print(f"torch {torch.__version__}, {options.threads} threads: the package trains at {speed:.2f} times the speed of plain "
          f"training and prints {stats['energy_savings']:.1f} % saved at {100 * stats['activation_rate']:.1f} % activation")


if __name__ == "__main__":
    main()
