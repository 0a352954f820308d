#!/usr/bin/env python3
"""Runs a network that burn-forward exported, with numpy and without burn-forward or Burn.

    forward_from_safetensors.py MODEL INPUTS OUT

MODEL   an exported `model.safetensors`: tensors with PyTorch names and layouts, and a metadata entry `burn_forward`
        with a JSON description of the network (below).
INPUTS  a safetensors file with the key `inputs`, [B, d], or with the key `pixels`, [B, C, H, W], for images with the
        pixel values of their files.
OUT     the safetensors file to write, with the key `logits`, float32 [B, C].

The tests compare OUT with the logits of the trained network itself, so this file is an independent implementation of
the export format. It computes in float64 and rejects what it does not know: an unknown key or name is an error.

The description:

    {"format": 1,
     "layers": [{"name": "layers.0", "kind": "linear", "normalisation": NORMALISATION, "activation": ACTIVATION}, ...],
     "blocks": [1, 2, ...],
     "readout": READOUT}

`blocks` gives the number of consecutive layers in each block; readouts use the outputs of blocks, not those of the layers
within them. Dropout is omitted, since it only acts in training.

NORMALISATION of the layer's input a, per row (default "none"):
    "none"        a
    "rms"         a / (1e-8 + sqrt(mean(a^2)))
    "l2"          a / (1e-4 + ||a||)
    "layer-norm"  (a - mean(a)) / sqrt(var(a) + 1e-5), variance over d, not d - 1

ACTIVATION of z = N(a) W^T + b, with W = `NAME.weight` [out, in] and b = `NAME.bias` [out] (optional):
    "relu", "leaky-relu" (slope 0.01), "gelu" (exact, with erf), "tanh", "none"

READOUT, from the blocks' outputs h_1 ... h_L to logits [B, C]:
    {"kind": "linear", "name": "head"}
        h_L W^T + b; W = `head.weight` [C, d_L], b = `head.bias` [C] (optional).
    {"kind": "sum-linear", "names": ["heads.0", "heads.1", ...]}
        the sum over blocks of h_l W_l^T + b_l, one name per block.
    {"kind": "mean-linear", "names": [...], "first_block": 2}
        their mean over the blocks from first_block on (counted from 0, by default 0), one name for each of these.
    {"kind": "weighted-linear", "names": [...]}
        log(1e-12 + sum over l = 1 ... L of w_l softmax(h_l W_l^T + b_l)), with w_l = l / (1 + ... + L).
    {"kind": "energy", "classes": C, "label": LABEL, "goodness": GOODNESS, "first_block": 1}
        logits[b, c] = the sum over blocks l >= first_block (counted from 0) of the goodness of h_l when the network is
        run on sample b together with label c.
    {"kind": "neutral-linear", "classes": C, "label": LABEL, "name": "head", "normalisation": "rms", "first_block": 1}
        one run with the neutral label (1/C in place of the one-hot's 0 and 1). The outputs of the blocks l >= first_block,
        each normalised per row and then concatenated, are a; the logits are a W^T + b.

LABEL, how a label y (one-hot, or neutral) enters the network:
    {"kind": "overlay", "strength": s}           s y replaces the first C entries of the input, before any normalisation
    {"kind": "per-layer", "names": ["labels.0", ...]}   y V_l, with V_l = `labels.l` [C, w], is added to z of the first
                                                 layer of block l; one name per block

GOODNESS of a row h of d features:
    "sum-squares"   sum(h^2)                        "mean-squares"  mean(h^2)
    "length"        ||h||                           "mean"          mean(h)
    "negative-sum-squares"  -sum(h^2)
    "top-k"         mean of the k largest h, k = max(5, floor(0.02 d)), at most d
    "entmax"        sum(p h^2), p = entmax_1.5(h): p_i = max(h_i / 2 - tau, 0)^2 with the tau at which p sums to 1
    "burst"         mean(u^4) - 3, u = (h - mean(h)) / sqrt(var(h) + 1e-8), variance over d

Another metadata entry, `burn_forward_model`, describes the input and the output:

    {"input": INPUT, "classes": C, "class_names": [...], "pixels": {"scale": s, "mean": [...], "std": [...]}}

INPUT is the shape of a row, {"features": d} or {"maps": {"channels": C, "height": H, "width": W}}. `class_names` has one
entry per class, or is left out. `pixels` is present if the inputs are images: a pixel p of channel c becomes the input
(p / s - mean[c]) / std[c].
"""

import json
import math
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

FORMAT = 1


class ExportError(Exception):
    """This reader does not support the exported file."""


def take(entry, where, required=(), **optional):
    """The values of `required` and `optional` (with defaults) of a JSON object; any other key is an error."""
    if not isinstance(entry, dict):
        raise ExportError(f"{where}: {entry!r} is not an object")
    missing = [key for key in required if key not in entry]
    unknown = [key for key in entry if key not in required and key not in optional]
    if missing or unknown:
        raise ExportError(f"{where}: missing keys {missing}, unknown keys {unknown}")
    return [entry[key] for key in required] + [entry.get(key, default) for key, default in optional.items()]


def choose(table, name, where):
    """The entry `name` of a table of named functions."""
    if name not in table:
        raise ExportError(f"{where}: unknown {name!r}; known: {', '.join(table)}")
    return table[name]


# Formulas, each on the last axis.


def rms(a):
    return a / (1e-8 + np.sqrt(np.mean(a**2, axis=-1, keepdims=True)))


def l2(a):
    return a / (1e-4 + np.sqrt(np.sum(a**2, axis=-1, keepdims=True)))


def layer_norm(a):
    centred = a - a.mean(axis=-1, keepdims=True)
    return centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5)


def gelu(z):
    erf = np.vectorize(math.erf, otypes=[np.float64])
    return 0.5 * z * (1 + erf(z / math.sqrt(2)))


def top_k(h):
    d = h.shape[-1]
    k = min(d, max(5, math.floor(0.02 * d)))
    return np.sort(h, axis=-1)[..., d - k :].mean(axis=-1)


def entmax(h):
    half = h / 2
    # The sum of p decreases in tau, is at least 1 at max - 1 and 0 at max, so bisection finds tau.
    high = half.max(axis=-1, keepdims=True)
    low = high - 1
    for _ in range(60):
        tau = (low + high) / 2
        above = np.sum(np.maximum(half - tau, 0) ** 2, axis=-1, keepdims=True) >= 1
        low, high = np.where(above, tau, low), np.where(above, high, tau)
    return np.sum(np.maximum(half - low, 0) ** 2 * h**2, axis=-1)


def softmax(s):
    e = np.exp(s - s.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def burst(h):
    centred = h - h.mean(axis=-1, keepdims=True)
    u = centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-8)
    return np.mean(u**4, axis=-1) - 3


NORMALISATIONS = {"none": lambda a: a, "rms": rms, "l2": l2, "layer-norm": layer_norm}

ACTIVATIONS = {
    "none": lambda z: z,
    "relu": lambda z: np.maximum(z, 0),
    "leaky-relu": lambda z: np.where(z > 0, z, 0.01 * z),
    "gelu": gelu,
    "tanh": np.tanh,
}

GOODNESS = {
    "sum-squares": lambda h: np.sum(h**2, axis=-1),
    "mean-squares": lambda h: np.mean(h**2, axis=-1),
    "negative-sum-squares": lambda h: -np.sum(h**2, axis=-1),
    "length": lambda h: np.sqrt(np.sum(h**2, axis=-1)),
    "mean": lambda h: np.mean(h, axis=-1),
    "top-k": top_k,
    "entmax": entmax,
    "burst": burst,
}


class Network:
    """An exported network."""

    def __init__(self, path):
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            self.tensors = {name: file.get_tensor(name).astype(np.float64) for name in file.keys()}
        if "burn_forward" not in metadata:
            raise ExportError(f"{path}: no metadata entry 'burn_forward'")
        version, self.layers, self.blocks, self.readout = take(
            json.loads(metadata["burn_forward"]), "burn_forward", ("format", "layers", "blocks", "readout")
        )
        self.model = json.loads(metadata.get("burn_forward_model", "null"))
        if version != FORMAT:
            raise ExportError(f"burn_forward.format is {version!r}, this reader supports {FORMAT}")
        if not self.layers:
            raise ExportError("burn_forward.layers is empty")
        if min(self.blocks) < 1 or sum(self.blocks) != len(self.layers):
            raise ExportError(f"burn_forward.blocks is {self.blocks}, but there are {len(self.layers)} layers")

    def tensor(self, name, shape):
        """A tensor of the file, of a shape in which None stands for any length."""
        if name not in self.tensors:
            raise ExportError(f"no tensor {name!r}; there are: {', '.join(sorted(self.tensors))}")
        value = self.tensors[name]
        if value.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, value.shape)):
            raise ExportError(f"tensor {name!r} has the shape {list(value.shape)}, needed {shape}")
        return value

    def inputs(self, pixels):
        """The inputs [B, d] for images with the pixels [B, C, H, W]."""
        entry, classes, names, scaling = take(
            self.model, "burn_forward_model", ("input", "classes"), class_names=None, pixels=None
        )
        (maps,) = take(entry, "burn_forward_model.input", ("maps",))
        shape = take(maps, "burn_forward_model.input.maps", ("channels", "height", "width"))
        if list(pixels.shape[1:]) != shape:
            raise ExportError(f"images have the shape {list(pixels.shape[1:])}, needed {shape}")
        if names is not None and len(names) != classes:
            raise ExportError(f"burn_forward_model has {len(names)} class names for {classes} classes")
        scale, mean, std = take(scaling, "burn_forward_model.pixels", ("scale", "mean", "std"))
        mean, std = (np.asarray(values, np.float64).reshape(1, shape[0], 1, 1) for values in (mean, std))
        return ((pixels / scale - mean) / std).reshape(len(pixels), -1)

    def linear(self, name, a):
        """a W^T + b, [B, out]."""
        weight = self.tensor(f"{name}.weight", [None, a.shape[-1]])
        z = a @ weight.T
        if f"{name}.bias" in self.tensors:
            z = z + self.tensor(f"{name}.bias", [weight.shape[0]])
        return z

    def outputs(self, a, shifts=None):
        """The outputs of all blocks, for inputs [B, d]; `shifts` are added to the blocks' first pre-activations."""
        outputs = []
        layers = iter(enumerate(self.layers))
        for block, size in enumerate(self.blocks):
            shift = None if shifts is None else shifts[block]
            for _ in range(size):
                index, layer = next(layers)
                where = f"layers[{index}]"
                name, kind, activation, normalisation = take(
                    layer, where, ("name", "kind", "activation"), normalisation="none"
                )
                if kind != "linear":
                    raise ExportError(f"{where}.kind: unknown {kind!r}; known: linear")
                z = self.linear(name, choose(NORMALISATIONS, normalisation, f"{where}.normalisation")(a))
                if shift is not None:
                    z, shift = z + shift, None
                a = choose(ACTIVATIONS, activation, f"{where}.activation")(z)
            outputs.append(a)
        return outputs

    def logits(self, inputs):
        """The logits [B, C] for inputs [B, d]."""
        readouts = {
            "linear": self.read_linear,
            "sum-linear": self.read_sum_linear,
            "mean-linear": self.read_mean_linear,
            "weighted-linear": self.read_weighted_linear,
            "energy": self.read_energy,
            "neutral-linear": self.read_neutral_linear,
        }
        entry = dict(self.readout)
        kind = entry.pop("kind", None)
        return choose(readouts, kind, "readout.kind")(entry, inputs)

    def read_linear(self, entry, inputs):
        (name,) = take(entry, "readout", ("name",))
        return self.linear(name, self.outputs(inputs)[-1])

    def heads(self, names, outputs):
        """The scores of every block's own head."""
        if len(names) != len(outputs):
            raise ExportError(f"readout.names has {len(names)} entries for {len(outputs)} blocks")
        return [self.linear(name, h) for name, h in zip(names, outputs)]

    def read_sum_linear(self, entry, inputs):
        (names,) = take(entry, "readout", ("names",))
        return sum(self.heads(names, self.outputs(inputs)))

    def read_mean_linear(self, entry, inputs):
        names, first_block = take(entry, "readout", ("names",), first_block=0)
        return sum(self.heads(names, self.counted(self.outputs(inputs), first_block))) / len(names)

    def read_weighted_linear(self, entry, inputs):
        (names,) = take(entry, "readout", ("names",))
        scores = self.heads(names, self.outputs(inputs))
        votes = sum(range(1, len(scores) + 1))
        return np.log(1e-12 + sum(l / votes * softmax(s) for l, s in enumerate(scores, start=1)))

    def read_energy(self, entry, inputs):
        classes, label, goodness, first_block = take(entry, "readout", ("classes", "label", "goodness", "first_block"))
        measure = choose(GOODNESS, goodness, "readout.goodness")
        columns = []
        for y in np.eye(classes):
            counted = self.counted(self.outputs(*self.labelled(label, y, inputs)), first_block)
            columns.append(sum(measure(h) for h in counted))
        return np.stack(columns, axis=1)

    def read_neutral_linear(self, entry, inputs):
        classes, label, name, normalisation, first_block = take(
            entry, "readout", ("classes", "label", "name", "normalisation", "first_block")
        )
        normalise = choose(NORMALISATIONS, normalisation, "readout.normalisation")
        neutral = np.full(classes, 1 / classes)
        counted = self.counted(self.outputs(*self.labelled(label, neutral, inputs)), first_block)
        return self.linear(name, np.concatenate([normalise(h) for h in counted], axis=1))

    @staticmethod
    def counted(outputs, first_block):
        if not 0 <= first_block < len(outputs):
            raise ExportError(f"readout.first_block is {first_block}, the network has {len(outputs)} blocks")
        return outputs[first_block:]

    def labelled(self, label, y, inputs):
        """The inputs and the blocks' shifts with label y [C] added to them."""
        label = dict(label)
        kind = label.pop("kind", None)
        if kind == "overlay":
            (strength,) = take(label, "readout.label", ("strength",))
            if len(y) > inputs.shape[1]:
                raise ExportError(f"readout.classes is {len(y)}, the inputs have {inputs.shape[1]} entries")
            overlaid = inputs.copy()
            overlaid[:, : len(y)] = strength * y
            return overlaid, None
        if kind == "per-layer":
            (names,) = take(label, "readout.label", ("names",))
            if len(names) != len(self.blocks):
                raise ExportError(f"readout.label.names has {len(names)} entries for {len(self.blocks)} blocks")
            return inputs, [y @ self.tensor(name, [len(y), None]) for name in names]
        raise ExportError(f"readout.label.kind: unknown {kind!r}; known: overlay, per-layer")


def main(arguments):
    if len(arguments) != 3:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    model, inputs_file, out = arguments
    try:
        network = Network(model)
        with safe_open(inputs_file, framework="numpy") as file:
            if "pixels" in file.keys():
                inputs = network.inputs(file.get_tensor("pixels").astype(np.float64))
            else:
                inputs = file.get_tensor("inputs").astype(np.float64)
        if inputs.ndim != 2:
            raise ExportError(f"{inputs_file}: inputs have the shape {list(inputs.shape)}, needed [B, d]")
        save_file({"logits": np.ascontiguousarray(network.logits(inputs), dtype=np.float32)}, out)
    except ExportError as error:
        print(f"forward_from_safetensors: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
