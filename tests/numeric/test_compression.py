"""Verbs that make models smaller, and what they show of the cost: `weir eval perplexity` and `weir quantize --check`."""
import json
import os
import subprocess

import numpy as np
import pytest

from test_convert_tokenizer import FIXTURES, WEIR, published, safetensors_file, tiny_llama, vocabulary

TEXT = "It was a bright cold day in April, and the clocks were striking thirteen. The hallway smelt of boiled cabbage and old rag mats.\n" * 3


def weir(*arguments, code=0):
    done = subprocess.run([WEIR, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A model of a few weights with GPT-2's vocabulary, as a directory and as GGUF, and a text."""
    folder = tmp_path_factory.mktemp("compression")
    keys = vocabulary("gpt-2")
    directory = tiny_llama(folder / "model", len(keys["tokenizer.ggml.tokens"]))
    published.dump(published.byte_level(keys, []), directory / "tokenizer.json")
    weir("convert", "--model", directory, "--out", folder / "model.gguf", "--type", "F32")
    (folder / "text.txt").write_text(TEXT)
    return folder


def perplexity(path, text, *options):
    return json.loads(weir("eval", "perplexity", "--model", path, "--text", text, "--json", *options).stdout)


def test_perplexity_is_that_of_the_logits(model, tmp_path):
    ids = json.loads(subprocess.run([WEIR, "tokenize", "--model", str(model / "model.gguf"), "--bare"], input=json.dumps({"text": TEXT}), capture_output=True,
                                    text=True, check=True).stdout)["ids"]
    subprocess.run([WEIR, "logits", "--model", str(model / "model.gguf"), "--out", str(tmp_path / "l"), "--precision", "exact"], input=json.dumps({"ids": ids}),
                   capture_output=True, text=True, check=True)
    rows = np.fromfile(tmp_path / "l", dtype="<f4").reshape(len(ids), -1).astype(np.float64)
    likelihood = rows - np.log(np.exp(rows - rows.max(axis=1, keepdims=True)).sum(axis=1, keepdims=True)) - rows.max(axis=1, keepdims=True)
    want = np.exp(-np.mean([likelihood[i, ids[i + 1]] for i in range(len(ids) - 1)]))
    got = perplexity(model / "model.gguf", model / "text.txt", "--precision", "exact")
    assert got["tokens"] == len(ids) - 1 and got["perplexity"] == pytest.approx(want, rel=1e-4)
    assert got["bits_per_token"] == pytest.approx(np.log2(got["perplexity"]), rel=1e-4)
    assert perplexity(model / "model", model / "text.txt", "--precision", "exact") == got, "a directory and its GGUF file agree"
    words = weir("eval", "perplexity", "--model", model / "model.gguf", "--text", model / "text.txt", "--precision", "exact").stdout
    assert words.startswith("perplexity ") and f"over {got['tokens']} tokens" in words


def test_quantizing_shows_the_perplexity_that_eval_gives(model, tmp_path):
    done = weir("quantize", "--model", model / "model.gguf", "--out", tmp_path / "q.gguf", "--type", "Q8_0", "--check", model / "text.txt")
    shown = json.loads(done.stdout)
    assert shown["perplexity_before"] == perplexity(model / "model.gguf", model / "text.txt", "--precision", "exact")["perplexity"]
    assert shown["perplexity_after"] == perplexity(tmp_path / "q.gguf", model / "text.txt", "--precision", "exact")["perplexity"]


def test_perplexity_names_what_is_wrong(model, tmp_path):
    (tmp_path / "empty").write_text("")
    assert "fewer than two tokens" in weir("eval", "perplexity", "--model", model / "model.gguf", "--text", tmp_path / "empty", code=1).stderr
    assert "absent" in weir("eval", "perplexity", "--model", model / "model.gguf", "--text", tmp_path / "absent", code=1).stderr
    assert "--text is required" in weir("eval", "perplexity", "--model", model / "model.gguf", code=2).stderr


# ---- pruning

def with_idle_parts(name, array):
    """Layer 1 of three adds nothing; in the others the second group of heads and columns 32 to 63 of the MLP don't."""
    array = array.copy()
    if name.endswith("o_proj"):
        array[:, 16:] = 0
    if name.endswith("down_proj"):
        array[:, 32:64] = 0
    if ".layers.1." in name and name.endswith(("o_proj", "down_proj")):
        array[:] = 0
    return array


@pytest.fixture(scope="module")
def idle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("idle")
    keys = vocabulary("gpt-2")
    directory = tiny_llama(folder / "model", len(keys["tokenizer.ggml.tokens"]), 3, with_idle_parts, num_attention_heads=4, num_key_value_heads=2, intermediate_size=96)
    published.dump(published.byte_level(keys, []), directory / "tokenizer.json")
    weir("convert", "--model", directory, "--out", folder / "model.gguf", "--type", "F32")
    (folder / "text.txt").write_text(TEXT)
    return folder


def run_logits(path, tmp_path, ids=tuple(range(100, 160))):
    subprocess.run([WEIR, "logits", "--model", str(path), "--out", str(tmp_path / "l"), "--precision", "exact"], input=json.dumps({"ids": list(ids)}), capture_output=True,
                   text=True, check=True)
    return np.fromfile(tmp_path / "l", dtype="<f4").reshape(len(ids), -1)


def prune(idle, out, *options, model="model.gguf"):
    return json.loads(weir("prune", "--model", idle / model, "--out", out, "--text", idle / "text.txt", *options).stdout)


@pytest.mark.parametrize("options, removed, heads, columns", [(("--layers", "1"), [1], 4, 96), (("--heads", "0.5"), [], 2, 96), (("--columns", "0.333"), [], 4, 64),
                                                              (("--layers", "1", "--heads", "0.5", "--columns", "0.333"), [1], 2, 64)])
def test_pruning_finds_the_parts_that_do_nothing_and_leaves_the_rest_as_it_was(options, removed, heads, columns, idle, tmp_path):
    report = prune(idle, tmp_path / "p.gguf", *options)
    assert report["layers_removed"] == removed and report["heads"] == heads and report["columns"] == columns
    assert report["perplexity_after"] == pytest.approx(report["perplexity_before"], rel=1e-4) and report["layer_influence"][1] == pytest.approx(0, abs=1e-9)
    assert np.abs(run_logits(tmp_path / "p.gguf", tmp_path) - run_logits(idle / "model.gguf", tmp_path)).max() < 1e-3
    assert os.path.getsize(tmp_path / "p.gguf") < os.path.getsize(idle / "model.gguf")


def test_pruning_a_directory_leaves_no_other_file_behind(idle, tmp_path):
    report = prune(idle, tmp_path / "p.gguf", "--layers", "2", model="model")
    assert report["layers"] == 1 and 1 in report["layers_removed"] and report["perplexity_after"] > 0
    assert os.listdir(tmp_path) == ["p.gguf"]


@pytest.mark.parametrize("options, why", [((), "nothing would go"), (("--layers", "3"), "none would stay"), (("--heads", "1"), "shares"), (("--layers", "-1"), "--layers")])
def test_pruning_all_or_nothing_is_refused(options, why, idle, tmp_path):
    done = subprocess.run([WEIR, "prune", "--model", str(idle / "model.gguf"), "--out", str(tmp_path / "p.gguf"), "--text", str(idle / "text.txt"), *options],
                          capture_output=True, text=True)
    assert done.returncode > 0 and why in done.stderr and not os.listdir(tmp_path)


def test_packed_files_lose_layers_but_not_heads(idle, tmp_path):
    weir("quantize", "--model", idle / "model.gguf", "--out", tmp_path / "q.gguf", "--type", "Q8_0")
    done = weir("prune", "--model", tmp_path / "q.gguf", "--out", tmp_path / "p.gguf", "--text", idle / "text.txt", "--layers", "1")
    assert json.loads(done.stdout)["layers_removed"] == [1]
    assert "Q8_0" in weir("prune", "--model", tmp_path / "q.gguf", "--out", tmp_path / "h.gguf", "--text", idle / "text.txt", "--heads", "0.5", code=1).stderr


# Where the attention's output matrix and the second one of the MLP are called otherwise, and what GPT-2 stores the other way round.
FAMILIES = ["phi3-window", "phi", "gpt2", "starcoder2", "qwen2", "gemma2", "gemma3", "smollm3", "mixtral"]
OUTPUTS, SECONDS = ("o_proj", "attn.c_proj", "self_attn.dense"), ("down_proj", "mlp.c_proj", "mlp.fc2")


def bytes_only(directory):
    """A tokenizer of the 256 bytes, for models with so many ids."""
    characters = [chr(c) for c in list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))]
    characters += [chr(256 + i) for i in range(256 - len(characters))]
    keys = {"tokenizer.ggml.tokens": characters, "tokenizer.ggml.token_type": [1] * 256, "tokenizer.ggml.merges": []}
    published.dump(published.byte_level(keys, []), directory / "tokenizer.json")


@pytest.mark.parametrize("name", FAMILIES)
def test_idle_heads_and_columns_go_whatever_the_family(name, tmp_path):
    source, directory = os.path.join(FIXTURES, "hf", name), tmp_path / "model"
    directory.mkdir()
    config = json.load(open(os.path.join(source, "config.json")))
    heads = config.get("num_attention_heads", config.get("n_head"))
    groups = config.get("num_key_value_heads") or heads
    experts, n_ff = "num_local_experts" in config, config.get("intermediate_size", 4 * config.get("n_embd", 0))
    tensors = {}
    for tensor, (shape, raw) in safetensors_file.read(os.path.join(source, "model.safetensors")).items():
        array, stem = np.frombuffer(raw, dtype="<f4").reshape(shape).copy(), tensor.removesuffix(".weight")
        inputs = array if name == "gpt2" else array.T
        if stem.endswith(OUTPUTS) and array.ndim == 2:
            inputs[-len(inputs) // groups:] = 0
        elif stem.endswith(SECONDS) and array.ndim == 2:
            inputs[:32] = 0
        tensors[tensor] = (shape, array.tobytes())
    safetensors_file.write(directory / "model.safetensors", tensors)
    json.dump(config, open(directory / "config.json", "w"))
    bytes_only(directory)
    weir("convert", "--model", directory, "--out", tmp_path / "model.gguf", "--type", "F32")
    (tmp_path / "text.txt").write_text(TEXT)
    options = ([] if groups == 1 else ["--heads", str(1 / groups)]) + ([] if experts else ["--columns", str(32 / n_ff)])
    report = prune(tmp_path, tmp_path / "p.gguf", *options)
    assert report["heads"] == heads - (heads // groups if groups > 1 else 0)
    assert np.abs(run_logits(tmp_path / "p.gguf", tmp_path) - run_logits(tmp_path / "model.gguf", tmp_path)).max() < 1e-3
    report = prune(tmp_path, tmp_path / "l.gguf", "--layers", "1")
    assert len(report["layers_removed"]) == 1 and np.isfinite(report["perplexity_after"])


# ---- factorising

def of_low_rank(name, array):
    """The MLP's matrices and q have rank 8."""
    if name.endswith(("gate_proj", "up_proj", "down_proj", "q_proj")):
        draw = np.random.default_rng(len(name) + array.shape[0])
        return (draw.normal(0, 0.4, (array.shape[0], 8)) @ draw.normal(0, 0.4, (8, array.shape[1]))).astype("<f4")
    return array


@pytest.fixture(scope="module")
def thin(tmp_path_factory):
    folder = tmp_path_factory.mktemp("thin")
    keys = vocabulary("gpt-2")
    directory = tiny_llama(folder / "model", len(keys["tokenizer.ggml.tokens"]), 2, of_low_rank, intermediate_size=96)
    published.dump(published.byte_level(keys, []), directory / "tokenizer.json")
    weir("convert", "--model", directory, "--out", folder / "model.gguf", "--type", "F32")
    (folder / "text.txt").write_text(TEXT)
    return folder


def factorise(folder, out, *options, model="model.gguf"):
    return json.loads(weir("factorise", "--model", folder / model, "--out", out, "--text", folder / "text.txt", *options).stdout)


def test_matrices_of_low_rank_are_found_to_be_so_and_answers_stay(thin, tmp_path):
    report = factorise(thin, tmp_path / "f.gguf", "--rank", "8", "--matrices", "attn_q,ffn_gate,ffn_up,ffn_down")
    assert report["matrices"] == 8 and report["lost"] < 1e-7
    assert report["weights_before"] == 2 * (32 * 32 + 3 * 32 * 96) and report["weights_after"] == 2 * 8 * (64 + 3 * 128)
    assert report["perplexity_after"] == pytest.approx(report["perplexity_before"], rel=1e-4)
    want = run_logits(thin / "model.gguf", tmp_path)
    assert np.abs(run_logits(tmp_path / "f.gguf", tmp_path) - want).max() < 2e-3
    again = tmp_path / "g.gguf"
    factorise(thin, again, "--rank", "8", "--matrices", "attn_q,ffn_gate,ffn_up,ffn_down")
    assert again.read_bytes() == (tmp_path / "f.gguf").read_bytes(), "equal inputs give equal files"


def test_a_lower_rank_costs_more_and_saves_more(thin, tmp_path):
    reports = [factorise(thin, tmp_path / "f.gguf", "--rank", str(rank)) for rank in (6, 3)]
    assert 0 < reports[0]["lost"] < reports[1]["lost"] < 1 and reports[0]["weights_after"] > reports[1]["weights_after"]
    assert reports[0]["perplexity_after"] != reports[0]["perplexity_before"]


def test_what_is_lost_is_no_more_than_the_best_matrix_of_that_rank_loses(tmp_path):
    """Against the singular values, with columns weighed by what comes into them: the same for all here, as an MLP reads a norm."""
    keys = vocabulary("gpt-2")
    directory = tiny_llama(tmp_path / "model", len(keys["tokenizer.ggml.tokens"]), 1, num_attention_heads=2)
    published.dump(published.byte_level(keys, []), directory / "tokenizer.json")
    (tmp_path / "text.txt").write_text(TEXT)
    weir("convert", "--model", directory, "--out", tmp_path / "model.gguf", "--type", "F32")
    report = factorise(tmp_path, tmp_path / "f.gguf", "--rank", "10", "--matrices", "ffn_up")
    w = np.frombuffer(safetensors_file.read(directory / "model.safetensors")["model.layers.0.mlp.up_proj.weight"][1], dtype="<f4").reshape(64, 32)
    squares = np.linalg.svd(w.astype(np.float64), compute_uv=False) ** 2
    plain = squares[10:].sum() / squares.sum()
    assert report["lost"] < 1.1 * plain, "weighing columns only makes it easier; the iteration is near the optimum"


def test_a_factorised_model_is_quantized_and_takes_adapters(thin, tmp_path):
    factorise(thin, tmp_path / "f.gguf", "--rank", "8")
    weir("quantize", "--model", tmp_path / "f.gguf", "--out", tmp_path / "q.gguf", "--type", "Q8_0")
    want = run_logits(tmp_path / "f.gguf", tmp_path)
    assert np.mean((run_logits(tmp_path / "q.gguf", tmp_path) - want) ** 2) / np.mean(want**2) < 1e-3
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    draw = np.random.default_rng(5)
    name = "base_model.model.model.layers.0.mlp.up_proj"
    safetensors_file.write(adapter / "adapter_model.safetensors", {name + ".lora_A.weight": ((4, 32), draw.normal(0, 0.3, (4, 32)).astype("<f4").tobytes()),
                                                                   name + ".lora_B.weight": ((96, 4), draw.normal(0, 0.3, (96, 4)).astype("<f4").tobytes())})
    json.dump({"peft_type": "LORA", "r": 4, "lora_alpha": 4, "bias": "none"}, open(adapter / "adapter_config.json", "w"))
    rows = []
    for model in (thin / "model.gguf", tmp_path / "f.gguf"):
        subprocess.run([WEIR, "logits", "--model", str(model), "--out", str(tmp_path / "l"), "--precision", "exact", "--adapter", str(adapter)],
                       input=json.dumps({"ids": list(range(100, 160))}), capture_output=True, text=True, check=True)
        rows.append(np.fromfile(tmp_path / "l", dtype="<f4"))
    assert np.abs(rows[0] - rows[1]).max() < 5e-3 and np.abs(rows[0] - run_logits(thin / "model.gguf", tmp_path).ravel()).max() > 0.1
    assert "factorised" in weir("merge", "--model", tmp_path / "f.gguf", "--adapter", adapter, "--out", tmp_path / "m.gguf", code=1).stderr
    assert "factorised" in weir("prune", "--model", tmp_path / "f.gguf", "--out", tmp_path / "p.gguf", "--text", thin / "text.txt", "--columns", "0.34", code=1).stderr
    assert "layers_removed" in weir("prune", "--model", tmp_path / "f.gguf", "--out", tmp_path / "p.gguf", "--text", thin / "text.txt", "--layers", "1").stdout


@pytest.mark.parametrize("options, why", [(("--rank", "30"), "no smaller"), (("--rank", "8", "--matrices", "ffn_sideways"), "ffn_sideways"), (("--rank", "8", "--keep", "0.5"), "either"),
                                          ((), "either"), (("--rank", "8", "--layers", "7-9"), "no such matrices"), (("--rank", "8", "--layers", "x"), "range")])
def test_factorising_refuses_what_makes_no_sense(options, why, thin, tmp_path):
    done = subprocess.run([WEIR, "factorise", "--model", str(thin / "model.gguf"), "--out", str(tmp_path / "f.gguf"), "--text", str(thin / "text.txt"), *options],
                          capture_output=True, text=True)
    assert done.returncode > 0 and why in done.stderr and not os.listdir(tmp_path)


def test_a_file_with_one_half_is_refused_by_name(thin, tmp_path):
    factorise(thin, tmp_path / "f.gguf", "--rank", "8")
    data = (tmp_path / "f.gguf").read_bytes()
    (tmp_path / "f.gguf").write_bytes(data.replace(b"blk.1.ffn_up.low_b.weight", b"blk.1.ffn_up.low_c.weight"))
    done = subprocess.run([WEIR, "logits", "--model", str(tmp_path / "f.gguf"), "--out", str(tmp_path / "l")], input='{"ids":[1]}', capture_output=True, text=True)
    assert done.returncode == 1 and "blk.1.ffn_up.low_a.weight" in done.stderr and "other half" in done.stderr
