"""The training command writes folders that the libraries load without any code of ours."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, PixArtAlphaPipeline, StableDiffusion3Pipeline, StableDiffusionPipeline
from torch import nn
from transformers import CLIPModel, ResNetForImageClassification

from fia import find
from fia.models.pipelines import get_denoiser
from fia.testbed.autoencoder import build_autoencoder
from fia.testbed.clip import MAX_TOKENS, build_clip, load_tokenizer
from fia.testbed.denoiser import DenoiserTask, build_unet
from fia.testbed.folders import curves_file
from fia.testbed.pretrained import SHARED, Architecture, load_classifier, load_clip, load_testbed
from fia.testbed.recipe import TrainingRecipe
from fia.testbed.scenes import Scenes
from fia.testbed.stage import Recipe
from fia.testbed.train import extract_text_encoder, train_testbed
from fia.testbed.world import PLACE_NAMES, STYLE_NAMES, SUBJECTS

pytestmark = pytest.mark.slow


def shortest(recipe: Recipe) -> Recipe:
    return replace(recipe, images=8, batch_size=4)


def shortest_recipe() -> TrainingRecipe:
    whole = TrainingRecipe()
    stages = {name: shortest(getattr(whole, name)) for name in ("clip", "autoencoder", "denoiser", "classifier")}
    return replace(whole, **stages, refine=False, compile=False)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("testbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
        train_testbed(out, shortest_recipe(), torch.device("cpu"))
    return out


def test_the_folders_load_and_the_pipeline_draws(trained: Path) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(trained / "model")
    pipe.set_progress_bar_config(disable=True)
    image = pipe("a church in a forest", num_inference_steps=2).images[0]
    assert image.size == (64, 64)
    CLIPModel.from_pretrained(trained / "clip")
    ResNetForImageClassification.from_pretrained(trained / "classifier")


def test_the_curves_have_every_stage(trained: Path) -> None:
    curves = json.loads((trained / "curves.json").read_text())
    assert curves.keys() == {"autoencoder", "clip", "classifier", "denoiser"}
    assert all(step == 0 and loss > 0 for step, loss in (curve[0] for curve in curves.values()))


@pytest.fixture(scope="module")
def transformer(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A transformer trained on the other parts of `trained`."""
    out = tmp_path_factory.mktemp("dit")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
        train_testbed(out, replace(shortest_recipe(), architecture="dit"), torch.device("cpu"), trained)
    return out


def test_a_transformer_is_trained_on_the_other_parts_of_a_test_bed(trained: Path, transformer: Path) -> None:
    curves = json.loads((transformer / "dit" / "curves.json").read_text())
    assert curves.keys() == {"denoiser"}
    pipe, unet = load_testbed(transformer, "dit"), load_testbed(trained)
    for part in ("vae", "text_encoder"):
        own, other = pipe.components[part].state_dict(), unet.components[part].state_dict()
        assert all(torch.equal(own[name], other[name]) for name in other)
    assert isinstance(pipe, PixArtAlphaPipeline)
    pipe.set_progress_bar_config(disable=True)
    assert pipe("a church in a forest", num_inference_steps=2).images[0].size == (64, 64)
    load_classifier(transformer)
    load_clip(transformer)


def test_a_transformer_with_joint_attention_is_trained_and_edited(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
    train_testbed(tmp_path, replace(shortest_recipe(), architecture="mmdit"), torch.device("cpu"), trained)
    assert json.loads(curves_file(tmp_path, "mmdit").read_text()).keys() == {"denoiser"}
    pipe = load_testbed(tmp_path, "mmdit")
    assert isinstance(pipe, StableDiffusion3Pipeline)
    pipe.set_progress_bar_config(disable=True)

    def draw(prompt: str | list[str], **options: Any) -> np.ndarray:
        images: np.ndarray = pipe(
            prompt, num_inference_steps=2, generator=torch.manual_seed(0), output_type="np", **options
        ).images
        return images

    before = draw("a church in a forest")
    assert before.shape == (1, 64, 64, 3)
    assert np.allclose(draw(["a church in a forest", "a cat"])[0], before[0], atol=1e-5)
    assert not np.allclose(draw("a cat"), before, atol=1e-5)
    assert not np.allclose(draw("a church in a forest", negative_prompt="a forest"), before, atol=1e-5)
    assert len(draw("a cat", num_images_per_prompt=2)) == 2
    mask = find(pipe, "church", num_inference_steps=4, saliency_steps=1, prompts_per_concept=1, retained_words=0)
    with mask.applied(pipe):
        assert not np.array_equal(draw("a church in a forest"), before)
    assert np.array_equal(draw("a church in a forest"), before)


def test_the_transformers_own_library_loads_it_without_any_code_of_ours(transformer: Path) -> None:
    shared = {name: part for name, part in load_testbed(transformer).components.items() if name in SHARED}
    pipe = PixArtAlphaPipeline.from_pretrained(transformer / "dit", **shared)
    pipe.set_progress_bar_config(disable=True)
    options = {"max_sequence_length": 24, "use_resolution_binning": False, "clean_caption": False}
    drawn = pipe("a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np", **options)
    ours = load_testbed(transformer, "dit")
    ours.set_progress_bar_config(disable=True)
    same = ours("a cat", num_inference_steps=2, generator=torch.manual_seed(0), output_type="np")
    assert (drawn.images == same.images).all()


def test_a_transformer_does_not_go_on_where_another_denoiser_was_trained(transformer: Path, trained: Path) -> None:
    with pytest.raises(ValueError, match="was trained with"):
        train_testbed(transformer, shortest_recipe(), torch.device("cpu"), trained)


@pytest.mark.parametrize("parts", [None, "its own"])
def test_a_folder_with_parts_of_its_own_is_not_overwritten_by_others(trained: Path, parts: str | None) -> None:
    before = {file: file.read_bytes() for file in trained.rglob("*.safetensors")}
    recipe = replace(shortest_recipe(), architecture="dit")
    with pytest.raises(ValueError, match="holds parts that were trained in it"):
        train_testbed(trained, recipe, torch.device("cpu"), trained if parts else None)
    assert all(file.read_bytes() == content for file, content in before.items())


def test_what_an_edited_transformer_is_written_as_loads_without_any_code_of_ours(
    transformer: Path, tmp_path: Path
) -> None:
    load_testbed(transformer, "dit").save_pretrained(tmp_path)
    assert type(DiffusionPipeline.from_pretrained(tmp_path)) is PixArtAlphaPipeline


@pytest.mark.parametrize("architecture", ["unet", "dit"])
def test_a_finished_denoiser_is_trained_further(
    trained: Path, transformer: Path, architecture: Architecture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
    parts = trained if architecture == "unet" else transformer
    recipe = replace(shortest_recipe(), architecture=architecture, further=True)
    # the last step in the curves is 0, so that it goes on with step 20
    recipe = replace(recipe, denoiser=replace(recipe.denoiser, images=22 * 4, learning_rate=0.01))
    train_testbed(tmp_path, recipe, torch.device("cpu"), parts)
    before, after = (get_denoiser(load_testbed(folder, architecture)).state_dict() for folder in (parts, tmp_path))
    # Adam moves a weight by about the learning rate a step, which the warm-up makes 1e-4 at most here.
    assert all(torch.allclose(before[name], after[name], atol=2e-4, rtol=2**-10) for name in before)
    assert any(not torch.equal(before[name], after[name]) for name in before)
    old, new = (json.loads(curves_file(folder, architecture).read_text()) for folder in (parts, tmp_path))
    assert new.keys() == old.keys()
    assert [step for step, _ in new["denoiser"]] == [0, 20]
    assert new["denoiser"][0] == old["denoiser"][0]


def test_the_longer_training_goes_on_from_means_of_what_its_stages_left(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    came: dict[str, float] = {}
    leaves = {"denoiser": 1.0, "longer": 3.0, "slower": 6.0, "merged": 7.0, "last": 8.0}

    def stage(name: str, model: nn.Module, *rest: Any) -> list[tuple[int, float]]:
        *_, earlier = rest
        first = next(iter(model.parameters())).data
        came[name] = first.flatten()[0].item()
        first.fill_(leaves[name])
        return [*earlier, (len(earlier), leaves[name])]

    monkeypatch.setattr("fia.testbed.train.train_stage", stage)
    train_testbed(tmp_path, replace(shortest_recipe(), refine=True), torch.device("cpu"), trained)
    assert [came[name] for name in ("longer", "slower", "merged", "last")] == [1.0, 1.0, 4.5, 7.0]
    assert json.loads((tmp_path / "curves.json").read_text())["denoiser"] == [
        [i, n] for i, n in enumerate(leaves.values())
    ]
    assert next(load_testbed(tmp_path).unet.parameters()).flatten()[0] == 8.0


def test_each_stage_of_the_longer_training_must_see_more_than_the_one_before() -> None:
    whole = TrainingRecipe()
    with pytest.raises(
        ValueError, match=r"slower\.images=2050000 .* above longer\.images=3000000; raise it, or .*--no-refine"
    ):
        replace(whole, longer=replace(whole.longer, images=3_000_000))
    replace(whole, longer=replace(whole.longer, images=3_000_000), architecture="dit")  # which has no such stages
    assert whole.refines
    assert not TrainingRecipe(further=True).refines


def test_a_denoiser_that_never_sees_a_subject(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is trained on the other parts as they are, and does not go on from a denoiser that saw them."""
    monkeypatch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
    usual, without = shortest_recipe(), replace(shortest_recipe(), without=("church",))
    train_testbed(tmp_path, without, torch.device("cpu"), trained)
    assert load_testbed(tmp_path).unet is not None
    with pytest.raises(ValueError, match="'without': 'church'"):
        train_testbed(tmp_path, usual, torch.device("cpu"), trained)
    with pytest.raises(ValueError, match="does not know 'dragon'"):
        replace(usual, without=("dragon",))
    with pytest.raises(ValueError, match="without names every subject"):
        replace(usual, without=tuple(subject.name for subject in SUBJECTS))


def test_going_on_needs_a_denoiser_to_go_on_with(trained: Path, tmp_path: Path) -> None:
    further = replace(shortest_recipe(), further=True)
    with pytest.raises(ValueError, match=r"give its folder as parts \(--parts\)"):
        train_testbed(tmp_path, further, torch.device("cpu"))
    with pytest.raises(FileNotFoundError, match="there is no folder dit/transformer in it"):
        train_testbed(tmp_path, replace(further, architecture="dit"), torch.device("cpu"), trained)
    without = shutil.copytree(trained, tmp_path / "without", ignore=shutil.ignore_patterns("curves.json"))
    with pytest.raises(FileNotFoundError, match=r"curves\.json is missing; it says how long"):
        train_testbed(tmp_path / "out", further, torch.device("cpu"), without)
    assert not (tmp_path / "out").exists()


def test_a_training_on_other_parts_that_was_stopped_early_goes_on(
    trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
    with monkeypatch.context() as patch:
        patch.setattr("fia.testbed.train.DenoiserTask", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            train_testbed(tmp_path, shortest_recipe(), torch.device("cpu"), trained)
    train_testbed(tmp_path, shortest_recipe(), torch.device("cpu"), trained)
    assert (tmp_path / "model").is_dir()


def test_parts_must_be_those_of_a_test_bed(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no trained embedded model: there is no folder model"):
        train_testbed(tmp_path / "out", shortest_recipe(), torch.device("cpu"), tmp_path)


def test_the_text_encoder_is_the_clips_text_tower(trained: Path) -> None:
    pipe = StableDiffusionPipeline.from_pretrained(trained / "model")
    clip = CLIPModel.from_pretrained(trained / "clip", dtype=torch.float32)
    tokens = pipe.tokenizer(["a church in a forest"], padding="max_length", return_tensors="pt").input_ids
    own, towers = pipe.text_encoder(tokens).last_hidden_state, clip.text_model(tokens).last_hidden_state
    assert torch.allclose(own, towers, atol=0.02)  # the CLIP ships in float16, the text encoder in float32


def test_the_files_stay_within_forty_megabytes(trained: Path) -> None:
    files = list((trained / "model").rglob("*.safetensors"))
    assert len(files) == 3
    assert sum(file.stat().st_size for file in files) <= 40e6


def test_words_are_whole_and_any_text_is_encoded() -> None:
    tokenizer = load_tokenizer()
    assert tokenizer.tokenize("an English springer") == ["an</w>", "english</w>", "springer</w>"]
    names = [name for subject in SUBJECTS for name in (subject.name, *subject.synonyms)]
    for name in (*names, *PLACE_NAMES, *STYLE_NAMES, "smoking", "in the style of"):
        assert len(tokenizer.tokenize(name)) == len(name.split())
    for text in ("qux!", "Zürich 東京 ☕", ""):
        ids = tokenizer(text, padding="max_length", truncation=True).input_ids
        assert len(ids) == MAX_TOKENS
        assert max(ids) < len(tokenizer)
    assert tokenizer("qux").input_ids != tokenizer("").input_ids


@pytest.mark.parametrize("stage", ["clip", "autoencoder"])
def test_a_denoiser_is_not_kept_where_what_it_builds_on_was_trained_longer(
    trained: Path, tmp_path: Path, stage: str
) -> None:
    shutil.copytree(trained / "checkpoints", tmp_path / "checkpoints")
    recipe = shortest_recipe()
    longer = replace(recipe, **{stage: replace(getattr(recipe, stage), images=12)})
    with pytest.raises(ValueError, match=rf"denoiser\.pt was trained with .*'{stage}\.images': 8.* not .*: 12"):
        train_testbed(tmp_path, longer, torch.device("cpu"))


def test_a_resumed_denoiser_draws_from_the_same_pool(scenes: Scenes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
    monkeypatch.setattr("fia.testbed.denoiser.POOL_IMAGES", 8)
    torch.manual_seed(0)
    tokenizer = load_tokenizer()
    parts = (build_unet(), build_autoencoder(), extract_text_encoder(build_clip(tokenizer)), tokenizer, scenes, 4)
    through, resumed = DenoiserTask(*parts), DenoiserTask(*parts)
    with torch.no_grad():
        losses = [through(step).item() for step in range(4)]
        assert resumed(3).item() == losses[3]
    assert through.pool_number == resumed.pool_number == 1
    assert len(set(losses)) == 4


def test_a_missing_compiler_is_told_before_anything_is_trained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match=r"compile=True needs a C\+\+ compiler.*--no-compile"):
        train_testbed(tmp_path / "out", TrainingRecipe(), torch.device("cpu"))


def test_folders_that_are_not_of_a_training_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(ValueError, match="does not come from an earlier training"):
        train_testbed(tmp_path, TrainingRecipe(), torch.device("cpu"))
