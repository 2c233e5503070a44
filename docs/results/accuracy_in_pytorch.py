"""An independent witness: PyTorch takes a run's weights and counts its right answers on the same test images.

    python docs/results/accuracy_in_pytorch.py RUN DATA

RUN is the folder of a finished run of SimpleCNN on CIFAR-10; DATA holds cifar-10-batches-bin. Needs torch and numpy. Exit
code 1 if the accuracy differs from that in summary.json by more than 0.02 points (two images of 10,000).
"""
import json
import pathlib
import struct
import sys

import numpy as np
import torch
import torch.nn as nn

run, data = map(pathlib.Path, sys.argv[1:3])
raw = (run / "model.safetensors").read_bytes()
length = struct.unpack("<Q", raw[:8])[0]
header = json.loads(raw[8 : 8 + length])
header.pop("__metadata__", None)


def tensor(entry):
    begin, end = entry["data_offsets"]
    values = np.frombuffer(raw[8 + length + begin : 8 + length + end], dtype=np.float32)
    return torch.tensor(values.copy()).reshape(entry["shape"])


class SimpleCnn(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.conv3 = (
            nn.Conv2d(i, o, 3, padding=1) for i, o in [(3, 32), (32, 64), (64, 128)]
        )
        self.linear1, self.linear2 = nn.Linear(8192, 256), nn.Linear(256, 10)

    def forward(self, x):
        x = self.conv2(self.conv1(x).relu()).relu()
        x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.max_pool2d(self.conv3(x).relu(), 2)
        return self.linear2(self.linear1(x.flatten(1)).relu())


model = SimpleCnn()
model.load_state_dict({name: tensor(entry) for name, entry in header.items()})  # names and shapes must all fit
records = np.fromfile(data / "cifar-10-batches-bin" / "test_batch.bin", dtype=np.uint8).reshape(-1, 3073)
images = torch.tensor(records[:, 1:].reshape(-1, 3, 32, 32)).float() / 255
mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ([0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]))
with torch.no_grad():
    answers = torch.cat([model(batch).argmax(1) for batch in ((images - mean) / deviation).split(500)])
accuracy = 100 * (answers == torch.tensor(records[:, 0]).long()).float().mean().item()
expected = json.loads((run / "summary.json").read_text())["accuracy"]["final"]
print(f"PyTorch {torch.__version__}: {accuracy:.2f} %, summary.json: {expected:.2f} %")
sys.exit(abs(accuracy - expected) > 0.02)
