"""Decoders against the references: `weir logits --precision exact` on the small models of ../shared/fixtures (tolerances from
their READMEs), and on the default model. Standard library and numpy only."""
import glob
import json
import os
import shutil
import subprocess

import numpy as np
import pytest

WEIR = os.environ["WEIR_BINARY"]
FIXTURES = os.path.join(os.environ["WEIR_SHARED"], "fixtures")
assert os.path.isdir(FIXTURES), f"{FIXTURES} is not there: these tests need the shared fixtures"


def logits(model, lines, tmp_path, *options):
    """One array of rows for each list of ids."""
    out = tmp_path / "logits.f32"
    text = "".join(json.dumps({"id": i, "ids": ids}) + "\n" for i, ids in enumerate(lines))
    done = subprocess.run([WEIR, "logits", "--model", str(model), "--out", str(out), *options], input=text, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    rows = np.fromfile(out, dtype="<f4").reshape(-1, answers[0]["vocab"])
    assert len(rows) == sum(len(ids) for ids in lines)
    return [rows[a["row"] : a["row"] + a["rows"]] for a in answers]


def nmse(got, want):
    return float(np.mean((got.astype(np.float64) - want) ** 2) / np.mean(want.astype(np.float64) ** 2))


def hf_cases(directory):
    """(name, ids, expected rows, first expected row's position) of a directory's causal cases without adapters."""
    expected = json.load(open(os.path.join(directory, "expected.json")))
    data = np.fromfile(os.path.join(directory, "expected.f32"), dtype="<f4")
    inputs = {case["name"]: case["input_ids"] for case in expected["cases"] if "input_ids" in case}
    for case in expected["cases"]:
        if "logits" not in case["outputs"]:
            continue
        offset, shape = case["outputs"]["logits"]["offset"], case["outputs"]["logits"]["shape"]
        ids = case["input_ids"] if "input_ids" in case else inputs["base"]
        before = inputs[case["prompt"]] if "prompt" in case else []
        yield case["name"], before + ids, data[offset : offset + int(np.prod(shape))].reshape(shape), len(before)


def check(got, want, name):
    assert np.abs(got - want).max() <= 1e-3, f"{name}: off by {np.abs(got - want).max():.2g}"
    assert nmse(got, want) <= 1e-9, f"{name}: NMSE {nmse(got, want):.2g}"


def is_decoder(directory):
    config = os.path.join(directory, "config.json")
    return os.path.exists(config) and any(word in open(config).read() for word in ("ForCausalLM", "LMHeadModel"))


DECODERS = [d for d in sorted(glob.glob(os.path.join(FIXTURES, "hf", "*"))) if is_decoder(d)]


@pytest.mark.parametrize("directory", DECODERS, ids=[os.path.basename(d) for d in DECODERS])
def test_a_published_decoder_gives_transformers_logits(directory, tmp_path):
    cases = [case for case in hf_cases(directory) if not case[0].startswith("adapter")]
    assert cases
    for (name, _, want, before), got in zip(cases, logits(directory, [case[1] for case in cases], tmp_path, "--precision", "exact")):
        check(got[before:], want, name)


@pytest.mark.parametrize("directory", [d for d in DECODERS if os.path.exists(d + "/config.v5.json")], ids=os.path.basename)
def test_the_newer_form_of_config_json_means_the_same(directory, tmp_path):
    copy = tmp_path / "model"
    copy.mkdir()
    for name in os.listdir(directory):
        if "safetensors" in name:
            os.symlink(os.path.join(os.path.abspath(directory), name), copy / name)
    shutil.copy(directory + "/config.v5.json", copy / "config.json")
    cases = [case for case in hf_cases(directory) if not case[0].startswith("adapter")]
    for (name, _, want, before), got in zip(cases, logits(copy, [case[1] for case in cases], tmp_path, "--precision", "exact")):
        check(got[before:], want, name)


@pytest.mark.parametrize("adapter", ["adapter", "adapter-rslora", "adapter-pattern"])
def test_an_adapter_gives_pefts_logits(adapter, tmp_path):
    directory = os.path.join(FIXTURES, "hf", "llama-lora")
    for name, ids, want, _ in hf_cases(directory):
        if name == adapter:
            got = logits(directory, [ids], tmp_path, "--precision", "exact", "--adapter", os.path.join(directory, adapter))[0]
            check(got, want, name)
            return
    pytest.fail(f"no case {adapter}")


ARCHS = sorted(glob.glob(os.path.join(FIXTURES, "archs", "*.gguf")))


@pytest.mark.parametrize("path", ARCHS, ids=[os.path.basename(p)[:-5] for p in ARCHS])
def test_a_gguf_model_gives_llama_cpps_logits(path, tmp_path):
    ids = json.load(open(path[:-5] + ".json"))["tokens"]
    want = np.fromfile(path[:-5] + ".logits", dtype="<f4").reshape(len(ids), -1)
    got = logits(path, [ids], tmp_path, "--precision", "exact")[0]
    # llama.cpp computed the quantized ones with int8 activations; its noise for the K and IQ4_XS formats (one scale to 256
    # activations) is 1.3e-4 to 1.5e-4 against exact arithmetic, for the others 5.5e-5.
    kind = os.path.basename(path).split(".")[1]
    bound = 1e-8 if kind == "gguf" else 2e-4 if "K" in kind or kind == "IQ4_XS" else 1e-4
    assert nmse(got, want) <= bound, f"NMSE {nmse(got, want):.2g}"


@pytest.mark.parametrize("path", ARCHS, ids=[os.path.basename(p)[:-5] for p in ARCHS])
def test_fast_precision_rounds_activations_as_llama_cpp_does(path, tmp_path):
    ids = json.load(open(path[:-5] + ".json"))["tokens"]
    want = np.fromfile(path[:-5] + ".logits", dtype="<f4").reshape(len(ids), -1)
    got = logits(path, [ids], tmp_path, "--precision", "fast")[0]
    assert nmse(got, want) <= 1e-5, f"NMSE {nmse(got, want):.2g}"


SMOLLM2 = os.path.join(os.environ.get("WEIR_CACHE") or os.path.expanduser("~/.cache/weir"),
                       "models/smollm2-135m-instruct/SmolLM2-135M-Instruct.Q4_1.gguf")


def smollm2_case():
    folder = os.path.join(FIXTURES, "smollm2")
    prompts = json.load(open(folder + "/logits.json"))
    prompts = prompts["prompts"] if isinstance(prompts, dict) else prompts
    top_id = np.fromfile(folder + "/logits.top_id.i32", dtype="<i4").reshape(-1, 20)
    top = np.fromfile(folder + "/logits.top.f32", dtype="<f4").reshape(-1, 20)
    lse = np.fromfile(folder + "/logits.lse.f32", dtype="<f4")
    last = np.fromfile(folder + "/logits.last.f32", dtype="<f4").reshape(len(prompts), -1)
    return prompts, top_id, top, lse, last


def log_sum_exp(rows):
    rows = rows.astype(np.float64)
    most = rows.max(axis=-1)
    return most + np.log(np.exp(rows - most[..., None]).sum(axis=-1))


def test_the_default_model_computes_exactly_what_its_weights_say(tmp_path):
    assert os.path.exists(SMOLLM2), f"{SMOLLM2} is not there: `weir pull` fetches it"
    prompts, top_id, top, lse, last = smollm2_case()
    got = logits(SMOLLM2, [p["ids"] for p in prompts], tmp_path, "--precision", "exact")
    for index, (prompt, rows) in enumerate(zip(prompts, got)):
        at = slice(prompt["row"], prompt["row"] + prompt["n"])
        assert np.abs(np.take_along_axis(rows, top_id[at], axis=1) - top[at]).max() <= 1e-3, prompt["name"]
        assert np.abs(log_sum_exp(rows) - lse[at]).max() <= 1e-3, prompt["name"]
        assert nmse(rows[-1], last[index]) <= 1e-8, prompt["name"]


def test_the_default_models_fast_path_stays_within_the_int8_budget(tmp_path):
    assert os.path.exists(SMOLLM2), f"{SMOLLM2} is not there: `weir pull` fetches it"
    prompts, top_id, top, lse, _ = smollm2_case()
    rows = np.concatenate(logits(SMOLLM2, [p["ids"] for p in prompts], tmp_path))
    log_p = top - lse[:, None]
    log_q = np.take_along_axis(rows, top_id, axis=1) - log_sum_exp(rows)[:, None]
    divergence = (np.exp(log_p.astype(np.float64)) * (log_p - log_q)).sum(axis=1)
    assert divergence.mean() <= 2e-2 and divergence.max() <= 1e-1
    assert (rows.argmax(axis=1) == top_id[:, 0]).mean() >= 0.93
