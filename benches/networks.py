"""The networks of `versus_pytorch.rs` in plain PyTorch: forward pass and dense step, timed in the same way.

    networks.py NETWORK BATCH [--threads N] [--device cpu|cuda] [--forward WAY] [--step WAY] [--seconds S]

NETWORK is simple-cnn, airbench or resnet18. A WAY is words joined by `+`:

    nchw, channels-last   memory format of weights and images
    compiled              torch.compile
    fused                 the optimizer in one kernel
    tf32, bf16            on a GPU: format of matrix products and convolutions; bf16 by autocast. Otherwise f32

With --forward or --step it measures these. With neither it tries every way and names the fastest.
"""

import argparse
import contextlib
import statistics
import time

import torch
from torch import nn
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

WARM_UP, LEAST, MOST = 2, 3, 20
# Steps between two readings of the clock. A GPU queues work, so it is read once for several.
STEPS = {"cpu": 1, "cuda": 10}


def conv(inputs, outputs, kernel=3, stride=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=bias)


def simple_cnn():
    return nn.Sequential(
        conv(3, 32, bias=True), nn.ReLU(),
        conv(32, 64, bias=True), nn.ReLU(), nn.MaxPool2d(2),
        conv(64, 128, bias=True), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(8192, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, 10),
    )


class Airbench(nn.Module):
    """K. Jordan's airbench94 (2024)."""

    def __init__(self, width=64):
        super().__init__()
        whiten = nn.Conv2d(3, 24, 2)
        whiten.weight.requires_grad = False
        sides = [(24, width), (width, 4 * width), (4 * width, 4 * width)]
        groups = [layer for channels in sides for layer in self.group(*channels)]
        self.body = nn.Sequential(whiten, nn.GELU(), *groups)
        self.head = nn.Linear(4 * width, 10, bias=False)

    @staticmethod
    def group(inputs, outputs):
        norms = [nn.BatchNorm2d(outputs, eps=1e-12, momentum=0.4) for _ in range(2)]
        for norm in norms:
            norm.weight.requires_grad = False
        return [
            conv(inputs, outputs), nn.MaxPool2d(2), norms[0], nn.GELU(),
            conv(outputs, outputs), norms[1], nn.GELU(),
        ]

    def forward(self, x):
        return self.head(self.body(x).amax((2, 3))) / 9


class Residual(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.body = nn.Sequential(
            conv(inputs, outputs, stride=stride), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True),
            conv(outputs, outputs), nn.BatchNorm2d(outputs),
        )
        self.shortcut = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = nn.Sequential(conv(inputs, outputs, kernel=1, stride=stride), nn.BatchNorm2d(outputs))

    def forward(self, x):
        return functional.relu(self.body(x) + self.shortcut(x), inplace=True)


def resnet18():
    """As in torchvision, with the stem for small images."""
    layers, inputs = [conv(3, 64), nn.BatchNorm2d(64), nn.ReLU(inplace=True)], 64
    for outputs, stride in [(64, 1), (128, 2), (256, 2), (512, 2)]:
        layers += [Residual(inputs, outputs, stride), Residual(outputs, outputs, 1)]
        inputs = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


def adam(parameters, fused):
    return torch.optim.Adam(parameters, 1e-3, fused=fused)


def sgd(parameters, fused):
    return torch.optim.SGD(parameters, 1e-3, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=fused)


NETWORKS = {"simple-cnn": (simple_cnn, adam), "airbench": (Airbench, sgd), "resnet18": (resnet18, sgd)}


class Bench:
    """A network with its optimizer and a batch, in one way."""

    def __init__(self, network, batch, device, way):
        torch.manual_seed(0)
        torch._dynamo.reset()
        build, optimizer = NETWORKS[network]
        words = way.split("+")
        tf32 = "tf32" in words
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        layout = torch.channels_last if "channels-last" in words else torch.contiguous_format
        self.plain = build().to(device=device, memory_format=layout)
        self.model = torch.compile(self.plain) if "compiled" in words else self.plain
        self.optimizer = optimizer([p for p in self.plain.parameters() if p.requires_grad], "fused" in words)
        self.images = (torch.rand(batch, 3, 32, 32, device=device) * 3.4 - 1.7).to(memory_format=layout)
        self.targets = torch.arange(batch, device=device) % 10
        self.autocast = contextlib.nullcontext
        if "bf16" in words:
            self.autocast = lambda: torch.autocast(device, torch.bfloat16)

    def loss(self):
        with self.autocast():
            return functional.cross_entropy(self.model(self.images), self.targets)

    def forward(self):
        with torch.no_grad(), self.autocast():
            self.model(self.images)

    def step(self):
        self.optimizer.zero_grad()
        self.loss().backward()
        self.optimizer.step()


def median(network, batch, device, way, phase, limit):
    """Median milliseconds of a forward pass or a step; at most about `limit` seconds are spent on the timed ones."""
    bench = Bench(network, batch, device, way)
    bench.plain.train(phase == "step")
    work = getattr(bench, phase)
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for _ in range(WARM_UP):
        work()
    seconds = []
    while len(seconds) < LEAST or (len(seconds) < MOST and sum(seconds) * STEPS[device] < limit):
        wait()
        begin = time.perf_counter()
        for _ in range(STEPS[device]):
            work()
        wait()
        seconds.append((time.perf_counter() - begin) / STEPS[device])
    return 1e3 * statistics.median(seconds)


def fastest(options, phase):
    """Tries every way and returns the fastest: first the format, then whether the optimizer is fused."""
    forms = ["nchw", "channels-last", "nchw+compiled", "channels-last+compiled"]
    if options.device == "cuda":
        forms = [f"{form}+{word}" for word in ["tf32", "bf16"] for form in forms] + forms[:2]
    taken = {}

    def attempt(way):
        try:
            taken[way] = median(options.network, options.batch, options.device, way, phase, options.seconds / 4)
            print(f"  {phase:<8}{way:<32}{taken[way]:9.2f} ms", flush=True)
        except Exception as error:  # such as a missing compiler
            print(f"  {phase:<8}{way:<32}   failed: {str(error).strip().splitlines()[0]}", flush=True)

    for form in forms:
        attempt(form)
    if phase == "step":
        attempt(f"{min(taken, key=taken.get)}+fused")
    return min(taken, key=taken.get)


def counts(network):
    """Trained parameters, and FLOPs of a forward pass and of a step for one sample."""
    bench = Bench(network, 2, "cpu", "nchw")
    flops = []
    for work in (bench.forward, lambda: bench.loss().backward()):
        with FlopCounterMode(display=False) as counter:
            work()
        flops.append(counter.get_total_flops() // 2)
    parameters = sum(p.numel() for p in bench.plain.parameters() if p.requires_grad)
    return f"parameters {parameters}, forward {flops[0]} FLOP, step {flops[1]} FLOP"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("batch", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=STEPS, default="cpu")
    parser.add_argument("--forward", metavar="WAY")
    parser.add_argument("--step", metavar="WAY")
    parser.add_argument("--phases", nargs="+", choices=["forward", "step"], default=["forward", "step"])
    parser.add_argument("--seconds", type=float, default=4.0, help="seconds of timed work for each median")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    print(counts(options.network))
    ways = {"forward": options.forward, "step": options.step}
    for phase in options.phases:
        if not options.forward and not options.step:
            print(f"fastest {phase} {fastest(options, phase)}", flush=True)
        elif ways[phase]:
            way = ways[phase]
            taken = median(options.network, options.batch, options.device, way, phase, options.seconds)
            print(f"{phase}: median {taken:.2f} ms, {1e3 * options.batch / taken:.0f} samples/s")


if __name__ == "__main__":
    main()
