"""Strongly connected components of "mentions" between rules, callees first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

__all__ = ["strong_components"]


def strong_components(successors: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The components of the graph; a component comes after all it leads to, its members in the order of `successors`.

    Tarjan's algorithm (1972) with an explicit stack: chains of rules may be longer than Python's own.
    """
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    on_stack: dict[str, None] = {}
    components: list[list[str]] = []
    position = {name: index for index, name in enumerate(successors)}
    for root in successors:
        if root in order:
            continue
        path: list[tuple[str, Iterator[str]]] = []
        _open(root, successors, order, lowest, on_stack, path)
        while path:
            name, rest = path[-1]
            for successor in rest:
                if successor not in order:
                    _open(successor, successors, order, lowest, on_stack, path)
                    break
                if successor in on_stack:
                    lowest[name] = min(lowest[name], order[successor])
            else:
                path.pop()
                if path:
                    parent = path[-1][0]
                    lowest[parent] = min(lowest[parent], lowest[name])
                if lowest[name] == order[name]:
                    component = []
                    while True:
                        member, _ = on_stack.popitem()
                        component.append(member)
                        if member == name:
                            break
                    components.append(sorted(component, key=position.__getitem__))
    return components


def _open(
    name: str,
    successors: Mapping[str, Iterable[str]],
    order: dict[str, int],
    lowest: dict[str, int],
    on_stack: dict[str, None],
    path: list[tuple[str, Iterator[str]]],
) -> None:
    order[name] = lowest[name] = len(order)
    on_stack[name] = None
    path.append((name, iter(successors[name])))
