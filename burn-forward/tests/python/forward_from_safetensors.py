#!/usr/bin/env python3
"""Runs a network that burn-forward exported, with numpy and nothing of burn-forward or Burn.

    forward_from_safetensors.py MODEL INPUTS OUT

MODEL   an exported `model.safetensors`: tensors under PyTorch names and in PyTorch layouts, and a metadata entry
        `burn_forward` with a description of the network in JSON (below).
INPUTS  a safetensors file with the key `inputs`, [B, d].
OUT     where to write a safetensors file with the key `logits`, float32 [B, C].

The tests compare OUT with the logits of the trained network itself, so this file is an independent reading of what
an export means. It computes in float64 and refuses what it does not know: an unknown key or name is an error.

The description:

    {"format": 1,
     "layers": [{"name": "layers.0", "kind": "linear", "normalisation": NORMALISATION, "activation": ACTIVATION}, ...],
     "readout": READOUT}

NORMALISATION, of the layer's input a, per row (default "none"):
    "none"        a
    "rms"         a / (1e-8 + sqrt(mean(a^2)))
    "l2"          a / (1e-4 + ||a||)
    "layer-norm"  (a - mean(a)) / sqrt(var(a) + 1e-5), variance over d, not d - 1

ACTIVATION of z = N(a) W^T + b, with W = `NAME.weight` [out, in] and b = `NAME.bias` [out] (optional):
    "relu", "leaky-relu" (slope 0.01), "gelu" (exact, with erf), "tanh", "none"

READOUT, from the layers' outputs h_1 ... h_L to logits [B, C]:
    {"kind": "linear", "name": "head"}
        h_L W^T + b; W = `head.weight` [C, d_L], b = `head.bias` [C] (optional).
    {"kind": "sum-linear", "names": ["heads.0", "heads.1", ...]}
        the sum over layers of h_l W_l^T + b_l, one name per layer, null for a layer that is not counted.
    {"kind": "energy", "label": LABEL, "goodness": GOODNESS, "first_layer": 1}
        logits[b, c] = the sum over layers l >= first_layer (counted from 0) of the goodness of h_l when the network is
        run on sample b together with label c.
    The linear kinds take a "normalisation" of their input too (default "none").

LABEL, how a label enters:
    {"kind": "overlay", "strength": s}           s * one_hot(c) replaces the first C entries of the input, before any
                                                 normalisation; needs "classes": C
    {"kind": "per-layer", "names": ["labels.0", ...]}   row c of `labels.l` [C, d_l] is added to layer l's z

GOODNESS of a row h of d features; a name, or an object with the name as "kind" and parameters:
    "sum-squares"   sum(h^2)                        "mean-squares"  mean(h^2)
    "l2"            ||h||                           "mean"          mean(h)
    "negative-sum-squares"  -sum(h^2)
    "top-k"         mean of the k largest h, k = max(minimum = 5, floor(fraction = 0.02 * d)), at most d
    "burst"         mean(u^4) - 3, u = (h - mean(h)) / sqrt(var(h) + epsilon), epsilon = 1e-5, variance over d
"""

import json
import math
import sys

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file

FORMAT = 1


class ExportError(Exception):
    """The exported file is not what this reader knows."""


def take(entry, where, required=(), **optional):
    """The values of `required` and `optional` (with defaults) of a JSON object; any other key is an error."""
    if not isinstance(entry, dict):
        raise ExportError(f"{where}: {entry!r} is no object")
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


def top_k(h, fraction=0.02, minimum=5):
    d = h.shape[-1]
    k = min(d, max(minimum, math.floor(fraction * d)))
    return np.sort(h, axis=-1)[..., d - k :].mean(axis=-1)


def burst(h, epsilon=1e-5):
    centred = h - h.mean(axis=-1, keepdims=True)
    u = centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + epsilon)
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
    "l2": lambda h: np.sqrt(np.sum(h**2, axis=-1)),
    "mean": lambda h: np.mean(h, axis=-1),
    "top-k": top_k,
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
        version, self.layers, self.readout = take(
            json.loads(metadata["burn_forward"]), "burn_forward", ("format", "layers", "readout")
        )
        if version != FORMAT:
            raise ExportError(f"burn_forward.format is {version!r}, this reader knows {FORMAT}")
        if not self.layers:
            raise ExportError("burn_forward.layers is empty")

    def tensor(self, name, shape):
        """A tensor of the file, of a shape in which None stands for any length."""
        if name not in self.tensors:
            raise ExportError(f"no tensor {name!r}; there are: {', '.join(sorted(self.tensors))}")
        value = self.tensors[name]
        if value.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, value.shape)):
            raise ExportError(f"tensor {name!r} has the shape {list(value.shape)}, needed {shape}")
        return value

    def linear(self, name, a):
        """a W^T + b, [B, out]."""
        weight = self.tensor(f"{name}.weight", [None, a.shape[-1]])
        z = a @ weight.T
        if f"{name}.bias" in self.tensors:
            z = z + self.tensor(f"{name}.bias", [weight.shape[0]])
        return z

    def outputs(self, a, shifts=None):
        """The outputs of all layers, for inputs [B, d]; `shifts` are added to the layers' pre-activations."""
        outputs = []
        for index, layer in enumerate(self.layers):
            where = f"layers[{index}]"
            name, kind, activation, normalisation = take(
                layer, where, ("name", "kind", "activation"), normalisation="none"
            )
            if kind != "linear":
                raise ExportError(f"{where}.kind: unknown {kind!r}; known: linear")
            z = self.linear(name, choose(NORMALISATIONS, normalisation, f"{where}.normalisation")(a))
            if shifts is not None:
                z = z + shifts[index]
            a = choose(ACTIVATIONS, activation, f"{where}.activation")(z)
            outputs.append(a)
        return outputs

    def logits(self, inputs):
        """[B, C] for inputs [B, d]."""
        readouts = {"linear": self.read_linear, "sum-linear": self.read_sum_linear, "energy": self.read_energy}
        entry = dict(self.readout)
        kind = entry.pop("kind", None)
        return choose(readouts, kind, "readout.kind")(entry, inputs)

    def read_linear(self, entry, inputs):
        name, normalisation = take(entry, "readout", ("name",), normalisation="none")
        normalise = choose(NORMALISATIONS, normalisation, "readout.normalisation")
        return self.linear(name, normalise(self.outputs(inputs)[-1]))

    def read_sum_linear(self, entry, inputs):
        names, normalisation = take(entry, "readout", ("names",), normalisation="none")
        normalise = choose(NORMALISATIONS, normalisation, "readout.normalisation")
        outputs = self.outputs(inputs)
        if len(names) != len(outputs) or not any(names):
            raise ExportError(f"readout.names has {len(names)} entries for {len(outputs)} layers, or only null")
        return sum(self.linear(name, normalise(h)) for name, h in zip(names, outputs) if name is not None)

    def read_energy(self, entry, inputs):
        label, goodness, first_layer = take(entry, "readout", ("label", "goodness"), first_layer=0)
        if not 0 <= first_layer < len(self.layers):
            raise ExportError(f"readout.first_layer is {first_layer}, the network has {len(self.layers)} layers")
        parameters = {"kind": goodness} if isinstance(goodness, str) else dict(goodness)
        measure = choose(GOODNESS, parameters.pop("kind", None), "readout.goodness")

        columns = []
        for candidate, shifts in self.candidates(label, inputs):
            counted = self.outputs(candidate, shifts)[first_layer:]
            columns.append(sum(measure(h, **parameters) for h in counted))
        return np.stack(columns, axis=1)

    def candidates(self, label, inputs):
        """For every class c: the inputs and the layers' shifts that carry label c."""
        label = dict(label)
        kind = label.pop("kind", None)
        if kind == "overlay":
            strength, classes = take(label, "readout.label", ("strength", "classes"))
            if not 0 < classes <= inputs.shape[1]:
                raise ExportError(f"readout.label.classes is {classes}, the inputs have {inputs.shape[1]} entries")
            for c in range(classes):
                overlaid = inputs.copy()
                overlaid[:, :classes] = 0
                overlaid[:, c] = strength
                yield overlaid, None
        elif kind == "per-layer":
            (names,) = take(label, "readout.label", ("names",))
            if len(names) != len(self.layers):
                raise ExportError(f"readout.label.names has {len(names)} entries for {len(self.layers)} layers")
            maps = [self.tensor(name, [None, None]) for name in names]
            for c in range(maps[0].shape[0]):
                yield inputs, [labels[c] for labels in maps]
        else:
            raise ExportError(f"readout.label.kind: unknown {kind!r}; known: overlay, per-layer")


def main(arguments):
    if len(arguments) != 3:
        print(__doc__.split("\n\n")[1], file=sys.stderr)
        return 2
    model, inputs_file, out = arguments
    try:
        network = Network(model)
        with safe_open(inputs_file, framework="numpy") as file:
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
