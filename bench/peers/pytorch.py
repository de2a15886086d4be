"""PyTorch's side of bench/train: `python pytorch.py FOLDER default|channels_last`."""

import sys

import torch
import torch.nn.functional as F
from peer import Task, serve
from torch import nn


def conv_norm(inputs, outputs, kernel=3):
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Conv4(nn.Module):
    def __init__(self, channels):
        super().__init__()
        widths = [channels, 64, 64, 64, 64]
        self.blocks = nn.ModuleList(conv_norm(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x):
        for block in self.blocks:
            x = F.max_pool2d(F.relu(block(x)), 2)
        return x.flatten(1)


class Residual(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layers = nn.ModuleList(conv_norm(a, outputs) for a in [inputs, outputs, outputs])
        self.shortcut = conv_norm(inputs, outputs, 1)

    def forward(self, x):
        y = F.leaky_relu(self.layers[0](x), 0.1)
        y = F.leaky_relu(self.layers[1](y), 0.1)
        y = self.layers[2](y)
        return F.max_pool2d(F.leaky_relu(y + self.shortcut(x), 0.1), 2)


class ResNet12(nn.Module):
    def __init__(self, channels):
        super().__init__()
        widths = [channels, 64, 160, 320, 640]
        self.blocks = nn.Sequential(*(Residual(a, b) for a, b in zip(widths, widths[1:])))

    def forward(self, x):
        return self.blocks(x).mean((2, 3))


task = Task(sys.argv[1])
torch.set_num_threads(task.threads)
layout = {"default": torch.contiguous_format, "channels_last": torch.channels_last}[sys.argv[2]]

net = {"conv4": Conv4, "resnet12": ResNet12}[task.backbone](task.shape[1])
parameters = list(net.parameters())
assert len(parameters) == len(task.weights)
with torch.no_grad():
    for parameter, weight in zip(parameters, task.weights):
        assert parameter.shape == weight.shape
        parameter.copy_(torch.from_numpy(weight))
net = net.to(memory_format=layout).train()
images = torch.from_numpy(task.images).contiguous(memory_format=layout)
optimizer = torch.optim.Adam(net.parameters(), lr=task.rate)
support_images = task.way * task.shot
targets = torch.arange(task.way).repeat_interleave(task.query)


def step():
    optimizer.zero_grad()
    embeddings = net(images)
    prototypes = embeddings[:support_images].reshape(task.way, task.shot, -1).mean(1)
    queries = embeddings[support_images:]
    logits = (
        2 * queries @ prototypes.T - queries.square().sum(1, keepdim=True) - prototypes.square().sum(1)
    )
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    optimizer.step()
    return loss.item()


serve(f"PyTorch {torch.__version__}", step)
