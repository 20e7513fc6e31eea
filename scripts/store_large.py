"""Copies a trained large world (runs/large) to testbed-large, with the U-Net's matrices in eight bits.

In float16 the whole model is 39 MB; so it is under 30. Any of diffusers' loaders reads it, as float32.
"""

import argparse
import shutil
from pathlib import Path

import torch
from documents import ROOT
from safetensors.torch import load_file, save_file

from fia.files import written_whole
from fia.testbed.folders import DENOISER_FILE

STORED = ROOT / "testbed-large"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path, nargs="?", default=ROOT / "runs" / "large", help="the trained folder")
    trained: Path = parser.parse_args().trained
    for name in ("model", "clip", "classifier"):
        shutil.copytree(trained / name, STORED / name, dirs_exist_ok=True)
    shutil.copy(trained / "curves.json", STORED)
    weights = load_file(trained / DENOISER_FILE["unet"])
    for name, weight in weights.items():
        if weight.dim() > 1:
            weights[name] = weight.to(torch.float8_e4m3fn)
    with written_whole(STORED / DENOISER_FILE["unet"]) as partial:
        save_file(weights, partial, metadata={"format": "pt"})


if __name__ == "__main__":
    main()
