"""What `import fia` offers, and that it costs nothing until it is used."""

import subprocess
import sys

import pytest

import fia


def test_every_public_name_exists() -> None:
    for name in fia.__all__:
        assert getattr(fia, name) is not None
    assert set(fia.__all__) <= set(dir(fia))


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'forgive'"):
        fia.forgive  # noqa: B018


def test_importing_the_package_loads_no_torch() -> None:
    code = "import fia, sys; raise SystemExit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_module_runs_as_a_command() -> None:
    done = subprocess.run([sys.executable, "-m", "fia", "--help"], check=False, capture_output=True, text=True)
    assert done.returncode == 0
    for command in ("forget", "apply", "generate", "show", "testbed"):
        assert command in done.stdout
    assert "torchvision" not in done.stderr
