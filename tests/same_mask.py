"""Compares masks."""

from dataclasses import fields

import torch

from fia import NeuronMask


def assert_same_mask(one, other):
    assert one.concepts == other.concepts  # in the same order
    assert list(one.shapes) == list(other.shapes)
    for concept in one.concepts:
        assert one.neurons[concept].keys() == other.neurons[concept].keys()
        for name, indices in one.neurons[concept].items():
            assert torch.equal(indices, other.neurons[concept][name])
            assert indices.dtype == other.neurons[concept][name].dtype
    for field in fields(NeuronMask):
        if field.name != "neurons":
            assert getattr(one, field.name) == getattr(other, field.name)


def same(one, other):
    """Returns whether two dictionaries of tensors are equal."""
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)
