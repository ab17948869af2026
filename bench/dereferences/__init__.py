"""Attributes that a model writes, with and without the monitor: do they exist?

Takes dereferences out of the sources of installed packages, lets the demo model write the name after the dot, and has
another engine than the monitor's (basedpyright, which sees the whole file) judge every name.
"""
