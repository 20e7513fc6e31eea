"""Puts the picture and the numbers of the last `make demo` into docs/ and the README."""

import json
import re
import shutil
from pathlib import Path

from fia.testbed.demo import SCORE_LABELS, alone_summary

ROOT = Path(__file__).parent.parent
DEMO = ROOT / "runs" / "demo"


def results_table(result: dict) -> str:
    """Returns the demonstration's numbers as a Markdown table with a line on what was pruned."""
    lines = ["| percent | untouched | FIA | random mask of equal size |", "|---|---|---|---|"]
    for key, label in SCORE_LABELS.items():
        values = (f"{state[key]:.1f}" for state in (result["base"], result, result["random"]))
        lines.append(f"| {label} | {' | '.join(values)} |")
    settings = result["settings"]
    lines += [
        "",
        f"Pruned: {result['pruned_connections']:,} connections, {result['sparsity']:.1%} of the maskable layers and "
        f"{result['denoiser_sparsity']:.2%} of the U-Net (r2 = {settings['spatial_ratio']:.1%}, "
        f"r1 = {settings['temporal_ratio']:.0%}, "
        f"alpha = {settings['agnostic_ratio']:g}), found in {result['seconds_per_concept']:.1f} s a concept "
        f"({result['device']}). {result['images']} images a column, drawn in "
        f"{result['evaluation']['num_inference_steps']} steps; after removal, images are bit-identical again.",
        "",
        alone_summary(result["alone"]),
    ]
    return "\n".join(lines)


def main() -> None:
    result = json.loads((DEMO / "result.json").read_text())
    if not result["bit_identical_after_removal"]:
        raise SystemExit("The demonstration's images were not bit-identical after removal; not publishing that.")
    shutil.copy(DEMO / "comparison.png", ROOT / "docs" / "comparison.png")
    readme = ROOT / "README.md"
    block = f"<!-- results -->\n{results_table(result)}\n<!-- /results -->"
    if "<!-- results -->" not in readme.read_text():
        raise SystemExit("README.md has no place for the results.")
    text = re.sub(r"<!-- results -->.*<!-- /results -->", lambda _: block, readme.read_text(), flags=re.DOTALL)
    readme.write_text(text)


if __name__ == "__main__":
    main()
