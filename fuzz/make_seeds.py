#!/usr/bin/env python3
"""Writes the initial inputs for fuzzing to fuzz/seeds. Needs no packages.

    fuzz/make_seeds.py
"""
import gzip
import io
import json
import pickle
import struct
import sys
import types
import zipfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
FIXTURES = HERE.parent / "burn-forward-train/tests/fixtures/report"
SEPARATOR = b"\n===\n"

# Tensors of the network in src/lib.rs, with their public names.
TENSORS = {
    "layers.0.conv.weight": [2, 1, 3, 3],
    "layers.0.norm.weight": [2],
    "layers.0.norm.bias": [2],
    "layers.0.norm.running_mean": [2],
    "layers.0.norm.running_var": [2],
    "head.weight": [2, 2],
    "head.bias": [2],
}


def size(shape):
    n = 1
    for length in shape:
        n *= length
    return n


def values(shape):
    return struct.pack(f"<{size(shape)}f", *(i / 8 for i in range(size(shape))))


def idx(kind, shape, elements):
    return bytes([0, 0, kind, len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + elements


def npy(descr, shape, elements, order=False):
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + elements


def png(width, height, depth, kind, rows, *before, interlaced=0):
    """An image of unfiltered rows; `before` are further chunks, each a name and a content."""

    def chunk(name, content):
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">2I5B", width, height, depth, kind, 0, 0, interlaced)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = [(b"IHDR", header), *before, (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in chunks)


def jpeg(components, *before, progressive=False):
    """A grey or coloured block of 8x8 of one value: the only Huffman codes are of ten bits for the mean, and of the end."""

    def segment(marker, content):
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    def code(table, symbol):
        return segment(0xC4, bytes([table, 1] + 15 * [0] + [symbol]))

    frame = struct.pack(">B2HB", 8, 8, 8, components)
    frame += b"".join(bytes([i, 0x11, 0]) for i in range(1, components + 1))
    scan = bytes([components]) + b"".join(bytes([i, 0]) for i in range(1, components + 1))
    scan += bytes([0, 0 if progressive else 63, 0])
    bits = ("0" + f"{576:010b}" + ("" if progressive else "0")) * components
    bits += "1" * (-len(bits) % 8)
    return b"".join([
        b"\xff\xd8",
        *before,
        segment(0xDB, bytes([0] + 64 * [1])),
        segment(0xC2 if progressive else 0xC0, frame),
        code(0x00, 10),
        code(0x10, 0),
        segment(0xDA, scan),
        int(bits, 2).to_bytes(len(bits) // 8, "big"),
        b"\xff\xd9",
    ])


def safetensors():
    header, body = {}, b""
    for name, shape in TENSORS.items():
        data = values(shape)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    return json.dumps(header).encode(), body


def pytorch(wrap):
    """A checkpoint as torch.save writes it: a zip archive of a pickle and one file per tensor."""

    def rebuild_tensor(*arguments):
        raise NotImplementedError

    class Storage:
        def __init__(self, key, length):
            self.id = ("storage", FloatStorage, str(key), "cpu", length)

    class Tensor:
        def __init__(self, key, shape):
            strides = [size(shape[i + 1 :]) for i in range(len(shape))]
            self.arguments = (Storage(key, size(shape)), 0, tuple(shape), tuple(strides), False, {})

        def __reduce__(self):
            return rebuild_tensor, self.arguments

    class FloatStorage:
        pass

    # Modules with these names, since the pickle refers to them.
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    rebuild_tensor.__module__, rebuild_tensor.__qualname__ = "torch._utils", "_rebuild_tensor_v2"
    FloatStorage.__module__, FloatStorage.__qualname__ = "torch", "FloatStorage"
    utils._rebuild_tensor_v2, torch.FloatStorage, torch._utils = rebuild_tensor, FloatStorage, utils
    sys.modules.update({"torch": torch, "torch._utils": utils})

    class Pickler(pickle.Pickler):
        def persistent_id(self, value):
            return value.id if isinstance(value, Storage) else None

    text = io.BytesIO()
    state = {name: Tensor(key, shape) for key, (name, shape) in enumerate(TENSORS.items())}
    Pickler(text, protocol=2).dump(wrap(state))
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as file:

        def add(name, data):
            # A fixed time, so that the seeds are reproducible.
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), data)

        add("data.pkl", text.getvalue())
        add("version", b"3\n")
        for key, shape in enumerate(TENSORS.values()):
            add(f"data/{key}", values(shape))
    return archive.getvalue()


def seeds():
    pixels = bytes(range(2 * 3 * 4))
    yield "idx/images", idx(8, [2, 3, 4], pixels)
    yield "idx/channels", idx(8, [1, 2, 3, 4], pixels)
    yield "idx/labels", idx(8, [4], bytes([0, 1, 2, 1]))
    yield "idx/qmnist", idx(12, [2, 8], struct.pack(">16i", *range(16)))
    yield "idx/gzipped", gzip.compress(idx(8, [2, 3, 4], pixels), mtime=0)
    yield "gzip/one", gzip.compress(b"one member", mtime=0)
    yield "gzip/two_padded", gzip.compress(b"one", mtime=0) + gzip.compress(b"two", mtime=0) + bytes(16)
    yield "gzip/plain", b"plain"
    yield "cifar/start", bytes([3, 0, 255])
    yield "image_file/grey", png(3, 2, 8, 0, [b"abc", b"def"])
    yield "image_file/bits", png(3, 2, 1, 0, [b"\xa0", b"\x40"])
    yield "image_file/deep", png(1, 2, 16, 2, [b"abcdef", b"ghijkl"])
    yield "image_file/opaque", png(2, 1, 8, 6, [b"abc\xffdef\xff"])
    yield "image_file/grey_opaque", png(2, 1, 8, 4, [b"a\xffb\xff"])
    yield "image_file/palette", png(4, 1, 2, 3, [b"\x1b"], (b"PLTE", b"abcdefghijkl"), (b"tRNS", b"\xff\xff"))
    yield "image_file/interlaced", png(1, 1, 8, 2, [b"abc"], interlaced=1)
    exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    yield "image_file/jpeg", jpeg(1)
    yield "image_file/jpeg_colours", jpeg(3)
    yield "image_file/jpeg_inks", jpeg(4)
    yield "image_file/jpeg_progressive", jpeg(1, progressive=True)
    yield "image_file/jpeg_turned", jpeg(3, b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif)
    floats, labels = struct.pack("<4f", 0, 1, 1, 0), struct.pack("<2q", 0, 1)
    yield "npy/square", npy("<f4", (2, 2), floats) + SEPARATOR + npy("<i8", (2,), labels)
    features = npy("|u1", (2, 3), bytes([0, 1, 0, 1, 0, 1]), True)
    yield "npy/features", SEPARATOR.join([npy(">f4", (2, 2), floats[::-1]), npy("<i8", (2,), labels), features])
    folder = [b"node,label\n0,0\n1,1\n2,-1", b"source,target,weight\n0,1,1\n1,2,0.5"]
    folder += [b"node\tfeatures\n0\t0 2:0.5\n1\t1\n2\t2", b"0,train\n1,test"]
    yield "graph_folder/named", SEPARATOR.join(folder)
    yield "graph_folder/plain", SEPARATOR.join(part.partition(b"\n")[2] for part in folder[:2])
    header, body = safetensors()
    yield "weights_safetensors/whole", header + SEPARATOR + body
    yield "weights_pytorch/bare", pytorch(lambda state: state)
    yield "weights_pytorch/wrapped", pytorch(lambda state: {"epoch": 3, "state_dict": state, "accuracy": 0.5})
    yield "weights_pytorch/safetensors", struct.pack("<Q", len(header)) + header + body
    files = ["config.json", "metrics.jsonl", "run.json", "summary.json", "evaluation.json", "audit.json"]
    for run in ["finished", "unfinished"]:
        there = [(FIXTURES / run / name).read_bytes() for name in files if (FIXTURES / run / name).exists()]
        # A few rows are enough.
        there[1] = b"\n".join(there[1].split(b"\n")[:8])
        yield f"run_folder/{run}", SEPARATOR.join(part.rstrip(b"\n") for part in there)


for name, data in seeds():
    path = HERE / "seeds" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
