"""JSON Schema -> `JsonShapes`: references, combinations and drafts resolved, what has no value removed.

A schema object at its place is an *obligation*; a *node* is a set of obligations on one value. Keywords become
*demands* on the values of one type, demands become shapes, and only what can be satisfied is kept. What cannot be
enforced exactly is refused at its JSON pointer. Knows no tokens and spells no value: that is the recogniser's part.
"""
