"""The program that answers questions about Python with jedi; engine_process says how it is spoken to.

    python jedi_engine.py [--project DIR] [--path FILE]

It runs by itself and imports nothing of tokamask: it starts quickly, and whatever jedi does to it ends it alone.

jedi infers what a receiver can be and leaves out what it cannot infer. Its answer counts as exhaustive only if nothing
speaks against it: `_doubt` knows the reasons why a receiver can have other attributes. What it cannot see are branches
that jedi could not follow, so "exhaustive" is as far as one engine can tell.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import jedi

__all__ = ["Engine", "main"]

_OF_EVERY_OBJECT = frozenset(dir(object)) | {"__annotations__", "__dict__", "__module__", "__slots__"}
_OF_NONE = _OF_EVERY_OBJECT | frozenset(dir(None))

# What jedi says of the items of an iterable where it cannot say what they are.
_ITERABLES = frozenset(f"typing.{name}" for name in ("Iterable", "Iterator", "Generator", "AsyncIterator", "Awaitable"))

MAX_BASES = 64
"""Classes that are looked at for bases which are not known."""


class Engine:
    """jedi for one project.

    Args:
        project: the folder from which modules can be imported, beside the installed ones; None: only those.
        path: the file that the code is in, for relative imports.
    """

    def __init__(self, project: str | None, path: str | None) -> None:
        # What calls pass to a function is not all that it can be given.
        jedi.settings.dynamic_params = False
        self._project = jedi.Project(os.devnull, smart_sys_path=False) if project is None else jedi.Project(project)
        self._environment = jedi.InterpreterEnvironment()
        self._path = path

    def answer(self, before: str, after: str) -> dict[str, Any]:
        """The names that may follow the dot at the end of `before`."""
        script = jedi.Script(before + after, path=self._path, project=self._project, environment=self._environment)
        line = before.count("\n") + 1
        column = len(before) - (before.rfind("\n") + 1)
        completions = script.complete(line, column)
        names = sorted({completion.name for completion in completions if completion.name.isidentifier()})
        if _OF_NONE.issuperset(names):
            reason = "only what every object has" if names else "the receiver is not known"
            return {"names": [], "exhaustive": False, "reason": reason}
        doubt = _doubt(script, line, column, completions)
        return {"names": names, "exhaustive": not doubt, "reason": doubt}


def _doubt(script: Any, line: int, column: int, completions: Sequence[Any]) -> str:
    """Why the receiver before the dot at (line, column - 1) may have more attributes than these; empty: it has not."""
    receivers = script.infer(line, column - 1)
    if not receivers:
        return "the receiver's type is not known"
    for completion in completions:
        if completion.name == "__getattr__":
            return "it has a __getattr__"
        if completion.name == "__getattribute__" and not (completion.full_name or "").startswith("builtins."):
            return "it has a __getattribute__ of its own"
    around = {(scope.line, scope.full_name) for scope in _scopes(script, line, column) if scope.type == "class"}
    for receiver in receivers:
        if receiver.type not in ("instance", "class", "module"):
            return f"it is a {receiver.type}"  # functions take any attribute; a namespace has parts elsewhere
        if (receiver.line, receiver.full_name) in around:
            return "its class is still being written"
        if receiver.full_name in _ITERABLES:
            return "it may be an item of an iterable"
        if receiver.type != "module" and not _bases_are_known(receiver):
            return "a base class is not known"
    names = frozenset(completion.name for completion in completions)
    for receiver in script.infer(line, column - 1, prefer_stubs=True):  # annotations are there
        if receiver.type == "instance" and _may_be_of_subclass(receiver, names):
            return "it may be of a subclass"
    if any(_is_bare_parameter(name) for name in script.goto(line, column - 1)):
        return "it is a parameter without annotation"
    return ""


def _scopes(script: Any, line: int, column: int) -> Iterator[Any]:
    """The function, class and module around a place, innermost first."""
    scope = script.get_context(line, column)
    while scope is not None:
        yield scope
        scope = scope.parent()


# jedi's public interface says neither how a parameter was declared nor what a class inherits from. Where a version
# keeps these things elsewhere, the answers below are those that forbid nothing.


def _is_bare_parameter(name: Any) -> bool:
    if name.type != "param":
        return False
    try:
        declaration = name._name.tree_name.search_ancestor("param")
        return declaration.annotation is None and declaration.star_count == 0
    except AttributeError:
        return True


def _bases_are_known(receiver: Any) -> bool:
    try:
        pending = [value if value.is_class() else value.py__class__() for value in receiver._name.infer()]
        seen: list[Any] = []
        while pending:
            looked_at = pending.pop()
            if looked_at in seen:
                continue
            seen.append(looked_at)
            for base in looked_at.py__bases__():
                values = base.infer() if hasattr(base, "infer") else [base]
                if not values or len(seen) > MAX_BASES:
                    return False
                pending += values
    except AttributeError:
        return False
    return True


def _may_be_of_subclass(receiver: Any, names: frozenset[str]) -> bool:
    """jedi takes `Self` for the class that a method is written in, even where it is inherited.

    So `Path("a") / "b"` becomes a PurePath. Where a class has such methods, and a subclass beside it has further
    attributes, an instance may be one of the subclass.
    """
    try:
        for value in receiver._name.infer():
            class_node = getattr(value.py__class__(), "tree_node", None)
            if class_node is None or not any(_returns_self(method) for method in class_node.iter_funcdefs()):
                continue
            for subclass in class_node.get_root_node().iter_classdefs():
                bases = subclass.get_super_arglist()
                is_derived = bases is not None and class_node.name.value in bases.get_code().replace(",", " ").split()
                if is_derived and not names.issuperset(_names_defined_in(subclass)):
                    return True
    except AttributeError:
        return True
    return False


def _returns_self(method: Any) -> bool:
    return method.annotation is not None and "Self" in method.annotation.get_code()


def _names_defined_in(class_node: Any) -> Iterator[str]:
    for method in class_node.iter_funcdefs():
        yield method.name.value
    for line in class_node.get_suite().children:
        for statement in getattr(line, "children", ()):
            if statement.type == "expr_stmt":
                for name in statement.get_defined_names():
                    yield name.value


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--project")
    parser.add_argument("--path")
    given = parser.parse_args(arguments)
    # Whatever else prints in this process, answers are alone on their line.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    questions = os.fdopen(sys.stdin.fileno(), "r", encoding="utf-8", closefd=False)

    engine = Engine(given.project, given.path)
    engine.answer("''.", "")  # reads the builtins, which every question needs
    print("ready", file=answers, flush=True)
    for line in questions:
        question = json.loads(line)
        try:
            answer = engine.answer(question["before"], question["after"])
        except Exception as failure:  # a defect of the engine is an answer that it does not have
            reason = f"jedi failed ({type(failure).__name__}: {failure})"
            answer = {"names": [], "exhaustive": False, "reason": reason}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
