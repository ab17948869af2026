"""vLLM with tokamask, in one of the ways in which they meet; `make test-vllm` runs them all.

    python -m tests.hosts.run_vllm scheduler | plugin | processor | server

Every answer is judged without tokamask (see cases.py). The exit code is 1 if any was wrong.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import Any

from tests.hosts.cases import ANY_OBJECT, CASES, INVALID, RECURSIVE, Case, Report
from tokamask.runtime.demo import fetch_demo

ENGINE = {"max_model_len": 512, "max_num_seqs": 4, "enforce_eager": True}
FREE = "Say hello to the people of the town in a few friendly words."
MAX_TOKENS = 200
OUTLINES_PLACE = {"backend": "outlines"}
DRAFTS = {"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_min": 1, "prompt_lookup_max": 4}


def engine(**options: Any) -> Any:
    from vllm import LLM

    return LLM(model=str(fetch_demo()), **ENGINE, **options)


def chat(llm: Any, prompts: list[str], params: list[Any]) -> list[Any]:
    messages = [[{"role": "user", "content": prompt}] for prompt in prompts]
    return [output.outputs[0] for output in llm.chat(messages, params, use_tqdm=False)]


def with_backend(llm: Any, report: Report) -> None:
    """All kinds of requests in one batch, free ones between them, greedy and sampled."""
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    for temperature in (0.0, 0.7):
        params, prompts = [], []
        for case in [*CASES, ANY_OBJECT]:
            wanted = StructuredOutputsParams(**{case.kind: case.value})
            asked = SamplingParams(temperature=temperature, max_tokens=MAX_TOKENS, structured_outputs=wanted, seed=1)
            params += [asked, SamplingParams(temperature=0, max_tokens=12)]
            prompts += [case.prompt, FREE]
        outputs = chat(llm, prompts, params)
        for case, output in zip([*CASES, ANY_OBJECT], outputs[::2], strict=True):
            report.judge(case, output.text)
        free = {output.text for output in outputs[1::2]}
        report.line(all(text.strip() for text in free), "free rows between them", repr(sorted(free)[0]))


def scheduler() -> int:
    from vllm import SamplingParams
    from vllm.sampling_params import StructuredOutputsParams

    report = Report("offline, scheduler class")
    llm = engine(scheduler_cls="tokamask.integrations.vllm.Scheduler")
    with_backend(llm, report)
    # The front end is vLLM's own here, and it lets this pass.
    empty = StructuredOutputsParams(json={"type": "integer", "enum": ["a"]})
    wanted = StructuredOutputsParams(regex=CASES[2].value)
    refused, good = chat(
        llm,
        [FREE, CASES[2].prompt],
        [SamplingParams(temperature=0, max_tokens=MAX_TOKENS, structured_outputs=each) for each in (empty, wanted)],
    )
    report.line(refused.finish_reason == "error", "nothing satisfies it", f"finish_reason is {refused.finish_reason}")
    report.judge(CASES[2], good.text)
    return report.failures


def plugin() -> int:
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError
    from vllm.sampling_params import StructuredOutputsParams

    report = Report("offline, plug-in, drafts from n-grams of the prompt")
    llm = engine(structured_outputs_config=OUTLINES_PLACE, speculative_config=DRAFTS, disable_log_stats=False)
    with_backend(llm, report)
    example = '{"title": "Moby Dick", "year": 1851, "genres": ["fiction"]}'
    prompt = f"Repeat this JSON, then repeat it again: {example} {example} {example}"
    wanted = StructuredOutputsParams(json=CASES[0].value)
    (output,) = chat(llm, [prompt], [SamplingParams(temperature=0, max_tokens=MAX_TOKENS, structured_outputs=wanted)])
    report.judge(CASES[0], output.text)
    drafted = {
        metric.name: metric.value
        for metric in llm.get_metrics()
        if metric.name in ("vllm:spec_decode_num_draft_tokens", "vllm:spec_decode_num_accepted_tokens")
    }
    report.line(min(drafted.values(), default=0) > 0, "drafts", str(drafted))
    for name, asked, said in INVALID:
        try:
            chat(llm, [FREE], [SamplingParams(max_tokens=5, structured_outputs=StructuredOutputsParams(**asked))])
        except VLLMValidationError as error:
            report.line(said in str(error), name, str(error).splitlines()[0])
        else:
            report.line(False, name, "was not refused")
    return report.failures


def processor() -> int:
    from vllm import SamplingParams
    from vllm.exceptions import VLLMValidationError

    report = Report("offline, logits processor, documents that end within max_tokens")
    llm = engine(logits_processors=["tokamask.integrations.vllm:GrammarLogitsProcessor"])
    names = {"json": "tokamask_schema", "regex": "tokamask_regex", "choice": "tokamask_choices"}
    for max_tokens in (MAX_TOKENS, 50):
        params, prompts = [], []
        for case in [*CASES, RECURSIVE]:
            asked = {names.get(case.kind, "tokamask_grammar"): case.value}
            params += [SamplingParams(temperature=1, seed=2, max_tokens=max_tokens, extra_args=asked)]
            params += [SamplingParams(temperature=0, max_tokens=12)]
            prompts += [case.prompt, FREE]
        outputs = chat(llm, prompts, params)
        for case, output in zip([*CASES, RECURSIVE], outputs[::2], strict=True):
            report.judge(case, output.text)
            if output.finish_reason != "stop":
                report.line(False, case.name, f"finish_reason is {output.finish_reason}")
        report.line(all(output.text.strip() for output in outputs[1::2]), "free rows between them", "12 tokens each")
    for refused in ({"tokamask_schema": {"type": "text"}}, {"tokamask_regex": "("}, {"tokamask_shema": "{}"}):
        try:
            chat(llm, [FREE], [SamplingParams(max_tokens=5, extra_args=refused)])
        except VLLMValidationError as error:
            report.line(True, f"refused {refused}", str(error).splitlines()[0])
        else:
            report.line(False, f"refused {refused}", "was not refused")
    return report.failures


def server() -> int:
    report = Report("HTTP server, plug-in")
    with served() as address:
        completion = partial(completion_at, address)
        # More requests than the server has rows, so that they meet in batches.
        asked: list[tuple[Case | None, Callable[[], str]]] = []
        for case in CASES:
            asked += [(case, partial(completion, case.prompt, structured_outputs={case.kind: case.value}))]
            asked += [(None, partial(completion, FREE, max_tokens=12))]
        book = {"type": "json_schema", "json_schema": {"name": "book", "schema": CASES[0].value}}
        asked += [(CASES[0], partial(completion, CASES[0].prompt, response_format=book, temperature=0.7))]
        asked += [(CASES[0], partial(completion, CASES[0].prompt, response_format=book, stream=True))]
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda request: request[1](), asked))
        for (wanted, _), text in zip(asked, answers, strict=True):
            if wanted is None:
                report.line(bool(text.strip()), "free", repr(text))
            else:
                report.judge(wanted, text)
        report.judge(ANY_OBJECT, completion(ANY_OBJECT.prompt, response_format={"type": "json_object"}))
        for name, wrong, said in INVALID:
            status, answer = post(address, {"structured_outputs": wrong, **conversation(FREE), "max_tokens": 5})
            message = answer["error"]["message"]
            report.line(status == 400 and said in message, f"{status} for {name}", message.splitlines()[0])
        report.judge(CASES[2], completion(CASES[2].prompt, structured_outputs={"regex": CASES[2].value}))
        with urllib.request.urlopen(f"{address}/health") as health:
            report.line(health.status == 200, "the server is alive", f"/health: {health.status}")
    return report.failures


@contextmanager
def served() -> Iterator[str]:
    """The address of vLLM's OpenAI server, up and ready; stopped afterwards."""
    port = _free_port()
    flags = ["--max-model-len=512", "--max-num-seqs=4", "--enforce-eager", f"--port={port}", "--host=127.0.0.1"]
    flags += ["--uvicorn-log-level=warning"]
    flags += [f"--model={fetch_demo()}", "--served-model-name=demo"]
    flags += [f"--structured-outputs-config={json.dumps(OUTLINES_PLACE)}"]
    command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *flags]
    address = f"http://127.0.0.1:{port}"
    with subprocess.Popen(command) as process:
        try:
            _wait_until_ready(process, address)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def _wait_until_ready(process: subprocess.Popen[bytes], address: str) -> None:
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError("the server did not start")
        try:
            with urllib.request.urlopen(f"{address}/health"):
                return
        except OSError:
            time.sleep(1)
    raise RuntimeError("the server was not ready after ten minutes")


def conversation(prompt: str) -> dict[str, Any]:
    return {"model": "demo", "messages": [{"role": "user", "content": prompt}]}


def completion_at(address: str, prompt: str, stream: bool = False, **options: Any) -> str:
    """The text of an answer, which must have come with status 200."""
    body = {"temperature": 0.0, "max_tokens": MAX_TOKENS, "stream": stream, **conversation(prompt), **options}
    status, answer = post(address, body)
    assert status == 200, answer
    return str(answer) if stream else str(answer["choices"][0]["message"]["content"])


def post(address: str, body: dict[str, Any]) -> tuple[int, Any]:
    """Status and JSON of an answer; the joined text of one that is streamed."""
    url = f"{address}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request) as response:
            text = response.read().decode()
            if not body.get("stream"):
                return response.status, json.loads(text)
            events = [line[6:] for line in text.splitlines() if line.startswith("data: {")]
            return response.status, "".join(json.loads(event)["choices"][0]["delta"]["content"] for event in events)
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


PARTS: dict[str, Callable[[], int]] = {
    "scheduler": scheduler,
    "plugin": plugin,
    "processor": processor,
    "server": server,
}

if __name__ == "__main__":  # vLLM starts processes that import this file
    part = sys.argv[1]
    defaults = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "VLLM_LOGGING_LEVEL": "ERROR"}
    os.environ.update({**defaults, "HF_HUB_OFFLINE": "1", "DO_NOT_TRACK": "1"})
    if part in ("plugin", "server"):
        os.environ["VLLM_PLUGINS"] = "tokamask"
    sys.exit(1 if PARTS[part]() else 0)
