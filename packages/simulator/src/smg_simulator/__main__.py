"""`python -m smg_simulator`."""

import sys

from smg_simulator.cli import main

__all__ = ("main",)

if __name__ == "__main__":
    sys.exit(main())
