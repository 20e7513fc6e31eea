"""Measures how fast the command line answers, compared with an empty Python: medians of one run, and their ratio.

python benchmarks/startup.py [repeats]
"""

import argparse
import subprocess
import sys
import time
from statistics import median

PYTHON = [sys.executable, "-c", "pass"]
COMMANDS = {"fia --version": ["--version"], "fia --help": ["--help"]}


def measure(repeats: int) -> dict[str, float]:
    """Returns the median seconds of every command, and of an empty Python under "python".

    Args:
        repeats: number of runs of each command. The commands take turns, so that a busy moment affects all of them.
    """
    commands = {"python": PYTHON} | {name: [sys.executable, "-m", "fia", *own] for name, own in COMMANDS.items()}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for command in commands.values():  # the first run reads the files from disk and compiles them if needed
        subprocess.run(command, check=True, capture_output=True)
    for _ in range(repeats):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            seconds[name].append(time.perf_counter() - started)
    return {name: median(own) for name, own in seconds.items()}


def main() -> None:
    """Prints a line for each command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repeats", type=int, nargs="?", default=15, help="how often to run each command")
    medians = measure(parser.parse_args().repeats)
    for name, seconds in medians.items():
        label = "python -c pass" if name == "python" else name
        print(f"{label:<16}{1000 * seconds:>6.0f} ms{seconds / medians['python']:>7.1f} x")


if __name__ == "__main__":
    main()
