"""JSON Schema -> `JsonShapes`: references, combinations and drafts resolved, what has no value removed.

A schema object at its place is an *obligation*; a *node* is a set of obligations on one value. Keywords become
*demands* on the values of one type, and combinations of schemas *formulas* over nodes; each has the values that meet it
and, where something negates it, those that do not, as disjunctions of demands. Demands become forms, whose names and
items are sorted out, then outlines, whose children have numbers, then shapes, with only what can be satisfied. What
cannot be enforced exactly is refused at its JSON pointer. Knows no tokens and spells no value: that is the
recogniser's part.
"""
