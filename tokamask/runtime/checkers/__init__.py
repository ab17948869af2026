"""Judges of a text as it grows: what decoding can ask besides the grammar.

A checker holds no vocabulary's worth of answers unless that is cheap; the samplers ask it about the tokens that the
model wants (`runtime/proposal.py`). In reading order: checker (the protocol and its laws), predicates, substring,
grammar_checker, panel (all checkers of a call as one).
"""
