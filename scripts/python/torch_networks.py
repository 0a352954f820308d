"""The networks that scripts/compare-pytorch measures, in PyTorch, block by block as burn-forward partitions them.

Every network is built from a config of burn-forward, from the papers' definitions, in the variants for images of 32 x 32. A
`Reference` holds the blocks, the classifier of every block, and the layers by the names that burn-forward exports them under, so
that both sides can be given the same weights. A setting that has no counterpart here is an error.

Sources: He et al. 2015, arXiv 1512.03385 (residual networks, shortcuts A and B); Howard et al. 2019, arXiv 1905.02244
(MobileNetV3); Hu et al. 2018, arXiv 1709.01507 (squeeze-and-excite); Gong, Li and Abdulla 2025, arXiv 2501.09238 (classifiers of
blocks).
"""

import math

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10

# MobileNetV3-small: kernel, expanded channels, channels, squeeze-and-excite, hard-swish, stride. Stem and first block keep the
# size of the maps.
MOBILENET_SMALL = [
    (3, 16, 16, True, False, 1),
    (3, 72, 24, False, False, 2),
    (3, 88, 24, False, False, 1),
    (5, 96, 40, True, True, 2),
    (5, 240, 40, True, True, 1),
    (5, 240, 40, True, True, 1),
    (5, 120, 48, True, True, 1),
    (5, 144, 48, True, True, 1),
    (5, 288, 96, True, True, 2),
    (5, 576, 96, True, True, 1),
    (5, 576, 96, True, True, 1),
]


class ConfigError(Exception):
    """A config asks for something that has no reference here."""


def settings(part, where, needed, **defaults):
    """The values of `part`, each of the `needed` names present and no other than these and the `defaults`."""
    unknown = set(part) - set(needed) - set(defaults)
    missing = set(needed) - set(part)
    if unknown or missing:
        known = ", ".join([*needed, *defaults])
        raise ConfigError(f"{where}: unknown {sorted(unknown)}, missing {sorted(missing)}; the reference knows: {known}")
    return {**defaults, **part}


def round_to_eight(channels):
    """The nearest multiple of 8 that is no less than 0.9 of `channels`."""
    rounded = max(8, int(channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


class SqueezeExcite(nn.Module):
    """`h * hard_sigmoid(W2 relu(W1 mean(h)))`."""

    def __init__(self, layers, at, channels):
        super().__init__()
        squeezed = round_to_eight(channels // 4)
        self.reduce = layers.conv(f"{at}.fc1", channels, squeezed, 1, bias=True)
        self.expand = layers.conv(f"{at}.fc2", squeezed, channels, 1, bias=True)

    def forward(self, h):
        gate = self.expand(F.relu(self.reduce(F.adaptive_avg_pool2d(h, 1))))
        return h * F.hardsigmoid(gate)


class Residual(nn.Module):
    """`f(branch(x) + shortcut(x))`; without a shortcut, `f(branch(x))`."""

    def __init__(self, branch, shortcut, activation):
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut
        self.activation = activation

    def forward(self, x):
        h = self.branch(x)
        if self.shortcut is not None:
            h = h + self.shortcut(x)
        return self.activation(h)


class PadChannels(nn.Module):
    """Every `stride`-th pixel, and zeros around the channels: shortcut A."""

    def __init__(self, stride, before, after):
        super().__init__()
        self.stride = stride
        self.pad = (0, 0, 0, 0, before, after)

    def forward(self, x):
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.pad)


class Head(nn.Module):
    """A linear classifier of a block's output; maps are averaged over a grid of `side` x `side` first."""

    def __init__(self, linear, side):
        super().__init__()
        self.linear = linear
        self.side = side

    def forward(self, h):
        if h.dim() == 4 and h.shape[-1] > self.side:
            h = F.adaptive_avg_pool2d(h, self.side)
        return self.linear(h.flatten(1))


class Dense(nn.Module):
    """`relu(N(x) W + b)`, with the normalisation `N` of a row to mean square 1 where it is asked for."""

    def __init__(self, linear, normalise):
        super().__init__()
        self.linear = linear
        self.normalise = normalise

    def trace(self, x):
        """The pre-activations and the activities."""
        z = self.linear(rms(x) if self.normalise else x)
        return z, F.relu(z)

    def forward(self, x):
        return self.trace(x)[1]


def rms(x):
    """Rows of mean square 1; a row of zeros stays one."""
    return x / (x.square().mean(1, keepdim=True).sqrt() + 1e-8)


class Layers:
    """Makes layers with initial weights, and keeps them by the name that they have in an exported file."""

    def __init__(self):
        self.by_name = {}

    def conv(self, name, channels, out, kernel, stride=1, groups=1, bias=False):
        """A convolution whose padding keeps the size at stride 1: `N(0, 2 / fan_out)`."""
        layer = nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=bias)
        nn.init.normal_(layer.weight, std=math.sqrt(2 / (out * kernel * kernel)))
        if bias:
            nn.init.zeros_(layer.bias)
        self.by_name[name] = layer
        return layer

    def linear(self, name, width, out, bias=True, init="default"):
        """A dense layer with weights of `U(+-1/sqrt(width))`, `N(0, 1/width)` or zero."""
        layer = nn.Linear(width, out, bias=bias)
        if init != "default":
            nn.init.normal_(layer.weight, std={"unit-normal": 1 / math.sqrt(width), "zeros": 0.0}[init])
            if bias:
                nn.init.zeros_(layer.bias)
        self.by_name[name] = layer
        return layer

    def norm(self, name, channels, published=False):
        """Batch normalisation; with the constants of MobileNetV3's published weights where `published`."""
        layer = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01) if published else nn.BatchNorm2d(channels)
        self.by_name[name] = layer
        return layer

    def unit(self, names, shape, activation=None, published=False):
        """Convolution, batch normalisation, activation; `shape` are the arguments of the convolution after its name."""
        norm = self.norm(names[1], shape[1], published)
        return [self.conv(names[0], *shape), norm, *([activation] if activation else [])]


def resnet(network):
    """ResNet-18 with a 3x3 stem, or a CIFAR ResNet: blocks, and the features of their outputs."""
    layers = Layers()
    blocks = [nn.Sequential(*layers.unit(("conv1", "bn1"), (3, network["first"], 3), nn.ReLU()))]
    shapes, channels, side = [(network["first"], 32)], network["first"], 32
    for stage, count in enumerate(network["counts"]):
        out = network["first"] << stage
        for i in range(count):
            stride, at = (2 if stage > 0 and i == 0 else 1), f"layer{stage + 1}.{i}"
            branch = layers.unit((f"{at}.conv1", f"{at}.bn1"), (channels, out, 3, stride), nn.ReLU())
            branch += layers.unit((f"{at}.conv2", f"{at}.bn2"), (out, out, 3))
            if stride == 1 and channels == out:
                shortcut = nn.Identity()
            elif network["projects"]:
                names = (f"{at}.downsample.0", f"{at}.downsample.1")
                shortcut = nn.Sequential(*layers.unit(names, (channels, out, 1, stride)))
            else:
                before = (out - channels) // 2
                shortcut = PadChannels(stride, before, out - channels - before)
            blocks.append(nn.Sequential(Residual(nn.Sequential(*branch), shortcut, nn.ReLU())))
            channels, side = out, side // stride
            shapes.append((channels, side))
    blocks[-1].extend([nn.AdaptiveAvgPool2d(1), nn.Flatten()])
    shapes[-1] = (channels, 1)
    return layers, blocks, shapes


def resnet18(part):
    settings(part, "network", ["name", "depth"], stem="cifar")
    if part["depth"] != 18 or part.get("stem", "cifar") != "cifar":
        raise ConfigError(f"network: {part}; the reference is ResNet-18 with the stem 'cifar'")
    return resnet({"first": 64, "counts": [2, 2, 2, 2], "projects": True})


def cifar_resnet(part):
    depth = settings(part, "network", ["name", "depth"])["depth"]
    return resnet({"first": 16, "counts": [(depth - 2) // 6] * 3, "projects": False})


def mobilenet_v3(part):
    """MobileNetV3-small for small images."""
    part = settings(part, "network", ["name", "size"], strides="cifar", dropout=0.2)
    if (part["size"], part["strides"]) != ("small", "cifar"):
        raise ConfigError(f"network: {part}; the reference is the size 'small' with the strides 'cifar'")
    layers = Layers()

    def unit(at, shape, activation=None):
        return layers.unit((f"{at}.0", f"{at}.1"), shape, activation, published=True)

    channels, side = 16, 32
    blocks = [nn.Sequential(*unit("features.0", (3, channels, 3), nn.Hardswish()))]
    shapes = [(channels, side)]
    for i, (kernel, wide, out, squeezes, swish, stride) in enumerate(MOBILENET_SMALL):
        activation = nn.Hardswish if swish else nn.ReLU
        at = [f"features.{i + 1}.block.{part}" for part in range(4)]
        branch = []
        if wide != channels:
            branch += unit(at.pop(0), (channels, wide, 1), activation())
        branch += unit(at.pop(0), (wide, wide, kernel, stride, wide), activation())
        if squeezes:
            branch.append(SqueezeExcite(layers, at.pop(0), wide))
        branch += unit(at.pop(0), (wide, out, 1))
        shortcut = nn.Identity() if stride == 1 and channels == out else None
        blocks.append(nn.Sequential(Residual(nn.Sequential(*branch), shortcut, nn.Identity())))
        channels, side = out, side // stride
        shapes.append((channels, side))
    blocks[-1].extend(unit("features.12", (channels, 6 * channels, 1), nn.Hardswish()))
    dense = layers.linear("classifier.0", 6 * channels, 1024)
    blocks[-1].extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), dense, nn.Hardswish()])
    if part["dropout"] > 0:
        blocks[-1].append(nn.Dropout(part["dropout"]))
    shapes[-1] = (1024, 1)
    return layers, blocks, shapes


def mlp(part):
    """Dense layers, each a block."""
    part = settings(part, "network", ["name", "widths"], normalisation="none", init="default")
    if part["normalisation"] not in ("none", "rms") or part["init"] not in ("default", "unit-normal"):
        raise ConfigError(f"network: {part}; the reference has the normalisations none and rms, and init default and unit-normal")
    layers, blocks, width = Layers(), [], 784
    for i, out in enumerate(part["widths"]):
        linear = layers.linear(f"layers.{i}", width, out, init=part["init"])
        blocks.append(Dense(linear, part["normalisation"] == "rms"))
        width = out
    return layers, blocks, [(width, 1) for width in part["widths"]]


# Builder, and the name of the output layer in an exported file.
NETWORKS = {
    "resnet": (resnet18, "fc"),
    "cifar-resnet": (cifar_resnet, "linear"),
    "mobilenet-v3": (mobilenet_v3, "classifier.3"),
    "mlp": (mlp, "head"),
}


class Reference(nn.Module):
    """The network of a config with what its rule adds: one classifier per block, or, where `whole`, one on the last block."""

    def __init__(self, config):
        super().__init__()
        part, rule = dict(config["network"]), config["rule"]["name"]
        part.pop("partition", None)
        if part["name"] not in NETWORKS:
            raise ConfigError(f"network.name: {part['name']}; the reference knows: {', '.join(NETWORKS)}")
        build, output = NETWORKS[part["name"]]
        layers, blocks, shapes = build(part)
        whole = rule == "backprop"
        self.blocks = nn.ModuleList([nn.Sequential(*blocks)] if whole else blocks)
        self.heads = nn.ModuleList()
        self.output = output
        if rule == "forward-forward":
            # A softmax head reads the blocks from the second on.
            width = sum(width for width, _ in shapes[1:] or shapes)
            self.softmax = layers.linear("softmax", width, CLASSES, init="zeros")
            for i, (width, _) in enumerate(shapes):
                self.register_buffer(f"peer{i}", torch.full([width], 0.5))
        else:
            for i, (channels, side) in enumerate(shapes[-1:] if whole else shapes):
                last = whole or i + 1 == len(shapes)
                grid = min(side, 4)
                linear = layers.linear(f"heads.{i}", channels * grid * grid, CLASSES, bias=whole)
                self.heads.append(Head(linear, side if last else grid))
        self.layers = layers.by_name

    def load(self, tensors):
        """Takes weights by the names of an exported file; of a network with several classifiers, all of them have to be there."""
        last = f"heads.{len(self.heads) - 1}"
        for name, layer in self.layers.items():
            if name == last and f"{name}.weight" not in tensors:
                name = self.output
            state = {key: tensors.get(f"{name}.{key}") for key in layer.state_dict() if key != "num_batches_tracked"}
            if name == "softmax":
                continue
            missing = [f"{name}.{key}" for key, value in state.items() if value is None]
            if missing:
                raise ConfigError(f"weights: no tensor {', '.join(missing)}")
            for key, value in state.items():
                getattr(layer, key).data.copy_(value)

    def without_decay(self):
        """The biases of convolutions and dense layers. Scale and shift of a normalisation are no biases in burn-forward."""
        layers = [layer for layer in self.layers.values() if not isinstance(layer, nn.BatchNorm2d)]
        return {id(layer.bias) for layer in layers if layer.bias is not None}
