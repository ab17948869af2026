"""Python types as schemas, and documents as values of those types; pydantic reads the types and builds the values."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, get_type_hints

from tokamask.errors import UnsupportedFeature
from tokamask.runtime.partial_json import partial_json

if TYPE_CHECKING:
    from pydantic import TypeAdapter

__all__ = ["JSON_VALUE", "TEXT_VALUE", "ValueReader", "type_schema", "typed_value"]


@dataclass(frozen=True)
class ValueReader:
    """How a document's text becomes the user's value.

    Attributes:
        read: the value of a complete document; raises when the type's own validators refuse it.
        read_partial: the value of an unfinished document, with complete members only (plain JSON data for types, since
            a type's own value would need all of them).
    """

    read: Callable[[str], Any]
    read_partial: Callable[[str], Any]


def _same(text: str) -> str:
    return text


TEXT_VALUE = ValueReader(_same, _same)
JSON_VALUE = ValueReader(json.loads, partial_json)


def typed_value(kind: Any) -> tuple[dict[str, Any], ValueReader]:
    """The schema of a Python type, and the reader that builds its values.

    `kind` is anything that `pydantic.TypeAdapter` takes (models, dataclasses, TypedDict, Enum, Literal, unions,
    list[...], int, datetime, ...), a TypeAdapter, or a function: its value is the dict of its keyword arguments.

    Raises:
        UnsupportedFeature: a type that has no JSON Schema.
    """
    from pydantic import TypeAdapter

    if isinstance(kind, TypeAdapter):
        adapter: TypeAdapter[Any] = kind
    else:
        try:
            adapter = TypeAdapter(_arguments_of(kind) if inspect.isroutine(kind) else kind)
        except Exception as error:  # pydantic raises several unrelated classes here, some of them plain TypeErrors
            raise UnsupportedFeature(f"schema={_name(kind)} cannot be read as a type: {_first_line(error)}") from error
    return type_schema(adapter, _name(kind)), ValueReader(adapter.validate_json, partial_json)


def type_schema(adapter: TypeAdapter[Any], name: str) -> dict[str, Any]:
    """The JSON Schema of the documents from which `adapter` can build a value.

    Two liberties that lose no value of the type: objects hold the declared keys only, unless the type keeps extra ones
    (it would drop them after the model has spent tokens on them), and a union told apart by a discriminator is `anyOf`.
    """
    try:
        schema = adapter.json_schema(mode="validation")
    except Exception as error:
        raise UnsupportedFeature(f"schema={name} has no JSON Schema: {_first_line(error)}") from error
    _close_objects(schema)
    return schema


def _close_objects(node: Any) -> None:
    if isinstance(node, list):
        for item in node:
            _close_objects(item)
    if not isinstance(node, dict):
        return
    # pydantic writes `patternProperties` where all keys must match a pattern.
    if node.get("type") == "object" and ("properties" in node or "patternProperties" in node):
        node.setdefault("additionalProperties", False)
    if isinstance(node.get("oneOf"), list) and isinstance(node.get("discriminator"), dict):
        node["anyOf"] = node.pop("oneOf")
        del node["discriminator"]
    for key, item in node.items():
        if key not in ("const", "default", "enum", "examples"):  # data, not schemas
            _close_objects(item)


def _arguments_of(function: Callable[..., Any]) -> Any:
    """A TypedDict of the function's parameters; those with a default may be left out."""
    from typing_extensions import TypedDict

    hints = get_type_hints(function, include_extras=True)
    fields: dict[str, Any] = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"parameter {name!r} cannot be passed by name")
        hint = hints.get(name, Any)
        fields[name] = hint if parameter.default is parameter.empty else NotRequired[hint]
    return TypedDict(_name(function), fields)  # type: ignore[operator]


def _name(kind: Any) -> str:
    return str(getattr(kind, "__name__", kind))


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
