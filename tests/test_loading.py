"""Models by name: what is wrong is said in one line, before anything is loaded."""

import pytest
import torch

from fia.loading import load_pipeline


def test_the_testbed_loads_in_any_type():
    pipe = load_pipeline("testbed", device="cpu", dtype="bfloat16")
    assert pipe.unet.dtype == torch.bfloat16
    assert pipe.config._name_or_path == "testbed"


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("testbed", {"dtype": "int8"}, "dtype 'int8' is not one of auto, float32, float16, bfloat16"),
        ("testbed", {"device": "abacus"}, "device 'abacus' cannot be used here"),
        ("no/such/folder", {}, "There is no folder 'no/such/folder'"),
    ],
)
def test_errors_name_the_value(model, options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        load_pipeline(model, **options)


@pytest.mark.parametrize("device", ["cpu", "cpu:0"])
def test_the_cpu_gets_float32_whatever_it_is_called(device: str) -> None:
    assert load_pipeline("testbed", device=device).unet.dtype == torch.float32
