"""Generation: a model's scores and a matcher's masks become documents, and documents become values.

The room knows models (torch; transformers only inside the loader and its adapter) and asks the constraint through
`Matcher` alone. Its loop draws one token per row and step; what a row draws depends on its own request, never on the
batch. In reading order: generate, call, decode, choice, then prompts, healing, constraints, typed_values, model.
"""
