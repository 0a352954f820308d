#!/usr/bin/env python3
"""Runs a convolutional network that burn-forward exported, with numpy and without burn-forward or Burn.

    forward_torchvision.py ARCHITECTURE MODEL INPUTS OUT

ARCHITECTURE  `resnet18` or `mobilenet_v3_small`.
MODEL         an exported `model.safetensors`. Only its tensors are read, with the names and layouts of torchvision
              (layer1.0.conv1.weight, features.4.block.2.fc1.bias); its metadata are ignored.
INPUTS        a safetensors file with the key `inputs`, [B, C, H, W].
OUT           the safetensors file to write, with the key `logits`, float32 [B, classes].

The networks are written from their papers and torchvision's definitions, in the variants for small images: ResNet-18
(He et al. 2015, arXiv 1512.03385) with a 3x3 stem of stride 1 and no max pool; MobileNetV3-small (Howard et al. 2019,
arXiv 1905.02244) with stride 1 in the stem and the first halving block. The number of channels follows from the tensors,
so any width works. It computes in float64. A missing tensor and an unused one are errors.
"""

import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

# MobileNetV3-small: kernel, squeeze-and-excite, hard-swish and stride of every block. For large images the first stride
# is 2.
SMALL_BLOCKS = [
    (3, True, False, 1),
    (3, False, False, 2),
    (3, False, False, 1),
    (5, True, True, 2),
    (5, True, True, 1),
    (5, True, True, 1),
    (5, True, True, 1),
    (5, True, True, 1),
    (5, True, True, 2),
    (5, True, True, 1),
    (5, True, True, 1),
]


class ExportError(Exception):
    """The exported file is not the given network."""


def conv2d(x, weight, bias=None, stride=1, padding=0, groups=1):
    """Cross-correlation of x [B, C, H, W] with weight [O, C / groups, k, k], zeros around x."""
    batch, channels, height, width = x.shape
    out, per_group, kernel, _ = weight.shape
    if channels != per_group * groups or out % groups:
        raise ExportError(f"a weight of shape {list(weight.shape)} in {groups} groups does not fit {channels} channels")
    x = np.pad(x, ((0, 0), (0, 0), (padding, padding), (padding, padding)))
    rows = (height + 2 * padding - kernel) // stride + 1
    columns = (width + 2 * padding - kernel) // stride + 1
    x = x.reshape(batch, groups, per_group, *x.shape[2:])
    weight = weight.reshape(groups, out // groups, per_group, kernel, kernel)
    z = np.zeros((batch, groups, out // groups, rows, columns))
    for i in range(kernel):
        for j in range(kernel):
            seen = x[..., i : i + stride * rows : stride, j : j + stride * columns : stride]
            z += np.einsum("goc,bgchw->bgohw", weight[..., i, j], seen, optimize=True)
    z = z.reshape(batch, out, rows, columns)
    return z if bias is None else z + bias[:, None, None]


def batch_norm(x, mean, variance, weight, bias, epsilon):
    """Normalisation by running statistics, with one of each kind per channel."""
    scale = weight / np.sqrt(variance + epsilon)
    return x * scale[:, None, None] + (bias - mean * scale)[:, None, None]


def relu(x):
    return np.maximum(x, 0)


def hard_sigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


def hard_swish(x):
    return x * hard_sigmoid(x)


class Tensors:
    """The tensors of a file, to be taken by name."""

    def __init__(self, path):
        with safe_open(path, framework="numpy") as file:
            self.values = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}
        self.untouched = set(self.values)

    def __call__(self, name):
        if name not in self.values:
            raise ExportError(f"no tensor {name!r}; there are: {', '.join(sorted(self.values))}")
        self.untouched.discard(name)
        return self.values[name]

    def __contains__(self, name):
        return name in self.values

    def conv(self, name, x, stride=1, groups=1):
        """Convolution with zero padding of half the kernel, as everywhere in both architectures."""
        weight = self(f"{name}.weight")
        bias = self(f"{name}.bias") if f"{name}.bias" in self else None
        return conv2d(x, weight, bias, stride, weight.shape[-1] // 2, groups)

    def norm(self, name, x, epsilon):
        return batch_norm(x, *(self(f"{name}.{part}") for part in ("running_mean", "running_var", "weight", "bias")), epsilon)

    def linear(self, name, x):
        z = x @ self(f"{name}.weight").T
        return z + self(f"{name}.bias") if f"{name}.bias" in self else z


def resnet18(tensors, x):
    def unit(conv, norm, x, stride=1):
        return tensors.norm(norm, tensors.conv(conv, x, stride), 1e-5)

    x = relu(unit("conv1", "bn1", x))
    for layer in range(1, 5):
        for block in range(2):
            at = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            h = relu(unit(f"{at}.conv1", f"{at}.bn1", x, stride))
            h = unit(f"{at}.conv2", f"{at}.bn2", h)
            if stride > 1:
                x = unit(f"{at}.downsample.0", f"{at}.downsample.1", x, stride)
            x = relu(h + x)
    return tensors.linear("fc", x.mean(axis=(2, 3)))


def mobilenet_v3_small(tensors, x):
    def unit(at, x, activation, stride=1, depthwise=False):
        z = tensors.conv(f"{at}.0", x, stride, groups=x.shape[1] if depthwise else 1)
        return activation(tensors.norm(f"{at}.1", z, 1e-3))

    def squeeze_excite(at, x):
        gate = relu(tensors.conv(f"{at}.fc1", x.mean(axis=(2, 3), keepdims=True)))
        return x * hard_sigmoid(tensors.conv(f"{at}.fc2", gate))

    x = unit("features.0", x, hard_swish)
    for index, (kernel, squeezes, swishes, stride) in enumerate(SMALL_BLOCKS, start=1):
        activation = hard_swish if swishes else relu
        parts = iter(f"features.{index}.block.{part}" for part in range(4))
        h = x
        # The first block does not expand: its first convolution is the depthwise one.
        if tensors(f"features.{index}.block.0.0.weight").shape[-1] == 1:
            h = unit(next(parts), h, activation)
        depthwise = next(parts)
        if tensors(f"{depthwise}.0.weight").shape[-1] != kernel:
            raise ExportError(f"{depthwise}.0.weight is not {kernel}x{kernel}")
        h = unit(depthwise, h, activation, stride, depthwise=True)
        if squeezes:
            h = squeeze_excite(next(parts), h)
        h = unit(next(parts), h, lambda z: z)
        x = x + h if stride == 1 and x.shape == h.shape else h
    x = unit(f"features.{len(SMALL_BLOCKS) + 1}", x, hard_swish)
    x = hard_swish(tensors.linear("classifier.0", x.mean(axis=(2, 3))))
    return tensors.linear("classifier.3", x)


ARCHITECTURES = {"resnet18": resnet18, "mobilenet_v3_small": mobilenet_v3_small}


def main(arguments):
    if len(arguments) != 4 or arguments[0] not in ARCHITECTURES:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    architecture, model, inputs_file, out = arguments
    try:
        tensors = Tensors(model)
        with safe_open(inputs_file, framework="numpy") as file:
            inputs = file.get_tensor("inputs").astype(np.float64)
        logits = ARCHITECTURES[architecture](tensors, inputs)
        if tensors.untouched:
            raise ExportError(f"tensors that {architecture} does not have: {', '.join(sorted(tensors.untouched))}")
        save_file({"logits": np.ascontiguousarray(logits, dtype=np.float32)}, out)
    except ExportError as error:
        print(f"forward_torchvision: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
