#!/usr/bin/env python3
"""Tokens per second of `weir bench` and, where they are on PATH, of llama.cpp's llama-bench and llama-batched-bench on the same
file, in turn.

    tests/bench/runtime/bench_models.py [options] [MODEL.gguf …]

For each model and number of threads: prefill of 32, 128 and 512 tokens, decode of 128, decode behind 2,048 tokens (where the
context has room), and 16 sessions side by side; medians over the rounds, their ratios, and beside them what the machine
allows (bench_limits, in the same run): a decoded token reads every matrix once, so read bandwidth over as many bytes bounds
decode; a prompt's token multiplies by every weight once, so the integer dot product's peak bounds prefill. Both as shares.

Without a MODEL the pulled default is used. --shapes adds files of random weights in the shapes and formats that people run
(make_model.py makes them under --folder, 0.6 to 3.4 GB each). Neither program runs while the other does; rounds alternate.
"""
import argparse
import json
import os
import pathlib
import shutil
import statistics
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
PROMPTS = (32, 128, 512)
DECODE, DEPTH, SESSIONS = 128, 2048, 16
SHAPES = [(shape, kind) for shape in ("tinyllama-1.1b", "llama-3.2-3b") for kind in ("Q4_0", "Q4_K_M", "Q6_K", "Q8_0")]


def run(command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}: {done.stderr.strip()[-2000:]}")
    return done.stdout


# ------------------------------------------------------------------ what a token costs

BLOCKS = {0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 10: (256, 84), 11: (256, 110), 12: (256, 144),
          13: (256, 176), 14: (256, 210), 20: (32, 18), 23: (256, 136), 30: (1, 2)}
SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}


def read_header(path):
    """(context length, bytes of the matrices that an answer's token meets, multiplications of a prompt's: without the head) of a GGUF file."""
    with open(path, "rb") as file:
        def take(form):
            return struct.unpack(form, file.read(struct.calcsize(form)))[0]

        def text():
            return file.read(take("<Q")).decode(errors="replace")

        def value(kind):
            if kind == 8:
                return text()
            if kind != 9:
                return take(SCALARS[kind])
            inner, n = take("<I"), take("<Q")
            if inner in SCALARS:
                file.seek(n * struct.calcsize(SCALARS[inner]), 1)
                return None
            return [value(inner) for _ in range(n)] and None

        file.seek(8)
        n_tensors, n_keys = take("<Q"), take("<Q")
        context = 0
        for _ in range(n_keys):
            key = text()
            got = value(take("<I"))
            if key.endswith(".context_length"):
                context = got
        tensors = {}
        for _ in range(n_tensors):
            name = text()
            shape = [take("<Q") for _ in range(take("<I"))]
            tensors[name] = (shape, take("<I"))
            take("<Q")
    n_bytes = macs = 0
    for name, (shape, kind) in tensors.items():
        if len(shape) < 2 or (name == "token_embd.weight" and "output.weight" in tensors):
            continue
        n = 1
        for extent in shape:
            n *= extent
        n_bytes += n // BLOCKS[kind][0] * BLOCKS[kind][1]
        macs += 0 if name in ("output.weight", "token_embd.weight") else n  # Only a prompt's last token goes through the head.
    return context, n_bytes, macs


# ------------------------------------------------------------------ the two

def weir(options, model, threads, context):
    def bench(prompt, gen, *more):
        return json.loads(run([options.weir, "bench", "--model", model, "--threads", threads, "--prompt", prompt, "--gen", gen, "--json", *more]))
    rates = {}
    for n in PROMPTS:
        out = bench(n, DECODE if n == PROMPTS[0] else 2)
        rates[f"prefill {n}"] = out["prefill_tps"]
        if n == PROMPTS[0]:
            rates[f"decode {DECODE}"] = out["decode_tps"]
            rates["load ms"] = out["load_ms"]
            rates["memory MB"] = out["rss_bytes"] / 1e6
    if context >= DEPTH + 64 and options.depth:
        rates[f"decode at {DEPTH}"] = bench(DEPTH, 32)["decode_tps"]
    if options.sessions:
        rates[f"{SESSIONS} sessions"] = bench(PROMPTS[0], 64, "--sessions", SESSIONS)["decode_tps"]
    return rates


def llama(options, model, threads, context):
    common = ["-m", model, "-t", threads]
    rates = {}
    for row in json.loads(run([options.rival, *common, "-r", 5, "-o", "json", "-n", DECODE, "-p", ",".join(map(str, PROMPTS))])):
        rates[f"prefill {row['n_prompt']}" if row["n_prompt"] else f"decode {row['n_gen']}"] = row["avg_ts"]
    if context >= DEPTH + 64 and options.depth:
        row = json.loads(run([options.rival, *common, "-r", 3, "-o", "json", "-n", 32, "-p", 0, "-d", DEPTH]))[0]
        rates[f"decode at {DEPTH}"] = row["avg_ts"]
    if options.batched and options.sessions:
        out = run([options.batched, *common, "-c", 4096, "-b", 2048, "-ub", 512, "-npp", PROMPTS[0], "-ntg", 64, "-npl", SESSIONS, "--output-format", "jsonl"])
        rates[f"{SESSIONS} sessions"] = json.loads([line for line in out.splitlines() if line.startswith("{")][-1])["speed_tg"]
    return rates


def shares(options, model, threads, rates):
    _, n_bytes, macs = read_header(model)
    limits = json.loads(run([options.limits, max(64, round(n_bytes / 1e6)), threads]))
    decode, prefill = rates[f"decode {DECODE}"], rates[f"prefill {PROMPTS[-1]}"]
    return (f"  of the limits: decode {100 * decode * n_bytes / 1e9 / limits['read_gbps']:.0f} % of {limits['read_gbps']:.1f} GB/s"
            f" ({n_bytes / 1e6:.0f} MB a token), prefill {100 * prefill * macs / 1e9 / limits['dot_gmacs']:.0f} % of {limits['dot_gmacs']:.0f} GMAC/s")


def compare(options, model, threads):
    context = read_header(model)[0]
    ours, theirs = [], []
    for _ in range(options.rounds):
        ours.append(weir(options, model, threads, context))
        if options.rival:
            theirs.append(llama(options, model, threads, context))
    print(f"\n{os.path.basename(model)} ({os.path.getsize(model) / 1e6:.0f} MB), {threads} thread{'s' * (threads > 1)}, {options.rounds} rounds")
    medians = {}
    for name in ours[0]:
        medians[name] = statistics.median(rates[name] for rates in ours)
        line = f"  {name:14} {medians[name]:10.1f}"
        if theirs and name in theirs[0]:
            other = statistics.median(rates[name] for rates in theirs)
            line += f"   llama.cpp {other:10.1f}   ratio {medians[name] / other:5.2f}"
        print(line)
    if options.limits.exists():
        print(shares(options, model, threads, medians))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--weir", default="build/release/weir")
    parser.add_argument("--limits", type=pathlib.Path, default=pathlib.Path("build/release/tests/bench_limits"))
    parser.add_argument("--threads", default="1,2", help="numbers of threads, each measured (default 1,2)")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", action="store_true", help="also random weights in the shapes of TinyLlama-1.1B and Llama-3.2-3B")
    parser.add_argument("--folder", type=pathlib.Path, default=pathlib.Path("build/bench-models"))
    parser.add_argument("--no-depth", dest="depth", action="store_false", help="leave out decode behind a long prompt")
    parser.add_argument("--no-sessions", dest="sessions", action="store_false", help="leave out the sessions side by side")
    options = parser.parse_args()
    options.rival, options.batched = shutil.which("llama-bench"), shutil.which("llama-batched-bench")
    cache = os.environ.get("WEIR_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "weir")
    models = options.models or [os.path.join(cache, "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf")]
    for shape, kind in SHAPES if options.shapes else []:
        options.folder.mkdir(parents=True, exist_ok=True)
        path = options.folder / f"{shape}-{kind}.gguf"
        if not path.exists():
            run([sys.executable, HERE / "make_model.py", shape, kind, path])
        models.append(str(path))
    print("llama-bench is " + ("run in turn" if options.rival else "not on PATH: Weir alone"))
    for model in models:
        for threads in map(int, options.threads.split(",")):
            compare(options, model, threads)


if __name__ == "__main__":
    main()
