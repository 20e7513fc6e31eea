"""Hashes tell models apart by their weights, and by nothing else."""

import torch
from diffusers import DiffusionPipeline

from fia.provenance import hash_pipeline


@torch.no_grad()
def test_how_weights_lie_in_memory_does_not_matter(pipe: DiffusionPipeline) -> None:
    before = hash_pipeline(pipe)
    pipe.unet.to(memory_format=torch.channels_last)
    assert hash_pipeline(pipe) == before
    pipe.unet.conv_in.bias.add_(1)
    assert hash_pipeline(pipe) != before
