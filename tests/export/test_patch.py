"""The patch, applied as web UIs do: by the name of a module, weight + strength * diff, in the model's type."""

import copy
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from original_layout import original_unet_name
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from fia import NeuronMask
from fia.export.patch import patch_metadata, patch_tensors, write_patch
from fia.models.layers import maskable_layers

Name = Callable[[str, nn.Module], str]


def own_name(layer: str, _unet: nn.Module) -> str:
    return layer


def patched(unet: nn.Module, patch: dict[str, Tensor], strength: float, name: Name) -> dict[str, Tensor]:
    """Returns the weights after a patch, every key of which must be used."""
    weights, left = {}, dict(patch)
    for layer, module in unet.named_modules():
        if isinstance(module, nn.Linear) and ".ff." in layer:
            diff = left.pop(f"lora_unet_{name(layer, unet).replace('.', '_')}.diff", None)
            weights[layer] = module.weight + (0 if diff is None else strength * diff.to(module.weight.dtype))
    assert not left
    return weights


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    ("model", "mask_name", "name"), [("pipe", "mask", own_name), ("xl_pipe", "xl_mask", original_unet_name)]
)
def test_strength_1_is_the_mask_and_0_is_nothing(
    model: str, mask_name: str, name: Name, dtype: torch.dtype, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    pipe, mask = request.getfixturevalue(model).to(dtype), request.getfixturevalue(mask_name)
    untouched = {layer: weight.clone() for layer, weight in pipe.unet.state_dict().items()}
    write_patch(pipe, mask, tmp_path / "patch.safetensors")
    assert all(torch.equal(weight, untouched[layer]) for layer, weight in pipe.unet.state_dict().items())
    patch = load_file(tmp_path / "patch.safetensors")
    assert {diff.dtype for diff in patch.values()} == {dtype}
    after, off = (patched(pipe.unet, patch, strength, name) for strength in (1.0, 0.0))
    assert all(torch.equal(weight, untouched[f"{layer}.weight"]) for layer, weight in off.items())
    with mask.applied(pipe):
        assert all(torch.equal(after[layer], pipe.unet.get_submodule(layer).weight) for layer in after)
    assert any(not torch.equal(after[layer], off[layer]) for layer in after)


def test_layers_without_pruned_connections_are_left_out(xl_pipe, xl_mask) -> None:
    assert len(patch_tensors(xl_pipe, xl_mask)) == len(maskable_layers(xl_pipe.unet)) - 1


def test_a_weaker_mask_takes_away_its_share(pipe, mask: NeuronMask) -> None:
    patch = patch_tensors(pipe, mask.with_strengths(dict.fromkeys(mask.concepts, 0.5)))
    for layer, module in maskable_layers(pipe.unet).items():
        expected = torch.zeros_like(module.weight).flatten()
        expected[mask.pruned[layer].long()] = -0.5 * module.weight.detach().flatten()[mask.pruned[layer].long()]
        assert torch.equal(patch[f"lora_unet_{layer.replace('.', '_')}.diff"], expected.view_as(module.weight))


def test_a_mask_of_nothing_gives_no_patch(pipe, mask: NeuronMask) -> None:
    with pytest.raises(ValueError, match="changes no weight of this model"):
        patch_tensors(pipe, mask.without(*mask.concepts))


def test_the_metadata_names_the_kind_of_model(pipe, xl_pipe, mask: NeuronMask, tmp_path: Path) -> None:
    write_patch(pipe, mask, tmp_path / "patch.safetensors")
    with safe_open(tmp_path / "patch.safetensors", framework="pt") as file:
        metadata = file.metadata()
    assert metadata["ss_base_model_version"] == "sd_v1"
    assert metadata["ss_v2"] == "False"
    assert json.loads(metadata["ss_network_args"]) == {"algo": "full"}
    assert metadata["modelspec.title"] == "Without church, golf ball, Van Gogh"
    assert patch_metadata(xl_pipe.unet, mask)["ss_base_model_version"].startswith("sdxl_")
    pipe.unet.register_to_config(cross_attention_dim=1024)
    assert patch_metadata(pipe.unet, mask)["ss_v2"] == "True"


@pytest.mark.parametrize("strength", [1.0, 0.0])
def test_lycoris_merges_it_to_the_same_weights(pipe, mask: NeuronMask, tmp_path: Path, strength: float) -> None:
    wrapper = pytest.importorskip("lycoris.wrapper")
    write_patch(pipe, mask, tmp_path / "patch.safetensors")
    unet = copy.deepcopy(pipe.unet)
    prefix = wrapper.LycorisNetwork.LORA_PREFIX
    wrapper.LycorisNetwork.apply_preset({"lora_prefix": "lora_unet"})
    try:
        with torch.no_grad():
            network, _ = wrapper.create_lycoris_from_weights(1.0, str(tmp_path / "patch.safetensors"), unet)
            network.merge_to(strength)
    finally:
        wrapper.LycorisNetwork.apply_preset({"lora_prefix": prefix})
    assert len(network.loras) == len(maskable_layers(pipe.unet))
    if strength:
        mask.apply(pipe)
    expected = pipe.unet.state_dict()
    assert all(torch.equal(weight, expected[name]) for name, weight in unet.state_dict().items())
