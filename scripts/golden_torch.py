"""Golden values for the gradient rules, computed by PyTorch in float64.

    python3 -m venv venv && venv/bin/pip install torch==2.13.0
    venv/bin/python scripts/golden_torch.py > test/graph/golden.json

Inputs are small multiples of 1/4, so that the file stays short and ties are exact.
"""

import json

import torch
import torch.nn.functional as F

torch.manual_seed(5)


def quarters(*dims, low=-8, high=9):
    return (torch.randint(low, high, dims, dtype=torch.float64) / 4).requires_grad_()


def packed(tensor):
    return {"dims": list(tensor.shape), "data": [round(v, 12) for v in tensor.detach().flatten().tolist()]}


def case(op, name, attributes, inputs, y):
    dy = quarters(*y.shape).detach()
    gradients = torch.autograd.grad(y, inputs, dy)
    return {
        "op": op,
        "name": name,
        "attributes": attributes,
        "inputs": [packed(x) for x in inputs],
        "dy": packed(dy),
        "y": packed(y),
        "gradients": [packed(d) for d in gradients],
    }


def conv(name, x, w, stride=1, padding=0, dilation=1, groups=1):
    inputs = [quarters(*x), quarters(*w), quarters(w[0])]
    y = F.conv2d(*inputs, stride=stride, padding=padding, dilation=dilation, groups=groups)
    attributes = {
        "strides": [stride] * 2,
        "pads": [padding] * 4,
        "dilations": [dilation] * 2,
        "group": groups,
    }
    return case("Conv", name, attributes, inputs, y)


def conv_transpose(name, x, w, stride=1, padding=0, output_padding=0, groups=1):
    inputs = [quarters(*x), quarters(*w), quarters(w[1] * groups)]
    y = F.conv_transpose2d(
        *inputs, stride=stride, padding=padding, output_padding=output_padding, groups=groups
    )
    attributes = {
        "strides": [stride] * 2,
        "pads": [padding] * 4,
        "output_padding": [output_padding] * 2,
        "group": groups,
    }
    return case("ConvTranspose", name, attributes, inputs, y)


def batch_norm(name, x):
    channels = x.shape[1]
    gamma = torch.tensor([-1.5, 0.75, -0.25][:channels], dtype=torch.float64, requires_grad=True)
    beta = quarters(channels)
    y = F.batch_norm(x, None, None, gamma, beta, training=True, eps=1e-5)
    attributes = {"epsilon": 1e-5, "training_mode": 1}
    return case("BatchNormalization", name, attributes, [x, gamma, beta], y)


def max_pool(name, x, kernel, stride, padding=0):
    y = F.max_pool2d(x, kernel, stride, padding)
    attributes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [padding] * 4}
    return case("MaxPool", name, attributes, [x], y)


def average_pool(name, x, kernel, stride, padding=0, count=False, ceil=False):
    y = F.avg_pool2d(x, kernel, stride, padding, ceil_mode=ceil, count_include_pad=count)
    attributes = {
        "kernel_shape": [kernel] * 2,
        "strides": [stride] * 2,
        "pads": [padding] * 4,
        "count_include_pad": int(count),
        "ceil_mode": int(ceil),
    }
    return case("AveragePool", name, attributes, [x], y)


flat = torch.full((2, 3, 4, 4), 2.0, dtype=torch.float64, requires_grad=True)
striped = torch.tensor([1.0, 1.0, 0.0, 0.0] * 24, dtype=torch.float64).reshape(2, 3, 4, 4).requires_grad_()
shifted = (quarters(2, 3, 4, 5).detach() + 30).requires_grad_()

print(
    json.dumps(
        [
            conv("3x3 same", (2, 4, 5, 5), (3, 4, 3, 3), padding=1),
            conv("few channels, strided, odd", (2, 3, 7, 6), (2, 3, 3, 3), stride=2, padding=1),
            conv("dilated, grouped", (2, 4, 6, 6), (4, 2, 3, 3), dilation=2, padding=2, groups=2),
            conv("depthwise", (2, 4, 5, 5), (4, 1, 3, 3), padding=1, groups=4),
            conv_transpose("strided", (2, 3, 3, 3), (3, 2, 3, 3), stride=2, padding=1, output_padding=1),
            batch_norm("negative gammas", quarters(2, 3, 4, 5)),
            batch_norm("far from zero", shifted),
            batch_norm("flat images", flat),
            max_pool("ties of integers", quarters(2, 2, 6, 6, low=0, high=3), 2, 2),
            max_pool("flat images", flat, 2, 2),
            max_pool("stripes", striped, 2, 2),
            max_pool("ties, overlapping, odd", quarters(2, 2, 7, 5, low=0, high=3), 3, 2, 1),
            max_pool("ties, odd", quarters(2, 2, 5, 7, low=-2, high=2), 2, 2),
            average_pool("odd", quarters(2, 2, 5, 6), 2, 2),
            average_pool("padded", quarters(2, 2, 5, 6), 3, 2, 1),
            average_pool("padding counts", quarters(2, 2, 5, 6), 3, 2, 1, count=True),
            average_pool("ceil", quarters(2, 2, 5, 6), 2, 2, ceil=True),
        ],
        separators=(",", ":"),
    )
)
