"""`python -m bench [MEASUREMENT] [OPTIONS]`; without a measurement: all of them, with their defaults."""

from __future__ import annotations

import argparse
import os
import sys

from bench import jsonschemabench
from bench.errors import CannotMeasure
from bench.growth import command as growth
from bench.maskbench import command as maskbench
from bench.start import command as start
from tokamask.errors import TokamaskError

MEASUREMENTS = {"maskbench": maskbench, "growth": growth, "start": start, "jsonschemabench": jsonschemabench}

# Read by the libraries when they are loaded, in the processes of the engines too: every engine works on one thread.
ONE_THREAD = {
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    commands = parser.add_subparsers(metavar="MEASUREMENT")
    for name, measurement in MEASUREMENTS.items():
        described = measurement.__doc__ or ""
        command = commands.add_parser(name, help=described.partition("\n")[0], description=described)
        measurement.add_options(command)
        command.set_defaults(run=measurement.run)
    given = sys.argv[1:] if arguments is None else arguments
    chosen = [given] if given else [[name] for name in MEASUREMENTS]
    os.environ.update(ONE_THREAD)
    try:
        for options in chosen:
            parsed = parser.parse_args(options)
            parsed.run(parsed)
    except (TokamaskError, CannotMeasure) as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; maskbench goes on where it stopped when it is called again", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
