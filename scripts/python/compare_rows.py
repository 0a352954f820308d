"""What scripts/compare-pytorch measures: configs of burn-forward, one a row of its table, and made-up images for them."""

import dataclasses
import random
import struct

BATCH = 128


@dataclasses.dataclass
class Row:
    """A config, how many steps a process runs, the variants of PyTorch, and whether it is measured without being asked for."""

    name: str
    config: dict
    steps: int
    variants: list
    usual: bool = True


def cnn(network, rule, optimizer):
    sgd = {"lr": 0.01, "momentum": 0.9, "weight-decay": 0.0005, "decay-bias": False}
    adam = {"lr": 0.001, "weight-decay": 0.0005, "decay-bias": False}
    pixels = {"mean": [0.5] * 3, "std": [0.25] * 3}
    return {
        "data": {"name": "cifar10", "validation": 0, "pixel-normalisation": pixels},
        "network": {**network, "partition": "residual"},
        "rule": {"name": rule},
        "training": {"epochs": 1, "batch-size": BATCH},
        "optimizer": {"name": optimizer, **(sgd if optimizer == "sgd" else adam)},
    }


def mlp(rule, optimizer, batch):
    sgd, adam = {"lr": 0.01, "momentum": 0.9}, {"lr": 0.001}
    network = {"name": "mlp", "widths": [1000, 1000]}
    settings = {"name": rule}
    if rule == "forward-forward":
        # The author's recipe.
        settings["preset"] = "hinton"
        network |= {"normalisation": "rms", "init": "unit-normal"}
        sgd |= {"dampening": 0.9, "weight-decay": 0.001, "decay-bias": False}
    return {
        "data": {"name": "mnist", "validation": 0, "pixel-normalisation": "unit"},
        "network": network,
        "rule": settings,
        "training": {"epochs": 1, "batch-size": batch},
        "optimizer": {"name": optimizer, **(sgd if optimizer == "sgd" else adam)},
    }


def all_rows():
    rows = []
    networks = {
        "resnet18": ({"name": "resnet", "depth": 18}, 4),
        "cifar-resnet56": ({"name": "cifar-resnet", "depth": 56}, 6),
        "mobilenet-v3-small": ({"name": "mobilenet-v3", "size": "small"}, 6),
    }
    for name, (network, steps) in networks.items():
        for rule in ("mono-forward", "backprop"):
            for optimizer in ("sgd", "adam"):
                config = cnn(network, rule, optimizer)
                usual = optimizer == "sgd"
                rows.append(Row(f"{name}-{rule}-{optimizer}", config, steps, ["default", "channels-last"], usual))
    for batch, steps in ((128, 120), (1024, 30)):
        for rule in ("mono-forward", "forward-forward", "backprop"):
            for optimizer in ("sgd", "adam"):
                config = mlp(rule, optimizer, batch)
                rows.append(Row(f"mlp-{batch}-{rule}-{optimizer}", config, steps, ["default", "fused"]))
    return rows


def write_images(folder, counts):
    """Random images and labels in the files of CIFAR-10 and MNIST, so many for training, and a few for testing.

    Neither time nor memory depends on what is in them, and no data set needs to be there.
    """
    draw = random.Random(0)
    cifar, mnist = folder / "cifar10", folder / "mnist"
    cifar.mkdir(parents=True)
    mnist.mkdir()
    parts = [counts["cifar10"] // 5 + (i < counts["cifar10"] % 5) for i in range(5)]
    files = [(f"data_batch_{i + 1}.bin", count) for i, count in enumerate(parts)] + [("test_batch.bin", 10)]
    for name, count in files:
        records = (bytes([draw.randrange(10)]) + draw.randbytes(3 * 32 * 32) for _ in range(count))
        (cifar / name).write_bytes(b"".join(records))
    for name, count in (("train", counts["mnist"]), ("t10k", 10)):
        images = struct.pack(">IIII", 0x803, count, 28, 28) + draw.randbytes(28 * 28 * count)
        labels = struct.pack(">II", 0x801, count) + bytes(draw.randrange(10) for _ in range(count))
        (mnist / f"{name}-images-idx3-ubyte").write_bytes(images)
        (mnist / f"{name}-labels-idx1-ubyte").write_bytes(labels)
