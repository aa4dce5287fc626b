"""`python -m smg_gateway` is the `smg` command."""

import sys

from smg_gateway.cli import main

if __name__ == "__main__":
    sys.exit(main())
