"""`weir merge`: an adapter in the weights gives the logits of the adapter applied at run time."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from test_decoders import FIXTURES, WEIR, check, hf_cases, logits, nmse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import gguf_file  # noqa: E402
import safetensors_file  # noqa: E402

BASE = os.path.join(FIXTURES, "hf", "llama-lora")


def weir(*arguments, code=0):
    done = subprocess.run([WEIR, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def base_gguf(tmp_path_factory):
    path = tmp_path_factory.mktemp("merge") / "base.gguf"
    weir("convert", "--model", BASE, "--out", path, "--type", "F32")
    return path


@pytest.mark.parametrize("adapter", ["adapter", "adapter-rslora", "adapter-pattern"])
@pytest.mark.parametrize("form", ["directory", "gguf"])
def test_a_merged_adapter_gives_pefts_logits(adapter, form, base_gguf, tmp_path):
    weir("merge", "--model", BASE if form == "directory" else base_gguf, "--adapter", os.path.join(BASE, adapter), "--out", tmp_path / "m.gguf", "--type", "F32")
    ids, want = next((case[1], case[2]) for case in hf_cases(BASE) if case[0] == adapter)
    check(logits(tmp_path / "m.gguf", [ids], tmp_path, "--precision", "exact")[0], want, adapter)


def gguf_adapter(path):
    """The PEFT adapter of q and v as llama.cpp's converter writes it, rows of q in GGUF's order."""
    config = json.load(open(os.path.join(BASE, "adapter", "adapter_config.json")))
    heads = json.load(open(os.path.join(BASE, "config.json")))["num_attention_heads"]
    tensors = {}
    for name, (shape, raw) in safetensors_file.read(os.path.join(BASE, "adapter", "adapter_model.safetensors")).items():
        array, parts = np.frombuffer(raw, dtype="<f4").reshape(shape), name.split(".")
        module = {"q_proj": "attn_q", "v_proj": "attn_v"}[parts[parts.index("layers") + 3]]
        if "lora_B" in name and module == "attn_q":
            array = array.reshape(heads, 2, -1, shape[1]).swapaxes(1, 2).reshape(shape)
        tensors[f"blk.{parts[parts.index('layers') + 1]}.{module}.weight.{'lora_a' if 'lora_A' in name else 'lora_b'}"] = array
    gguf_file.write(path, {"general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": float(config["lora_alpha"])}, tensors)


@pytest.mark.parametrize("form", ["directory", "gguf"])
def test_an_adapter_in_gguf_is_merged_too(form, base_gguf, tmp_path):
    gguf_adapter(tmp_path / "a.gguf")
    weir("merge", "--model", BASE if form == "directory" else base_gguf, "--adapter", tmp_path / "a.gguf", "--out", tmp_path / "m.gguf", "--type", "F32")
    ids, want = next((case[1], case[2]) for case in hf_cases(BASE) if case[0] == "adapter")
    check(logits(tmp_path / "m.gguf", [ids], tmp_path, "--precision", "exact")[0], want, "adapter")


def random_adapter(to, directory, modules, layers=2, rank=4):
    """A PEFT adapter of seeded numbers for modules of each layer: {name with # for the layer: (rows, columns)}."""
    to.mkdir()
    draw = np.random.default_rng(3)
    tensors = {}
    for module, (n_out, n_in) in modules.items():
        for layer in range(layers):
            name = "base_model.model." + module.replace("#", str(layer))
            tensors[name + ".lora_A.weight"] = ((rank, n_in), draw.normal(0, 0.2, (rank, n_in)).astype("<f4").tobytes())
            tensors[name + ".lora_B.weight"] = ((n_out, rank), draw.normal(0, 0.2, (n_out, rank)).astype("<f4").tobytes())
    safetensors_file.write(to / "adapter_model.safetensors", tensors)
    json.dump({"peft_type": "LORA", "r": rank, "lora_alpha": 6, "bias": "none", "target_modules": [m.split(".")[-1] for m in modules]}, open(to / "adapter_config.json", "w"))
    return to


def shapes(directory, names):
    tensors = safetensors_file.read(os.path.join(directory, "model.safetensors"))
    return {name: tuple(tensors[name.replace("#", "0") + ".weight"][0]) for name in names}


OTHERS = {"phi3-window": ["model.layers.#.self_attn.qkv_proj", "model.layers.#.mlp.gate_up_proj"], "mixtral": ["model.layers.#.block_sparse_moe.experts.1.w1", "model.layers.#.self_attn.k_proj"],
          "qwen2": ["model.layers.#.self_attn.q_proj", "model.layers.#.mlp.down_proj"], "phi": ["model.layers.#.self_attn.dense", "model.layers.#.mlp.fc1"]}


@pytest.mark.parametrize("name", OTHERS)
def test_merging_is_applying_whatever_the_matrices_are_called_or_fused(name, tmp_path):
    directory = os.path.join(FIXTURES, "hf", name)
    adapter = random_adapter(tmp_path / "adapter", directory, shapes(directory, OTHERS[name]))
    ids = [[(5 * i + 1) % 256 for i in range(40)]]
    want = logits(directory, ids, tmp_path, "--precision", "exact", "--adapter", str(adapter))[0]
    assert np.abs(want - logits(directory, ids, tmp_path, "--precision", "exact")[0]).max() > 0.1
    weir("convert", "--model", directory, "--out", tmp_path / "base.gguf", "--type", "F32")
    for model in (directory, tmp_path / "base.gguf"):
        weir("merge", "--model", model, "--adapter", adapter, "--out", tmp_path / "m.gguf", "--type", "F32")
        check(logits(tmp_path / "m.gguf", ids, tmp_path, "--precision", "exact")[0], want, name)


def test_a_change_of_packed_weights_is_kept_in_f16(base_gguf, tmp_path):
    weir("quantize", "--model", base_gguf, "--out", tmp_path / "q.gguf", "--type", "Q4_0")
    adapter = os.path.join(BASE, "adapter")
    ids = [[(5 * i + 1) % 256 for i in range(40)]]
    want = logits(tmp_path / "q.gguf", ids, tmp_path, "--precision", "exact", "--adapter", adapter)[0]
    weir("merge", "--model", tmp_path / "q.gguf", "--adapter", adapter, "--out", tmp_path / "m.gguf")
    got = logits(tmp_path / "m.gguf", ids, tmp_path, "--precision", "exact")[0]
    assert nmse(got, want) < 1e-6, "half precision's rounding"


def test_an_adapter_that_does_not_fit_changes_nothing(base_gguf, tmp_path):
    adapter = random_adapter(tmp_path / "adapter", None, {"model.layers.#.self_attn.q_proj": (64, 60)})
    out = tmp_path / "out"
    out.mkdir()
    assert "does not fit" in weir("merge", "--model", base_gguf, "--adapter", adapter, "--out", out / "m.gguf", code=1).stderr
    adapter = random_adapter(tmp_path / "other", None, {"model.layers.#.self_attn.no_proj": (64, 64)})
    assert "no place in this model" in weir("merge", "--model", base_gguf, "--adapter", adapter, "--out", out / "m.gguf", code=1).stderr
    assert not os.listdir(out)


def test_a_change_of_a_tied_embedding_is_refused(tmp_path):
    directory = os.path.join(FIXTURES, "hf", "qwen2")
    adapter = random_adapter(tmp_path / "adapter", None, {"model.embed_tokens": (256, 64)}, layers=1)
    for model in (directory, tmp_path / "base.gguf"):
        if model != directory:
            weir("convert", "--model", directory, "--out", model)
        assert "embedding" in weir("merge", "--model", model, "--adapter", adapter, "--out", tmp_path / "m.gguf", code=1).stderr
