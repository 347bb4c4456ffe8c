"""Read and write golden files: safetensors by numpy alone, and Mien's YAML for metadata.

Supports F32, F64 and I64 tensors, little endian, stored without gaps in the given order.
"""

import json
import struct
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent

_DTYPES = {"F32": "<f4", "F64": "<f8", "I64": "<i8"}
_NAMES = {np.dtype(code): name for name, code in _DTYPES.items()}


def save_safetensors(path, tensors, metadata):
    """Write `tensors` (name to array) and `metadata` (string to string) to `path`."""
    header = {"__metadata__": metadata}
    blobs = []
    offset = 0
    for name, value in tensors.items():
        array = np.asarray(value)
        if array.dtype not in _NAMES:
            raise TypeError(f"{name}: {array.dtype} is not one of {', '.join(_DTYPES)}")
        blob = array.tobytes(order="C")
        header[name] = {
            "dtype": _NAMES[array.dtype],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    Path(path).write_bytes(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def load_safetensors(path):
    """Return (tensors, metadata) of the file at `path`."""
    data = Path(path).read_bytes()
    (length,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + length])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + at for at in entry["data_offsets"])
        flat = np.frombuffer(data[begin:end], _DTYPES[entry["dtype"]])
        tensors[name] = flat.reshape(entry["shape"])
    return tensors, metadata


def write_golden(name, tensors, metadata):
    """Save a golden file next to this script and print its size."""
    path = HERE / name
    save_safetensors(path, tensors, metadata)
    print(f"{name}: {len(tensors)} tensors, {path.stat().st_size} bytes")


def f32(array):
    """Round to float32, the type in which every input of a golden file is stored."""
    return np.asarray(array, np.float32)


def yaml_flow(value):
    """Write a value (mapping, list, string, number, bool) in YAML's one-line flow style."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {yaml_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(yaml_flow(item) for item in value) + "]"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def yaml_layer(kind, keys):
    """Write one layer in the syntax of a Mien model file, e.g. `dense: {units: 5}`."""
    return f"{kind}: {yaml_flow(keys)}"


def yaml_model(layers):
    """Write a list of (kind, keys) as a Mien model file."""
    return "layers:\n" + "".join(f"  - {yaml_layer(kind, keys)}\n" for kind, keys in layers)
