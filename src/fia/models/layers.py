"""The layers that an edit changes, in two places: the second linear of every feed-forward block (section 1 of
docs/method.md), and the output projection of every cross-attention (section 9).

The code finds layers by the class that owns them. It refers to them by qualified name, never by order.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import torch
from accelerate.utils import has_offloaded_params
from diffusers.models.attention_processor import Attention
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from ..errors import UnsupportedError, UsageError
from ..settings import Sites
from .families import attention_output_of, family_of, owner_of


@dataclass(frozen=True, eq=False)
class MaskableLayer:
    """A linear layer as a matrix of connections, or the part of it that belongs to a feed-forward.

    Attributes:
        module: a linear, or a 1x1 convolution, which is a linear at every place of the image.
        first_input: index of the first maskable input. Inputs before it come from an attention (FLUX's single blocks).
        parts: how many times the layer runs in a pass, each time on other tokens of the same prompts (CogView4: twice).
    """

    module: nn.Linear | nn.Conv2d
    first_input: int = 0
    parts: int = 1

    @property
    def weight(self) -> Float[Tensor, "outputs inputs"]:
        """A view of the maskable weights. Writing to it changes the model, also if that is offloaded in parts."""
        weight = _in_memory(self.module, "weight")
        return (weight[:, :, 0, 0] if weight.ndim == 4 else weight)[:, self.first_input :]

    @property
    def bias(self) -> Float[Tensor, " outputs"] | None:
        """The bias that the outputs of `passed` contain, or None."""
        return None if self.first_input or self.module.bias is None else _in_memory(self.module, "bias")

    @property
    def out_features(self) -> int:
        """Number of outputs."""
        return self.module.weight.shape[0]

    @property
    def in_features(self) -> int:
        """Number of maskable inputs."""
        return self.module.weight.shape[1] - self.first_input

    @property
    def shape(self) -> tuple[int, int]:
        """(outputs, inputs)."""
        return self.out_features, self.in_features

    @property
    def size(self) -> int:
        """Number of maskable connections."""
        return self.out_features * self.in_features

    def passed(
        self, args: tuple[Tensor, ...], output: Tensor
    ) -> tuple[Float[Tensor, "rows tokens inputs"], Float[Tensor, "rows tokens outputs"]]:
        """Returns X and X W^T + b of the maskable inputs, for each row of a batch, in the model's type.

        Args:
            args: the positional arguments of the module's call.
            output: the result of the call.
        """
        inputs = args[0]
        if self.first_input:
            inputs = inputs[..., self.first_input :]
            return inputs, F.linear(inputs, self.weight.to(inputs.device))
        if inputs.ndim == 4:
            inputs, output = inputs.flatten(2).mT, output.flatten(2).mT
        elif inputs.ndim == 2:  # one token for each row, such as a timestep
            inputs, output = inputs[:, None], output[:, None]
        return inputs, output


def _in_memory(module: nn.Module, name: str) -> Tensor:
    """Returns a parameter's values. If a hook offloads the module, the hook holds them."""
    hook: Any = module._hf_hook if has_offloaded_params(module) else None
    values: Tensor = hook.weights_map[name] if hook is not None else getattr(module, name)
    return values.data


def maskable_layers(
    denoiser: nn.Module, pattern: str | None = None, sites: Sites = "feed-forward"
) -> dict[str, MaskableLayer]:
    """Returns the layers of some places, by qualified module name.

    Args:
        denoiser: the network to mask.
        pattern: patterns of names, separated by commas: "*.ff.net.2,*.attn.to_out.0". Returns the linears and 1x1
            convolutions that match one of them instead.
        sites: "feed-forward" for the second linear of every feed-forward block, "cross-attention" for the output
            projection of every cross-attention, or "both".

    Raises:
        TypeError: if such a layer is not a plain linear (quantised, or wrapped by something else than peft).
        ValueError: if there is none, if its weights are not in memory (offloaded), or if its input comes in chunks.
    """
    layers = find_layers(denoiser, pattern, sites)
    for own in [] if pattern is None else patterns_in(pattern):
        if not find_layers(denoiser, own):
            raise UsageError(
                f"No linear of {type(denoiser).__name__} has a name like {own!r}; `fia layers` lists the names."
            )
    if not layers:
        raise UsageError(
            f"{type(denoiser).__name__} has no layer of the sites {sites!r}, so there is nothing to mask. Choose "
            "linears by a pattern of their names: layers=... (--layers)."
        )
    _check_chunks(denoiser)
    _check_not_on_disk(denoiser)
    for name, layer in layers.items():
        _check_plain(name, layer)
    return layers


def layers_named(denoiser: nn.Module, names: Iterable[str]) -> dict[str, MaskableLayer]:
    """Returns the layers with these names, with the checks of `maskable_layers`. Skips names that do not exist."""
    modules, owned = modules_at(denoiser, names), find_layers(denoiser, sites="both")
    layers = {name: owned.get(name) or MaskableLayer(own_layer(module)) for name, module in modules.items()}
    _check_not_on_disk(denoiser)
    for name, layer in layers.items():
        _check_plain(name, layer)
    return layers


def layers_at(denoiser: nn.Module, first_inputs: Mapping[str, int]) -> dict[str, MaskableLayer]:
    """Returns the layers with these names, with the checks of `maskable_layers`. Skips names that do not exist.

    Args:
        denoiser: the network.
        first_inputs: `MaskableLayer.first_input` of each layer.
    """
    modules = modules_at(denoiser, first_inputs)
    layers = {name: MaskableLayer(own_layer(module), first_inputs[name]) for name, module in modules.items()}
    _check_not_on_disk(denoiser)
    for name, layer in layers.items():
        _check_plain(name, layer)
    return layers


def find_layers(
    denoiser: nn.Module, pattern: str | None = None, sites: Sites = "feed-forward"
) -> dict[str, MaskableLayer]:
    """Returns the layers of `maskable_layers` without a check of the weights, which may be on the device "meta"."""
    owned: dict[str, MaskableLayer] = {}
    parts = family_of(denoiser).parts
    for name, module in denoiser.named_modules():
        owner, output = owner_of(module), attention_output_of(module)
        if owner is not None and (pattern or sites != "cross-attention"):
            layer: Any = own_layer(module.get_submodule(owner.path))
            first_input = layer.weight.shape[1] - getattr(module, owner.width) if owner.width else 0
            owned[f"{name}.{owner.path}"] = MaskableLayer(layer, first_input, parts)
        if output is not None and (pattern or sites != "feed-forward"):
            attention, _, path = output.partition(".")
            if getattr(module, attention) is not None:  # some blocks have no cross-attention
                layer = own_layer(getattr(module, attention).get_submodule(path))
                owned[f"{name}.{output}"] = MaskableLayer(layer)
    if pattern is None:
        return owned
    patterns = patterns_in(pattern)
    wrapped = tuple(f"{name}." for name, module in denoiser.named_modules() if own_layer(module) is not module)
    return {
        name: owned.get(name) or MaskableLayer(own_layer(module))
        for name, module in denoiser.named_modules()
        if any(fnmatchcase(name, own) for own in patterns)
        and not name.startswith(wrapped)
        and _is_linear(own_layer(module))
    }


def patterns_in(text: str) -> list[str]:
    """Returns the patterns of layer names in a text, where commas separate them; at least one, which may be empty."""
    return [pattern for own in text.split(",") if (pattern := own.strip())] or [""]


def own_layer(module: nn.Module) -> Any:
    """Returns the model's own layer, if an adapter of peft wraps it; otherwise the module itself."""
    while isinstance(getattr(module, "base_layer", None), nn.Module):
        module = module.base_layer  # type: ignore[assignment]
    return module


def fused_adapters(denoiser: nn.Module, names: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Returns, for each of some layers that peft wraps, the names of the adapters that are fused into it."""
    return {
        name: tuple(getattr(module, "merged_adapters", ()))
        for name, module in modules_at(denoiser, names).items()
        if own_layer(module) is not module
    }


def modules_at(denoiser: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Returns the modules with these names. Skips names that do not exist."""
    found = {}
    for name in names:
        with suppress(AttributeError):
            found[name] = denoiser.get_submodule(name)
    return found


def _check_chunks(denoiser: nn.Module) -> None:
    for name, module in denoiser.named_modules():
        if getattr(module, "_chunk_size", None) is not None:
            raise UsageError(
                f"Feed-forward chunking is on in {name}, so its layers see each prompt in pieces. Turn it off first: "
                "call set_chunk_feed_forward(None, 0) on that block."
            )


def _check_not_on_disk(denoiser: nn.Module) -> None:
    """Refuses a denoiser whose weights diffusers keeps on disk, in groups."""
    if any(getattr(getattr(hook, "group", None), "offload_to_disk_path", None) for hook in diffusers_hooks(denoiser)):
        raise UsageError(
            "The weights are offloaded to disk (enable_group_offload with offload_to_disk_path), so they can neither "
            "be read nor changed. Load the model again without that, or offload to memory; apply or remove the mask, "
            "then offload it."
        )


def diffusers_hooks(denoiser: nn.Module) -> Iterator[Any]:
    """Yields the hooks that diffusers put on the modules of a denoiser, such as those of offloading and of caches."""
    for module in denoiser.modules():
        yield from getattr(vars(module).get("_diffusers_hook"), "hooks", {}).values()


def _check_plain(name: str, layer: MaskableLayer) -> None:
    module = layer.module
    is_linear = type(module) is nn.Linear or (type(module) is nn.Conv2d and _is_pointwise(module))
    is_own = type(module.weight) is nn.Parameter  # some quantisers use another class
    is_whole = is_own and module.weight.is_floating_point() and module.weight.itemsize > 1  # float8 is a quantised type
    if not is_linear or not is_whole:
        raise UnsupportedError(
            f"Layer {name} is a {type(module).__module__}.{type(module).__name__} of {_kind(module.weight)}; only "
            "plain floating-point linears can be masked. Load the model without quantisation, or unload what wraps "
            "the layer."
        )
    first, second = layer.weight, layer.weight  # hold both, or the second could take the memory of the first
    if has_offloaded_params(module) and first.data_ptr() != second.data_ptr():
        raise UsageError(
            f"Layer {name} is read from disk each time it runs, so changes would be lost. Load the model without "
            "offloading to disk, mask it, then offload it."
        )
    if layer.weight.is_meta:
        raise UsageError(
            f"Layer {name} has no weights in memory (device 'meta'): the pipeline is offloaded, and changes would "
            "be lost. Call pipe.remove_all_hooks() or load it again, mask it, then offload it."
        )


def _kind(weight: object) -> str:
    if not isinstance(weight, Tensor):
        return "packed weights"
    plain = type(weight) in (nn.Parameter, Tensor)
    return str(weight.dtype) if plain else f"{weight.dtype} in a {type(weight).__name__}"


def _is_linear(module: nn.Module) -> bool:
    return isinstance(module, nn.Linear) or _is_pointwise(module)


def _is_pointwise(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv2d) and module.kernel_size == (1, 1) and module.groups == 1


def cross_attentions(denoiser: nn.Module) -> dict[str, Attention]:
    """Returns the cross-attentions, which read the text, by qualified module name."""
    return {
        name: module
        for name, module in denoiser.named_modules()
        if isinstance(module, Attention) and module.is_cross_attention
    }


def count_parameters(module: nn.Module) -> int:
    """Returns the number of parameters of a module."""
    return sum(parameter.numel() for parameter in module.parameters())


def layer_shapes(layers: dict[str, MaskableLayer]) -> dict[str, tuple[int, int]]:
    """Returns (outputs, inputs) of each layer."""
    return {name: layer.shape for name, layer in layers.items()}


def hash_weights(layers: dict[str, MaskableLayer]) -> str:
    """Returns a hash of the layers' weights: SHA-256 of their names, shapes and signs.

    A cast keeps the sign of every weight, so a model has the same hash in float32, float16 and bfloat16. Training or
    merging these layers changes some signs, and so the hash. A change that leaves them alone, such as an adapter of the
    attentions, keeps the hash.
    """
    digest = hashlib.sha256()
    for name, layer in sorted(layers.items()):
        digest.update(f"{name} {layer.out_features}x{layer.in_features}\0".encode())
        digest.update(np.packbits(torch.signbit(layer.weight).cpu().numpy()).data)
    return digest.hexdigest()
