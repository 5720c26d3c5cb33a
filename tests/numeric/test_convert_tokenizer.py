"""`weir convert` takes the tokenizer and the chat template along: the GGUF file gives every text the ids that the directory gives.
Directories are made of the fixtures' vocabularies in the forms in which they are published, around a model of a few weights."""
import json
import os
import subprocess
import sys

import numpy as np
import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import published_tokenizer as published  # noqa: E402
import safetensors_file  # noqa: E402

WEIR = os.environ["WEIR_BINARY"]
FIXTURES = os.path.join(os.environ["WEIR_SHARED"], "fixtures")
assert os.path.isdir(FIXTURES), f"{FIXTURES} is not there: these tests need the shared fixtures"
DIGITS = {"type": "Digits", "individual_digits": True}


def split(pattern):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}


def vocabulary(name):
    return published.metadata(os.path.join(FIXTURES, "tokenizers", name + ".gguf"))[0]


def tiny_llama(directory, n_vocab, n_layers=1, edit=None, **config):
    """Layers of width 32 with weights of a fixed seed; edit(name, array) may change them."""
    directory.mkdir()
    draw = np.random.default_rng(7)
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": n_layers,
              "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "vocab_size": n_vocab,
              "tie_word_embeddings": False, **config}
    width, n_ff, n_kv = config["hidden_size"], config["intermediate_size"], config["hidden_size"] // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"model.embed_tokens": (n_vocab, width), "lm_head": (n_vocab, width), "model.norm": (width,)}
    for layer in range(n_layers):
        for name, shape in {"self_attn.q_proj": (width, width), "self_attn.k_proj": (n_kv, width), "self_attn.v_proj": (n_kv, width), "self_attn.o_proj": (width, width),
                            "mlp.gate_proj": (n_ff, width), "mlp.up_proj": (n_ff, width), "mlp.down_proj": (width, n_ff), "input_layernorm": (width,),
                            "post_attention_layernorm": (width,)}.items():
            shapes[f"model.layers.{layer}.{name}"] = shape
    tensors = {}
    for name, shape in shapes.items():
        array = draw.normal(0, 0.5, shape).astype("<f4")
        tensors[name + ".weight"] = (shape, (array if edit is None else edit(name, array)).tobytes())
    safetensors_file.write(directory / "model.safetensors", tensors)
    json.dump(config, open(directory / "config.json", "w"))
    return directory


def published_directory(to, name):
    """Writes the directory and returns it with the name of the vocabulary it is made of."""
    base = {"smollm": "starcoder", "llama-3": "gpt-2", "qwen2": "gpt-2", "gpt-2-odd-frame": "gpt-2", "llama-spm-model": "llama-spm", "gemma": "llama-spm", "mistral-new": "llama-spm"}.get(name, name)
    keys = vocabulary(base)
    config = {}
    if name == "llama-3":
        keys["tokenizer.ggml.add_bos_token"] = True
    tiny_llama(to, len(keys["tokenizer.ggml.tokens"]) + (3 if name == "starcoder" else 0))
    if name == "gpt-2":
        document = published.byte_level(keys, [])
    elif name == "gpt-2-odd-frame":
        document = published.byte_level(keys, [])
        document["post_processor"] = {"type": "RobertaProcessing", "sep": ["a", 11], "cls": ["b", 12], "trim_offsets": True, "add_prefix_space": False}
    elif name in ("starcoder", "smollm"):
        document = published.byte_level(keys, [DIGITS])
    elif name == "llama-3":
        document = published.byte_level(keys, [split(published.GPT4)], ignore_merges=True)
    elif name == "qwen2":
        document = published.byte_level(keys, [split(published.QWEN2)], normalizer={"type": "NFC"})
    elif name == "falcon":
        document = published.byte_level(keys, [{"type": "Punctuation", "behavior": "Contiguous"}, published.BYTES, {"type": "Digits", "individual_digits": False},
                                               split("[0-9][0-9][0-9]")])
    elif name == "deepseek-coder":
        document = published.byte_level(keys, [split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), DIGITS])
    elif name in ("llama-spm", "phi-3"):
        document = published.sentencepiece_as_merges(keys, {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": published.MARK}, {"type": "Replace", "pattern": {"String": " "}, "content": published.MARK}]})
        for token in document["added_tokens"] if name == "phi-3" else []:
            token["rstrip"] = token["content"].startswith("<|") and token["content"] != "<|endoftext|>"
    elif name == "gemma":
        document = published.sentencepiece_as_merges(keys, {"type": "Replace", "pattern": {"String": " "}, "content": published.MARK},
                                                     {"type": "Split", "pattern": {"String": " "}, "behavior": "MergedWithPrevious", "invert": False})
        document["decoder"]["decoders"].pop()
    elif name == "mistral-new":
        document = published.sentencepiece_as_merges(keys, None, {"type": "Metaspace", "replacement": published.MARK, "prepend_scheme": "first", "split": False})
    elif name == "llama-spm-model":
        document = None
        (to / "tokenizer.model").write_bytes(published.sentencepiece_model(keys))
        config = {"add_bos_token": True, "add_eos_token": False}
    if document is not None:
        published.dump(document, to / "tokenizer.json")
    tokens = keys["tokenizer.ggml.tokens"]
    for role in ("bos", "eos"):
        config[role + "_token"] = tokens[keys[f"tokenizer.ggml.{role}_token_id"]]
    config["chat_template"] = "{{ bos_token }}{% for m in messages %}[{{ m.role }}] {{ m.content }}{{ eos_token }}\n{% endfor %}[assistant] "
    json.dump(config, open(to / "tokenizer_config.json", "w"))
    return base


def texts_of(base):
    cases = json.load(open(os.path.join(FIXTURES, "tokenizers", base + ".json")))
    inputs = open(os.path.join(FIXTURES, "tokenizers", base + ".inp"), encoding="utf-8", newline="").read().split("\n__ggml_vocab_test__\n")
    more = ["e\u0301 Ae\u030a\u0327 \ufb01 \u2126", "<|endoftext|> x </s>  y<s>", "\u2581\u2581 a", "a" * 300, "1234567 12 1,5", "  \n \n\n  x"]
    return [case["text"] for case in cases] + inputs + more


def run(verb, model, lines, *options):
    done = subprocess.run([WEIR, verb, "--model", str(model), *options], input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def convert(directory, out):
    done = subprocess.run([WEIR, "convert", "--model", str(directory), "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stderr


# Which name of a pre-tokenizer the file gets, and whether its own keys say all of the tokenizer.
PUBLISHED = [("gpt-2", "gpt2", "gpt-2", True), ("gpt-2-odd-frame", "gpt2", "gpt-2", False), ("starcoder", "gpt2", "starcoder", True), ("smollm", "gpt2", "starcoder", True),
             ("llama-3", "gpt2", "llama-bpe", True), ("qwen2", "gpt2", "qwen2", False), ("falcon", "gpt2", "default", False), ("deepseek-coder", "gpt2", "deepseek-coder", False),
             ("llama-spm", "llama", "default", True), ("llama-spm-model", "llama", "default", True), ("phi-3", "llama", "default", False),
             ("gemma", "llama", "default", True), ("mistral-new", "llama", "default", False)]


@pytest.mark.parametrize("name, model, pre, whole", PUBLISHED, ids=[case[0] for case in PUBLISHED])
def test_a_converted_tokenizer_gives_the_same_ids_and_prompts(name, model, pre, whole, tmp_path):
    directory, out = tmp_path / "model", tmp_path / "out.gguf"
    base = published_directory(directory, name)
    convert(directory, out)
    keys = published.metadata(out)[0]
    assert keys["tokenizer.ggml.model"] == model and keys["tokenizer.ggml.pre"] == pre
    assert ("tokenizer.huggingface.json" not in keys) == whole
    lines = [{"id": i, "text": text} for i, text in enumerate(texts_of(base))]
    for options in ((), ("--special",), ("--bare",)):
        want, got = run("tokenize", directory, lines, *options), run("tokenize", out, lines, *options)
        for line, a, b in zip(lines, want, got):
            assert a == b, line["text"]
    questions = [{"id": i, "messages": [{"role": "user", "content": text}]} for i, text in enumerate(("Hello there", "1 + 1 </s>", " caf\u00e9"))]
    options = ("--precision", "exact", "--max-tokens", "12", "--ignore-eos")
    full = tmp_path / "f32.gguf"
    subprocess.run([WEIR, "convert", "--model", str(directory), "--out", str(full), "--type", "F32"], check=True, capture_output=True)
    assert run("generate", directory, questions, *options) == run("generate", full, questions, *options)


def test_tokens_keep_their_places_when_the_model_has_more_ids_than_the_tokenizer(tmp_path):
    published_directory(tmp_path / "model", "starcoder")
    convert(tmp_path / "model", tmp_path / "out.gguf")
    keys = published.metadata(tmp_path / "out.gguf")[0]
    n = len(vocabulary("starcoder")["tokenizer.ggml.tokens"])
    assert keys["llama.vocab_size"] == n + 3 and keys["tokenizer.ggml.tokens"][n:] == [f"[PAD{n + i}]" for i in range(3)]
    assert keys["tokenizer.ggml.token_type"][n:] == [5, 5, 5]
    assert keys["tokenizer.ggml.merges"] == vocabulary("starcoder")["tokenizer.ggml.merges"]


def test_the_tokenizer_is_left_out_when_only_weights_are_wanted(tmp_path):
    published_directory(tmp_path / "model", "gpt-2")
    subprocess.run([WEIR, "convert", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out.gguf"), "--weights-only"], check=True)
    keys = published.metadata(tmp_path / "out.gguf")[0]
    assert keys["tokenizer.ggml.model"] == "no_vocab" and "tokenizer.chat_template" not in keys


def test_a_tokenizer_that_gguf_has_no_word_for_is_refused(tmp_path):
    tiny_llama(tmp_path / "model", 3)
    published.dump({"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 1, "c": 2}, "unk_token": "c"}}, tmp_path / "model" / "tokenizer.json")
    done = subprocess.run([WEIR, "convert", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "out.gguf")], capture_output=True, text=True)
    assert done.returncode == 1 and "tokenizer" in done.stderr and "--weights-only" in done.stderr
    assert not (tmp_path / "out.gguf").exists()
