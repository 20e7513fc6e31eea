"""The entry of the command line, also as `python -m fia`."""

import sys

INTERRUPTED = 130


def main() -> int:
    """Runs the command line; an interruption while its own modules load ends it, too."""
    try:
        from .cli import main as run

        return run()
    except KeyboardInterrupt:
        print("fia: interrupted.", file=sys.stderr)
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
