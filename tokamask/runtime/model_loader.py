"""From what the user passes as `model` to something that generates."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

import torch

from tokamask.errors import ModelError, VocabularyMismatch
from tokamask.masking.compiler import GrammarCompiler
from tokamask.masking.vocabulary import Vocabulary
from tokamask.runtime.model import Model
from tokamask.runtime.transformers_model import TransformersModel, transformers_vocabulary

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["checked_compiler", "load_model", "shared_compiler"]

# Reading a vocabulary takes a moment, and a compiler learns, so both are kept for as long as the user's model lives.
# Neither refers to the model: an entry goes when the model does.
_VOCABULARIES: WeakKeyDictionary[Any, tuple[Any, Vocabulary]] = WeakKeyDictionary()
_COMPILERS: WeakKeyDictionary[Any, GrammarCompiler] = WeakKeyDictionary()


def load_model(model: Any, tokenizer: Any = None) -> Model:
    """A `Model` for anything the user may pass.

    Args:
        model: a `Model`; a loaded transformers model; the path of a model folder or of a .gguf file; a hub name; or
            "demo" (SmolLM2-135M-Instruct).
        tokenizer: for transformers models; None loads the one that lies beside the model.

    Raises:
        ModelError: it cannot be loaded.
    """
    if isinstance(model, torch.nn.Module) and hasattr(model, "config"):
        return _adapt(model, tokenizer if tokenizer is not None else _tokenizer_beside(model))
    if isinstance(model, Model):
        if tokenizer is not None:
            raise TypeError("this model brings its own vocabulary; tokenizer= belongs to transformers models")
        return model
    if isinstance(model, str | Path):
        loaded, own_tokenizer = _load(str(model))
        return _adapt(loaded, own_tokenizer if tokenizer is None else tokenizer)
    raise ModelError(
        f"model is a {type(model).__name__}; pass a transformers model, a path, a hub name, 'demo', or an object with "
        "the attributes of tokamask.runtime.model.Model"
    )


def shared_compiler(model: Model) -> GrammarCompiler:
    """The compiler that all calls with this model and its present vocabulary share."""
    owner = model.transformers_model if isinstance(model, TransformersModel) else model
    compiler = _COMPILERS.get(owner)
    if compiler is None or compiler.vocabulary is not model.vocabulary:
        compiler = _COMPILERS[owner] = GrammarCompiler(model.vocabulary)
    return compiler


def checked_compiler(compiler: GrammarCompiler, vocabulary: Vocabulary) -> GrammarCompiler:
    """The compiler that the user passes for a model of this vocabulary.

    Raises:
        TypeError: it is none.
        VocabularyMismatch: it belongs to another vocabulary.
    """
    if not isinstance(compiler, GrammarCompiler):
        raise TypeError(f"compiler must be a GrammarCompiler, not {type(compiler).__name__}; leave it out to share one")
    if compiler.vocabulary.fingerprint != vocabulary.fingerprint:
        raise VocabularyMismatch("compiler= belongs to another vocabulary than the model's; leave it out to share one")
    return compiler


def _adapt(model: Any, tokenizer: Any) -> TransformersModel:
    known_tokenizer, vocabulary = _VOCABULARIES.get(model, (None, None))
    if vocabulary is None or known_tokenizer is not tokenizer:
        vocabulary = transformers_vocabulary(model, tokenizer)
        _VOCABULARIES[model] = (tokenizer, vocabulary)
    return TransformersModel(model, tokenizer, vocabulary)


def _tokenizer_beside(model: Any) -> PreTrainedTokenizerBase:
    """The tokenizer of a loaded model; the same object every time, for as long as the model lives."""
    if model in _VOCABULARIES:
        return _VOCABULARIES[model][0]  # type: ignore[no-any-return]
    name = getattr(model, "name_or_path", "")
    if not name:
        raise ModelError("the model does not say where it was loaded from; pass its tokenizer as tokenizer=")
    return _load_tokenizer(name)


@lru_cache(maxsize=1)
def _load(name: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load by path or name; the last one stays, so that repeated calls with a name load once."""
    if name == "demo":
        from tokamask.runtime.demo import load_demo

        return load_demo()
    path = Path(name).expanduser()
    if not path.exists() and (path.is_absolute() or name.startswith((".", "~")) or path.suffix == ".gguf"):
        raise ModelError(f"there is no model at {name!r}: no such file or folder")
    from transformers import AutoModelForCausalLM

    from tokamask.runtime.demo import unpacking

    try:
        if path.suffix == ".gguf":
            model = AutoModelForCausalLM.from_pretrained(
                str(path.parent),
                gguf_file=path.name,
                dtype=torch.float32,  # the fastest on a CPU once the weights are unpacked
                **unpacking(),
            )
            return model, _load_tokenizer(str(path.parent), gguf_file=path.name)
        model = AutoModelForCausalLM.from_pretrained(str(path) if path.exists() else name, dtype="auto")
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ModelError(
            f"the model {name!r} cannot be loaded as a folder, a .gguf file or a hub name: {error}"
        ) from error
    return model, _load_tokenizer(str(path) if path.exists() else name)


def _load_tokenizer(name: str, **options: Any) -> PreTrainedTokenizerBase:
    from transformers import AutoTokenizer

    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(name, **options)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise ModelError(f"the tokenizer of {name!r} cannot be loaded; pass it as tokenizer=: {error}") from error
    return tokenizer
