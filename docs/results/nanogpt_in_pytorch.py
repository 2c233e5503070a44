#!/usr/bin/env python3
"""nanoGPT's small run for a CPU in PyTorch: the preset `shakespeare` to compare with.

    pip install torch numpy
    python3 docs/results/nanogpt_in_pytorch.py TEXT [--seed N] [--threads N]

TEXT is tinyshakespeare.txt. Network, data, optimizer and schedule are those of nanoGPT's train.py with the options of its
README for a CPU. The loss is that of all windows of the last tenth, as `ast` evaluates, and not of a few random ones.
"""

import argparse
import functools
import json
import math
import time

import numpy as np
import torch
from torch import nn
from torch.nn import functional

CONTEXT, BATCH, STEPS, WARM_UP = 64, 12, 2000, 100
PEAK, LAST = 1e-3, 1e-4


class Block(nn.Module):
    def __init__(self, width, heads, depth):
        super().__init__()
        linear = functools.partial(nn.Linear, bias=False)
        self.heads = heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width, bias=False), nn.LayerNorm(width, bias=False)
        self.attn = nn.ModuleDict({"c_attn": linear(width, 3 * width), "c_proj": linear(width, width)})
        self.mlp = nn.ModuleDict({"c_fc": linear(width, 4 * width), "c_proj": linear(4 * width, width)})
        for part in self.attn, self.mlp:
            for name, layer in part.items():
                nn.init.normal_(layer.weight, std=0.02 / (math.sqrt(2 * depth) if name == "c_proj" else 1))

    def forward(self, x):
        parts = self.attn.c_attn(self.ln_1(x)).chunk(3, 2)
        mixed = functional.scaled_dot_product_attention(
            *(part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts), is_causal=True
        )
        x = x + self.attn.c_proj(mixed.transpose(1, 2).flatten(2))
        return x + self.mlp.c_proj(functional.gelu(self.mlp.c_fc(self.ln_2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, width=128, heads=4, depth=4):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(vocabulary, width), nn.Embedding(CONTEXT, width)
        self.h = nn.Sequential(*(Block(width, heads, depth) for _ in range(depth)))
        self.ln_f = nn.LayerNorm(width, bias=False)
        nn.init.normal_(self.wte.weight, std=0.02)
        nn.init.normal_(self.wpe.weight, std=0.02)

    def forward(self, tokens):
        x = self.h(self.wte(tokens) + self.wpe(torch.arange(tokens.shape[1])))
        return functional.linear(self.ln_f(x), self.wte.weight)


def rate(step):
    if step < WARM_UP:
        return PEAK * (step + 1) / (WARM_UP + 1)
    share = (step - WARM_UP) / (STEPS - WARM_UP)
    return LAST + (PEAK - LAST) * (1 + math.cos(math.pi * share)) / 2


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("text")
    arguments.add_argument("--seed", type=int, default=0)
    arguments.add_argument("--threads", type=int, default=2)
    given = arguments.parse_args()
    torch.set_num_threads(given.threads)
    torch.manual_seed(given.seed)
    text = open(given.text, encoding="utf-8").read()
    numbers = {character: number for number, character in enumerate(sorted(set(text)))}
    tokens = torch.from_numpy(np.array([numbers[character] for character in text]))
    end = int(0.9 * len(tokens))
    train, test = tokens[:end], tokens[end:]
    model = Gpt(len(numbers))
    decayed = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=PEAK, betas=(0.9, 0.99))
    begin = time.perf_counter()
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        starts = torch.randint(len(train) - CONTEXT, (BATCH,))
        windows = torch.stack([train[start : start + CONTEXT + 1] for start in starts])
        logits = model(windows[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), windows[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    seconds = time.perf_counter() - begin
    windows = test.unfold(0, CONTEXT + 1, CONTEXT)
    with torch.no_grad():
        losses = [
            functional.cross_entropy(model(part[:, :-1]).flatten(0, 1), part[:, 1:].flatten(), reduction="none").sum()
            for part in windows.split(256)
        ]
    loss = (sum(losses) / (len(windows) * CONTEXT)).item()
    about = {"seed": given.seed, "loss": loss, "windows": len(windows), "seconds": seconds, "threads": given.threads}
    print(json.dumps({**about, "torch": torch.__version__}))


main()
