"""Hostile model files through the verbs: models of ../shared/fixtures, mutated and cut at many places with a fixed seed, given to
`weir logits|embed|tokenize|render|quantize|convert|merge|prune|factorise|eval`. Each run ends by itself within 20 s, within its memory limit, with exit 0, or with exit 1 and a
message that names the file. Under AddressSanitizer (WEIR_BINARY of the asan preset) every fault is a failure too."""
import concurrent.futures
import json
import os
import random
import re
import resource
import shutil
import signal
import struct
import subprocess

WEIR = os.environ["WEIR_BINARY"]
FIXTURES = os.path.join(os.environ["WEIR_SHARED"], "fixtures")
assert os.path.isdir(FIXTURES), f"{FIXTURES} is not there: these tests need the shared fixtures"

SEED = int(os.environ.get("WEIR_HOSTILE_SEED", "20261122"))
ROUNDS = int(os.environ.get("WEIR_HOSTILE_ROUNDS", "4"))  # More of them to search, one to keep what was found.
TIMEOUT_S = 20
MEMORY_BYTES = 1 << 30  # Of address space; an instrumented program needs terabytes of it, its allocator is limited instead.

with open(WEIR, "rb") as binary:
    INSTRUMENTED = b"__asan_init" in binary.read()
ENVIRONMENT = dict(os.environ, ASAN_OPTIONS="allocator_may_return_null=1:max_allocation_size_mb=1024:hard_rss_limit_mb=1536:detect_leaks=0")

NUMBERS = [-1, 0, 1, 2, 3, 5, 7, 63, 1 << 15, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) + 1, 1 << 53, (1 << 63) - 1, 1e-320, 1e308, -0.5]
OTHERS = [None, True, "", "x", "../../etc/passwd", [], {}, [[]], [1, 2], {"a": 1}, "\ud83d\ude00" * 50]


def limit_memory():
    if not INSTRUMENTED:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run_weir(what, arguments, text, named):
    """Returns what is wrong with the run, None when nothing is."""
    try:
        done = subprocess.run([WEIR, *arguments], input=text.encode(), capture_output=True, timeout=TIMEOUT_S, preexec_fn=limit_memory, env=ENVIRONMENT)
    except subprocess.TimeoutExpired:
        return f"{what}: still running after {TIMEOUT_S} s"
    message = done.stderr.decode("utf-8", "replace")
    if done.returncode < 0:
        return f"{what}: killed by {signal.Signals(-done.returncode).name}: {message[-1500:]}"
    if "Sanitizer" in message or "runtime error:" in message:
        return f"{what}: {message[:3000]}"
    if done.returncode not in (0, 1):
        return f"{what}: exit {done.returncode}: {message[-600:]}"
    too_long = "line 1: ids:" in message  # The file is lawful, but its model takes fewer tokens than the line has.
    if done.returncode == 1 and named not in message and not too_long:
        return f"{what}: the message does not name {named}: {message[-600:]}"
    return None


def run_all(jobs):
    """jobs: functions without arguments, each one run's verdict."""
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        faults = [fault for fault in pool.map(lambda job: job(), jobs) if fault]
    assert not faults, f"{len(faults)} of {len(jobs)} runs:\n" + "\n".join(faults[:12])


def ids_line(chance):
    return json.dumps({"id": 0, "ids": [chance.randrange(100) for _ in range(chance.choice([1, 5, 40]))]}) + "\n"


def bytes_mutate(data, chance, first, last):
    """One to four faults in data[first:last], or the file cut at a place of it."""
    data = bytearray(data)
    last = min(last, len(data))
    if chance.random() < 0.15:
        return bytes(data[: chance.randrange(first, len(data))])
    for _ in range(chance.choice([1, 1, 2, 4])):
        at = chance.randrange(first, last)
        kind = chance.randrange(5)
        if kind == 0:
            data[at] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF])
        elif kind == 2:
            data[at : at + 8] = struct.pack("<Q", chance.choice([0, 1, 1 << 31, 1 << 40, (1 << 63) - 1, (1 << 64) - 1]))
        elif kind == 3:
            data[at : at + 4] = struct.pack("<I", chance.choice([0, 1, 2, 8, 9, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
        else:
            n = chance.choice([1, 3, 16])
            data[at : at + n] = data[at + n : at + 2 * n]
    return bytes(data)


def gguf_numbers_mutate(data, chance):
    """A hostile value in a named field of the architecture: the file stays well formed, its model does not."""
    data = bytearray(data)
    fields = [m.end() for m in re.finditer(rb"[a-z0-9]+\.(block_count|context_length|embedding_length|feed_forward_length|attention\.[a-z_]+|rope\.[a-z_]+|expert_[a-z_]+|vocab_size)", bytes(data[:100000]))]
    for _ in range(chance.choice([1, 1, 2])):
        at = chance.choice(fields)
        kind = struct.unpack_from("<I", data, at)[0]
        if kind in (4, 5):
            struct.pack_into("<I", data, at + 4, chance.choice([0, 1, 2, 3, 5, 7, 64, 1 << 16, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]))
        elif kind == 6:
            struct.pack_into("<f", data, at + 4, chance.choice([0.0, -1.0, 1e38, float("nan"), float("inf"), 1e-40]))
    return bytes(data)


def json_mutate(value, chance, depth=0):
    """The document with one leaf or branch replaced, dropped or doubled."""
    if isinstance(value, (dict, list)) and value and (depth == 0 or chance.random() < 0.85):
        key = chance.choice(list(value)) if isinstance(value, dict) else chance.randrange(len(value))
        kind = chance.randrange(12)
        if kind == 0:
            del value[key]
        elif kind == 1 and isinstance(value, list):
            value.append(value[key])
        else:
            value[key] = json_mutate(value[key], chance, depth + 1)
        return value
    return chance.choice(NUMBERS if isinstance(value, (int, float)) and chance.random() < 0.7 else NUMBERS + OTHERS)


def test_mutated_gguf_models(tmp_path):
    chance = random.Random(SEED)
    jobs = []
    names = ["gemma2-dense", "gpt2-dense", "llama-moe", "phi3-dense", "qwen3-dense", "starcoder2-dense", "llama-dense.Q2_K", "llama-dense.Q4_0",
             "llama-dense.Q6_K", "llama-dense.IQ4_XS"]
    for name in names:
        with open(os.path.join(FIXTURES, "archs", name + ".gguf"), "rb") as file:
            data = file.read()
        header = data.rfind(b".weight", 0, 300000) + 40
        for i in range(7 * ROUNDS):
            seed = chance.random()

            def job(name=name, data=data, header=header, i=i, seed=seed):
                mine = random.Random(seed)
                path = tmp_path / f"{name}-{i}.gguf"
                kind = i % 3
                path.write_bytes(gguf_numbers_mutate(data, mine) if kind == 0 else bytes_mutate(data, mine, 0, 3000) if kind == 1 else bytes_mutate(data, mine, 0, header))
                fault = run_weir(f"logits {path.name}", ["logits", "--model", str(path), "--out", os.devnull], ids_line(mine), path.name)
                if fault is None and i % 4 == 0:
                    out = path.with_suffix(".out")
                    fault = run_weir(f"quantize {path.name}", ["quantize", "--model", str(path), "--out", str(out), "--type", "Q4_0"], "", path.name)
                    out.unlink(missing_ok=True)
                if fault is None or ROUNDS <= 4:
                    path.unlink()
                return fault

            jobs.append(job)
    run_all(jobs)


def test_mutated_directories(tmp_path):
    chance = random.Random(SEED + 1)
    jobs = []
    for name, verb in [("llama", "logits"), ("mixtral", "logits"), ("gemma3", "logits"), ("phi3-longrope", "logits"), ("llama-gptq-g32", "logits"),
                       ("llama-awq-g32", "logits"), ("gpt2", "logits"), ("bert", "embed"), ("albert", "embed"), ("deberta-v2", "embed"), ("mobilebert", "embed"),
                       ("modernbert", "embed"), ("distilbert", "embed"), ("roberta", "embed")]:
        source = os.path.join(FIXTURES, "hf", name)
        for i in range(7 * ROUNDS):
            seed = chance.random()

            def job(name=name, verb=verb, source=source, i=i, seed=seed):
                mine = random.Random(seed)
                folder = tmp_path / f"{name}-{i}"
                folder.mkdir()
                for entry in os.listdir(source):
                    if entry.endswith((".json", ".safetensors")) and not entry.startswith("expected"):
                        shutil.copyfile(os.path.join(source, entry), folder / entry)
                if i % 7 < 4:
                    config = json.load(open(folder / "config.json"))
                    for _ in range(mine.choice([1, 1, 2])):
                        config = json_mutate(config, mine)
                    (folder / "config.json").write_text(json.dumps(config))
                else:
                    weights = folder / "model.safetensors"
                    data = weights.read_bytes()
                    n = 8 + struct.unpack_from("<Q", data)[0]
                    if i % 7 == 4:
                        header = json.dumps(json_mutate(json.loads(data[8:n]), mine)).encode()
                        weights.write_bytes(struct.pack("<Q", len(header)) + header + data[n:])
                    else:
                        weights.write_bytes(bytes_mutate(data, mine, 0, n))
                options = ["--out", os.devnull] if verb == "logits" else []
                fault = run_weir(f"{verb} {folder.name}", [verb, "--model", str(folder), *options], ids_line(mine), folder.name)
                if fault is None and i % 2 == 0:
                    out = tmp_path / (folder.name + ".gguf")
                    fault = run_weir(f"convert {folder.name}", ["convert", "--model", str(folder), "--out", str(out)], "", folder.name)
                    out.unlink(missing_ok=True)
                if fault is None or ROUNDS <= 4:
                    shutil.rmtree(folder)
                return fault

            jobs.append(job)
    run_all(jobs)


def test_mutated_adapters(tmp_path):
    chance = random.Random(SEED + 4)
    model = os.path.join(FIXTURES, "hf", "llama-lora")
    jobs = []
    for i in range(7 * ROUNDS):
        seed = chance.random()

        def job(i=i, seed=seed):
            mine = random.Random(seed)
            folder = tmp_path / f"adapter-{i}"
            shutil.copytree(os.path.join(model, "adapter"), folder, copy_function=shutil.copyfile)
            os.chmod(folder, 0o755)
            config, weights = folder / "adapter_config.json", folder / "adapter_model.safetensors"
            if i % 2:
                config.write_text(json.dumps(json_mutate(json.loads(config.read_text()), mine)))
            else:
                data = weights.read_bytes()
                weights.write_bytes(bytes_mutate(data, mine, 0, 8 + struct.unpack_from("<Q", data)[0]))
            return run_weir(f"logits --adapter {folder.name}", ["logits", "--model", model, "--adapter", str(folder), "--out", os.devnull], ids_line(mine), folder.name)

        jobs.append(job)
    run_all(jobs)


def test_mutated_files_that_are_to_be_made_smaller(tmp_path):
    """A small Llama with a tokenizer of bytes, and what factorising makes of it, through the verbs that rewrite models."""
    chance = random.Random(SEED + 5)
    source, directory, text = os.path.join(FIXTURES, "hf", "llama-lora"), tmp_path / "model", tmp_path / "text.txt"
    directory.mkdir()
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(os.path.join(source, name), directory / name)
    characters = [chr(c) for c in list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))]
    characters += [chr(256 + i) for i in range(256 - len(characters))]
    (directory / "tokenizer.json").write_text(json.dumps({"model": {"type": "BPE", "vocab": {c: i for i, c in enumerate(characters)}, "merges": []}, "decoder": {"type": "ByteLevel"},
                                                          "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False}, "normalizer": {"type": "NFC"}}))
    text.write_text("It is what it is. " * 8)
    whole, halves = tmp_path / "whole.gguf", tmp_path / "halves.gguf"
    for arguments in (["convert", "--model", directory, "--out", whole, "--type", "F32"], ["factorise", "--model", whole, "--out", halves, "--text", text, "--rank", "8"]):
        done = subprocess.run([WEIR, *map(str, arguments)], capture_output=True, text=True, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
    verbs = [["prune", "--text", str(text), "--layers", "1"], ["prune", "--text", str(text), "--heads", "0.5", "--columns", "0.5"], ["factorise", "--text", str(text), "--rank", "8"],
             ["merge", "--adapter", os.path.join(source, "adapter")], ["eval", "perplexity", "--text", str(text)]]
    jobs = []
    for i in range(40 * ROUNDS):
        seed = chance.random()

        def job(i=i, seed=seed):
            mine = random.Random(seed)
            data, verb = (halves if i % 3 == 2 else whole).read_bytes(), verbs[i % len(verbs)]
            path = tmp_path / f"smaller-{i}.gguf"
            path.write_bytes(gguf_numbers_mutate(data, mine) if i % 4 == 0 else bytes_mutate(data, mine, 0, data.rfind(b".weight", 0, 60000) + 40))
            out, words = ([], 2) if verb[0] == "eval" else (["--out", str(path) + ".out"], 1)
            fault = run_weir(f"{verb[0]} {path.name}", [*verb[:words], "--model", str(path), *verb[words:], *out], "", path.name)
            if fault is not None and "does not name" in fault and "llama-lora/adapter" in fault:
                fault = None  # The adapter is named, which does not fit any more.
            if fault is None or ROUNDS <= 4:
                path.unlink()
            return fault

        jobs.append(job)
    run_all(jobs)


def test_mutated_tokenizers(tmp_path):
    chance = random.Random(SEED + 2)
    text = json.dumps({"id": 0, "text": "Hello  world's 123 \u00e9\u4e2d\U0001F600\n\t<s>[CLS] aaaaaaaa"}) + "\n"
    jobs = []
    documents = [os.path.expanduser("~/.cache/weir/models/all-minilm-l6-v2/tokenizer.json")]
    sources = [os.path.join(FIXTURES, "tokenizers", name) for name in ("llama-spm.gguf", "gpt-2.gguf", "bert-bge.gguf", "phi-3.gguf")] + documents
    for source in sources:
        if not os.path.exists(source):
            continue  # The default model was not pulled; the fixtures are always there.
        with open(source, "rb") as file:
            data = file.read()
        name = os.path.basename(source)
        for i in range(7 * ROUNDS):
            seed = chance.random()

            def job(name=name, data=data, i=i, seed=seed):
                mine = random.Random(seed)
                if name.endswith(".json"):
                    path = tmp_path / f"json-{i}"
                    path.mkdir()
                    document = json.loads(data)
                    document["model"]["vocab"] = dict(list(document["model"]["vocab"].items())[:2000])
                    (path / "tokenizer.json").write_text(json.dumps(json_mutate(document, mine)))
                else:
                    path = tmp_path / f"{i}-{name}"
                    path.write_bytes(bytes_mutate(data, mine, 0, 2000 if i % 2 else len(data)))
                return run_weir(f"tokenize {path.name}", ["tokenize", "--model", str(path), "--special"], text, path.name)

            jobs.append(job)
    run_all(jobs)


def test_mutated_templates(tmp_path):
    """Every line is answered: a mutated template renders or fails by kind, and ends no run."""
    chance = random.Random(SEED + 3)
    folder = os.path.join(FIXTURES, "templates", "models")
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes?"}, {"role": "user", "content": "x"}]
    sources = [open(os.path.join(folder, name), encoding="utf-8", newline="").read() for name in sorted(os.listdir(folder))]
    pieces = ["{{", "}}", "{%", "%}", "{#", "|", "(", ")", "[", "]", "'", "-%}", " for x in range(99999) ", "{% endfor %}", "{% endif %}", "{% macro m() %}", "{{ m() }}", "messages", "**", "~", "0", "1e999", "\x00"]
    lines = []
    for i in range(6 * ROUNDS):
        for source in sources:
            text = list(source)
            for _ in range(chance.choice([1, 2, 5])):
                at = chance.randrange(len(text))
                if chance.random() < 0.5:
                    text[at : at + chance.choice([1, 2, 30])] = []
                else:
                    text.insert(at, chance.choice(pieces))
                if not text:
                    text = ["x"]
            context = {"messages": messages, "add_generation_prompt": True, "bos_token": "<s>", "eos_token": "</s>", "tools": None}
            lines.append(json.dumps({"id": len(lines), "context": context, "template": "".join(text)}))
    path = tmp_path / "templates.jsonl"
    path.write_text("\n".join(lines) + "\n")
    done = subprocess.run([WEIR, "render", "--now", "2026-01-02T03:04:05", str(path)], capture_output=True, text=True, timeout=120, preexec_fn=limit_memory, env=ENVIRONMENT)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0, f"after {len(answers)} of {len(lines)} answers: exit {done.returncode}: {done.stderr[:3000]}"
    assert [answer["id"] for answer in answers] == list(range(len(lines)))
    assert all("text" in answer or answer["kind"] in ("raised", "failed", "syntax", "limit") for answer in answers)
