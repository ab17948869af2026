"""Monitors: checkers that ask a static analysis what may be written next (monitor-guided decoding).

A monitor is a byte automaton around an engine that knows a language and a project. It waits; where the text reaches a
trigger, the engine is asked once, and its answer confines the text until the next boundary. An answer that is not
certain to be complete never forbids anything. Engines run in processes of their own, under a time limit: generation
never waits for a hung one. In reading order: python_dereferences, python_lexer, suggestions, name_masks,
engine_process, jedi_engine.
"""
