"""Finds neurons in a moment, and checks what must hold after it."""

import torch
from bits import assert_same_bits

import fia
from fia import Settings

SETTINGS = Settings(
    edit="zero", prompts_per_concept=2, num_inference_steps=6, saliency_steps=2, spatial_ratio=0.05, batch_size=4
)


def find(pipe, concepts, settings=SETTINGS, **overrides):
    return fia.find(pipe, concepts, settings, progress=False, **overrides)


def assert_same_neurons(one, other):
    for concept in one.concepts:
        for name in one.shapes:
            assert torch.equal(one.neurons[concept][name], other.neurons[concept][name]), (concept, name)


def assert_clean(pipe, before):
    assert_same_bits(pipe.unet, before)
    assert "forward" not in vars(pipe.unet)
    assert pipe._progress_bar_config == {"desc": "mine"}
    assert all(not module._forward_hooks and not module._forward_pre_hooks for module in pipe.unet.modules())
    assert all(parameter.grad is None for parameter in pipe.unet.parameters())
