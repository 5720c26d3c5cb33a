#!/usr/bin/env python3
"""Tokens per second of `weir bench` and, where llama-bench is on PATH, of llama.cpp on the same file, in turn.

    tests/bench/runtime/bench_models.py [--weir build/release/weir] [--threads 2] [--rounds 3] [MODEL.gguf …]

Prints medians over the rounds and their ratios for prefill of 32, 128 and 512 tokens and decode of 128, and beside them
what the machine allows: read bandwidth over as many bytes as the file has (numpy, all threads), which bounds decode, as a
share. Without a MODEL the pulled default is used. Neither program runs while the other does; rounds alternate.
"""
import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time

PROMPTS = (32, 128, 512)
DECODE = 128


def run_json(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def weir(binary, model, threads):
    rates = {}
    for n in PROMPTS:
        gen = DECODE if n == PROMPTS[0] else 2
        out = run_json([binary, "bench", "--model", model, "--threads", str(threads), "--prompt", str(n), "--gen", str(gen), "--json"])
        rates[f"prefill {n}"] = out["prefill_tps"]
        if n == PROMPTS[0]:
            rates[f"decode {DECODE}"] = out["decode_tps"]
            rates["load ms"] = out["load_ms"]
    return rates


def llama(binary, model, threads):
    command = [binary, "-m", model, "-t", str(threads), "-r", "5", "-o", "json", "-n", str(DECODE), "-p", ",".join(map(str, PROMPTS))]
    rates = {}
    for row in run_json(command):
        rates[f"prefill {row['n_prompt']}" if row["n_prompt"] else f"decode {row['n_gen']}"] = row["avg_ts"]
    return rates


def read_bandwidth(n_bytes, threads):
    """GB/s of summing n_bytes, best of five; None without numpy."""
    try:
        import numpy
    except ImportError:
        return None
    data = numpy.ones(max(n_bytes // 8, threads), dtype=numpy.int64)
    parts = numpy.array_split(data, threads)
    best = 0.0
    for _ in range(5):
        workers = [threading.Thread(target=part.sum) for part in parts]
        begun = time.perf_counter()
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        best = max(best, data.nbytes / (time.perf_counter() - begun) / 1e9)
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--weir", default="build/release/weir")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cache = os.environ.get("WEIR_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "weir")
    models = options.models or [os.path.join(cache, "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf")]
    rival = shutil.which("llama-bench")
    if rival is None:
        print("llama-bench is not on PATH: Weir alone")
    for model in models:
        ours, theirs = [], []
        for _ in range(options.rounds):
            ours.append(weir(options.weir, model, options.threads))
            if rival is not None:
                theirs.append(llama(rival, model, options.threads))
        size = os.path.getsize(model)
        print(f"\n{os.path.basename(model)} ({size / 1e6:.0f} MB), {options.threads} threads, {options.rounds} rounds")
        for name in ours[0]:
            mine = statistics.median(rates[name] for rates in ours)
            line = f"  {name:12} {mine:10.1f}"
            if theirs and name in theirs[0]:
                other = statistics.median(rates[name] for rates in theirs)
                line += f"   llama.cpp {other:10.1f}   ratio {mine / other:5.2f}"
            print(line)
        bandwidth = read_bandwidth(size, options.threads)
        if bandwidth is not None:
            rate = statistics.median(rates[f"decode {DECODE}"] for rates in ours)
            print(f"  read bandwidth {bandwidth:.1f} GB/s: decode reads at {100 * rate * size / 1e9 / bandwidth:.0f} % of it")


if __name__ == "__main__":
    main()
