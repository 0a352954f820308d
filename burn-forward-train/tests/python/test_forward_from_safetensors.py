"""Tests of forward_from_safetensors.py against values computed by hand: python test_forward_from_safetensors.py"""

import contextlib
import io
import json
import math
import pathlib
import tempfile
import unittest

import numpy as np
from safetensors.numpy import load_file, save_file

import forward_from_safetensors

# Two layers that can be followed by hand: the first swaps the entries and shifts them, the second adds them.
TENSORS = {
    "layers.0.weight": [[0, 1], [1, 0]],
    "layers.0.bias": [0, -1],
    "layers.1.weight": [[1, 1], [1, -1], [0, 2]],
}
LAYERS = [
    {"name": "layers.0", "kind": "linear", "activation": "relu"},
    {"name": "layers.1", "kind": "linear", "activation": "leaky-relu"},
]
# [3, 4] -> [4, 2] -> [6, 2, 4]; [0, 1] -> [1, 0] -> [1, 1, 0]
INPUTS = [[3, 4], [0, 1]]


def run(layers, readout, tensors, inputs, version=1, blocks=None):
    """Exit code, standard error and logits of the program, through files."""
    with tempfile.TemporaryDirectory() as folder:
        model, given, out = (str(pathlib.Path(folder) / name) for name in ("model", "inputs", "out"))
        blocks = blocks or [1] * len(layers)
        description = json.dumps({"format": version, "layers": layers, "blocks": blocks, "readout": readout})
        arrays = {name: np.array(value, dtype=np.float32) for name, value in tensors.items()}
        save_file(arrays, model, metadata={"burn_forward": description})
        save_file({"inputs": np.array(inputs, dtype=np.float32)}, given)
        with contextlib.redirect_stderr(io.StringIO()) as error:
            code = forward_from_safetensors.main([model, given, out])
        return code, error.getvalue(), load_file(out)["logits"] if code == 0 else None


def one_layer(a, normalisation="none", activation="none", weight=None):
    """Logits of a network whose only layer and readout are identities, apart from what is tested."""
    width = len(a)
    identity = np.eye(width)
    layer = {"name": "l", "kind": "linear", "normalisation": normalisation, "activation": activation}
    tensors = {"l.weight": identity if weight is None else weight, "head.weight": identity}
    code, error, logits = run([layer], {"kind": "linear", "name": "head"}, tensors, [a])
    assert code == 0, error
    return logits[0]


def energy(goodness, h):
    """Goodness of a given activation, computed by a network that returns its input."""
    tensors = {"l.weight": np.eye(len(h)), "labels.0": np.zeros((1, len(h)))}
    layer = {"name": "l", "kind": "linear", "activation": "none"}
    label = {"kind": "per-layer", "names": ["labels.0"]}
    readout = {"kind": "energy", "classes": 1, "label": label, "goodness": goodness, "first_block": 0}
    code, error, logits = run([layer], readout, tensors, [h])
    assert code == 0, error
    return logits[0, 0]


class Readouts(unittest.TestCase):
    def check(self, readout, expected, layers=LAYERS, blocks=None, **tensors):
        code, error, logits = run(layers, readout, TENSORS | tensors, INPUTS, blocks=blocks)
        self.assertEqual(code, 0, error)
        self.assertEqual(logits.dtype, np.float32)
        np.testing.assert_allclose(logits, expected, rtol=1e-6)

    def test_linear(self):
        head = {"head.weight": [[1, 0, 0], [0, 1, 1]], "head.bias": [10, 20]}
        self.check({"kind": "linear", "name": "head"}, [[16, 26], [11, 21]], **head)

    def test_sum_linear(self):
        heads = {"heads.0.weight": [[1, 0], [0, 1]], "heads.1.weight": [[1, 0, 0], [0, 0, 1]]}
        self.check({"kind": "sum-linear", "names": ["heads.0", "heads.1"]}, [[10, 6], [2, 0]], **heads)

    def test_mean_linear(self):
        heads = {"heads.0.weight": [[1, 0], [0, 1]], "heads.1.weight": [[1, 0, 0], [0, 0, 1]]}
        self.check({"kind": "mean-linear", "names": ["heads.0", "heads.1"]}, [[5, 3], [1, 0]], **heads)
        # From block 1 on there is only one block.
        last = {"kind": "mean-linear", "names": ["heads.1"], "first_block": 1}
        self.check(last, [[6, 4], [1, 0]], **{"heads.1.weight": heads["heads.1.weight"]})

    def test_weighted_linear(self):
        # Scores [4, 4] and [6, 6], then [1, 1] and [1, 1]: every probability is 1/2, whatever the weights.
        heads = {"heads.0.weight": [[1, 0], [1, 0]], "heads.1.weight": [[1, 0, 0], [1, 0, 0]]}
        readout = {"kind": "weighted-linear", "names": ["heads.0", "heads.1"]}
        self.check(readout, [[math.log(0.5)] * 2] * 2, **heads)
        # Probabilities 1/2, 1/2 in block 0, of weight 1/3; scores [0, ln 3] in block 1, of weight 2/3.
        heads["heads.1.weight"], heads["heads.1.bias"] = [[0, 0, 0], [0, 0, 0]], [0, math.log(3)]
        self.check(readout, [[math.log(1 / 6 + 1 / 6), math.log(1 / 6 + 1 / 2)]] * 2, **heads)

    def test_readouts_see_blocks(self):
        # One block with both layers: the block's head uses the output of the second layer.
        heads = {"heads.0.weight": [[1, 0, 0], [0, 0, 1]]}
        self.check({"kind": "sum-linear", "names": ["heads.0"]}, [[6, 4], [1, 0]], blocks=[2], **heads)
        # Goodness of the block's output; the label enters before the block's first layer.
        labels = {"labels.0": [[0, 0], [1, 0]]}
        readout = {
            "kind": "energy",
            "classes": 2,
            "label": {"kind": "per-layer", "names": ["labels.0"]},
            "goodness": "mean-squares",
            "first_block": 0,
        }
        # Class 1: [3, 4] -> [5, 2] -> [7, 3, 4]; [0, 1] -> [2, 0] -> [2, 2, 0].
        self.check(readout, [[56 / 3, 74 / 3], [2 / 3, 8 / 3]], blocks=[2], **labels)

    def test_energy_overlay(self):
        # Class 0: [2, 0] -> [0, 1] -> [1, -0.01, 2]; class 1: [0, 2] -> [2, 0] -> [2, 2, 0]; both whatever the input
        # is.
        label = {"kind": "overlay", "strength": 2.0}
        readout = {"kind": "energy", "classes": 2, "label": label, "goodness": "sum-squares", "first_block": 1}
        self.check(readout, [[5.0001, 8]] * 2)
        self.check(readout | {"first_block": 0}, [[6.0001, 12]] * 2)

    def test_energy_per_layer(self):
        # Class 0 adds nothing. Class 1 adds [1, 0] and then [0, 0, 1]:
        # [3, 4] -> [5, 2] -> [7, 3, 5]; [0, 1] -> [2, 0] -> [2, 2, 1].
        labels = {"labels.0": [[0, 0], [1, 0]], "labels.1": [[0, 0, 0], [0, 0, 1]]}
        label = {"kind": "per-layer", "names": ["labels.0", "labels.1"]}
        readout = {"kind": "energy", "classes": 2, "label": label, "goodness": "mean-squares", "first_block": 1}
        self.check(readout, [[56 / 3, 83 / 3], [2 / 3, 3]], **labels)

    def test_neutral_linear(self):
        # Both entries become 2 * 1/2: [1, 1] -> [1, 0] -> [1, 1, 0], whose rms is sqrt(2/3).
        label = {"kind": "overlay", "strength": 2.0}
        readout = {"kind": "neutral-linear", "classes": 2, "label": label, "name": "head", "normalisation": "rms"}
        head = {"head.weight": [[1, 0, 5], [2, 3, 0]], "head.bias": [0, 1]}
        unit = math.sqrt(1.5)
        self.check(readout | {"first_block": 1}, [[unit, 5 * unit + 1]] * 2, **head)
        # From the first block on: [1, 0], whose rms is sqrt(1/2), comes first.
        wide = {"head.weight": [[1, 0, 0, 0, 0], [0, 0, 1, 0, 0]]}
        self.check(readout | {"first_block": 0}, [[math.sqrt(2), unit]] * 2, **wide)
        # A label embedding for every block enters as the mean of its rows: [0.5, 0] and [0, 0, 1].
        # [3, 4] -> [4.5, 2] -> [6.5, 2.5, 5]; [0, 1] -> [1.5, 0] -> [1.5, 1.5, 1].
        labels = {"labels.0": [[0, 0], [1, 0]], "labels.1": [[0, 0, 2], [0, 0, 0]]}
        per_layer = {"label": {"kind": "per-layer", "names": ["labels.0", "labels.1"]}, "normalisation": "none"}
        first = {"head.weight": [[1, 0, 0], [0, 0, 1]]}
        self.check(readout | per_layer | {"first_block": 1}, [[6.5, 5], [1.5, 1]], **labels, **first)

    def test_normalisation_comes_after_the_overlay(self):
        # Overlaid [1, 0, 3]: rms^2 = 10/3; the goodness of the normalised vector is 1 by construction.
        label = {"kind": "overlay", "strength": 1}
        layers = [{"name": "l", "kind": "linear", "normalisation": "rms", "activation": "none"}]
        readout = {"kind": "energy", "classes": 2, "label": label, "goodness": "mean-squares", "first_block": 0}
        code, error, logits = run(layers, readout, {"l.weight": np.eye(3)}, [[7, 8, 3]])
        self.assertEqual(code, 0, error)
        np.testing.assert_allclose(logits, [[1, 1]], rtol=1e-6)


class Formulas(unittest.TestCase):
    def test_normalisations(self):
        root = math.sqrt(12.5)
        np.testing.assert_allclose(one_layer([3, 4], "rms"), [3 / root, 4 / root], rtol=1e-6)
        np.testing.assert_allclose(one_layer([3, 4], "l2"), [3 / 5.0001, 4 / 5.0001], rtol=1e-6)
        scale = math.sqrt(0.25 + 1e-5)
        np.testing.assert_allclose(one_layer([3, 4], "layer-norm"), [-0.5 / scale, 0.5 / scale], rtol=1e-6)

    def test_activations(self):
        z = [-1, 0, 2]
        np.testing.assert_allclose(one_layer(z, activation="relu"), [0, 0, 2])
        np.testing.assert_allclose(one_layer(z, activation="leaky-relu"), [-0.01, 0, 2])
        np.testing.assert_allclose(one_layer(z, activation="tanh"), [-0.76159416, 0, 0.96402758], rtol=1e-6)
        # z times the normal distribution's cumulative probability: 0.15865525 at -1, 0.97724987 at 2.
        np.testing.assert_allclose(one_layer(z, activation="gelu"), [-0.15865525, 0, 1.95449974], rtol=1e-6)

    def test_goodness(self):
        h = [3, -4]
        for name, expected in {
            "sum-squares": 25,
            "mean-squares": 12.5,
            "negative-sum-squares": -25,
            "length": 5,
            "mean": -0.5,
            "top-k": -0.5,  # k = 5 is cut to both features
        }.items():
            self.assertAlmostEqual(energy(name, h), expected, places=5, msg=name)
        # k = 5 of six; k = 6 of 300, where 2 % are more than 5.
        self.assertAlmostEqual(energy("top-k", [1, 0, 2, 0, 0, 3]), 6 / 5, places=5)
        self.assertAlmostEqual(energy("top-k", [6] * 3 + [2] * 297), 4, places=5)
        # Two values, equally often: u is +1 or -1, so the fourth moment is 1. One of four: u = -1/sqrt(3) or sqrt(3).
        self.assertAlmostEqual(energy("burst", [2, 2, 6, 6]), -2, places=5)
        self.assertAlmostEqual(energy("burst", [0, 0, 0, 8]), 28 / 12 - 3, places=5)
        # Equal entries share the attention; an entry that exceeds the others by 2 or more gets all of it.
        self.assertAlmostEqual(energy("entmax", [3, 3]), 9, places=5)
        self.assertAlmostEqual(energy("entmax", [4, 0]), 16, places=5)
        # tau = -0.2: (0.6 + 0.2)^2 + (0.4 + 0.2)^2 = 0.64 + 0.36.
        self.assertAlmostEqual(energy("entmax", [1.2, 0.8]), 0.64 * 1.44 + 0.36 * 0.64, places=5)


class Refusals(unittest.TestCase):
    def refuses(self, message, layers=LAYERS, readout=None, inputs=INPUTS, **more):
        readout = readout or {"kind": "linear", "name": "head"}
        code, error, _ = run(layers, readout, TENSORS | {"head.weight": [[1, 0, 0]]}, inputs, **more)
        self.assertEqual(code, 1)
        self.assertIn(message, error)

    def test_refusals(self):
        self.refuses("this reader supports 1", version=2)
        self.refuses("unknown 'swish'; known: none, relu", [LAYERS[0] | {"activation": "swish"}])
        self.refuses("unknown keys ['activaton']", [LAYERS[0] | {"activaton": "relu"}])
        self.refuses("no tensor 'tail.weight'", readout={"kind": "linear", "name": "tail"})
        self.refuses("has the shape [2, 2], needed [None, 3]", inputs=[[1, 2, 3]])
        self.refuses("blocks is [1], but there are 2 layers", blocks=[1])


if __name__ == "__main__":
    unittest.main()
