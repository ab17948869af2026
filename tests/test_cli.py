"""The command line: what it prints where, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from numba.core.event import trigger_event

from tests.runtime.tiny_models import tiny_llama, tiny_tokenizer
from tokamask.cli import main
from tokamask.cli.first_call import telling_of_compilation

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "A place",
    "properties": {"name": {"type": "string", "maxLength": 5}, "size": {"type": "integer", "minimum": 0}},
    "required": ["name", "size"],
    "additionalProperties": False,
}


@pytest.fixture
def schema_file(tmp_path: Path) -> str:
    path = tmp_path / "place.json"
    path.write_text(json.dumps(SCHEMA, indent=2))
    return str(path)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("model")
    model = deepcopy(tiny_llama())  # the others are asked about theirs
    model.config.max_position_embeddings = 2048  # room for a document that takes a while
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command."""
    code = main(arguments)
    out, err = capsys.readouterr()
    return code, out, err


# generate


def test_generate_prints_the_document_and_says_what_it_cost(
    capsys: pytest.CaptureFixture[str], model_folder: str, schema_file: str
) -> None:
    arguments = ("--schema", schema_file, "--model", model_folder, "--max-tokens", "40", "--seed", "5")
    code, out, err = run(capsys, "generate", "Where?", *arguments)
    assert code == 0
    value = json.loads(out)
    jsonschema.validate(value, SCHEMA)
    assert re.search(r"^\d+ tokens in \d+\.\d+ s \(\d+\.\d tokens/s\), .* ms in masks .*, seed 5$", err, re.MULTILINE)
    assert repr(value["name"]) in err


def test_generate_repeats_itself_with_a_seed(capsys: pytest.CaptureFixture[str], model_folder: str) -> None:
    outputs = [
        run(capsys, "generate", "x", "--regex", "[a-z]{12}", "--model", model_folder, "--seed", seed)[1]
        for seed in ("1", "1", "2")
    ]
    assert outputs[0] == outputs[1] != outputs[2]
    assert re.fullmatch(r"[a-z]{12}\n", outputs[0])


def test_generate_under_each_kind_of_constraint(
    capsys: pytest.CaptureFixture[str], model_folder: str, tmp_path: Path
) -> None:
    lark, gbnf, types = tmp_path / "sum.lark", tmp_path / "sum.gbnf", tmp_path / "json.py"
    lark.write_text('start: "1" ("+" "1")~2\n')
    gbnf.write_text('root ::= "1" "-" "1"\n')
    types.write_text("from typing import Literal\nVerdict = Literal['guilty', 'not guilty']\n")
    cases: list[tuple[str, str, list[Any]]] = [
        ("--grammar", str(lark), ["1+1+1"]),
        ("--grammar", str(gbnf), ["1-1"]),
        ("--choices", "yes,no", ["yes", "no"]),
        ("--schema", f"{types}:Verdict", ["guilty", "not guilty"]),
        ("--schema", '{"const": [1]}', [[1]]),
    ]
    for option, value, expected in cases:
        code, out, _ = run(capsys, "generate", "x", option, value, "--model", model_folder, "--seed", "0")
        assert code == 0
        assert (json.loads(out) if option == "--schema" else out.removesuffix("\n")) in expected


def test_generate_without_the_constraint_shows_the_contrast(
    capsys: pytest.CaptureFixture[str], model_folder: str
) -> None:
    arguments = ("generate", "x", "--regex", "a{3}", "--model", model_folder, "--max-tokens", "8", "--seed", "0")
    assert run(capsys, *arguments)[1] == "aaa\n"
    code, out, err = run(capsys, *arguments, "--no-constraint")
    assert code == 0
    assert out != "aaa\n"
    assert "0.00 ms in masks" in err


def test_generate_reads_the_prompt_from_standard_input(
    capsys: pytest.CaptureFixture[str], model_folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("--regex", "[a-z]{9}", "--model", model_folder, "--temperature", "0")
    monkeypatch.setattr(sys, "stdin", io.StringIO("the whale\n"))
    piped = run(capsys, "generate", *arguments)[1]
    assert piped == run(capsys, "generate", "the whale", *arguments)[1]
    assert piped != run(capsys, "generate", "something else", *arguments)[1]


def test_generate_sends_a_chat_message_where_the_model_has_a_template(
    capsys: pytest.CaptureFixture[str], model_folder: str
) -> None:
    from tokamask import Sampling, generate

    message = [{"role": "user", "content": "the whale"}]
    expected = generate(model_folder, message, regex="[a-z]{9}", sampling=Sampling(temperature=0)).text
    out = run(capsys, "generate", "the whale", "--regex", "[a-z]{9}", "--model", model_folder, "--temperature", "0")[1]
    assert out == expected + "\n"


def test_a_document_that_the_type_refuses_is_an_error(
    capsys: pytest.CaptureFixture[str], model_folder: str, tmp_path: Path
) -> None:
    types = tmp_path / "picky.py"
    types.write_text(
        "from typing import Annotated, Literal\nfrom pydantic import AfterValidator\n"
        "def refuse(value):\n    raise ValueError('never good enough')\n"
        "Picky = Annotated[Literal['a', 'b'], AfterValidator(refuse)]\n"
    )
    code, out, err = run(capsys, "generate", "x", "--schema", f"{types}:Picky", "--model", model_folder)
    assert code == 1
    assert json.loads(out) in ("a", "b")
    assert "rejected" in err
    assert "never good enough" in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["generate", ""], "the prompt is empty"),
        (["generate", "x", "--schema", "no/such.json"], "cannot be read from 'no/such.json': No such file"),
        (["generate", "x", "--schema", "no_such_module:Name"], "module 'no_such_module' cannot be imported"),
        (["generate", "x", "--schema", "json:Decoder"], "no 'Decoder' in 'json'"),
        (["generate", "x", "--schema", "{"], "line 1, column 2"),
        (["generate", "x", "--regex", "("], "tokamask: "),
        (["generate", "x", "--grammar", "no/such.lark"], "--grammar cannot be read from"),
        (["generate", "x", "--temperature", "-1"], "temperature is -1.0"),
        (["generate", "x", "--max-tokens", "0"], "--max-tokens is 0"),
        (["generate", "x", "--seed", "-1"], "seed is -1"),
        (["generate", "x", "--regex", "a", "--think-until", ""], "--think-until is empty"),
        (["generate", "\udcff"], "the prompt is not UTF-8"),
        (["check", "--regex", "a", "\udcff"], "the text is not UTF-8"),
        (["generate", "x", "--think-until", "</think>"], "give one of the constraint options"),
        (["generate", "x", "--model", "/no/such/model"], "no model at '/no/such/model'"),
        (["explain", '{"type": "strnig"}'], "strnig"),
        (["check", "--schema", '{"minLength": -1}', '""'], "minLength"),
    ],
)
def test_arguments_that_cannot_be_used(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = run(capsys, *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("tokamask: ")
    assert message in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["generate", "x", "--schema", "{}", "--regex", "a"],
        ["generate", "x", "--max-tokens", "many"],
        ["check", "text"],
        ["check", "--choice", "a", "--choice", "b", "a"],
        ["dance"],
    ],
)
def test_usage_errors(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: tokamask" in capsys.readouterr().err


def test_a_budget_below_the_shortest_document(
    capsys: pytest.CaptureFixture[str], model_folder: str, schema_file: str
) -> None:
    code, out, err = run(capsys, "generate", "x", "--schema", schema_file, "--model", model_folder, "--max-tokens", "2")
    assert (code, out) == (2, "")
    assert re.search(r"needs \d+ tokens.*max_tokens is 2", err)


# explain


def test_explain_lists_every_keyword(capsys: pytest.CaptureFixture[str], schema_file: str) -> None:
    code, out, err = run(capsys, "explain", schema_file)
    assert (code, err) == (0, "")
    lines = [line.split()[:2] for line in out.splitlines()]
    assert ["annotation", "#/title"] in lines
    assert ["enforced", "#/properties/name/maxLength"] in lines
    assert ["enforced", "#/additionalProperties"] in lines
    assert re.fullmatch(r"\d+ enforced; 1 annotation; 0 refused", out.splitlines()[-1])


def test_explain_says_why_a_keyword_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    refused = '{"type": "object", "properties": {"a": {"type": "string", "pattern": "(a+)\\\\1"}}}'
    code, out, _ = run(capsys, "explain", refused)
    assert code == 1
    (line,) = [line for line in out.splitlines() if line.startswith("refused")]
    assert "#/properties/a/pattern" in line
    assert re.search(r"\(.+\)$", line)


def test_explain_reads_the_draft_that_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    schema = '{"type": "string", "nullable": true}'
    assert "annotation  #/nullable  (a keyword of OpenAPI 3.0 alone" in run(capsys, "explain", schema)[1]
    assert "enforced    #/nullable\n" in run(capsys, "explain", "--draft", "openapi-3.0", schema)[1]


def test_explain_reads_python_types(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "explain", str(Path(__file__).parent.parent / "examples" / "book.py") + ":Book")
    assert code == 0
    assert "#/properties/keywords/maxItems" in out


# check


def test_check_says_yes(capsys: pytest.CaptureFixture[str], schema_file: str, tmp_path: Path) -> None:
    text = tmp_path / "answer.json"
    text.write_text('{"name": "Nan", "size": 3}\n')
    for argument in (str(text), '{"name":"Nan","size":3}'):
        code, out, err = run(capsys, "check", "--schema", schema_file, argument)
        assert (code, err) == (0, "")
        assert out.startswith("yes")


def test_check_shows_where_the_text_leaves(capsys: pytest.CaptureFixture[str], schema_file: str) -> None:
    text = '{"name": "Nan", "size": -3}'
    code, out, _ = run(capsys, "check", "--schema", schema_file, text)
    assert code == 1
    assert "line 1, column 25" in out
    lines = out.splitlines()
    (shown,) = [index for index, line in enumerate(lines) if line.strip() == text]
    assert lines[shown + 1].index("^") - lines[shown].index("{") == text.index("-")
    assert "at '#/size'; expected" in out


def test_check_shows_that_the_text_ends_too_early(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "--regex", "abc", "ab")
    assert code == 1
    assert "column 3" in out


def test_check_reads_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("12\n"))
    assert run(capsys, "check", "--regex", "[0-9]+", "-")[0] == 0


def test_check_of_standard_input_that_is_no_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"\xff"), encoding="utf-8"))
    assert run(capsys, "check", "--regex", "a", "-") == (2, "", "tokamask: standard input is not utf-8\n")


def test_bytes_that_were_carried_along_are_no_text(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the locale names no encoding Python reads everything and escapes what it could not decode."""
    for command in (["check", "--regex", "a", "-"], ["generate"]):
        stdin = io.TextIOWrapper(io.BytesIO(b"a\xff"), encoding="utf-8", errors="surrogateescape")
        monkeypatch.setattr("sys.stdin", stdin)
        assert run(capsys, *command) == (2, "", "tokamask: standard input is not UTF-8\n")


@pytest.mark.parametrize("option", ["--schema", "--grammar"])
def test_a_byte_order_mark_is_no_part_of_a_schema_or_grammar(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, option: str
) -> None:
    file = tmp_path / "file"
    file.write_text({"--schema": '{"type": "integer"}', "--grammar": 'start: "5"'}[option], encoding="utf-8-sig")
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert run(capsys, "check", option, str(file), "5")[0] == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_an_answer_that_cannot_be_written_is_not_the_answer_no() -> None:
    with open("/dev/full", "w") as full:
        command = [sys.executable, "-m", "tokamask", "check", "--regex", "a", "a"]
        finished = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert finished.returncode == 2
    assert finished.stderr.startswith("tokamask: [Errno")
    assert finished.stderr.count("\n") == 1


def test_check_takes_the_last_newline_where_it_belongs_to_the_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "check", "--regex", r"a\n", "a\n")[0] == 0
    assert run(capsys, "check", "--regex", r"a", "a\n")[0] == 0
    assert run(capsys, "check", "--regex", r"a", "a\n\n")[0] == 1


def test_check_of_characters_beyond_ascii_points_at_the_character(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "check", "--regex", "é+x", "ééy")
    assert code == 1
    assert "column 3" in out


# warmup


def test_warmup(capsys: pytest.CaptureFixture[str], model_folder: str) -> None:
    code, out, err = run(capsys, "warmup", "--model", model_folder)
    assert (code, out) == (0, "")
    assert "ready" in err


# the process


def test_compilation_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    with telling_of_compilation():
        assert capsys.readouterr().err == ""
        for _ in range(2):
            with trigger_event("numba:compile"):
                pass
    with trigger_event("numba:compile"):
        pass
    assert capsys.readouterr() == ("", "tokamask: compiling kernels, once on this machine; about a minute\n")

def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert caught.value.code == 0
    assert re.fullmatch(r"tokamask \d+\.\d+\.\d+\S*\n", capsys.readouterr().out)


@pytest.mark.parametrize("command", ["generate", "explain", "check", "warmup"])
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([command, "--help"])
    assert caught.value.code == 0
    assert f"usage: tokamask {command}" in capsys.readouterr().out


@contextmanager
def started(model: str) -> Iterator[subprocess.Popen[str]]:
    """A command that has begun to write a long document, and whose first character was read."""
    arguments = ["generate", "x", "--regex", "[a-z]{1500}", "--model", model, "--max-tokens", "1600"]
    with subprocess.Popen(
        [sys.executable, "-m", "tokamask", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONWARNINGS": ""},
        # Tests that run in the background of a shell ignore interrupts, and their children would, too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(1)
        try:
            yield process
        finally:
            process.kill()


def test_a_reader_that_goes_away_ends_the_command_quietly(model_folder: str) -> None:
    with started(model_folder) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait() == 141
    assert err == ""


def test_an_interrupt_ends_the_command_with_one_line(model_folder: str) -> None:
    with started(model_folder) as process:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
        assert process.returncode == 130
    assert err.strip() == "tokamask: interrupted"
