#!/usr/bin/env python3
"""Time and memory of a training step in PyTorch: what `burn-forward plan CONFIG --steps N --json` prints, for the same config.

scripts/compare-pytorch runs this, in a process of its own for every measurement. It prints JSON: `blocks` and `measured` as the
program does, and beside them `losses` of all steps and `products`, the matrix products of a step as `[m, k, n, count]`, with
`multiply_adds` of all layers together.
"""

import argparse
import collections
import contextlib
import ctypes
import gzip
import json
import math
import pathlib
import sys
import time

import torch
from torch import nn

from torch_networks import CLASSES, ConfigError, Reference
from torch_rules import optimizers, rule


def raw(folder, name):
    """The bytes of a file, which may be gzipped."""
    packed = folder / f"{name}.gz"
    if packed.is_file():
        return gzip.decompress(packed.read_bytes())
    return (folder / name).read_bytes()


def images(config, data):
    """Training images, normalised as the config says, and labels."""
    part = config["data"]
    if part["name"] == "cifar10":
        files = [raw(data / "cifar10", f"data_batch_{i}.bin") for i in range(1, 6)]
        records = torch.frombuffer(bytearray(b"".join(files)), dtype=torch.uint8).reshape(-1, 1 + 3 * 32 * 32)
        pixels, labels = records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0]
    elif part["name"] == "mnist":
        pixels = torch.frombuffer(bytearray(raw(data / "mnist", "train-images-idx3-ubyte")[16:]), dtype=torch.uint8)
        pixels = pixels.reshape(-1, 784)
        labels = torch.frombuffer(bytearray(raw(data / "mnist", "train-labels-idx1-ubyte")[8:]), dtype=torch.uint8)
    else:
        raise ConfigError(f"data.name: {part['name']}; the reference knows: cifar10, mnist")
    x, scale = pixels.float() / 255, part["pixel-normalisation"]
    if scale != "unit":
        mean, std = (torch.tensor(scale[key]).reshape(1, -1, 1, 1) for key in ("mean", "std"))
        x = (x - mean) / std
    return x, labels.long()


def read_safetensors(file):
    """The tensors of a safetensors file of float32."""
    content = file.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    tensors = {}
    for name, entry in json.loads(content[8:start]).items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            flat = torch.frombuffer(bytearray(content[start + begin : start + end]), dtype=torch.float32)
            tensors[name] = flat.reshape(entry["shape"])
    return tensors


def memory(field):
    """A field of this process's status, in bytes."""
    for line in pathlib.Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return 1024 * int(line.split()[1])
    raise SystemExit(f"torch_step: no {field} in /proc/self/status; memory is measured on Linux only")


def give_back_freed():
    """Hands memory that was freed while images were read back to the system, where a step would find it for nothing."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


class Products:
    """Counts the products of layers while it is in force: forward, and backward as far as a gradient is asked for."""

    def __init__(self, reference):
        kinds = (nn.Conv2d, nn.Linear)
        self.handles = [m.register_forward_hook(self.count) for m in reference.modules() if isinstance(m, kinds)]
        self.multiply_adds = 0
        self.shapes = collections.Counter()

    def count(self, layer, inputs, output):
        x = inputs[0]
        if isinstance(layer, nn.Conv2d):
            out, depth = output.shape[1], layer.weight[0].numel()
            columns = output.numel() // out
            # Output, gradient of the weights, gradient of the input.
            products = [(out, depth, columns), (out, columns, depth), (depth, out, columns)]
        else:
            rows, (out, depth) = len(x), layer.weight.shape
            products = [(rows, depth, out), (depth, rows, out), (rows, out, depth)]
        learns = torch.is_grad_enabled()
        asked = [True, learns, learns and x.requires_grad]
        for product, wanted in zip(products, asked):
            self.multiply_adds += math.prod(product) * wanted
            # Small groups are no products that a library would be fast at.
            if wanted and getattr(layer, "groups", 1) == 1:
                self.shapes[product] += 1

    def stop(self):
        for handle in self.handles:
            handle.remove()


def describe(reference, x):
    """The rows of the program's block table that a network can be compared by."""
    rows = []
    with torch.no_grad():
        for i, block in enumerate(reference.blocks):
            products = Products(block)
            x = block(x)
            products.stop()
            head = reference.heads[i] if len(reference.heads) else None
            own = sum(p.numel() for p in head.parameters()) if head else getattr(reference, f"peer{i}").numel()
            if not head and i + 1 == len(reference.blocks):
                own += sum(p.numel() for p in reference.softmax.parameters())
            row = {"index": i, "parameters": sum(p.numel() for p in block.parameters())}
            rows.append(row | {"head_parameters": own, "macs": products.multiply_adds})
    return rows


def measure(config, args):
    torch.manual_seed(args.seed)
    learn = rule(config)
    x, labels = images(config, args.data)
    reference = Reference(config)
    if args.weights:
        reference.load(read_safetensors(args.weights))
    layout = torch.contiguous_format
    if args.layout == "channels-last" and x.dim() == 4:
        layout = torch.channels_last
        reference = reference.to(memory_format=layout)
    batch = config["training"]["batch-size"]
    if len(x) % batch:
        raise ConfigError(f"training.batch-size: {batch} does not divide the {len(x)} images, so one batch would be smaller")
    made = optimizers(config, reference, args.fused)
    order = torch.randperm(len(x))
    # As the loader of the program does, batches are ready when a step begins.
    batches = [order[start : start + batch] for start in range(0, len(x), batch)]
    ready = [(x[rows].contiguous(memory_format=layout), labels[rows]) for rows in batches[: args.steps]]
    image = x[:1].clone()
    del x
    give_back_freed()

    base, files = memory("VmRSS"), memory("RssFile")
    pathlib.Path("/proc/self/clear_refs").write_text("5")
    seconds, losses, products = [], [], Products(reference)
    for step in range(args.steps):
        inputs, targets = ready[step % len(ready)]
        begun = time.perf_counter()
        for optimizer in made:
            optimizer.zero_grad()
        loss = learn(reference, inputs, targets)
        for optimizer in made:
            optimizer.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - begun)
        if step == 0:
            # Of the first step, whose time does not count.
            products.stop()
    peak, of_files = memory("VmHWM"), memory("RssFile") - files
    timed = sorted(seconds[1:] or seconds)
    return {
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "blocks": describe(reference.eval(), image),
        "measured": {
            "steps": args.steps,
            "seconds_per_step": timed[len(timed) // 2],
            "fastest_step": timed[0],
            "base_bytes": base,
            "peak_above_base_bytes": max(0, peak - base - max(0, of_files)),
            "last_loss": losses[-1],
        },
        "losses": losses,
        "multiply_adds": products.multiply_adds,
        "products": [[*shape, count] for shape, count in products.shapes.items()],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", type=pathlib.Path, help="a config of burn-forward, with no more settings than are needed")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="data folder, as burn-forward has it")
    parser.add_argument("--steps", type=int, default=4, help="steps; the first is not timed where there are more")
    parser.add_argument("--layout", choices=["default", "channels-last"], default="default")
    parser.add_argument("--fused", action="store_true", help="the optimiser's fused implementation")
    parser.add_argument("--weights", type=pathlib.Path, help="start from the weights of this exported model.safetensors")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    # The program treats denormal numbers as zero; so does the reference.
    torch.set_flush_denormal(True)
    try:
        print(json.dumps(measure(json.loads(args.config.read_text()), args)))
    except ConfigError as error:
        sys.exit(f"torch_step: {args.config}: {error}")


if __name__ == "__main__":
    main()
