"""The dense step and the forward pass of SimpleCNN in plain PyTorch, timed like those of Burn in `versus_pytorch.rs`."""

import statistics
import sys
import time

import torch
from torch import nn
from torch.nn import functional

BATCH, WARM_UP, ITERATIONS = 128, 3, 20


def conv(channels_in, channels_out):
    return nn.Conv2d(channels_in, channels_out, 3, padding=1)


def report(name, work):
    for _ in range(WARM_UP):
        work()
    seconds = []
    for _ in range(ITERATIONS):
        begin = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begin)
    median = statistics.median(seconds)
    print(f"{name}: median {1e3 * median:.1f} ms, {BATCH / median:.0f} samples/s")


def main():
    torch.set_num_threads(int(sys.argv[1]))
    torch.manual_seed(0)
    model = nn.Sequential(
        conv(3, 32), nn.ReLU(),
        conv(32, 64), nn.ReLU(), nn.MaxPool2d(2),
        conv(64, 128), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8192, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10),
    )
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    images = torch.rand(BATCH, 3, 32, 32) * 3.4 - 1.7
    targets = torch.arange(BATCH) % 10

    def forward():
        with torch.no_grad():
            model(images)

    def step():
        optimizer.zero_grad()
        functional.cross_entropy(model(images), targets).backward()
        optimizer.step()

    model.eval()
    report("forward", forward)
    model.train()
    report("step", step)


main()
