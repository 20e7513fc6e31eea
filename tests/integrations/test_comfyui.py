"""The ComfyUI nodes on a stand-in for ComfyUI's ModelPatcher (tests/comfy_model.py), in its key layout."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from comfy_model import NODES, Model, Patcher, import_nodes
from made_rewriting import with_rewriting
from tiny_pipelines import tiny_sd
from tiny_transformers import tiny_transformer

import fia
from fia.export.lora import write_lora
from fia.export.patch import write_patch
from fia.models.layers import count_parameters, hash_weights, layer_shapes, maskable_layers

pytestmark = pytest.mark.slow


@pytest.fixture
def models(tmp_path: Path) -> Path:
    (tmp_path / "loras").mkdir()
    (tmp_path / "fia_masks").mkdir()
    return tmp_path


@pytest.fixture
def nodes(models, monkeypatch):
    return import_nodes(models, monkeypatch)


def rewriting_mask(pipe, number=60):
    """A mask with random neurons and random new values, at both places."""
    denoiser = pipe.unet if hasattr(pipe, "unet") else pipe.transformer
    layers = maskable_layers(denoiser, sites="both")
    generator = torch.Generator().manual_seed(0)
    shapes = layer_shapes(layers)
    neurons = {
        name: torch.randperm(outputs * inputs, generator=generator)[:number].sort().values.int()
        for name, (outputs, inputs) in shapes.items()
    }
    plain = fia.NeuronMask(
        neurons={"church": neurons},
        shapes=shapes,
        agnostic_ratio=0.6,
        architecture=type(denoiser).__name__,
        denoiser_parameters=count_parameters(denoiser),
        weights_hash=hash_weights(layers),
        sites="both",
        provenance=[{"model": "tiny", "settings": {}, "concepts": [{"name": "church", "kind": "object"}]}],
    )
    return with_rewriting(plain)


def forget(nodes, patcher, mask="church", strength=1.0, on=True, check_weights=True):
    node = nodes.NODE_CLASS_MAPPINGS["ForgetWithMask"]()
    return node.forget(patcher, mask, strength, on, check_weights)[0]


def as_in_diffusers(model, weights):
    """Returns weights by diffusers' names of parameters."""
    return {name: weights[key] for name, key in model.keys.items()}


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(weight, other[name]) for name, weight in one.items())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("edit", ["rewrite", "zero"])
@pytest.mark.parametrize("fixture", ["pipe", "xl_pipe"])
def test_the_weights_are_those_of_the_mask_in_diffusers(fixture, edit, dtype, request, nodes, models):
    pipe = request.getfixturevalue(fixture)
    mask = rewriting_mask(pipe).with_edit(edit)
    mask.save_pretrained(models / "fia_masks" / "church")
    pipe.to(dtype)
    patcher = Patcher(Model(pipe))
    untouched = {key: weight.clone() for key, weight in patcher.model.weights.items()}
    patched = forget(nodes, patcher)
    weights = as_in_diffusers(patcher.model, patched.run_with())
    mask.apply(pipe)
    for name, expected in pipe.unet.state_dict().items():
        change = (expected - untouched[patcher.model.keys[name]]).abs().max().item()
        eps = torch.finfo(dtype).eps  # what is added, and the sum, are rounded once each
        torch.testing.assert_close(weights[name], expected, rtol=eps, atol=eps * change)
    changed = [key for key, weight in untouched.items() if not torch.equal(patched.run_with()[key], weight)]
    assert set(changed) == {patcher.model.keys[f"{layer}.weight"] for layer in mask.shapes}
    assert equal(patcher.model.weights, untouched)
    assert not patcher.patches


def test_the_same_picture(nodes, models):
    pipe, other = tiny_sd(), tiny_sd()
    mask = rewriting_mask(pipe, number=400)
    mask.save_pretrained(models / "fia_masks" / "church")
    patcher = Patcher(Model(pipe))

    def draw(pipe):
        return pipe("x", num_inference_steps=2, output_type="pt", generator=torch.Generator().manual_seed(0)).images

    before = draw(pipe)
    other.unet.load_state_dict(as_in_diffusers(patcher.model, forget(nodes, patcher).run_with()))
    with mask.applied(pipe):
        torch.testing.assert_close(draw(other), draw(pipe), rtol=0, atol=1e-5)
        assert (draw(pipe) - before).abs().max() > 0.01


def test_off_and_strength_0_are_the_model_itself(pipe, nodes, models):
    rewriting_mask(pipe).save_pretrained(models / "fia_masks" / "church")
    patcher = Patcher(Model(pipe))
    assert forget(nodes, patcher, on=False) is patcher
    assert forget(nodes, patcher, strength=0.0) is patcher


def test_strength_is_a_share_of_the_change(pipe, nodes, models):
    mask = rewriting_mask(pipe)
    mask.save_pretrained(models / "fia_masks" / "church")
    patcher = Patcher(Model(pipe))
    base, whole, half = (
        patch.run_with() for patch in (patcher, forget(nodes, patcher), forget(nodes, patcher, strength=0.5))
    )
    for key, weight in base.items():
        torch.testing.assert_close(half[key], (weight + whole[key]) / 2, rtol=1e-5, atol=1e-7)


def test_a_lora_that_is_in_use_keeps_its_part(pipe, nodes, models):
    """The mask is worked out from the model's own weights, not from those with the LoRA in them."""
    mask = rewriting_mask(pipe).with_edit("zero")
    mask.save_pretrained(models / "fia_masks" / "church")
    model = Model(pipe)
    key = model.keys[f"{next(iter(mask.shapes))}.weight"]
    lora = Patcher(model).clone()
    lora.add_patches({key: ("diff", (-3 * model.weights[key],))})
    alone = forget(nodes, Patcher(model)).run_with()[key]
    with lora.loaded():
        both = forget(nodes, lora)
    torch.testing.assert_close(both.run_with()[key], alone - 3 * model.weights[key])
    assert len(lora.patches[key]) == 1


def test_flux_has_linears_with_an_attention_in_front(nodes, models):
    pipe = tiny_transformer("flux")
    mask = rewriting_mask(pipe)
    mask.save_pretrained(models / "fia_masks" / "church")
    patcher = Patcher(Model(pipe))
    weights = as_in_diffusers(patcher.model, forget(nodes, patcher).run_with())
    mask.apply(pipe)
    for name, expected in pipe.transformer.state_dict().items():
        torch.testing.assert_close(weights[name], expected, rtol=1e-6, atol=1e-7)


def test_other_models_are_refused(pipe, xl_pipe, nodes, models):
    mask = rewriting_mask(pipe)
    mask.save_pretrained(models / "fia_masks" / "church")
    other = Patcher(Model(tiny_sd(seed=3)))
    with pytest.raises(ValueError, match=r"found in other weights \(tiny, hash"):
        forget(nodes, other)
    assert forget(nodes, other, check_weights=False).patches
    with pytest.raises(ValueError, match=r"has no layer down_blocks\.0"):
        forget(nodes, Patcher(Model(xl_pipe)))
    with pytest.raises(ValueError, match=r"is 16 x 16 in the mask and 24 x 24 in the model"):
        forget(nodes, Patcher(Model(tiny_sd(width=24))))


def test_float8_is_read_as_numbers_and_packed_weights_are_refused(nodes):
    weight = torch.tensor([[-1.5, 2.0]]).to(torch.float8_e4m3fn)
    plain = nodes.nodes.plain_weight(weight, lambda value, **_: value)
    assert torch.equal(plain, torch.tensor([[-1.5, 2.0]]))
    with pytest.raises(TypeError, match=r"packed as torch\.uint8"):
        nodes.nodes.plain_weight(torch.zeros(2, 2, dtype=torch.uint8), lambda value, **_: value)


@pytest.mark.parametrize("fixture", ["pipe", "xl_pipe"])
def test_exported_files_do_what_they_do_elsewhere(fixture, request, nodes, models):
    pipe = request.getfixturevalue(fixture)
    mask = rewriting_mask(pipe)
    write_patch(pipe, mask, models / "loras" / "patch.safetensors")
    write_lora(pipe, mask, models / "loras" / "lora.safetensors", rank=64)
    node, patcher = nodes.NODE_CLASS_MAPPINGS["ForgetWithFile"](), Patcher(Model(pipe))
    assert node.INPUT_TYPES()["required"]["file"] == (["lora.safetensors", "patch.safetensors"],)
    assert node.forget(patcher, "patch.safetensors", 1.0, False)[0] is patcher
    patch, lora = (
        as_in_diffusers(patcher.model, node.forget(patcher, f"{name}.safetensors", 1.0, True)[0].run_with())
        for name in ("patch", "lora")
    )
    before = {name: weight.clone() for name, weight in pipe.unet.state_dict().items()}
    pipe.load_lora_weights(models / "loras", weight_name="lora.safetensors")
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    for name, expected in pipe.unet.state_dict().items():
        torch.testing.assert_close(lora[name], expected, rtol=1e-5, atol=1e-6)
    pipe.unet.load_state_dict(before)
    mask.apply(pipe)
    for name, expected in pipe.unet.state_dict().items():
        torch.testing.assert_close(patch[name], expected, rtol=1e-6, atol=1e-7)
    assert not patcher.patches


def test_a_file_that_comfyui_would_load_in_part_is_refused(pipe, nodes, models):
    """With diffusers' names, ComfyUI finds a U-Net's feed-forwards, skips its attentions, and only logs that."""
    write_lora(pipe, rewriting_mask(pipe), models / "loras" / "lora.safetensors", keys="diffusers")
    node = nodes.NODE_CLASS_MAPPINGS["ForgetWithFile"]()
    with pytest.raises(ValueError, match=r"attn2\.to_out\.0, which this model does not have under that name"):
        node.forget(Patcher(Model(pipe)), "lora.safetensors", 1.0, True)


def test_what_comfyui_reads_of_the_package(pipe, nodes, models):
    rewriting_mask(pipe).save_pretrained(models / "fia_masks" / "sets" / "no-church")
    node = nodes.NODE_CLASS_MAPPINGS["ForgetWithMask"]
    assert node.INPUT_TYPES()["required"]["mask"] == (["sets/no-church"],)
    assert node.IS_CHANGED(mask="sets/no-church", model=None) > 0
    with pytest.raises(FileNotFoundError, match="elsewhere"):
        forget(nodes, Patcher(Model(pipe)), mask="elsewhere")
    assert nodes.NODE_CLASS_MAPPINGS.keys() == nodes.NODE_DISPLAY_NAME_MAPPINGS.keys()
    for kind in nodes.NODE_CLASS_MAPPINGS.values():
        assert callable(getattr(kind(), kind.FUNCTION))
        assert kind.RETURN_TYPES == ("MODEL",)


def test_the_example_workflow_uses_the_nodes_as_they_are(nodes):
    """In the format that ComfyUI's editor saves: links are [id, from node, output, to node, input, type]."""
    workflow = json.loads((NODES / "example_workflows" / "forget.json").read_text(encoding="utf-8"))
    by_id = {node["id"]: node for node in workflow["nodes"]}
    for link, source, output, target, place, kind in workflow["links"]:
        assert link in by_id[source]["outputs"][output]["links"]
        assert by_id[target]["inputs"][place]["link"] == link
        assert by_id[source]["outputs"][output]["type"] == by_id[target]["inputs"][place]["type"] == kind
    own = [node for node in workflow["nodes"] if node["type"] in nodes.NODE_CLASS_MAPPINGS]
    assert [node["type"] for node in own] == ["ForgetWithMask"]
    inputs = nodes.NODE_CLASS_MAPPINGS["ForgetWithMask"].INPUT_TYPES()["required"]
    assert len(own[0]["widgets_values"]) == len(inputs) - 1  # all but the model


def test_the_strengths_in_the_mask_count_too(pipe, nodes, models):
    mask = replace(rewriting_mask(pipe).with_edit("zero"), strengths={"church": 0.25})
    mask.save_pretrained(models / "fia_masks" / "church")
    patcher = Patcher(Model(pipe))
    weights = as_in_diffusers(patcher.model, forget(nodes, patcher).run_with())
    mask.apply(pipe)
    for name, expected in pipe.unet.state_dict().items():
        torch.testing.assert_close(weights[name], expected, rtol=1e-6, atol=1e-7)
