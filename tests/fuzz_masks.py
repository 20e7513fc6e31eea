"""Damages mask files at random for a while. Each must load or be refused with ValueError, with bounded time and memory.

`make fuzz` runs it. Half of the files get a new hash after the damage, as an attacker who knows the format would do, so
that they pass the hash check. If a file fails, the script prints its folder, and the seed that makes it again.
"""

import argparse
import json
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from made_rewriting import with_rewriting
from safetensors.numpy import load, save

from fia import NeuronMask
from fia.masks import file as maskfile
from fia.masks.describe import describe, describe_json
from fia.masks.file import CONFIG, NEURONS

SECONDS_EACH = 10
MEGABYTES = (
    1500  # to fuse a layer of at most 2^28 connections, we count claims in int16 (half a gigabyte) and mark them
)
ODD: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1,
    2**31,
    2**64,
    10**400,
    0.5,
    1e308,
    "",
    "church",
    "\0",
    [],
    {},
    [[]],
    [1, 2],
    {"": 0},
)


def small_mask() -> NeuronMask:
    shapes = {"a": (8, 16), "b": (4, 1000)}
    neurons = {
        concept: {name: torch.arange(i, 60 + i, 2, dtype=torch.int32) for name in shapes}
        for i, concept in enumerate(("church", "golf ball"))
    }
    provenance = [{"model": "m", "settings": {"seed": 0}, "concepts": [{"name": "church", "kind": "object"}]}]
    return NeuronMask(neurons, shapes, 0.6, "UNet2DConditionModel", 9000, "hash", {"church": 0.5}, None, provenance)


def damaged_bytes(content: bytes, chance: random.Random) -> bytes:
    """Returns the bytes after some were changed, removed, repeated or inserted."""
    result = bytearray(content)
    for _ in range(chance.randint(1, 6)):
        start, length = chance.randrange(len(result) + 1), chance.choice((1, 2, 8, 64))
        how = chance.randrange(4)
        if how == 0:
            result[start : start + length] = chance.randbytes(length)
        elif how == 1:
            del result[start : start + length]
        elif how == 2:
            result[start:start] = result[start : start + length]
        else:
            result[start:start] = chance.choice((b"\xff" * length, b"\0" * length, b"[" * 10_000, b'{"a":' * 2000))
    return bytes(result)


def damaged_json(value: Any, chance: random.Random) -> Any:
    """Returns the JSON value with another value in one place."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        if chance.random() < 0.1:
            return {name: inner for name, inner in value.items() if name != key}
        return value | {key: damaged_json(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.85:
        i = chance.randrange(len(value))
        return [*value[:i], damaged_json(value[i], chance), *value[i + 1 :]]
    return chance.choice((*ODD, chance.randint(-(2**40), 2**40), [value, value]))


def damaged_tensors(tensors: dict[str, np.ndarray], chance: random.Random) -> dict[str, np.ndarray]:
    """Returns the tensors after one was changed, got another type or shape, was removed, or was stored twice."""
    name = chance.choice(list(tensors))
    tensor, others = tensors[name].copy(), {key: value for key, value in tensors.items() if key != name}
    how = chance.randrange(5)
    if how == 0:
        flat = tensor.reshape(-1)
        for _ in range(chance.randint(1, 5)):
            largest = np.iinfo(tensor.dtype).max if tensor.dtype.kind in "iu" else np.finfo(tensor.dtype).max
            odd = (0, 1, flat.size, largest, *((-1, np.nan, np.inf) if tensor.dtype.kind == "f" else ()))
            flat[chance.randrange(flat.size)] = chance.choice(odd)
    elif how == 1:
        tensor = tensor.astype(chance.choice((np.uint8, np.int32, np.uint16, np.int64, np.float32)))
    elif how == 2:
        tensor = tensor[: chance.randrange(len(tensor) + 1)]
    elif how == 3:
        tensor = np.full(chance.choice((1, 5000, 40_000)), 65535, np.uint16)  # one long gap
    else:
        return others | {chance.choice(("counts", "neurons.0", "neurons.7", "")): tensor}
    return others | {name: np.ascontiguousarray(tensor)}


def damage(folder: Path, content: bytes, settings: dict[str, Any], chance: random.Random) -> None:
    """Writes a damaged mask to the folder."""
    how = chance.randrange(4)
    if how == 0:
        (folder / NEURONS).write_bytes(damaged_bytes(content, chance))
        return
    if how == 1:
        length = int.from_bytes(content[:8], "little")
        header = json.dumps(damaged_json(json.loads(content[8 : 8 + length]), chance)).encode()
        (folder / NEURONS).write_bytes(len(header).to_bytes(8, "little") + header + content[8 + length :])
        return
    tensors = load(content)
    if how == 2:
        for _ in range(chance.randint(1, 3)):
            settings = damaged_json(settings, chance)
    else:
        tensors = damaged_tensors(tensors, chance)
    text = json.dumps(settings)
    (folder / NEURONS).write_bytes(save(tensors, {"mask": f"{maskfile._digest(text, tensors)}\n{text}"}))


def try_to_load(folder: Path) -> str:
    """Loads a mask and uses it. Returns whether it was loaded or refused."""
    try:
        mask = NeuronMask.from_pretrained(folder)
    except ValueError:
        return "refused"
    describe(mask)
    json.dumps(describe_json(mask))
    try:
        added = mask.added
    except ValueError:  # numbers so large that no solution is finite
        added = None
    assert added is None or all(values.isfinite().all() for values in added.values())
    assert all(
        0 <= index < mask.shapes[name][0] * mask.shapes[name][1]
        for name in mask.shapes
        for index in mask.pruned[name].tolist()
    )
    return "loaded"


def overdue(*_: object) -> None:
    raise TimeoutError(f"not done after {SECONDS_EACH} s")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=0, help="seed of the first file; each file has its own")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="fuzz-masks-"))
    kinds = []
    for mask in (small_mask(), with_rewriting(small_mask())):
        mask.save_pretrained(folder)
        kinds.append(((folder / NEURONS).read_bytes(), json.loads((folder / CONFIG).read_text())))
        (folder / CONFIG).unlink()
    signal.signal(signal.SIGALRM, overdue)
    outcomes: Counter[str] = Counter()
    before, end = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.monotonic() + options.seconds
    seed = options.seed
    while time.monotonic() < end:
        damage(folder, *kinds[seed % 2], random.Random(seed))
        signal.alarm(SECONDS_EACH)
        try:
            outcomes[try_to_load(folder)] += 1
        except Exception as error:
            print(f"seed {seed}: {type(error).__name__}: {error}\nThe file is in {folder}", file=sys.stderr)
            return 1
        signal.alarm(0)
        seed += 1
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    shutil.rmtree(folder)
    print(f"{seed - options.seed} damaged masks: {dict(outcomes)}; {grown:.0f} MB at most")
    if grown > MEGABYTES or not outcomes["loaded"]:
        print(f"More than {MEGABYTES} MB, or no file was loaded: the damage is not as intended.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
