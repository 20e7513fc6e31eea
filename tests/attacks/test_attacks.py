"""Each attack brings a concept back from a weak edit, and not from a model that knows nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from torch import Tensor, nn

from fia import Concept, Settings, find, load_testbed, random_mask
from fia.attacks import roots
from fia.attacks.completion import Completion
from fia.attacks.detector import NamedDetector
from fia.attacks.draw import draw_plain
from fia.attacks.image_prompt import ImagePrompt
from fia.attacks.interface import Attack, Case, Picture
from fia.attacks.inversion import Inversion, embedded, with_new_word
from fia.attacks.merge import Merge
from fia.attacks.mma import MMA
from fia.attacks.noise import Noise
from fia.attacks.other_words import OtherWords
from fia.attacks.p4d import P4D
from fia.attacks.quantise import Quantise, rounded
from fia.attacks.relearning import Benign, Relearn, RelearnHeld, RelearnLora
from fia.attacks.ring_a_bell import RingABell
from fia.attacks.roots import Roots, soft_impute
from fia.attacks.targets import around, requests_for, requests_for_others
from fia.attacks.tokens import encode, sequence, token_table, words_of
from fia.attacks.training import Denoising, clean_latents, prediction_error
from fia.attacks.unlearn_diff_atk import UnlearnDiffAtk
from fia.attacks.victim import edited_copy, random_edit
from fia.drawing.images import Drawing
from fia.edits.interface import NoEdit
from fia.edits.weight_edit import WeightEdit
from fia.methods import UCE
from fia.methods.text_embeddings import embed
from fia.models.layers import find_layers
from fia.testbed.judge import load_judge

pytestmark = pytest.mark.slow

CHURCH = Concept("church")
DRAWING = Drawing(6, 4.0)
LAYERS = (nn.Linear, nn.Conv2d)
REQUESTS = requests_for(CHURCH, 2, 3000)


@pytest.fixture(scope="module")
def original() -> StableDiffusionPipeline:
    return load_testbed()


@pytest.fixture(scope="module")
def weak(original: StableDiffusionPipeline) -> Case:
    """The embedded model after UCE has forgotten the church, with two pictures by the original."""
    edit = UCE(positions="last", preserve_scale=1.0, ridge=0.1).unlearn(original, [CHURCH], ["chapel", "cat", "car"])
    detector = NamedDetector(load_judge(), CHURCH)
    other = requests_for(CHURCH, 2, 9000)
    images = draw_plain(original, other, DRAWING)
    pictures = [Picture(one.prompt, image) for one, image in zip(other, images, strict=True)]
    return Case(CHURCH, edited_copy(original, edit), original, DRAWING, detector.sees, pictures, pictures)


@pytest.fixture(scope="module")
def ignorant(original: StableDiffusionPipeline, weak: Case) -> Case:
    """The embedded model with a denoiser that predicts nothing."""
    zeros = {name: torch.zeros_like(original.unet.get_parameter(name)) for name in ("conv_out.weight", "conv_out.bias")}
    return replace(weak, victim=edited_copy(original, WeightEdit(zeros)))


@pytest.fixture(scope="module")
def destroyed(original: StableDiffusionPipeline, weak: Case) -> Case:
    """A stand-in for a model that never knew the church: over 40 % of its maskable weights are zero.

    They are the church's neurons and as many at random. It is cheap, but it draws little else either: a model that was
    trained without the church would say more (`fia testbed train --without church`).
    """
    settings = Settings(edit="zero", sites="both", spatial_ratio=0.3, agnostic_ratio=1.01, prompts_per_concept=2)
    mask = find(original, CHURCH, replace(settings, num_inference_steps=10, saliency_steps=2, guidance_scale=1.0))
    return replace(weak, victim=edited_copy(original, mask | random_mask(mask)))


@pytest.fixture(scope="module")
def small(original: StableDiffusionPipeline, weak: Case) -> Case:
    """An edit too small for four bits: the original's weights, rounded to four bits, and an eighth of a level more.

    The changes have the sign of the gradient of the error on the church's pictures. The largest weight of a row, which
    decides its levels, stays.
    """
    modules = {f"{name}.weight": own for name, own in original.unet.named_modules() if isinstance(own, LAYERS)}
    coarse = {name: rounded(own.weight.detach(), 4) for name, own in modules.items()}
    victim = edited_copy(original, WeightEdit(coarse))
    victim.unet.requires_grad_(True)
    latents = clean_latents(original, [picture.image for picture in weak.pictures]).repeat(2, 1, 1, 1)
    texts = embed(original, [picture.prompt for picture in weak.pictures]).repeat(2, 1, 1)
    timesteps = torch.tensor([500, 700, 800, 900])
    noisy, wanted = Denoising(original).noisy(latents, torch.Generator().manual_seed(0), timesteps)
    prediction_error(victim.unet, noisy, timesteps, texts, wanted).backward()
    edited = {}
    for name, weight in coarse.items():
        sizes = weight.flatten(1).abs()
        largest = sizes.amax(1, keepdim=True)
        change = 0.12 * largest / 7 * victim.unet.get_parameter(name).grad.flatten(1).sign()
        edited[name] = weight + change.masked_fill(sizes == largest, 0).view_as(weight)
        assert torch.allclose(rounded(edited[name], 4), weight, atol=1e-6)
    return replace(weak, victim=edited_copy(original, WeightEdit(edited)))


@pytest.fixture
def unchanged(weak: Case) -> Iterator[None]:
    """The edited model and the original are the same after a test as before."""
    before = [{k: v.clone() for k, v in pipe.unet.state_dict().items()} for pipe in (weak.victim, weak.original)]
    schedulers = weak.victim.scheduler, weak.original.scheduler
    yield
    for pipe, weights in zip((weak.victim, weak.original), before, strict=True):
        assert all(torch.equal(value, weights[name]) for name, value in pipe.unet.state_dict().items())
    assert schedulers == (weak.victim.scheduler, weak.original.scheduler)
    assert not weak.victim.text_encoder.get_input_embeddings()._forward_hooks


def back(attack: Attack, case: Case, variant: str | None = None) -> int:
    """Returns in how many of two images the concept is back."""
    variant = attack.variants[0] if variant is None else variant
    images = attack.draw(case, REQUESTS, attack.learn(case, variant), variant)
    assert len(images) == len(REQUESTS)
    return sum(case.sees(images))


def test_the_edit_hides_the_church(original: StableDiffusionPipeline, weak: Case, ignorant: Case) -> None:
    assert sum(weak.sees(draw_plain(original, REQUESTS, DRAWING))) == 2
    assert sum(weak.sees(draw_plain(weak.victim, REQUESTS, DRAWING))) == 0
    assert sum(weak.sees(draw_plain(ignorant.victim, REQUESTS, DRAWING))) == 0


def test_the_other_edits_hide_it_too(small: Case, destroyed: Case) -> None:
    assert sum(small.sees(draw_plain(small.victim, REQUESTS, DRAWING))) == 0
    assert sum(small.sees(draw_plain(destroyed.victim, REQUESTS, DRAWING))) == 0


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize("attack", [Completion((4,)), ImagePrompt((0.34,), 2)], ids=lambda own: own.title)
def test_what_needs_only_drawing(attack: Attack, weak: Case, ignorant: Case) -> None:
    assert back(attack, weak) == 2
    assert back(attack, ignorant) == 0


@pytest.mark.parametrize(
    "attack", [Completion((1,)), ImagePrompt((0.5,), 1), Inversion(steps=1)], ids=lambda own: own.title
)
def test_images_in_half_precision(attack: Attack, weak: Case) -> None:
    """What an attack draws with its own parts of a pipeline is drawn as the drawing says."""
    types: set[torch.dtype] = set()
    hook = weak.victim.unet.conv_in.register_forward_hook(lambda _layer, _args, output: types.add(output.dtype))
    learned = {"word": token_table(weak.victim).mean(0)} if isinstance(attack, Inversion) else {}
    try:
        for autocast in (False, True):
            types.clear()
            case = replace(weak, drawing=Drawing(2, 4.0, autocast=autocast))
            attack.draw(case, REQUESTS[:1], learned, attack.variants[0])
            assert types == {torch.bfloat16 if autocast else torch.float32}
    finally:
        hook.remove()


def test_other_words(original: StableDiffusionPipeline, weak: Case, ignorant: Case) -> None:
    """An edit that makes the model read "church" as "duck" leaves the chapel."""
    case = replace(weak, victim=edited_copy(original, NoEdit()))
    (church,), (duck,) = (words_of(case.victim, word) for word in ("church", "duck"))
    table = case.victim.text_encoder.get_input_embeddings().weight
    with torch.no_grad():
        table[church] = table[duck]
    assert sum(case.sees(draw_plain(case.victim, REQUESTS, DRAWING))) == 0
    assert back(OtherWords(2), case) == 2
    assert back(OtherWords(2), ignorant) == 0


@pytest.mark.usefixtures("unchanged")
def test_merging(weak: Case) -> None:
    assert back(Merge((0.9,)), weak) == 2
    assert back(Merge((0.01,)), weak) == 0


def test_more_noise_takes_the_best_of_its_tries(weak: Case) -> None:
    """The judge accepts a single one of the tries."""
    number = [0]

    def accepts_third(images: Sequence[Image.Image]) -> list[bool]:
        number[0] += 1
        return [number[0] == 3] * len(images)

    case = replace(weak, sees=accepts_third, drawing=Drawing(2, 1.0))
    best = Noise(5).draw(case, REQUESTS[:1], {}, "")
    assert number == [3]
    other = Noise(5)._draw(case, 2, list(REQUESTS[:1]))
    assert best[0].tobytes() == other[0].tobytes()


@pytest.mark.usefixtures("unchanged")
def test_eight_bits_change_little_and_two_much(weak: Case) -> None:
    fine, coarse = (Quantise((bits,)).draw(weak, REQUESTS[:1], {}, f"int{bits}")[0] for bits in (8, 2))
    (plain,) = draw_plain(weak.victim, REQUESTS[:1], DRAWING)

    def distance(one: Image.Image, two: Image.Image) -> float:
        arrays = [torch.tensor(list(image.tobytes())).float() for image in (one, two)]
        return (arrays[0] - arrays[1]).abs().mean().item()

    assert 0 < distance(fine, plain) < distance(coarse, plain) / 4


def test_four_bits_take_a_small_edit_away(small: Case, destroyed: Case) -> None:
    assert back(Quantise((4,)), small) == 2
    for bits in (4, 8):
        assert back(Quantise((bits,)), destroyed) == 0


def test_eight_bits_take_a_smaller_edit_away() -> None:
    """An edit below half a level of eight bits is undone exactly. None of that size hid the church."""
    weight = rounded(torch.randn(6, 50, generator=torch.Generator().manual_seed(0)), 8)
    largest = weight.abs().amax(1, keepdim=True)
    change = 0.45 * largest / 127 * torch.randn(6, 50, generator=torch.Generator().manual_seed(1)).sign()
    edited = weight + change.masked_fill(weight.abs() == largest, 0)
    assert not torch.allclose(edited, weight, atol=1e-4)
    torch.testing.assert_close(rounded(edited, 8), weight, rtol=1e-5, atol=1e-6)


def quiet_error(case: Case, text: Tensor) -> float:
    """Returns the edited denoiser's error on the original's pictures with a text, over fixed noise."""
    latents = clean_latents(case.original, [picture.image for picture in case.pictures]).repeat(2, 1, 1, 1)
    denoising, generator = Denoising(case.victim), torch.Generator().manual_seed(5)
    timesteps = torch.linspace(100, 900, len(latents)).long()
    noisy, wanted = denoising.noisy(latents, generator, timesteps)
    with torch.no_grad():
        return prediction_error(case.victim.unet, noisy, timesteps, text.expand(len(latents), -1, -1), wanted).item()


@pytest.mark.usefixtures("unchanged")
def test_inversion(weak: Case, ignorant: Case) -> None:
    attack = Inversion(steps=16, batch_size=2, pictures=2)
    start = {"word": token_table(weak.victim).mean(0)}
    assert sum(weak.sees(attack.draw(weak, REQUESTS, start, ""))) == 0
    learned = attack.learn(weak, "")
    assert sum(weak.sees(attack.draw(weak, REQUESTS, learned, ""))) == 2
    assert sum(weak.sees(attack.draw(ignorant, REQUESTS, learned, ""))) == 0


def test_a_new_word_takes_the_place_of_the_name(weak: Case) -> None:
    pipe = weak.victim
    prompts = ["a photo of a golf ball in a forest", "a golf ball"]
    ids, is_new = with_new_word(pipe, prompts, "golf ball")
    words = [words_of(pipe, prompt.replace("golf ball", "cat")) for prompt in prompts]
    (cat,) = words_of(pipe, "cat")
    expected = torch.stack([sequence(pipe, own) for own in words])
    assert torch.equal(torch.where(is_new, cat, ids), expected)
    assert is_new.sum(1).tolist() == [1, 1]
    table = token_table(pipe)
    assert torch.equal(embedded(table, ids, is_new, table[cat]), table[expected])
    assert around("a photo of a hot dog", "hot") == ("a photo of a ", " dog")


@pytest.mark.usefixtures("unchanged")
def test_a_search_by_gradients_stops_at_the_first_image_that_is_accepted(weak: Case) -> None:
    seen = [0]

    def accepts_second(images: Sequence[Image.Image]) -> list[bool]:
        seen[0] += len(images)
        return [seen[0] == 2]

    case = replace(weak, sees=accepts_second, drawing=Drawing(2, 1.0))
    attack, learned = UnlearnDiffAtk(timesteps=3, iterations=1), {}
    attack.draw(case, REQUESTS[:1], learned, "")
    assert seen == [2]  # the prompt as it is, and after the first timestep
    (words,) = attack.found_words(learned)
    assert torch.isin(words.embeddings, token_table(case.victim)).all()
    assert not words.replaces_name
    seen[0] = 0
    P4D(tokens=3, iterations=4, draws=4).draw(case, REQUESTS[:1], {}, "N")
    assert seen == [2]


@pytest.mark.usefixtures("unchanged")
def test_ring_a_bell_comes_nearer_to_its_target(weak: Case) -> None:
    few, many = (RingABell(population=20, generations=n, tokens=6, prompts=2) for n in (1, 15))
    target = few.target(weak)
    learned = [attack.learn(weak, "") for attack in (few, many)]
    errors = [few.errors(weak, own["words"][:1], target).item() for own in learned]
    assert errors[1] < errors[0]
    found = many.notes(weak, learned[1], "")["prompt"]
    assert isinstance(found, str)
    assert "church" not in found


@pytest.mark.usefixtures("unchanged")
def test_mma_points_where_the_concept_does(weak: Case) -> None:
    def cosine(steps: int) -> float:
        words = MMA(tokens=6, candidates=16, batch=16, steps=steps).learn(weak, "")["words"]
        with torch.no_grad():
            _, found = encode(weak.victim, sequence(weak.victim, words[0].tolist())[None])
            _, target = encode(weak.victim, sequence(weak.victim, words_of(weak.victim, "a photo of a church"))[None])
        return torch.cosine_similarity(found, target).item()

    assert cosine(10) > cosine(1)


def relearned_error(case: Case, attack: RelearnLora) -> tuple[float, float]:
    """Returns the error on the pictures before and after fine-tuning."""
    learned = attack.learn(case, attack.variants[0])
    text = case.victim.encode_prompt("a photo of a church", "cpu", 1, False)[0]
    before = quiet_error(case, text)
    with WeightEdit(learned).applied(case.victim):
        return before, quiet_error(case, text)


@pytest.mark.usefixtures("unchanged")
def test_relearning_makes_the_error_smaller(weak: Case) -> None:
    before, after = relearned_error(weak, RelearnLora((8,), 2, 1e-4, 2))
    assert after < before


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "attack", [RelearnLora((11,), 2, 3e-3, 2), Relearn((6,), 2, 1e-4, 2)], ids=lambda own: own.title
)
def test_relearning(attack: Attack, weak: Case, destroyed: Case) -> None:
    """With more steps, a LoRA learns the two pictures by heart, and brings them back from any model."""
    assert back(attack, weak) > 0
    assert back(attack, destroyed) == 0


def test_training_on_other_things_brings_it_back(
    original: StableDiffusionPipeline, small: Case, destroyed: Case
) -> None:
    """A small edit that harms everything is trained away with pictures of cats, cars, ducks and ships."""
    requests = requests_for_others(["cat", "car", "duck", "ship"], 4, 9100)
    images = draw_plain(original, requests, DRAWING)
    others = [Picture(one.prompt, image) for one, image in zip(requests, images, strict=True)]
    assert sum(small.sees(images)) == 0
    attack = Benign((10,), 4, 3e-4, 2)
    assert back(attack, replace(small, others=others)) == 2
    assert back(attack, replace(destroyed, others=others)) == 0


@pytest.mark.usefixtures("unchanged")
def test_what_is_held_stays(weak: Case) -> None:
    learned = RelearnHeld(steps=(2,), pictures=2, batch_size=1, learning_rate=1e-3).learn(weak, "2 steps")
    free = Benign(steps=(2,), pictures=2, batch_size=1, learning_rate=1e-3).learn(weak, "2 steps")
    originals, edited = weak.original.unet.state_dict(), weak.victim.unet.state_dict()
    held = {name: edited[name] != originals[name] for name in edited if (edited[name] != originals[name]).any()}
    assert held
    for name, places in held.items():
        assert torch.equal(learned.get(name, edited[name])[places], edited[name][places])
    assert any(not torch.equal(free[name][places], edited[name][places]) for name, places in held.items())


@pytest.mark.usefixtures("unchanged")
def test_roots_of_zeros_and_of_other_values(original: StableDiffusionPipeline, weak: Case) -> None:
    name = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight"
    weight = original.unet.get_parameter(name).detach()
    missing = torch.zeros_like(weight).view(-1)
    missing[torch.randperm(weight.numel(), generator=torch.Generator().manual_seed(0))[: weight.numel() // 50]] = 1
    missing = missing.view_as(weight).bool()
    for values, places_found in ((torch.zeros_like(weight), 100.0), (weight + weight.abs().max() * 5, 80.0)):
        edit = WeightEdit({name: torch.where(missing, values, weight)})
        case = replace(weak, victim=edited_copy(original, edit))
        for variant, right in (("", 30.0), ("true signs", 100.0)):
            attack = Roots(rounds=5)
            learned = attack.learn(case, variant)
            notes = attack.notes(case, learned, variant)
            assert learned.keys() == {name}
            assert notes["places found, %"] >= places_found
            assert notes["signs right, %"] >= right
    trained = torch.where(missing, 0, weight + 0.01)  # some of its weights happen to be zero
    for edit in (NoEdit(), WeightEdit({name: trained})):
        assert Roots(rounds=5).learn(replace(weak, victim=edited_copy(original, edit)), "") == {}


def test_roots_completes_a_layer_once(
    original: StableDiffusionPipeline, weak: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    completed: list[torch.Size] = []

    def count(weight: Tensor, missing: Tensor, rounds: int) -> Tensor:
        completed.append(weight.shape)
        return soft_impute(weight, missing, rounds)

    monkeypatch.setattr(roots, "soft_impute", count)
    name = "mid_block.attentions.0.transformer_blocks.0.ff.net.2.weight"
    weight = original.unet.get_parameter(name).detach()
    case = replace(weak, victim=edited_copy(original, WeightEdit({name: weight.masked_fill(weight > 0.1, 0)})))
    for concept in (CHURCH, Concept("cat")):
        for variant in Roots().variants:
            Roots(rounds=2).learn(replace(case, concept=concept), variant)
    assert len(completed) == 1
    Roots(rounds=3).learn(case, "")
    assert len(completed) == 2


def test_roots_bring_back_what_the_other_weights_tell(
    original: StableDiffusionPipeline, weak: Case, destroyed: Case
) -> None:
    """The maskable layers are of a low rank, and the largest tenth of each row is zero: both are what Roots assumes."""
    names = [f"{layer}.weight" for layer in find_layers(original.unet, sites="both")]
    low, zeroed = {}, {}
    for name in names:
        weight = original.unet.get_parameter(name).detach()
        left, values, right = torch.linalg.svd(weight.flatten(1), full_matrices=False)
        rank = len(values) // 4
        matrix = (left[:, :rank] * values[:rank]) @ right[:rank]
        largest = matrix.abs().topk(matrix.shape[1] // 10, dim=1).indices
        low[name], zeroed[name] = matrix.view_as(weight), matrix.scatter(1, largest, 0).view_as(weight)
    whole = edited_copy(original, WeightEdit(low))
    assert sum(weak.sees(draw_plain(whole, REQUESTS, DRAWING))) == 2
    case = replace(weak, original=whole, victim=edited_copy(whole, WeightEdit(zeroed)))
    attack = Roots(rounds=6, signed=1.0)
    assert sum(case.sees(draw_plain(case.victim, REQUESTS, DRAWING))) == 0
    learned = attack.learn(case, "")
    assert attack.notes(case, learned, "")["signs right, %"] > 85
    assert sum(case.sees(attack.draw(case, REQUESTS, learned, ""))) > 0
    assert back(attack, case, "random signs") == 0
    assert back(attack, destroyed) == 0


def test_a_random_edit_changes_as_much(original: StableDiffusionPipeline) -> None:
    edit = UCE().unlearn(original, [CHURCH], [])
    control = random_edit(original, edit)
    assert isinstance(control, WeightEdit)
    assert control.weights.keys() == edit.weights.keys()
    for name, weight in edit.weights.items():
        before = original.unet.get_parameter(name).detach()
        changes = [(own - before).flatten().sort().values for own in (weight, control.weights[name])]
        assert torch.allclose(changes[0], changes[1], atol=1e-5)
        assert not torch.equal(weight, control.weights[name])
