"""Writes the .npz files in this folder with numpy: one graph in the formats of public files, and files that must be rejected.

The graph has 4 nodes, edges 0-1, 1-2 and 2-3 of weights 1, 2 and 3, three features and classes 0, 1, 1 and none.
"""
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
LABELS = np.array([0, 1, 1, -1])
# Every edge in both directions, rows of 1, 2, 2 and 1 entries.
EDGES = {
    "data": np.array([1, 1, 2, 2, 3, 3], dtype=np.float32),
    "indices": np.array([1, 0, 2, 1, 3, 2], dtype=np.int32),
    "indptr": np.array([0, 1, 3, 5, 6], dtype=np.int32),
    "shape": np.array([4, 4]),
}
FEATURES = np.array([[0, 0.5, 0], [1, 0, 2], [0, 0, 0], [-0.25, 0, 0]], dtype=np.float32)


def sparse(dense):
    rows, columns = np.nonzero(dense)
    ends = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(dense)))])
    return {"data": dense[rows, columns], "indices": columns, "indptr": ends, "shape": np.array(dense.shape)}


def named(start, arrays):
    return {start + name: array for name, array in arrays.items()}


def write(name, arrays, save=np.savez):
    save(HERE / f"{name}.npz", **arrays)


dotted = {**named("adj_matrix.", EDGES), **named("attr_matrix.", sparse(FEATURES)), "labels": LABELS}
lined = {**named("adj_", EDGES), **named("attr_", sparse(FEATURES)), "labels": LABELS}
bare = {**named("adj_", EDGES), "labels": LABELS}

# The same graph.
write("dotted", dotted)
write("lined", lined, np.savez_compressed)
# One direction of every edge, one of them as an entry of 1 and one of 2 at the same place, and one entry of 0.
one_way = {
    "data": np.array([1, 1, 1, 3, 0], dtype=">f8"),
    "indices": np.array([1, 2, 2, 3, 1], dtype=np.int64),
    "indptr": np.array([0, 1, 3, 4, 5], dtype=np.uint64),
    "shape": np.array([4, 4]),
}
write("one_way", {**lined, **named("adj_", one_way)})
# Dense features in half precision, columns first; dense edges; labels as floats.
dense = np.zeros((4, 4), dtype=np.uint8)
for (a, b), weight in {(0, 1): 1, (1, 2): 2, (2, 3): 3}.items():
    dense[a, b] = dense[b, a] = weight
features = np.asfortranarray(FEATURES.astype(np.float16))
write("dense", {"adj_matrix": dense, "attr_matrix": features, "labels": LABELS.astype(np.float64)})
# No features.
write("bare", bare, np.savez_compressed)
# No values: all 1.
write("ones", {name: array for name, array in lined.items() if name != "adj_data"})

# What is refused.
write("class_of_a_billion", {**bare, "labels": np.array([0, 1, 10**9, -1])})
write("class_of_parts", {**bare, "labels": np.array([0, 0.6, 1.6, -1])})
write("class_nan", {**bare, "labels": np.array([0, 1, np.nan, -1])})
write("one_hot", {**bare, "labels": np.eye(4, 2)})
write("few_labels", {**bare, "labels": LABELS[:3]})
write("no_labels", named("adj_", EDGES))
write("other_names", {"node_features": FEATURES, "node_labels": LABELS, "edges": np.array([[0, 1], [1, 2]])})
write("many_features", {**lined, "attr_shape": np.array([4, 10**12])})
write("many_nodes", {**lined, "adj_shape": np.array([10**12, 10**12])})
write("column_beyond", {**lined, "adj_indices": np.array([1, 0, 2, 1, 3, 9])})
write("objects", {**bare, "labels": np.array([0, 1, 1, None], dtype=object)})
write("infinite", {**lined, "attr_data": np.array([1e300, 1, 1, 1])})
write("two_weights", {**bare, "adj_data": np.array([1, 5, 2, 2, 3, 3])})
