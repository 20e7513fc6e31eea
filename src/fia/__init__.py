"""Makes text-to-image diffusion models forget concepts, without training, by pruning the few weights behind them.

The public names are loaded when they are first used, so that importing the package costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .concepts import Concept, preset
    from .finding.run import find, forget
    from .masks.library import Library
    from .masks.mask import NeuronMask
    from .masks.policy import Policy
    from .settings import Settings
    from .testbed import load_testbed

__version__ = "0.1.0"
__all__ = ["Concept", "Library", "NeuronMask", "Policy", "Settings", "find", "forget", "load_testbed", "preset"]

_HOMES = {
    "Concept": "concepts",
    "Library": "masks.library",
    "NeuronMask": "masks.mask",
    "Policy": "masks.policy",
    "Settings": "settings",
    "find": "finding.run",
    "forget": "finding.run",
    "load_testbed": "testbed",
    "preset": "concepts",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
