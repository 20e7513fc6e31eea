"""Writes the results of `benchmarks/engine.py` into docs/engine.md."""

import argparse
import json
from typing import Any

from update_readme import DOCS, put

from fia import Settings
from fia.settings import UNION


def row(*cells: object) -> str:
    """Returns a line of a Markdown table."""
    return f"| {' | '.join(map(str, cells))} |"


def ratios(results: dict[str, Any]) -> list[str]:
    """Returns the table that compares finding with the bare denoising and with the plain way."""
    lines = [row("finding, beside", "model", "concepts, prompts, steps", "ratio", "turns"), f"|{'---|' * 5}"]
    for name, found in results.items():
        if name.startswith("overhead"):
            spread = (
                f"{found['ratios'][0]:.2f} to {found['ratios'][-1]:.2f}" if len(found["ratios"]) > 1 else "one turn"
            )
            size = f"{found['concepts']}, {found['prompts']}, {found['steps']}"
            what = "the bare denoising" + (", with statistics" if found.get("edit") == "rewrite" else "")
            lines.append(row(what, found["model"], size, f"{found['ratio']:.2f}", spread))
    for name, found in results.items():
        if name.startswith("sequential"):
            note = f"one turn; {found['shared']:.2%} of the neurons are the same"
            lines.append(row("the plain way", found["model"], "10, 5, 10", f"1 / {found['ratio']:.1f}", note))
    return lines


def memory(results: dict[str, Any]) -> list[str]:
    """Returns the table of the memory of finding beyond the bare denoising, in copies of the maskable weights."""
    lines = [
        row(
            "concepts", "prompts each", "steps", "beyond the bare denoising, in float32 copies of the maskable weights"
        ),
        "|---|---|---|---|",
    ]
    for name, found in results.items():
        if name.startswith("memory") and name.endswith("find"):
            _, concepts, prompts, steps, _ = name.split()
            bare = results[name.removesuffix("find") + "denoise"]
            lines.append(row(concepts, prompts, steps, f"{found['copies'] - bare['copies']:.1f}"))
    return lines


def scaling(results: dict[str, Any]) -> list[str]:
    """Returns the table of time and memory over the number of concepts."""
    found = {int(name.split()[1]): value for name, value in results.items() if name.startswith("scaling")}
    lines = [row("concepts", "time, of one concept's", "memory, MB"), "|---|---|---|"]
    for concepts, value in found.items():
        times = value["seconds"] / found[1]["seconds"]
        lines.append(row(concepts, f"{times:.1f}", f"{value['bytes'] / 1e6:.0f}"))
    return lines


def rewriting(results: dict[str, Any]) -> list[str]:
    """Returns the table of what it costs to rewrite: solving, switching, and the file."""
    lines = [
        row("concepts", "free connections", "solving, s", "switching on and off, s", "file, MB a concept"),
        f"|{'---|' * 5}",
    ]
    for name, found in results.items():
        if name.startswith("rewriting"):
            concepts = int(name.split()[1])
            size = f"{found['bytes'] / 1e6 / concepts:.1f}"
            free = f"{100 * found['free']:.0f} %"
            lines.append(row(concepts, free, f"{found['solving']:.0f}", f"{found['switching']:.2f}", size))
    return lines


def main() -> None:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    content = json.loads((DOCS / "engine.json").read_text(encoding="utf-8"))
    results, environment = content["results"], content["environment"]
    masks = results["masks"]
    versions = ", ".join(f"{name} {version}" for name, version in environment["versions"].items())
    parts = [
        f"On {environment['device']}, {content['threads']} threads ({versions}).",
        "\n".join(ratios(results)),
        "Peak memory at the size of Stable Diffusion 1.5 (16 layers, 49.6 million connections), five concepts at once:",
        "\n".join(memory(results)),
        "New values at the size of Stable Diffusion 1.5 (32 layers); each concept has "
        f"{Settings().resolved(UNION).spatial_ratio:.0%} of every layer at random:",
        "\n".join(rewriting(results)),
        "Time and memory for more concepts, on the embedded model, five at once:",
        "\n".join(scaling(results)),
        f"At the size of Stable Diffusion 1.5, fusing 50 concepts of 1 % of each layer takes {masks['fusing']:.2f} s, "
        f"applying ten of them {masks['applying']:.2f} s and removing them {masks['removing']:.2f} s. Generating "
        f"images with a mask takes {masks['drawing']['ratio']:.2f} times as long as without (embedded model, median of "
        f"{len(masks['drawing']['ratios'])} turns).",
    ]
    put("\n\n".join(parts), "engine", DOCS / "engine.md")


if __name__ == "__main__":
    main()
