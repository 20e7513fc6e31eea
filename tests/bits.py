"""Compares weights bit for bit."""

import torch


def bits(module):
    """Returns every parameter as integers of its width, so that -0.0 and 0.0 differ, and different NaNs too."""
    integer = {2: torch.int16, 4: torch.int32}
    return {
        name: parameter.detach().view(integer[parameter.element_size()]).clone()
        for name, parameter in module.named_parameters()
    }


def assert_same_bits(module, before):
    after = bits(module)
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)
