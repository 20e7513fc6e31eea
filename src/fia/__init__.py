"""Makes text-to-image diffusion models forget concepts, without training, by editing the few weights behind them.

The public names are loaded when they are first used, so that importing the package costs nothing. Their types are in
`__init__.pyi`.
"""

from importlib import import_module
from typing import Any

__version__ = "0.2.0"

_HOMES = {
    "Concept": "concepts",
    "FIAError": "errors",
    "Library": "masks.library",
    "NeuronMask": "masks.mask",
    "Policy": "masks.policy",
    "Settings": "settings",
    "adapters": "masks.adapters",
    "attack": "attacks.api",
    "current_mask": "masks.current",
    "evaluate": "bench.evaluate",
    "find": "finding.run",
    "forget": "finding.run",
    "generate_images": "drawing.images",
    "harden": "attacks.harden",
    "load_judge": "testbed.judge",
    "load_testbed": "testbed",
    "preset": "concepts",
    "random_mask": "masks.random_control",
    "remove": "masks.current",
}
__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
