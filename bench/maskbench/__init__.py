"""MaskBench: real schemas with valid and invalid instances, each followed token by token under every engine.

The data and the way to write instances are those of https://github.com/guidance-ai/jsonschemabench (MIT).
"""
