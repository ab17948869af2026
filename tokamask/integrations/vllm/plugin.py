"""vLLM's entry point: `VLLM_PLUGINS=tokamask` puts tokamask in the place of vLLM's backend "outlines".

vLLM has no register of backends: their names are fixed in its configuration, and each name stands for a module with a
check of requests, run by the front end, and a backend, run by the engine. This takes one of the modules' places, in
every process, before vLLM imports it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from tokamask.integrations.vllm import TESTED_VERSIONS

__all__ = ["register"]

NAME = "tokamask"
PLACE = "vllm.v1.structured_output.backend_outlines"


def register() -> None:
    """Take the place, if the user names this plug-in: vLLM also loads plug-ins that merely are installed.

    Raises:
        ImportError: this vLLM has no such place, or outlines is already in it.
    """
    import vllm
    from vllm import envs

    if NAME not in (envs.VLLM_PLUGINS or ()):
        return
    # Looked for as a file: the packages around it cannot be imported yet.
    if not any(Path(root, *PLACE.split(".")[1:]).with_suffix(".py").is_file() for root in vllm.__path__):
        raise ImportError(f"the plug-in tokamask needs vLLM {TESTED_VERSIONS}: this one has no module {PLACE}")
    ours = import_module("tokamask.integrations.vllm.outlines_place")
    if sys.modules.setdefault(PLACE, ours) is not ours:
        raise ImportError("vLLM has already loaded its outlines backend, in whose place tokamask was to be loaded")
