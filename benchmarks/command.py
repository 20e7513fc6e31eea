"""The command line of benchmarks that measure in a folder and write a page of docs/."""

import argparse
from pathlib import Path


def folder_given(description: str | None) -> Path | None:
    """Returns the folder of the command line. None if there is none: then the page is written again, and no more."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", help="where to measure; without it, only the page is written")
    folder: Path | None = parser.parse_args().folder
    return folder
