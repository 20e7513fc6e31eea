"""Adds the U-Net of a training with --parts testbed-large (runs/large) to that folder, its matrices in eight bits.

In float16 the whole model is 39 MB, so it is under 30. Any loader of diffusers reads it as float32.
"""

import argparse
import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from update_readme import ROOT

from fia.files import read_json, written_whole
from fia.testbed.folders import DENOISER_FILE, curves_file

STORED = ROOT / "testbed-large"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trained", type=Path, nargs="?", default=ROOT / "runs" / "large", help="the trained folder")
    trained: Path = parser.parse_args().trained
    shutil.copytree(trained / "model", STORED / "model", ignore=shutil.ignore_patterns("vae"), dirs_exist_ok=True)
    weights = load_file(trained / DENOISER_FILE["unet"])
    for name, weight in weights.items():
        if weight.dim() > 1:
            weights[name] = weight.to(torch.float8_e4m3fn)
    with written_whole(STORED / DENOISER_FILE["unet"]) as partial:
        save_file(weights, partial, metadata={"format": "pt"})
    before, added = (read_json(curves_file(folder, "unet")) for folder in (STORED, trained))
    curves_file(STORED, "unet").write_text(json.dumps(before | added))
    for file in STORED.glob("*/**/tokenizer.json"):
        file.write_text(json.dumps(read_json(file), separators=(",", ":")))


if __name__ == "__main__":
    main()
