"""Eq. 1 and the hooks that measure it."""

from unittest.mock import Mock

import numpy as np
import pytest
import reference
import torch
from torch import nn

from fia.finding import observe as activations
from fia.finding.observe import Observer
from fia.finding.saliency import connection_saliency
from fia.models.layers import MaskableLayer


def random_layer(tokens=7, inputs=6, outputs=4, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(tokens, inputs, generator=generator)
    weight = torch.randn(outputs, inputs, generator=generator)
    return weight, x, x @ weight.T


def test_worked_example_of_equation_1():
    # Column norms of X: 5 and 1. Y = X W^T is [[6], [8]], of norm 10.
    # U[0,0] = 2 * 5 * |3*6 + 4*8| / (5 * 10) = 10; U[0,1] = 0 * ... = 0 although the column and Y agree.
    x = torch.tensor([[3.0, 0.0], [4.0, 1.0]])
    weight = torch.tensor([[2.0, 0.0]])
    saliency = connection_saliency(weight, x, x @ weight.T)
    # float32 rounds at 6e-8 of the value, and eps in the denominator takes 1e-8 / 50 of it.
    torch.testing.assert_close(saliency, torch.tensor([[10.0, 0.0]]), rtol=1e-6, atol=0)


@pytest.mark.parametrize("seed", range(5))
def test_equation_1_against_loops(seed):
    weight, x, y = random_layer(seed=seed)
    expected = reference.connection_saliency(weight, x, y)
    # A few float32 roundings (6e-8 each), relative to the terms of <X, Y>, which may cancel: hence the absolute part.
    np.testing.assert_allclose(connection_saliency(weight, x, y).numpy(), expected, rtol=1e-5, atol=1e-6)


def test_several_rows_are_scored_as_one_by_one():
    weight, x, _ = random_layer()
    rows = torch.stack([x, 2 * x.flip(0), x.roll(1, dims=1)])
    together = connection_saliency(weight, rows, rows @ weight.T)
    for row, saliency in zip(rows, together, strict=True):
        torch.testing.assert_close(connection_saliency(weight, row, row @ weight.T), saliency, rtol=1e-5, atol=1e-6)


def test_signs_do_not_matter():
    weight, x, y = random_layer()
    expected = connection_saliency(weight, x, y)
    assert torch.equal(connection_saliency(-weight, x, y), expected)
    assert torch.equal(connection_saliency(weight, -x, y), expected)
    assert torch.equal(connection_saliency(weight, x, -y), expected)


def test_silent_channels_and_outputs_have_no_saliency_and_no_nan():
    weight, x, _ = random_layer()
    x[:, 2] = 0
    weight[1] = 0
    saliency = connection_saliency(weight, x, x @ weight.T)
    assert saliency[:, 2].count_nonzero() == 0
    assert saliency[1].count_nonzero() == 0
    assert saliency.isfinite().all()
    assert saliency.count_nonzero() == 3 * 5


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_saliency_is_computed_in_float32(dtype):
    weight, x, y = (tensor.to(dtype) for tensor in random_layer())
    saliency = connection_saliency(weight, x, y)
    assert saliency.dtype == torch.float32
    assert torch.equal(saliency, connection_saliency(weight.float(), x.float(), y.float()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("leading", [(), (3,)])
def test_equation_1_takes_outputs_with_their_bias(dtype, leading):
    torch.manual_seed(0)
    weight, x, bias = torch.randn(4, 6), torch.randn(*leading, 64, 6), torch.randn(4)
    weight, x, bias = weight.to(dtype), x.to(dtype), bias.to(dtype)
    outputs = torch.nn.functional.linear(x, weight, bias)
    saliency = connection_saliency(weight, x, outputs, bias)
    assert saliency.dtype == torch.float32
    rows = zip(saliency.view(-1, 4, 6), x.view(-1, 64, 6), outputs.view(-1, 64, 4), strict=True)
    for row, own_x, own_outputs in rows:
        expected = reference.connection_saliency(weight.double(), own_x.double(), own_outputs.double() - bias.double())
        # Sums of 64 products in float32; bfloat16 rounds at 4e-3, which would show.
        np.testing.assert_allclose(row.numpy(), expected, rtol=1e-5, atol=1e-5)


def test_an_output_that_is_its_bias_and_no_more_has_no_saliency():
    weight, x, _ = random_layer()
    weight, x, bias = (1e-6 * weight).bfloat16(), x.bfloat16(), torch.ones(len(weight), dtype=torch.bfloat16)
    outputs = torch.nn.functional.linear(x, weight, bias)
    assert (outputs == 1).all()
    assert connection_saliency(weight, x, outputs, bias).count_nonzero() == 0


def test_large_half_precision_activations_do_not_overflow():
    x = torch.full((100, 2), 1000.0, dtype=torch.float16)
    weight = torch.ones(1, 2, dtype=torch.float16)
    assert connection_saliency(weight, x, 2 * x[:, :1]).isfinite().all()


def test_the_arguments_are_left_as_they_were():
    tensors = random_layer()
    before = [tensor.clone() for tensor in tensors]
    connection_saliency(*tensors)
    assert all(torch.equal(tensor, copy) for tensor, copy in zip(tensors, before, strict=True))


@pytest.mark.parametrize("bias", [True, False])
def test_hooks_give_the_saliency_of_every_row_without_the_bias(bias):
    torch.manual_seed(0)
    layer = nn.Linear(6, 4, bias=bias)
    rows = torch.randn(2, 7, 6)
    received = []
    with (
        Observer({"ff": MaskableLayer(layer)}, connection_saliency, lambda *event: received.append(event)) as observer,
        torch.no_grad(),
    ):
        observer.prompts = range(3, 5)
        layer(rows)
    ((name, prompts, values),) = received
    assert (name, prompts) == ("ff", range(3, 5))
    for saliency, x in zip(values, rows.double(), strict=True):
        expected = reference.connection_saliency(layer.weight.detach(), x, x @ layer.weight.detach().double().T)
        # As above, and the bias added and taken away costs two more roundings.
        np.testing.assert_allclose(saliency.numpy(), expected, rtol=1e-5, atol=1e-6)


def test_nothing_is_received_where_no_prompt_is_observed():
    layer, received = nn.Linear(6, 4), []
    with Observer({"ff": MaskableLayer(layer)}, connection_saliency, lambda *event: received.append(event)):
        layer(torch.randn(2, 7, 6))
    assert received == []


def test_rows_that_are_no_prompts_are_an_error_not_a_guess():
    layer = nn.Linear(6, 4)
    with Observer({"ff": MaskableLayer(layer)}, connection_saliency, lambda *_: None) as observer, torch.no_grad():
        observer.prompts = range(3)
        with pytest.raises(ValueError, match="Layer ff was given 2 rows for 3 prompts"):
            layer(torch.randn(2, 7, 6))


def test_hooks_are_gone_afterwards_also_after_an_error():
    layers = {"one": nn.Linear(6, 4), "two": nn.Linear(6, 4)}
    watched = {name: MaskableLayer(layer) for name, layer in layers.items()}

    def interrupted():
        with Observer(watched, connection_saliency, lambda *_: None):
            assert all(len(layer._forward_hooks) == 1 for layer in layers.values())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert all(len(layer._forward_hooks) == 0 for layer in layers.values())


def test_tokens_that_come_in_parts_are_measured_together():
    layer, rows, received = nn.Linear(6, 4), torch.randn(2, 7, 6), []
    with (
        Observer({"ff": MaskableLayer(layer, parts=2)}, connection_saliency, lambda *e: received.append(e)) as observer,
        torch.no_grad(),
    ):
        for _ in range(2):
            observer.prompts = range(2)
            layer(rows[:, :3])
            layer(rows[:, 3:])
    assert [prompts for _, prompts, _ in received] == [range(2), range(2)]
    for x, saliency in zip([*rows, *rows], [row for _, _, values in received for row in values], strict=True):
        x = x.double()
        expected = reference.connection_saliency(layer.weight.detach(), x, x @ layer.weight.detach().double().T)
        np.testing.assert_allclose(saliency.numpy(), expected, rtol=1e-5, atol=1e-6)  # as above


def test_a_layer_that_runs_more_often_than_it_should_is_an_error():
    layer = nn.Linear(6, 4)
    with Observer({"ff": MaskableLayer(layer)}, connection_saliency, lambda *_: None) as observer, torch.no_grad():
        observer.prompts = range(2)
        layer(torch.randn(2, 7, 6))
        with pytest.raises(ValueError, match="Layer ff runs more than 1 times in a pass"):
            layer(torch.randn(2, 7, 6))


@pytest.mark.parametrize("bias", [True, False])
def test_of_a_linear_that_an_attention_shares_only_the_feed_forwards_inputs_count(bias):
    torch.manual_seed(0)
    module, rows, received = nn.Linear(10, 4, bias=bias), torch.randn(1, 7, 10), []
    layer = MaskableLayer(module, first_input=4)
    with Observer({"ff": layer}, connection_saliency, lambda *e: received.append(e)) as observer, torch.no_grad():
        observer.prompts = range(1)
        module(rows)
    x, w = rows[0, :, 4:].double(), module.weight.detach()[:, 4:].double()
    expected = reference.connection_saliency(w, x, x @ w.T)
    np.testing.assert_allclose(received[0][2][0].numpy(), expected, rtol=1e-5, atol=1e-6)  # as above


@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_of_one_pixel_is_a_linear_at_every_place(bias):
    torch.manual_seed(0)
    module, image, received = nn.Conv2d(6, 4, 1, bias=bias), torch.randn(1, 6, 3, 5), []
    layers = {"ff": MaskableLayer(module)}
    with Observer(layers, connection_saliency, lambda *e: received.append(e)) as observer, torch.no_grad():
        observer.prompts = range(1)
        module(image)
    x, w = image[0].flatten(1).T.double(), module.weight.detach()[:, :, 0, 0].double()
    np.testing.assert_allclose(
        received[0][2][0].numpy(),
        reference.connection_saliency(w, x, x @ w.T),
        rtol=1e-5,
        atol=1e-6,  # as above
    )


def test_rows_without_tokens_are_one_token_each():
    torch.manual_seed(0)
    module, rows, received = nn.Linear(6, 4), torch.randn(2, 6), []
    layers = {"time": MaskableLayer(module)}
    with Observer(layers, connection_saliency, lambda *e: received.append(e)) as observer, torch.no_grad():
        observer.prompts = range(2)
        module(rows)
    w = module.weight.detach().double()
    ((_, _, values),) = received
    for x, saliency in zip(rows[:, None].double(), values, strict=True):
        expected = reference.connection_saliency(w, x, x @ w.T)
        np.testing.assert_allclose(saliency.numpy(), expected, rtol=1e-5, atol=1e-6)  # as above


def test_rows_come_a_few_at_a_time_where_they_are_large(monkeypatch):
    layer, rows, received = nn.Linear(6, 4), torch.randn(5, 7, 6), []
    layers = {"ff": MaskableLayer(layer)}
    with Observer(layers, connection_saliency, lambda *e: received.append(e)) as observer, torch.no_grad():
        for numbers in (2**19, 50):
            monkeypatch.setattr(activations, "numbers_at_once", Mock(return_value=numbers))
            observer.prompts = range(10, 15)
            layer(rows)
    (_, prompts, whole), *parts = received
    assert prompts == range(10, 15)
    assert [prompts for _, prompts, _ in parts] == [range(10, 12), range(12, 14), range(14, 15)]
    torch.testing.assert_close(torch.cat([values for _, _, values in parts]), whole, rtol=1e-5, atol=1e-6)  # as above
