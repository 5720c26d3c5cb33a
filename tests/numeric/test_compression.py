"""Verbs that make models smaller, and what they show of the cost: `weir eval perplexity` and `weir quantize --check`."""
import json
import os
import subprocess

import numpy as np
import pytest

from test_convert_tokenizer import WEIR, published, tiny_llama, vocabulary

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
