"""`weir convert`: the GGUF file of a published decoder gives the logits of its authors' code."""
import json
import os
import subprocess

import numpy as np
import pytest

import test_encoders as encoders
from test_decoders import FIXTURES, WEIR, check, hf_cases, is_decoder, logits

DIRECTORIES = [os.path.join(FIXTURES, "hf", name) for name in sorted(os.listdir(os.path.join(FIXTURES, "hf")))]
DECODERS = [path for path in DIRECTORIES if is_decoder(path)]


def convert(directory, out, *options):
    done = subprocess.run([WEIR, "convert", "--model", str(directory), "--out", str(out), *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.parametrize("directory", DECODERS, ids=os.path.basename)
def test_a_converted_decoder_gives_the_same_logits(directory, tmp_path):
    convert(directory, tmp_path / "out.gguf", "--type", "F32")
    cases = [case for case in hf_cases(directory) if not case[0].startswith("adapter")]
    assert cases
    for (case, _, want, before), got in zip(cases, logits(tmp_path / "out.gguf", [case[1] for case in cases], tmp_path, "--precision", "exact")):
        check(got[before:], want, case)


def altered(directory, to, **changes):
    """A copy of a directory whose config.json differs."""
    to.mkdir()
    for name in os.listdir(directory):
        if name.startswith("model"):
            os.symlink(os.path.join(os.path.abspath(directory), name), to / name)
    config = json.load(open(os.path.join(directory, "config.json")))
    config.update(changes)
    json.dump(config, open(to / "config.json", "w"))
    return to


# What GGUF fixes for an architecture and config.json leaves open: either Weir's own keys say it, or the conversion is refused.
ODD = [("smollm3", {"no_rope_layers": [1, 0, 1, 1, 0]}), ("smollm3", {"use_sliding_window": True, "sliding_window": 16}),
       ("gemma3", {"query_pre_attn_scalar": 17}), ("gemma2", {"layer_types": ["full_attention", "sliding_attention"] * 2}),
       ("mistral", {"layer_types": ["sliding_attention", "full_attention"]})]


@pytest.mark.parametrize("name, changes", ODD)
def test_an_odd_configuration_is_converted_whole(name, changes, tmp_path):
    directory = altered(os.path.join(FIXTURES, "hf", name), tmp_path / "odd", **changes)
    convert(directory, tmp_path / "out.gguf", "--type", "F32")
    ids = [[(7 * i + 3) % 256 for i in range(60)]]
    before = logits(os.path.join(FIXTURES, "hf", name), ids, tmp_path, "--precision", "exact")[0]
    want = logits(directory, ids, tmp_path, "--precision", "exact")[0]
    got = logits(tmp_path / "out.gguf", ids, tmp_path, "--precision", "exact")[0]
    check(got, want, name)
    assert np.abs(want - before).max() > 1e-2, "the change should reach the logits"


REFUSED = [("llama", {"hidden_act": "gelu"}, "activation"),
           ("llama-yarn", {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32, "truncate": False}}, "rotary"),
           ("starcoder2", {"hidden_act": "relu"}, "activation")]


@pytest.mark.parametrize("name, changes, why", REFUSED)
def test_what_gguf_can_not_say_is_refused_and_leaves_nothing(name, changes, why, tmp_path):
    directory = altered(os.path.join(FIXTURES, "hf", name), tmp_path / "odd", **changes)
    (tmp_path / "out").mkdir()
    done = subprocess.run([WEIR, "convert", "--model", str(directory), "--out", str(tmp_path / "out" / "out.gguf")], capture_output=True, text=True)
    assert done.returncode == 1 and why in done.stderr, done.stderr
    assert not os.listdir(tmp_path / "out")


ENCODERS = [path for path in DIRECTORIES if os.path.basename(path) in
            ("bert", "bert-published-names", "bert-seqcls", "roberta", "roberta-seqcls", "distilbert")]


@pytest.mark.parametrize("directory", ENCODERS, ids=os.path.basename)
def test_a_converted_encoder_gives_the_same_vectors_and_classes(directory, tmp_path):
    name, out = os.path.basename(directory), tmp_path / "out.gguf"
    convert(directory, out, "--type", "F32")
    n = encoders.check(name, "embed", "last_hidden_state", "tokens", str(out))
    n += encoders.check(name, "classify", "logits", "logits", str(out)) if "seqcls" in name else 0
    assert n > 0
    lines = [{"id": 1, "ids": [5, 9, 100, 3]}]
    want, got = (encoders.answers("embed", "--model", str(model), "--precision", "exact", lines=lines)[0]["embedding"] for model in (directory, out))
    assert np.abs(np.array(want) - np.array(got)).max() < 1e-5


@pytest.mark.parametrize("name", ["bert-tokcls", "distilbert-seqcls", "albert", "deberta-v2"])
def test_an_encoder_that_gguf_has_no_form_for_is_refused(name, tmp_path):
    done = subprocess.run([WEIR, "convert", "--model", os.path.join(FIXTURES, "hf", name), "--out", str(tmp_path / "out.gguf")], capture_output=True, text=True)
    assert done.returncode == 1 and not os.listdir(tmp_path)


def test_minilm_from_gguf_embeds_texts_as_from_its_directory(tmp_path):
    directory = os.path.join(os.environ.get("WEIR_CACHE") or os.path.expanduser("~/.cache/weir"), "models/all-minilm-l6-v2")
    assert os.path.isdir(directory), f"{directory} is not there: `weir pull` fetches it"
    convert(directory, tmp_path / "out.gguf", "--type", "F32")
    lines = [{"id": i, "text": text} for i, text in enumerate(("How do I reset my password?", "Ünïcödé, na\u0308ive  and\ttabs", "word " * 400, "", "\u4f60\u597d [SEP] <s>"))]
    want, got = (encoders.answers("embed", "--model", str(model), "--precision", "exact", lines=lines) for model in (directory, tmp_path / "out.gguf"))
    for a, b in zip(want, got):
        assert np.abs(np.array(a["embedding"]) - np.array(b["embedding"])).max() < 1e-5
