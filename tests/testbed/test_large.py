"""The large world: it holds the small one, shows two subjects at a time, and its captions and labels say so."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL
from large_model import RECIPE, TINY

from fia import attack, evaluate, find, random_mask
from fia.bench.sheet import sheet_entries
from fia.drawing.images import generate_images
from fia.edits.weight_edit import WeightEdit
from fia.testbed.captions import all_captions
from fia.testbed.classifier import NOTHING, build_classifier, classify, heads_of, judged_scenes
from fia.testbed.clip import MAX_TOKENS, CLIPTask, build_clip, load_tokenizer
from fia.testbed.judge import load_judge
from fia.testbed.large import LARGE
from fia.testbed.pretrained import FOLDER, catalogue_of, load_classifier, load_testbed
from fia.testbed.recipe import TrainingRecipe
from fia.testbed.scenes import HALF, Scenes
from fia.testbed.train import train_testbed
from fia.testbed.world import OBJECTS, PERSONS, SMALL

NUMBER = 400
PARTS = Path(__file__).parents[2] / "testbed-large"


@pytest.fixture(scope="module")
def large() -> Scenes:
    return Scenes(catalogue=LARGE)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_it_is_as_large_as_promised_and_holds_the_small_world() -> None:
    counts = [len(own) for own in (LARGE.objects, LARGE.named_persons, LARGE.attributes, LARGE.places, LARGE.styles)]
    assert counts == [120, 12, 2, 12, 8]
    assert LARGE.objects[: len(OBJECTS)] == OBJECTS
    assert LARGE.subjects[LARGE.first_person :] == PERSONS
    assert list(LARGE.places)[: len(SMALL.places)] == list(SMALL.places)
    assert list(LARGE.styles)[: len(SMALL.styles)] == list(SMALL.styles)
    assert len(set(LARGE.known_names)) == len(LARGE.known_names)


def test_each_word_is_one_token_and_every_caption_fits() -> None:
    tokenizer = load_tokenizer(LARGE)
    words = {word for name in LARGE.known_names for word in name.split()}
    assert {word for word in words if len(tokenizer(word).input_ids) != 3} == set()
    captions = [f"{caption} in the style of Grisella" for caption in all_captions(LARGE)]
    assert max(map(len, tokenizer(captions).input_ids)) <= MAX_TOKENS


def test_two_subjects_stand_side_by_side_and_the_caption_names_both(large: Scenes) -> None:
    batch = large.sample(NUMBER, generator())
    two = torch.nonzero(batch.seconds != LARGE.no_subject).flatten().tolist()
    assert 0.12 < len(two) / NUMBER < 0.24  # a fifth of seven eighths; 400 draws deviate by 0.02
    for i in two:
        for subject in (LARGE.subjects[batch.subjects[i]], LARGE.subjects[batch.seconds[i]]):
            assert any(name in batch.captions[i] for name in subject.names)
        assert batch.attributes[i] == 0
    subjects, seconds = torch.tensor([0, 0]), torch.tensor([LARGE.no_subject, 3])
    given = {"subjects": subjects, "places": torch.tensor([0, 0]), "styles": torch.full((2,), LARGE.no_style)}
    alone, both = large.sample(2, generator(), **given, seconds=seconds).images
    nothing = large.place_sprites(large.sprites(seconds, torch.zeros(2).long()), generator(), seconds == 3)
    assert nothing[0].abs().sum() == 0
    left, right = (
        large.place_sprites(large.sprites(subjects, torch.zeros(2).long()), generator(), torch.ones(2).bool(), **side)
        for side in ({}, {"is_second": True})
    )
    assert left[..., HALF:].abs().sum() == right[..., :HALF].abs().sum() == 0
    assert not torch.equal(alone, both)


def test_a_named_person_has_no_article_and_no_attribute(large: Scenes) -> None:
    number = len(LARGE.named_persons)
    subjects = torch.arange(len(LARGE.objects), len(LARGE.objects) + number)
    batch = large.sample(number, generator(), subjects=subjects, attributes=torch.ones(number).long())
    assert batch.attributes.sum() == 0
    for caption, person in zip(batch.captions, LARGE.named_persons, strict=True):
        assert person.name in caption
        assert f"a {person.name}" not in caption


def test_persons_have_each_attribute_and_the_caption_says_which(large: Scenes) -> None:
    subjects = torch.full((300,), LARGE.first_person)
    batch = large.sample(300, generator(), subjects=subjects)
    assert sorted(batch.attributes.unique().tolist()) == [0, 1, 2]
    for caption, attribute in zip(batch.captions, batch.attributes.tolist(), strict=True):
        assert [name in caption for name in ("smoking", "crowned")] == [attribute == 1, attribute == 2]
    faces = large.sprites(subjects[:3], torch.arange(3))
    assert not torch.equal(faces[0], faces[2])
    assert not torch.equal(faces[1], faces[2])


def test_the_judge_has_a_head_for_the_second_subject(large: Scenes) -> None:
    heads = heads_of(LARGE)
    assert heads["second"] == heads["subject"]
    assert heads["attribute"] == ("no attribute", "smoking", "crowned")
    _, labels = judged_scenes(large, NUMBER, generator())
    assert labels.keys() == heads.keys()
    seen = {heads["second"][label] for label in labels["second"].tolist()}
    assert {NOTHING, "unrecognisable"} < seen
    assert build_classifier(heads).config.num_labels == sum(map(len, heads.values()))


def test_the_clip_learns_scenes_with_two_subjects(large: Scenes) -> None:
    task = CLIPTask(build_clip(load_tokenizer(LARGE)), load_tokenizer(LARGE), large, 64)
    loss = task(0)
    assert loss.isfinite()
    assert any(" and " in c or " with " in c or " next to " in c for c in large.sample(64, generator()).captions)


def test_the_shipped_model_knows_the_small_world() -> None:
    assert catalogue_of(FOLDER) is SMALL


def test_the_model_in_the_repository_knows_the_large_world(large: Scenes) -> None:
    assert catalogue_of(PARTS) is LARGE
    batch = large.sample(256, generator())
    autoencoder = AutoencoderKL.from_pretrained(PARTS / "model", subfolder="vae")
    with torch.no_grad():
        decoded = autoencoder.decode(autoencoder.encode(batch.images).latent_dist.mean).sample
    for images, least in ((batch.images, 0.95), (decoded, 0.9)):
        judged = classify(load_classifier(PARTS), images, heads_of(LARGE))
        assert (judged["subject"] == batch.subjects).float().mean() > least
    assert sum(file.stat().st_size for file in PARTS.rglob("*") if file.is_file()) < 30e6


@pytest.mark.slow
def test_the_model_in_the_repository_draws_the_large_world() -> None:
    things = LARGE.objects[::4]
    prompts = [f"a photo of {thing.phrase(thing.name)} in a park" for thing in things]
    pipe, seeds = load_testbed(PARTS), range(len(things))
    images = generate_images(pipe, prompts, seeds, num_inference_steps=8, guidance_scale=4.0, progress=False)
    seen = load_judge(PARTS).answer(images)["subject"]
    right = sum(one == thing.name for one, thing in zip(seen, things, strict=True))
    assert right >= 24


@pytest.mark.slow
def test_every_part_goes_on_from_the_shipped_one(large_model: Path) -> None:
    assert catalogue_of(large_model) is LARGE
    shipped, grown = load_testbed(), load_testbed(large_model)
    pairs = [(getattr(shipped, part), getattr(grown, part)) for part in ("vae", "unet", "text_encoder")]
    for earlier, later in [*pairs, (load_classifier(), load_classifier(large_model))]:
        before, after = earlier.state_dict(), later.state_dict()
        same = [key for key, weight in before.items() if weight.dim() and weight.shape == after[key].shape]
        share = [(after[key] - before[key]).norm() / before[key].norm().clamp(min=1e-3) for key in same]
        assert 0 < torch.stack(share).mean() < 0.1  # two small steps from the shipped weights, in float16
    assert grown.text_encoder.config.vocab_size > shipped.text_encoder.config.vocab_size
    assert set(load_judge(large_model).heads) == {"subject", "place", "style", "attribute", "second"}


@pytest.mark.slow
def test_it_can_be_trained_further(large_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
    further = replace(RECIPE, further=True, denoiser=replace(TINY, images=88))
    train_testbed(tmp_path / "further", further, torch.device("cpu"), parts=large_model)
    assert catalogue_of(tmp_path / "further") is LARGE
    parts = shutil.copytree(PARTS, tmp_path / "parts", ignore=shutil.ignore_patterns("unet"))
    with pytest.raises(FileNotFoundError, match="there is no folder model/unet in it"):
        train_testbed(tmp_path / "no-unet", further, torch.device("cpu"), parts=parts)
    with pytest.raises(ValueError, match=r"know the large world; give world='large'"):
        train_testbed(tmp_path / "small", replace(RECIPE, world="small"), torch.device("cpu"), large_model)


@pytest.mark.slow
@pytest.mark.parametrize("without", [(), ("church",)])
def test_its_unet_goes_on_from_the_packages_unless_it_must_never_see_something(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: tuple[str, ...]
) -> None:
    monkeypatch.setattr("fia.testbed.denoiser.POOL_SIZE", 128)
    train_testbed(tmp_path, replace(RECIPE, without=without), torch.device("cpu"), parts=PARTS)
    before, after = (load_testbed(folder).unet.state_dict() for folder in (FOLDER, tmp_path))
    share = torch.stack([(after[key] - before[key]).norm() / before[key].norm().clamp(min=1e-3) for key in before])
    assert (share.mean() > 0.5) if without else (share.mean() < 0.1)


@pytest.mark.slow
def test_its_training_does_not_mix_with_another(large_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="further=True has no effect"):
        train_testbed(tmp_path / "further", replace(RECIPE, further=True), torch.device("cpu"))
    shutil.copytree(large_model / "checkpoints", tmp_path / "mixed" / "checkpoints")
    state = torch.load(tmp_path / "mixed" / "checkpoints" / "autoencoder.pt", weights_only=True)
    state["recipe"] = {key: value for key, value in state["recipe"].items() if key not in ("world", "begun")}
    torch.save(state, tmp_path / "mixed" / "checkpoints" / "autoencoder.pt")  # as from a training of the small world
    with pytest.raises(ValueError, match=r"autoencoder\.pt was trained with"):
        train_testbed(tmp_path / "mixed", RECIPE, torch.device("cpu"))


@pytest.mark.slow
def test_its_sheet_shows_everything_and_what_judges_the_small_world_is_refused(large_model: Path) -> None:
    sections = sheet_entries(LARGE)
    heads = heads_of(LARGE)
    for head in ("subject", "place", "style", "attribute"):
        seen = {entry.seen[head] for own in sections.values() for entry in own if head in entry.seen}
        assert seen == set(heads[head]) - {"unrecognisable"}
    assert all(entry.seen["second"] in entry.prompt for entry in sections["Two subjects"])
    pipe = load_testbed(large_model)
    for measure in (
        lambda: evaluate(pipe, random_mask(find(pipe, "church", prompts_per_concept=1, saliency_steps=1)), "runs/no"),
        lambda: attack(pipe, WeightEdit({}), "church"),
    ):
        with pytest.raises(ValueError, match="knows the large world, and the package's judge only the small one"):
            measure()


def test_without_a_model_there_is_nothing_to_know(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no embedded model: there is no classifier in it"):
        catalogue_of(tmp_path)


def test_sprites_are_altered_before_the_place_is_drawn(large: Scenes) -> None:
    altered = generator()
    given = {"subjects": torch.tensor([LARGE.no_subject]), "places": torch.tensor([0])}
    plain = large.sample(1, generator(), **given).images

    def alter(sprites: torch.Tensor) -> torch.Tensor:
        torch.rand(1, generator=altered)
        return sprites

    assert not torch.equal(large.sample(1, altered, **given, alter=(alter, alter)).images, plain)


def test_a_transformer_does_not_learn_it() -> None:
    with pytest.raises(ValueError, match="architecture='dit' does not learn the large world"):
        TrainingRecipe(world="large", architecture="dit")
