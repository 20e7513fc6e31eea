"""The mathematics of the attacks, against slow and direct versions on small tensors."""

import numpy as np
import pytest
import torch
from diffusers import DDIMScheduler, StableDiffusionPipeline
from torch import Tensor
from torch.nn import functional as F

from fia import load_testbed
from fia.attacks.mma import loss_of, promising
from fia.attacks.noise import Noise, NoisyDDIM
from fia.attacks.p4d import nearest, with_free_tokens
from fia.attacks.quantise import rounded
from fia.attacks.ring_a_bell import next_generation
from fia.attacks.roots import outliers, revived, soft_impute
from fia.attacks.tokens import allowed_words, encode, sequence, straight_through, token_table, words_of
from fia.attacks.training import Denoising
from fia.attacks.unlearn_diff_atk import on_simplex

SCHEDULE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False}


@pytest.fixture(scope="module")
def testbed() -> StableDiffusionPipeline:
    return load_testbed()


def noisy_scheduler(eta: float, factor: float, prediction_type: str) -> NoisyDDIM:
    scheduler = NoisyDDIM(**SCHEDULE, prediction_type=prediction_type)
    scheduler.set_timesteps(10)
    scheduler.eta, scheduler.factor = eta, factor
    return scheduler


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
@pytest.mark.parametrize("eta", [0.0, 0.5, 1.0])
def test_noise_up_to_eta_1_is_ddims(eta: float, prediction_type: str) -> None:
    ours, theirs = (
        noisy_scheduler(eta, 1.0, prediction_type),
        DDIMScheduler(**SCHEDULE, prediction_type=prediction_type),
    )
    theirs.set_timesteps(10)
    sample, output = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    for timestep in (ours.timesteps[0], ours.timesteps[-1]):
        one, two = (torch.Generator().manual_seed(1) for _ in range(2))
        expected = theirs.step(output, timestep, sample, eta=eta, generator=two).prev_sample
        found = ours.step(output, timestep, sample, generator=one).prev_sample
        assert torch.allclose(found, expected, atol=1e-5)


def test_more_noise_than_ddim_takes() -> None:
    """With eta^2 sigma^2 above 1 - a', nothing of the predicted noise is left, and the added noise is eta sigma."""
    scheduler = noisy_scheduler(1.85, 1.04, "sample")
    timestep, sample = scheduler.timesteps[-2], torch.zeros(1, 1, 200, 200)
    clean = torch.ones_like(sample)
    after = scheduler.step(clean, timestep, sample, generator=torch.Generator().manual_seed(0)).prev_sample
    before = int(timestep) - 100
    alpha, alpha_after = scheduler.alphas_cumprod[int(timestep)], scheduler.alphas_cumprod[before]
    sigma = 1.85 * ((1 - alpha_after) / (1 - alpha) * (1 - alpha / alpha_after)).sqrt()
    kept = (1 - alpha_after - sigma**2).clamp(min=0).sqrt() * (0 - alpha.sqrt()) / (1 - alpha).sqrt()
    assert after.mean().item() == pytest.approx((alpha_after.sqrt() + kept).item(), abs=0.01)
    assert after.std().item() == pytest.approx((1.04 * sigma).item(), rel=0.02)


def test_the_tries_cover_the_range() -> None:
    strengths = Noise(24).strengths()
    assert len(set(strengths)) == 24
    assert min(strengths) == (1.0, 1.0)
    assert max(strengths) == pytest.approx((1.85, 1.04))
    assert len(Noise(5).strengths()) == 5


@pytest.mark.parametrize("bits", [8, 4, 2])
def test_rounding_of_each_row(bits: int) -> None:
    weight = torch.randn(5, 3, 2, 2, generator=torch.Generator().manual_seed(0))
    weight[0] = 0
    weight[1, 0, 0, 0] = 0
    expected = torch.zeros_like(weight)
    for i, row in enumerate(weight):
        step = row.abs().max().item() / (2 ** (bits - 1) - 1)
        for place in np.ndindex(*row.shape):
            expected[i][place] = round(row[place].item() / step) * step if step else 0
    found = rounded(weight, bits)
    assert torch.allclose(found, expected, atol=1e-6)
    assert found[1, 0, 0, 0] == 0
    assert all(len(row.unique()) <= 2**bits - 1 for row in found)
    assert torch.allclose(rounded(found, bits), found, atol=1e-6)


def slow_soft_impute(weight: Tensor, missing: Tensor, rounds: int) -> Tensor:
    filled = weight.double().clone()
    for j in range(weight.shape[1]):
        known = [float(weight[i, j]) for i in range(weight.shape[0]) if not missing[i, j]]
        for i in range(weight.shape[0]):
            if missing[i, j]:
                filled[i, j] = sum(known) / len(known)
    for _ in range(rounds):
        left, values, right = np.linalg.svd(filled.numpy(), full_matrices=False)
        low = sum((s - values.min()) * np.outer(left[:, k], right[k]) for k, s in enumerate(values))
        for i in range(weight.shape[0]):
            for j in range(weight.shape[1]):
                if missing[i, j]:
                    filled[i, j] = low[i, j]
    return filled


def low_rank_with_holes() -> tuple[Tensor, Tensor, Tensor]:
    """Returns a matrix of rank 2, the same with zeros in a tenth of its places, and these places."""
    generator = torch.Generator().manual_seed(0)
    whole = torch.randn(30, 2, generator=generator) @ torch.randn(2, 20, generator=generator)
    missing = torch.rand(30, 20, generator=generator) < 0.1
    return whole, whole.masked_fill(missing, 0), missing


def test_completion_of_a_matrix() -> None:
    whole, holed, missing = low_rank_with_holes()
    assert torch.allclose(soft_impute(holed, missing, 4), slow_soft_impute(holed, missing, 4), atol=1e-8)
    completed = soft_impute(holed, missing, 500)
    assert torch.equal(completed[~missing], whole[~missing].double())
    assert (completed.sign() == whole.sign())[missing].double().mean() > 0.8
    shuffled = holed.flatten()[torch.randperm(600, generator=torch.Generator().manual_seed(1))].view(30, 20)
    guessed = (soft_impute(shuffled, missing, 500).sign() == whole.sign())[missing].double().mean()
    assert guessed < 0.65  # a matrix without structure tells nothing


def test_revival_of_zeros() -> None:
    whole, holed, missing = low_rank_with_holes()
    completed = soft_impute(holed, missing, 50)
    found = revived(holed, missing, whole.double().sign(), 0.6, completed, torch.Generator().manual_seed(0))
    assert torch.equal(found[~missing], holed[~missing])
    filled = (found != 0) & missing
    assert int(filled.sum()) == round(0.6 * int(missing.sum()))
    assert completed.abs()[filled].min() >= completed.abs()[missing & ~filled].max()
    assert torch.equal(found.sign()[filled], whole.sign()[filled])
    for i in range(30):
        largest = holed[i][~missing[i]].abs().max()
        assert (found[i][filled[i]].abs() >= largest - 1e-6).all()


def test_places_that_stand_out() -> None:
    whole, _, places = low_rank_with_holes()
    signs = torch.randn(30, 20, generator=torch.Generator().manual_seed(2)).sign()
    found = outliers(whole + 5 * signs * places, int(places.sum()))
    assert int(found.sum()) == int(places.sum())
    assert (found & places).sum() > 0.6 * places.sum()
    assert (outliers(whole, int(places.sum())) & places).sum() < 0.3 * places.sum()


def test_projection_onto_the_simplex() -> None:
    rows = torch.randn(6, 9, generator=torch.Generator().manual_seed(0)) * torch.logspace(-3, 2, 6)[:, None]
    found = on_simplex(rows)
    assert torch.allclose(found.sum(1), torch.ones(6), atol=1e-5)
    assert (found >= 0).all()
    for row, own in zip(rows.double(), found, strict=True):
        low, high = row.min() - 1, row.max()
        for _ in range(100):  # the shift at which the positive parts add up to 1, by bisection
            middle = (low + high) / 2
            low, high = (middle, high) if (row - middle).clamp(min=0).sum() > 1 else (low, middle)
        assert torch.allclose(own.double(), (row - low).clamp(min=0), atol=1e-5)
    assert torch.allclose(on_simplex(found), found, atol=1e-6)


def test_a_straight_through_value_has_the_other_gradient() -> None:
    soft, hard = torch.tensor([0.2, 0.8], requires_grad=True), torch.tensor([1.0, 0.0])
    value = straight_through(hard, soft)
    assert torch.equal(value, hard)
    (3 * value[0] + value[1]).backward()
    assert torch.equal(soft.grad, torch.tensor([3.0, 1.0]))


def test_free_tokens_among_the_prompts() -> None:
    assert with_free_tokens([5, 6, 7, 8, 9, 10, 11], 3) == ([5, 6, 7, 0, 8, 9, 10, 0, 11], [3, 7])
    assert with_free_tokens([], 3) == ([], [])


def test_the_nearest_token_by_the_cosine() -> None:
    table = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-3.0, 0.0]])
    free = torch.tensor([[0.1, 5.0], [-0.5, 0.1]], requires_grad=True)
    found = nearest(free, table)
    assert torch.equal(found, table[[1, 2]])
    found.sum().backward()
    assert torch.equal(free.grad, torch.ones(2, 2))


def test_the_better_half_survives() -> None:
    generator = torch.Generator().manual_seed(0)
    people, words = torch.arange(50).view(10, 5), torch.tensor([90, 91])
    errors = torch.tensor([5.0, 0, 9, 1, 8, 2, 7, 3, 6, 4])
    options = {"words": words, "generator": generator}
    after = next_generation(people, errors, crossover=0.0, mutation=0.0, **options)
    survivors = people[[1, 3, 5, 7, 9]]
    assert torch.equal(after[:5], survivors)
    assert all(any(torch.equal(child, parent) for parent in survivors) for child in after[5:])
    crossed = next_generation(people, errors, crossover=1.0, mutation=0.0, **options)[5:]
    for child in crossed:  # each gene comes from its own place of a survivor, and there is one cut
        parents = child // 5
        assert set(parents.tolist()) <= {1, 3, 5, 7, 9}
        assert torch.equal(child % 5, torch.arange(5))
        assert int((parents[1:] != parents[:-1]).sum()) <= 1
    mutated = next_generation(people, errors, crossover=0.0, mutation=1.0, **options)[5:]
    assert [int(torch.isin(child, words).sum()) for child in mutated] == [1] * 5


@pytest.mark.parametrize("prediction_type", ["epsilon", "sample", "v_prediction"])
def test_what_the_denoiser_should_predict(pipe: StableDiffusionPipeline, prediction_type: str) -> None:
    pipe.scheduler = DDIMScheduler(**SCHEDULE, prediction_type=prediction_type)
    latents, timesteps = torch.randn(2, 4, 8, 8), torch.tensor([10, 900])
    noisy, target = Denoising(pipe).noisy(latents, torch.Generator().manual_seed(0), timesteps)
    noise = torch.randn(latents.shape, generator=torch.Generator().manual_seed(0))
    alpha = pipe.scheduler.alphas_cumprod[timesteps].view(-1, 1, 1, 1)
    assert torch.allclose(noisy, alpha.sqrt() * latents + (1 - alpha).sqrt() * noise, atol=1e-6)
    velocity = alpha.sqrt() * noise - (1 - alpha).sqrt() * latents
    expected = {"epsilon": noise, "sample": latents, "v_prediction": velocity}[prediction_type]
    assert torch.allclose(target, expected, atol=1e-6)


def test_timesteps_are_spread_from_the_noisiest(pipe: StableDiffusionPipeline) -> None:
    found = Denoising(pipe).spread_timesteps(3).tolist()
    assert found == [749, 500, 250]


def test_a_prompt_is_read_as_the_pipeline_reads_it(testbed: StableDiffusionPipeline) -> None:
    prompt = "a photo of a church in a forest"
    text, _ = encode(testbed, sequence(testbed, words_of(testbed, prompt))[None])
    assert torch.allclose(text, testbed.encode_prompt(prompt, "cpu", 1, False)[0], atol=1e-5)
    ids = sequence(testbed, words_of(testbed, prompt))[None]
    same, _ = encode(testbed, ids, token_table(testbed)[ids])
    assert torch.equal(same, text)
    assert len(sequence(testbed, range(100, 200))) == 24


def test_words_that_an_attack_may_use(testbed: StableDiffusionPipeline) -> None:
    words = allowed_words(testbed, ["church", "golf ball"]).tolist()
    texts = testbed.tokenizer.batch_decode([[i] for i in words])
    assert "cat" in texts
    assert not [text for text in texts if "church" in text or "golf" in text or text in ("ball", "chur")]
    assert [testbed.tokenizer(text, add_special_tokens=False).input_ids for text in texts] == [[i] for i in words]


def test_promising_tokens_are_those_of_the_steepest_descent(testbed: StableDiffusionPipeline) -> None:
    """By differences: moving a little towards a token's embedding lowers the loss most for the most promising one."""
    words = allowed_words(testbed, ["church"])[:12]
    found = words[:3]
    with torch.no_grad():
        _, target = encode(testbed, sequence(testbed, words_of(testbed, "a church"))[None])
        best = promising(testbed, found, target, words, 1)[:, 0]
        ids, table = sequence(testbed, found.tolist())[None], token_table(testbed)
        start = loss_of(testbed, ids, target, table[ids])
        for place in range(3):
            falls = []
            for word in words:
                moved = table[ids].clone()
                moved[0, 1 + place] += 1e-2 * (table[word] - moved[0, 1 + place])
                falls.append((loss_of(testbed, ids, target, moved) - start).item())
            assert min(falls) == pytest.approx(falls[words.tolist().index(int(best[place]))], abs=2e-6)
    assert F.cosine_similarity(target, target).item() == pytest.approx(1)
