"""`python -m tokamask`: the command line."""

import sys

from tokamask.cli import main

if __name__ == "__main__":
    sys.exit(main())
