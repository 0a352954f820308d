#!/usr/bin/env python3
"""Seconds of plain matrix products: what a step could take if it were nothing but its products.

Reads a JSON list of `[m, k, n, count]` from standard input: products of `[m, k]` by `[k, n]` in float32, and how many of each
a step has. Each is timed with the library of PyTorch and with that of numpy, on all threads; the faster one counts. Prints JSON:
`seconds` of all together, `gflops` of the fastest single product, and `square_gflops` of one of 2048 x 2048 by 2048 x 2048, which
comes close to the processor's limit.
"""

import json
import statistics
import sys
import time

import numpy as np
import torch

TIMES = 3
SQUARE = 2048


def median_seconds(multiply):
    seconds = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        multiply()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def seconds_of(m, k, n):
    a, b, c = (torch.rand(shape) for shape in ((m, k), (k, n), (m, n)))
    x, y, z = (t.numpy() for t in (a, b, c))
    # A product of some microseconds is repeated until the clock can tell.
    often = max(1, int(2e7 / (m * k * n)))

    def with_torch():
        for _ in range(often):
            torch.mm(a, b, out=c)

    def with_numpy():
        for _ in range(often):
            np.matmul(x, y, out=z)

    return min(median_seconds(with_torch), median_seconds(with_numpy)) / often


def main():
    total, fastest = 0.0, 0.0
    for m, k, n, count in json.load(sys.stdin):
        seconds = seconds_of(m, k, n)
        total += count * seconds
        fastest = max(fastest, 2e-9 * m * k * n / seconds)
    square = 2e-9 * SQUARE**3 / seconds_of(SQUARE, SQUARE, SQUARE)
    print(json.dumps({"seconds": total, "gflops": fastest, "square_gflops": square, "numpy": np.__version__}))


if __name__ == "__main__":
    main()
