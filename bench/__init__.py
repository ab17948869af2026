"""The measurements: tokamask beside its peers, on public data, in one run.

Run from a checkout: `python -m bench` makes all of them. README.md says how each number in the docs was made. Nothing
here is imported by the package.
"""
