"""PaddlePaddle's side of bench/train: `python paddle_cpu.py FOLDER`, threads by OMP_NUM_THREADS."""

import sys

import paddle
import paddle.nn.functional as F
from paddle import nn
from peer import Task, serve


def conv_norm(inputs, outputs, kernel=3):
    conv = nn.Conv2D(inputs, outputs, kernel, padding=kernel // 2, bias_attr=False)
    return nn.Sequential(conv, nn.BatchNorm2D(outputs))


class Conv4(nn.Layer):
    def __init__(self, channels):
        super().__init__()
        widths = [channels, 64, 64, 64, 64]
        self.blocks = nn.LayerList([conv_norm(a, b) for a, b in zip(widths, widths[1:])])

    def forward(self, x):
        for block in self.blocks:
            x = F.max_pool2d(F.relu(block(x)), 2)
        return x.flatten(1)


class Residual(nn.Layer):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layers = nn.LayerList([conv_norm(a, outputs) for a in [inputs, outputs, outputs]])
        self.shortcut = conv_norm(inputs, outputs, 1)

    def forward(self, x):
        y = F.leaky_relu(self.layers[0](x), 0.1)
        y = F.leaky_relu(self.layers[1](y), 0.1)
        y = self.layers[2](y)
        return F.max_pool2d(F.leaky_relu(y + self.shortcut(x), 0.1), 2)


class ResNet12(nn.Layer):
    def __init__(self, channels):
        super().__init__()
        widths = [channels, 64, 160, 320, 640]
        self.blocks = nn.Sequential(*[Residual(a, b) for a, b in zip(widths, widths[1:])])

    def forward(self, x):
        return self.blocks(x).mean([2, 3])


task = Task(sys.argv[1])
paddle.set_device("cpu")
net = {"conv4": Conv4, "resnet12": ResNet12}[task.backbone](task.shape[1])
parameters = [p for p in net.parameters() if not p.stop_gradient]
assert len(parameters) == len(task.weights)
for parameter, weight in zip(parameters, task.weights):
    assert tuple(parameter.shape) == weight.shape
    parameter.set_value(weight)
net.train()
images = paddle.to_tensor(task.images)
optimizer = paddle.optimizer.Adam(learning_rate=task.rate, parameters=parameters)
support_images = task.way * task.shot
targets = paddle.arange(task.way * task.query) // task.query


def step():
    embeddings = net(images)
    prototypes = embeddings[:support_images].reshape([task.way, task.shot, -1]).mean(1)
    queries = embeddings[support_images:]
    logits = (
        2 * paddle.matmul(queries, prototypes, transpose_y=True)
        - queries.square().sum(1, keepdim=True)
        - prototypes.square().sum(1)
    )
    loss = F.cross_entropy(logits, targets)
    loss.backward()
    optimizer.step()
    optimizer.clear_grad()
    return float(loss)


serve(f"PaddlePaddle {paddle.__version__}", step)
