#!/usr/bin/env python3
"""How fast answers come, as callers see it: real questions over HTTP, streamed, greedy; Weir as it is installed and, where
llama-server is on PATH, llama.cpp as it is installed and with its own look-up of guesses (matches of 3 tokens, 8 guesses), in turn.

    tests/bench/runtime/bench_answers.py [options] [MODEL.gguf]

A round starts each server anew and asks every question, one after the other (--clients 4: so many at a time). Printed for each,
medians over the rounds: tokens a second of a stream once it has begun, seconds until it begins, and tokens a second of the
whole. Weir answers with and without guesses (models.chat.speculate) are compared: they are the same, text by text.

The questions are the first user message of each line of --questions ({"messages": […]}), or else every seventh of the shared
self_instruct folder's open instructions; with --behind N, three questions on each of six pieces of our READMEs, some N tokens long.
"""
import argparse
import concurrent.futures
import http.client
import json
import lzma
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "support"))
from weir_process import Weir  # noqa: E402

OPEN_INSTRUCTIONS = HERE.parents[4] / "shared/data/routing/self_instruct/user_oriented_instructions.jsonl.xz"


def shared_questions():
    if not OPEN_INSTRUCTIONS.exists():
        sys.exit(f"{OPEN_INSTRUCTIONS} is not there: give --questions")
    for number, line in enumerate(lzma.open(OPEN_INSTRUCTIONS, "rt", encoding="utf-8")):
        row = json.loads(line)
        given = row["instances"][0]["input"] if row.get("instances") else ""
        if number % 7 == 0:
            yield row["instruction"] + ("\n\n" + given if given else "")


def file_questions(path):
    for line in open(path, encoding="utf-8"):
        yield next(message["content"] for message in json.loads(line)["messages"] if message["role"] == "user")


def document_questions(n_tokens):
    """Of prose a token has some 4 bytes, of our READMEs with their names and figures 3."""
    texts = [(HERE.parents[3] / name / "README.md").read_text(encoding="utf-8") for name in ("runtime", "classifier", ".")]
    for text in texts:
        for at in (0, 3 * n_tokens):
            piece = text[at:at + 3 * n_tokens]
            for question in ("Summarise this text in five sentences.", "List the files that this text names and what each is for.", "What does this text say about tests?"):
                yield f"{piece}\n\n{question}"


def ask(port, question, options):
    """(text, tokens, seconds to the first, seconds in all, tokens of the prompt)"""
    body = {"model": "local", "stream": True, "stream_options": {"include_usage": True}, "temperature": options.temperature, "seed": 1,
            "max_tokens": options.max_tokens, **({"prompt": question} if options.completions else {"messages": [{"role": "user", "content": question}]})}
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    begun, first, text, tokens, prompt = time.monotonic(), None, "", 0, 0
    connection.request("POST", "/v1/completions" if options.completions else "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
    response = connection.getresponse()
    if response.status != 200:
        sys.exit(f"port {port}: {response.status} {response.read()[:500]}")
    for line in response:
        if not line.startswith(b"data: {"):
            continue
        event = json.loads(line[6:])
        for choice in event.get("choices", ()):
            piece = (choice.get("text") if options.completions else choice["delta"].get("content")) or ""
            if piece and first is None:
                first = time.monotonic()
            text += piece
        if event.get("usage"):
            tokens, prompt = event["usage"]["completion_tokens"], event["usage"]["prompt_tokens"]
    end = time.monotonic()
    connection.close()
    return text, tokens, (first or end) - begun, end - begun, prompt


def ask_all(port, questions, options):
    ask(port, "Hi", options)
    begun = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(options.clients) as clients:
        answers = list(clients.map(lambda question: ask(port, question, options), questions))
    took = time.monotonic() - begun
    long = [(tokens, all_s - first_s) for _, tokens, first_s, all_s, _ in answers if tokens > 8]
    return {"stream": sum(tokens - 1 for tokens, _ in long) / sum(seconds for _, seconds in long),
            "first": statistics.median(answer[2] for answer in answers), "whole": sum(answer[1] for answer in answers) / took,
            "texts": [answer[0] for answer in answers], "prompts": [answer[4] for answer in answers]}


def run_weir(questions, options, speculate):
    settings = {"models": {"chat": {"path": str(pathlib.Path(options.model).resolve()), "speculate": speculate}}, "threads": options.threads}
    with tempfile.TemporaryDirectory() as folder, Weir(folder, settings) as weir:
        return ask_all(weir.port, questions, options)


def run_llama(questions, options, *more):
    port = 18981
    server = subprocess.Popen([shutil.which("llama-server"), "-m", options.model, "-t", str(options.threads), "-np", str(options.clients), "-c", str((options.behind + 2048) * options.clients),
                               "--port", str(port), "--host", "127.0.0.1", *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                probe = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                probe.request("GET", "/health")
                if probe.getresponse().status == 200:
                    break
            except OSError:
                pass
            if server.poll() is not None:
                sys.exit("llama-server did not start")
            time.sleep(0.1)
        return ask_all(port, questions, options)
    finally:
        server.kill()
        server.wait()


def main():
    cache = os.environ.get("WEIR_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "weir")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?", default=os.path.join(cache, "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf"))
    parser.add_argument("--questions", help="JSON Lines with messages")
    parser.add_argument("--behind", type=int, default=0, help="tokens of a document before each question")
    parser.add_argument("--completions", action="store_true", help="ask /v1/completions, of a model without a chat template")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--clients", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--max-tokens", type=int, default=200)
    parser.add_argument("--temperature", type=float, default=0)
    options = parser.parse_args()
    questions = list(file_questions(options.questions) if options.questions else document_questions(options.behind) if options.behind else shared_questions())
    rows = {"Weir": lambda: run_weir(questions, options, "lookup"), "Weir, no guesses": lambda: run_weir(questions, options, "off")}
    if shutil.which("llama-server"):
        rows["llama.cpp"] = lambda: run_llama(questions, options)
        rows["llama.cpp, n-grams"] = lambda: run_llama(questions, options, "--spec-type", "ngram-simple", "--spec-ngram-simple-size-n", "3", "--spec-ngram-simple-size-m", "8")
    results = {name: [] for name in rows}
    for _ in range(options.rounds):
        for name, run in rows.items():
            results[name].append(run())
    print(f"{len(questions)} questions of {statistics.mean(results['Weir'][0]['prompts']):.0f} tokens, {options.clients} at a time, temperature {options.temperature}, {options.threads} threads, {options.rounds} rounds")
    base = statistics.median(r["stream"] for r in results["llama.cpp"]) if "llama.cpp" in results else None
    for name, rounds in results.items():
        stream, first, whole = (statistics.median(r[part] for r in rounds) for part in ("stream", "first", "whole"))
        print(f"  {name:24} {stream:8.1f} tokens/s of a stream   begins after {1000 * first:6.1f} ms   {whole:8.1f} tokens/s of the whole"
              + (f"   ratio {stream / base:5.2f}" if base else ""))
    same = all(r["texts"] == results["Weir, no guesses"][0]["texts"] for r in results["Weir"])
    print("  Weir's answers with and without guesses are " + ("the same" if same else "NOT the same"))
    sys.exit(0 if same else 1)


if __name__ == "__main__":
    main()
