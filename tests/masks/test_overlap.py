"""How much concepts share, against numbers worked by hand and a loop."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from fia.cli import main
from fia.masks.overlap import closest_pairs, draw_heat_map, heat_map, overlap, overlap_matrix


def test_the_matrix_is_intersection_over_union_of_all_layers_together(mask):
    matrix = overlap_matrix(mask)
    for (i, one), (j, two) in itertools.product(enumerate(mask.concepts), repeat=2):
        both = either = 0
        for name in mask.shapes:
            a, b = (set(mask.neurons[concept][name].tolist()) for concept in (one, two))
            both, either = both + len(a & b), either + len(a | b)
        assert matrix[i, j] == pytest.approx(100 * both / either, rel=1e-12)
        assert overlap(mask.neurons[one], mask.neurons[two]) == pytest.approx(matrix[i, j], rel=1e-12)
    assert (matrix.diagonal() == 100).all()


def test_concepts_without_neurons_share_nothing(mask):
    empty = {name: torch.empty(0, dtype=torch.int32) for name in mask.shapes}
    odd = replace(mask, neurons={"church": empty, "tench": empty, "cat": mask.neurons["church"]})
    assert overlap_matrix(odd).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 100]]
    assert overlap_matrix(mask.without(*mask.concepts)).shape == (0, 0)


def test_the_closest_pairs_come_first_beside_chance(mask):
    twin = replace(mask, neurons=mask.neurons | {"chapel": mask.neurons["church"]})
    first, *others = closest_pairs(twin, at_most=3)
    assert first[:3] == ("church", "chapel", 100)
    assert len(others) == 2
    chance = 100 * 4 * 400 * 400 / 1024 / (2 * 1600 - 4 * 400 * 400 / 1024)
    assert all(pair[3] == pytest.approx(chance) for pair in (first, *others))
    assert closest_pairs(mask.only("church")) == []


def test_the_heat_map_shows_every_number_but_those_of_a_concept_with_itself(mask, tmp_path):
    axes = heat_map(mask).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == list(mask.concepts)
    assert sorted(int(text.get_text()) for text in axes.texts) == sorted(
        round(value) for value in overlap_matrix(mask)[~np.eye(3, dtype=bool)]
    )
    draw_heat_map(mask, tmp_path / "new" / "overlap.png")
    with Image.open(tmp_path / "new" / "overlap.png") as image:
        assert image.width > 300
    heat_map(mask.only("church"))


def test_the_command_shows_and_draws_it(folder, tmp_path, capsys):
    assert main(["show", str(folder), "--heat-map", str(tmp_path / "overlap.svg")]) == 0
    assert "church and golf ball" in capsys.readouterr().out
    assert (tmp_path / "overlap.svg").read_text().startswith("<?xml")
    assert main(["show", str(folder), "--heat-map", str(tmp_path / "overlap.txt")]) == 2
    assert "overlap.txt is not the name of a picture; end it in .png" in capsys.readouterr().err


def test_one_concept_shares_nothing_to_draw(mask, tmp_path):
    with pytest.raises(ValueError, match="this mask holds fewer than two concepts"):
        draw_heat_map(mask.only("church"), tmp_path / "overlap.png")
    assert not (tmp_path / "overlap.png").exists()


def test_a_description_does_not_contradict_itself(mask):
    from fia.masks.describe import describe

    found = replace(mask, provenance=[mask.provenance[0] | {"settings": {"seed": 0, "agnostic_ratio": 0.8}}])
    union = describe(found.with_agnostic_ratio(1.01))
    assert "spared    nothing (alpha 1.01)" in union
    assert "0.8" not in union
    assert f"spared    {mask.number_spared:,} that 3 or more of the 3 concepts share (alpha 0.9)" in describe(mask)
