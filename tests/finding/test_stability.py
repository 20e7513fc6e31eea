"""Whether other prompts find the same neurons: how it is counted, and that it is."""

import pytest
import torch
from diffusers import StableDiffusionPipeline

from fia import Concept, NeuronMask, Settings
from fia.cli import main
from fia.finding import stability
from fia.finding.stability import mean_overlap, mean_overlap_by_chance, measure_stability, split
from fia.prompts import reworded

pytestmark = pytest.mark.slow

FAST = Settings(num_inference_steps=4, saliency_steps=1)


def mask_of(**neurons: list[list[int]]) -> NeuronMask:
    layers = {
        concept: {name: torch.tensor(part, dtype=torch.int32) for name, part in zip("ab", parts, strict=True)}
        for concept, parts in neurons.items()
    }
    return NeuronMask(layers, {"a": (2, 5), "b": (4, 5)}, 0.6, "UNet2DConditionModel", 100, "hash")


def test_overlap_worked_by_hand() -> None:
    # Church: 2 of 4 different ones are shared (over both layers); cat: all of them. The mean of 50 and 100.
    one = mask_of(church=[[0, 1], [7]], cat=[[3], []])
    two = mask_of(church=[[1, 2], [7]], cat=[[3], []])
    assert mean_overlap(one, two) == mean_overlap(two, one) == pytest.approx(75)
    assert mean_overlap(one, one) == 100
    assert mean_overlap(mask_of(cat=[[], []]), mask_of(cat=[[], []])) == 0


def test_overlap_by_chance_worked_by_hand() -> None:
    # 5 of 10 and 2 of 20: 5 * 5 / 10 + 2 * 2 / 20 = 2.7 are shared, 2 * 7 - 2.7 = 11.3 are in either.
    assert mean_overlap_by_chance(mask_of(church=[[0, 1, 2, 3, 4], [0, 1]])) == pytest.approx(100 * 2.7 / 11.3)


def test_halves_share_no_prompt_and_bases_differ() -> None:
    first, second, rebased = split(Concept("church"), 3)
    assert len(first.prompts) == len(second.prompts) == 3
    assert not {prompt for prompt, _ in first.prompts} & {prompt for prompt, _ in second.prompts}
    assert [prompt for prompt, _ in first.prompts] == [prompt for prompt, _ in rebased.prompts]
    assert first.prompts[0][1] == "a beach"
    assert rebased.prompts[0][1] == "a photo of a beach"
    assert reworded("a photo of a man") == "a man"


def test_too_few_prompts_are_an_error() -> None:
    with pytest.raises(ValueError, match="'smoke' has 1 prompts, but two halves of 1 need 2"):
        split(Concept("smoke", prompts=(("smoke", "air"),)), 1)
    with pytest.raises(ValueError, match="prompts_per_concept=40"):
        split(Concept("church"), 20)


def test_it_is_measured_on_a_model(pipe: StableDiffusionPipeline) -> None:
    rows = measure_stability(pipe, [Concept("church"), Concept("cat")], (1, 2), FAST)
    assert [row.prompts for row in rows] == [1, 2]
    for row in rows:
        assert 0 < row.by_chance < row.other_prompts < 100
        assert 0 < row.other_bases < 100
    with pytest.raises(ValueError, match="prompts=0"):
        measure_stability(pipe, [Concept("church")], (0,), FAST)


def test_halves_start_from_other_seeds(pipe: StableDiffusionPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []

    def find(_pipe: StableDiffusionPipeline, _concepts: list[Concept], settings: Settings) -> NeuronMask:
        seeds.append(settings.seed)
        return mask_of(church=[[0], [1]])

    monkeypatch.setattr(stability, "find", find)
    measure_stability(pipe, [Concept("church")], (1,), FAST)
    first, second, rebased = seeds
    assert first == rebased
    assert abs(second - first) > 1000


def test_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    few = ["--num-inference-steps", "4", "--saliency-steps", "1", "--prompts", "1"]
    assert main(["stability", "testbed", "church", *few]) == 0
    assert "neurons shared with other prompts" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([(1, 20.0), (8, 60.0)], "share 75 % of their neurons (2 % by chance): most of them. 8 prompts are enough"),
        ([(1, 10.0), (8, 30.0)], "46 % of their neurons (2 % by chance): some of them. More prompts still help: raise"),
        ([(1, 18.0), (8, 18.6)], "31 % of their neurons (2 % by chance): few of them. More prompts hardly help."),
        ([(8, 18.0), (1, 18.6)], "With 8 prompts, two choices of prompts share 31 %"),
        ([(2, 18.0)], "few of them. More prompts still help"),
    ],
)
def test_the_verdict_says_whether_the_choice_of_prompts_matters(rows, said) -> None:
    assert said in stability.verdict([stability.Stability(n, iou, iou, 1.0) for n, iou in rows])
