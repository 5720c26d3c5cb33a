"""Several models in one process, their adapters, and contexts that are shifted, on the real default model."""
import json
import os
import random
import struct
import subprocess

import pytest

import safetensors_file
from gateway_case import Stream, ask, cache_folder, chat_model, connect, gateway, require_models, wait_for
from weir_process import BINARY

KV, LARGE_KV = 16 << 20, 128 << 20


def others(folder, names, **more):
    """The default model under further names: links, so that each counts as a file of its own."""
    require_models()
    out = {}
    for name in names:
        path = folder / f"{name}.gguf"
        os.symlink(chat_model(), path)
        out[name] = {"path": str(path), **{"kv_budget": KV, **more}}
    return out


def talk(model, text="Name three colours.", **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], "temperature": 0, "max_tokens": 12, **more}


def text_of(answer):
    assert answer.status == 200, answer.body
    return answer.body["choices"][0]["message"]["content"]


def metric(weir, name):
    for line in ask(weir, "/metrics", method="GET").body.decode().splitlines():
        if line.startswith(name + " "):
            return float(line.split()[1])
    raise AssertionError(name)


def test_a_further_model_is_listed_loaded_when_asked_for_and_answers_under_its_name(tmp_path):
    with gateway(tmp_path, settings={"models": {"others": others(tmp_path, ["one", "two"])}, "aliases": {"small": "local/two"}}) as weir:
        names = [m["id"] for m in ask(weir, "/v1/models", method="GET").body["data"]]
        assert "local/one" in names and "local/two" in names
        assert metric(weir, "weir_models_loaded") == 0
        base, one, two = (ask(weir, body=talk(m)) for m in ("local", "local/one", "small"))
        assert text_of(base) == text_of(one) == text_of(two)
        assert one.body["model"] == "one" and two.body["model"] == "two"
        assert one.headers["x-weir-route"] == "local"
        assert metric(weir, "weir_models_loaded") == 2
        assert ask(weir, "/v1/completions", {"model": "one", "prompt": "One, two,", "max_tokens": 3}).status == 200
        assert ask(weir, "/v1/embeddings", {"model": "local/one", "input": "x"}).status == 404
        assert ask(weir, body=talk("local/three")).status == 404
        wait_for(lambda: ("local/one", "local") in weir.query("SELECT model, route FROM decision ORDER BY rowid"), "the decision's row")


def test_a_model_that_does_not_fit_beside_the_others_takes_the_place_of_the_one_unused_longest(tmp_path):
    one = chat_model().stat().st_size + KV
    models = {"others": others(tmp_path, ["one", "two", "three"]), "memory_budget": 2 * one + 1000}
    with gateway(tmp_path, settings={"models": models}) as weir:
        for name in ("one", "two", "one", "three"):
            text_of(ask(weir, body=talk("local/" + name)))
        assert metric(weir, "weir_models_used_bytes") <= 2 * one + 1000
        assert metric(weir, "weir_model_loads_total") == 3 and metric(weir, "weir_model_unloads_total") == 1
        wait_for(lambda: [json.loads(line)["message"] for line in list(weir.log) if "model_unloaded" in line] == ["two"], "one unloading in the log")
        text_of(ask(weir, body=talk("local/one")))
        assert metric(weir, "weir_model_loads_total") == 3, "it was still there"
        text_of(ask(weir, body=talk("local/two")))
        assert metric(weir, "weir_model_loads_total") == 4


def test_a_broken_or_too_large_model_is_a_503_that_names_no_file_and_is_recorded(tmp_path):
    broken = tmp_path / "broken-weights.gguf"
    broken.write_bytes(b"GGUF" + bytes(64))
    models = {"others": {"broken": {"path": str(broken)}, **others(tmp_path, ["large"])}, "memory_budget": 50_000_000}
    models["others"]["broken"]["kv_budget"] = KV
    with gateway(tmp_path, settings={"models": models}) as weir:
        for name in ("broken", "large", "broken"):
            answer = ask(weir, body=talk("local/" + name))
            assert answer.status == 503 and answer.body["error"]["code"] == "model_not_loaded"
            assert ".gguf" not in json.dumps(answer.body)
        wait_for(lambda: any("broken-weights.gguf" in line for line in weir.log), "the line in the log")
        wait_for(lambda: any("memory_budget" in line for line in weir.log), "the line in the log")
        assert metric(weir, "weir_model_load_failures_total") == 3
        assert metric(weir, "weir_models_used_bytes") == 0
        wait_for(lambda: [r[0] for r in weir.query("SELECT status FROM outcome")] == [503, 503, 503], "three outcomes")
        text_of(ask(weir, body=talk("local")))


def test_who_waits_for_a_model_can_leave_and_is_served_when_the_room_is_left(tmp_path):
    one = chat_model().stat().st_size + LARGE_KV
    models = {"others": others(tmp_path, ["one", "two"], kv_budget=LARGE_KV), "memory_budget": one + 1000}
    with gateway(tmp_path, settings={"models": models}) as weir:
        running = Stream(weir, talk("local/one", "Count to a thousand.", max_tokens=4000))
        running.next_text()
        waiting = connect(weir)
        waiting.request("POST", "/v1/chat/completions", json.dumps(talk("local/two")), {"content-type": "application/json"})
        wait_for(lambda: metric(weir, "weir_requests_in_flight") == 2, "2 requests in flight")
        waiting.close()
        wait_for(lambda: metric(weir, "weir_requests_in_flight") == 1, "1 requests in flight")
        assert metric(weir, "weir_model_unloads_total") == 0, "a model in use stays"
        patient = connect(weir)
        patient.request("POST", "/v1/chat/completions", json.dumps(talk("local/two")), {"content-type": "application/json"})
        wait_for(lambda: metric(weir, "weir_requests_in_flight") == 2, "2 requests in flight")
        running.connection.close()
        running.response.close()
        answer = patient.getresponse()
        assert answer.status == 200
        assert json.loads(answer.read())["model"] == "two"


def test_draining_with_one_that_waits_ends_cleanly(tmp_path):
    one = chat_model().stat().st_size + LARGE_KV
    models = {"others": others(tmp_path, ["one", "two"], kv_budget=LARGE_KV), "memory_budget": one + 1000}
    with gateway(tmp_path, settings={"models": models, "limits": {"drain_timeout": "100ms"}}) as weir:
        running = Stream(weir, talk("local/one", "Count to a thousand.", max_tokens=4000))
        running.next_text()
        waiting = connect(weir)
        waiting.request("POST", "/v1/chat/completions", json.dumps(talk("local/two")), {"content-type": "application/json"})
        wait_for(lambda: metric(weir, "weir_requests_in_flight") == 2, "2 requests in flight")
        assert weir.stop() == 0


def write_adapter(folder, seed, size):
    """A PEFT adapter for q and v of all of SmolLM2's layers, random."""
    folder.mkdir()
    drawn = random.Random(seed)
    tensors = {}
    for layer in range(30):
        for part, n_out in (("q_proj", 576), ("v_proj", 192)):
            stem = f"base_model.model.model.layers.{layer}.self_attn.{part}.lora_"
            for half, shape in (("A", (4, 576)), ("B", (n_out, 4))):
                n = shape[0] * shape[1]
                tensors[f"{stem}{half}.weight"] = (shape, struct.pack(f"<{n}f", *(drawn.gauss(0, size) for _ in range(n))))
    safetensors_file.write(folder / "adapter_model.safetensors", tensors)
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]}))
    return str(folder)


@pytest.mark.parametrize("precision", ["exact"])
def test_an_adapter_asked_for_by_name_answers_as_if_merged_and_leaves_the_base_alone(tmp_path, precision):
    adapters = {"soft": write_adapter(tmp_path / "soft", 1, 0.06), "hard": write_adapter(tmp_path / "hard", 2, 0.06)}
    question = json.dumps({"id": 1, "messages": [{"role": "user", "content": "Name three colours."}]})
    merged = {}
    for name, path in {"": None, **adapters}.items():
        command = [BINARY, "generate", "--model", str(chat_model()), "--precision", precision, "--max-tokens", "12"]
        run = subprocess.run(command + (["--adapter", path] if path else []), input=question, capture_output=True, text=True, check=True)
        merged[name] = json.loads(run.stdout)["text"]
    assert len(set(merged.values())) == 3
    models = {"chat": {"path": str(chat_model()), "adapters": adapters}, "others": others(tmp_path, ["one"], adapters={"tone": adapters["hard"]})}
    with gateway(tmp_path, settings={"precision": precision, "models": models}) as weir:
        names = [m["id"] for m in ask(weir, "/v1/models", method="GET").body["data"]]
        assert "local:soft" in names and "local/one:tone" in names
        assert text_of(ask(weir, body=talk("local"))) == merged[""]
        assert text_of(ask(weir, body=talk("local:soft"))) == merged["soft"]
        assert text_of(ask(weir, body=talk("local/one:tone"))) == merged["hard"]
        assert text_of(ask(weir, body=talk("local"))) == merged[""]
        assert ask(weir, body=talk("local:tone")).status == 404
        assert ask(weir, body=talk("local/one:soft")).status == 404


def test_a_conversation_past_the_context_is_refused_or_shortened_as_asked_and_says_so(tmp_path):
    long = "word " * 9000
    with gateway(tmp_path) as weir:
        refused = ask(weir, body=talk("local", long))
        assert refused.status == 400 and refused.body["error"]["code"] == "context_length_exceeded"
        answer = ask(weir, body=talk("local", long, max_tokens=3, context_shift=True))
        assert text_of(answer) is not None
        assert answer.body["usage"]["dropped_tokens"] > 4000
        assert ask(weir, body=talk("local", context_shift="yes")).status == 400
        assert "dropped_tokens" not in ask(weir, body=talk("local", context_shift=True)).body["usage"]
    with gateway(tmp_path / "asked", settings={"models": {"chat": {"path": str(chat_model()), "context_shift": True}}}) as weir:
        assert ask(weir, body=talk("local", long, max_tokens=1)).body["usage"]["dropped_tokens"] > 4000
        assert ask(weir, body=talk("local", long, context_shift=False)).status == 400


def test_speculation_and_an_8_bit_cache_serve_and_are_seen_in_the_metrics(tmp_path):
    text = "Repeat after me: " + "the red fox and the blue fox and the green fox, " * 3
    with gateway(tmp_path / "plain", settings={"models": {"chat": {"path": str(chat_model()), "speculate": "off"}}}) as weir:
        plain = text_of(ask(weir, body=talk("local", text, max_tokens=60)))
        assert metric(weir, "weir_local_guessed_tokens_total") == 0
    with gateway(tmp_path / "lookup") as weir:  # The default.
        assert text_of(ask(weir, body=talk("local", text, max_tokens=60))) == plain
        assert 0 < metric(weir, "weir_local_accepted_tokens_total") <= metric(weir, "weir_local_guessed_tokens_total")
    settings = {"models": {"chat": {"path": str(chat_model()), "speculate": {"draft": str(chat_model())}}}}
    with gateway(tmp_path / "draft", settings=settings) as weir:
        assert text_of(ask(weir, body=talk("local", text, max_tokens=60))) == plain
        assert metric(weir, "weir_local_accepted_tokens_total") == metric(weir, "weir_local_guessed_tokens_total") > 20
    with gateway(tmp_path / "kv", settings={"models": {"chat": {"path": str(chat_model()), "kv": "q8_0", "kv_budget": "8MiB"}}}) as weir:
        text_of(ask(weir, body=talk("local", text)))
        assert metric(weir, "weir_kv_budget_bytes") == 8 << 20
        assert 0 < metric(weir, "weir_kv_used_bytes") <= 8 << 20


# ---------------------------------------------------------------------- reranking

DOCUMENTS = ["The miller opens the weir in spring.", "A cat sleeps on the sofa.", {"text": "Water flows over the dam."}]


def rerank(**more):
    return {"model": "local", "query": "How is a river dammed?", "documents": DOCUMENTS, **more}


def test_documents_are_ranked_by_cosine_without_a_cross_encoder_and_the_ledger_knows(tmp_path):
    with gateway(tmp_path) as weir:
        answer = ask(weir, "/v1/rerank", rerank(return_documents=True))
        assert answer.status == 200, answer.body
        results = answer.body["results"]
        assert [r["index"] for r in results][-1] == 1
        scores = [r["relevance_score"] for r in results]
        assert scores == sorted(scores, reverse=True)
        assert {r["index"]: r["document"]["text"] for r in results} == {0: DOCUMENTS[0], 1: DOCUMENTS[1], 2: DOCUMENTS[2]["text"]}
        vectors = [d["embedding"] for d in ask(weir, "/v1/embeddings", {"model": "local", "input": ["How is a river dammed?", DOCUMENTS[0]]}).body["data"]]
        cosine = sum(a * b for a, b in zip(*vectors))
        assert abs(next(r["relevance_score"] for r in results if r["index"] == 0) - cosine) < 1e-4
        assert len(ask(weir, "/v1/rerank", rerank(top_n=1)).body["results"]) == 1
        assert answer.body["usage"]["total_tokens"] > 20
        for bad, param in (({"query": ""}, "query"), ({"documents": []}, "documents"), ({"documents": [1]}, "documents[0]"), ({"top_n": 0}, "top_n"),
                           ({"rank_fields": ["x"]}, "rank_fields")):
            refused = ask(weir, "/v1/rerank", rerank(**bad))
            assert refused.status == 400 and refused.body["error"]["param"] == param, (bad, refused.body)
        assert ask(weir, "/v1/rerank", rerank(model="gpt-4o")).status == 404
        wait_for(lambda: weir.query("SELECT count(*) FROM decision d JOIN outcome o USING (decision_id) WHERE d.endpoint = '/v1/rerank' AND o.result = 'ok'")[0][0] == 2,
                 "two outcomes")
        assert any(line.startswith("weir_requests_total") and "rerank" in line for line in ask(weir, "/metrics", method="GET").body.decode().splitlines())


def test_a_cross_encoder_scores_each_pair_as_its_classifier_does(tmp_path):
    source, made = cache_folder() / "all-minilm-l6-v2", tmp_path / "cross"
    made.mkdir()
    drawn = random.Random(5)
    tensors = {"bert." + name: t for name, t in safetensors_file.read(source / "model.safetensors").items()}
    tensors["classifier.weight"] = ((1, 384), struct.pack("<384f", *(drawn.gauss(0, 0.3) for _ in range(384))))
    tensors["classifier.bias"] = ((1,), struct.pack("<f", 0.1))
    if "bert.pooler.dense.weight" not in tensors:
        tensors["bert.pooler.dense.weight"] = ((384, 384), struct.pack("<147456f", *(drawn.gauss(0, 0.05) for _ in range(147456))))
        tensors["bert.pooler.dense.bias"] = ((384,), struct.pack("<384f", *(0,) * 384))
    safetensors_file.write(made / "model.safetensors", tensors)
    config = {**json.loads((source / "config.json").read_text()), "architectures": ["BertForSequenceClassification"], "id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    (made / "config.json").write_text(json.dumps(config))
    (made / "tokenizer.json").write_bytes((source / "tokenizer.json").read_bytes())
    texts = [d if isinstance(d, str) else d["text"] for d in DOCUMENTS]
    lines = "".join(json.dumps({"id": i, "text": "How is a river dammed?", "pair": t}) + "\n" for i, t in enumerate(texts))
    run = subprocess.run([BINARY, "classify", "--model", str(made)], input=lines, capture_output=True, text=True, check=True)
    logits = [json.loads(line)["logits"][0] for line in run.stdout.splitlines()]
    with gateway(tmp_path, settings={"models": {"reranker": {"path": str(made)}}}) as weir:
        results = ask(weir, "/v1/rerank", rerank()).body["results"]
        assert [r["index"] for r in results] == sorted(range(3), key=lambda i: -logits[i])
        for r in results:
            assert abs(r["relevance_score"] - 1 / (1 + 2.718281828459045 ** -logits[r["index"]])) < 1e-4
    assert not any("dammed" in line for line in weir.log)


def test_models_tells_the_memory_of_weights_cache_and_activations():
    require_models()
    done = subprocess.run([BINARY, "models", "--json", str(chat_model()), str(cache_folder() / "all-minilm-l6-v2")], capture_output=True, text=True, check=True, timeout=60)
    chat, encoder = map(json.loads, done.stdout.splitlines())
    assert 90e6 < chat["weight_bytes"] < 100e6 and chat["kv_bytes_per_1k_tokens"] == 1024 * 30 * 2 * 3 * 64 * 2  # Layers, K and V, heads, width, f16.
    # Residual, norm and branch; queries and their attention; keys and values; gate and up; a head's angles.
    assert chat["activation_bytes_per_row"] == 4 * (3 * 576 + 2 * 576 + 2 * 192 + 2 * 1536 + 64)
    assert encoder["kv_bytes_per_1k_tokens"] == 0 and encoder["activation_bytes_per_row"] > 4 * 384
    table = subprocess.run([BINARY, "models", str(chat_model())], capture_output=True, text=True, check=True, timeout=60).stdout
    assert f"{128 * chat['activation_bytes_per_row'] / 1e6:.1f} MB" in table
