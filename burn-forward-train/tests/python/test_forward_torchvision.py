"""Tests of forward_torchvision.py against values computed by hand: python test_forward_torchvision.py"""

import contextlib
import io
import pathlib
import tempfile
import unittest

import numpy as np
from safetensors.numpy import save_file

import forward_torchvision
from forward_torchvision import batch_norm, conv2d, hard_sigmoid, hard_swish

# 1  2  3
# 4  5  6
# 7  8  9
IMAGE = np.arange(1.0, 10).reshape(1, 1, 3, 3)


class Formulas(unittest.TestCase):
    def test_convolution_does_not_flip(self):
        # Upper left minus lower right.
        weight = np.array([[[[1.0, 0], [0, -1]]]])
        np.testing.assert_array_equal(conv2d(IMAGE, weight), [[[[-4, -4], [-4, -4]]]])
        np.testing.assert_array_equal(conv2d(IMAGE, weight, bias=np.array([10.0])), [[[[6, 6], [6, 6]]]])

    def test_stride_and_padding(self):
        # Sums over 3x3 windows at the corners of the padded image.
        ones = np.ones((1, 1, 3, 3))
        np.testing.assert_array_equal(conv2d(IMAGE, ones, stride=2, padding=1), [[[[12, 16], [24, 28]]]])
        # Of four columns, stride 2 covers the windows around the first and the third.
        wide = np.arange(1.0, 5).reshape(1, 1, 1, 4)
        np.testing.assert_array_equal(conv2d(wide, np.ones((1, 1, 1, 1)), stride=2), [[[[1, 3]]]])

    def test_groups(self):
        x = np.array([1.0, 2, 3, 4]).reshape(1, 4, 1, 1)
        # Outputs 0 and 1 use channels 0 and 1, outputs 2 and 3 use channels 2 and 3.
        weight = np.array([[1.0, 1], [1, -1], [1, 1], [0, 10]]).reshape(4, 2, 1, 1)
        np.testing.assert_array_equal(conv2d(x, weight, groups=2).ravel(), [3, -1, 7, 40])
        depthwise = np.array([1.0, 10, 100, 1000]).reshape(4, 1, 1, 1)
        np.testing.assert_array_equal(conv2d(x, depthwise, groups=4).ravel(), [1, 20, 300, 4000])

    def test_batch_norm(self):
        mean, variance, weight, bias = (np.array([v]) for v in (5.0, 3.0, 4.0, 1.0))
        # (x - 5) / sqrt(3 + 1) * 4 + 1
        np.testing.assert_allclose(batch_norm(IMAGE, mean, variance, weight, bias, 1.0), 2 * (IMAGE - 5) + 1)

    def test_activations(self):
        z = np.array([-4.0, -3, 0, 1.5, 3, 4])
        np.testing.assert_allclose(hard_sigmoid(z), [0, 0, 0.5, 0.75, 1, 1])
        np.testing.assert_allclose(hard_swish(z), [0, 0, 0, 1.125, 3, 4])


class Refusals(unittest.TestCase):
    def test_a_file_of_another_network(self):
        with tempfile.TemporaryDirectory() as folder:
            model, inputs, out = (str(pathlib.Path(folder) / name) for name in ("model", "inputs", "out"))
            save_file({"conv1.weight": np.ones((1, 1, 3, 3))}, model)
            save_file({"inputs": IMAGE}, inputs)
            with contextlib.redirect_stderr(io.StringIO()) as error:
                code = forward_torchvision.main(["resnet18", model, inputs, out])
        self.assertEqual(code, 1)
        self.assertIn("no tensor 'bn1.running_mean'", error.getvalue())


if __name__ == "__main__":
    unittest.main()
