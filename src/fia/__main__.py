"""The entry of the command line, also as `python -m fia`."""

import os
import sys


def main() -> int:
    """Runs the command line without the libraries' notes on what they were installed without."""
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    from .cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
