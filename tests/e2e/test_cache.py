"""The answer cache end to end: who gets an answer again, when, and what the rows, headers and metrics say of it."""
import json
import os
import pathlib
import signal
import subprocess

import pytest
import script_model
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, question, rows_of, wait_for
from provider import TEXT
from weir_process import BINARY

TEMPLATES = pathlib.Path(os.environ.get("WEIR_SHARED", pathlib.Path(__file__).parents[3] / "shared")) / "fixtures" / "templates" / "models"
CACHE = {"exact": True, "semantic": True, "ttl": "1h", "max_bytes": "1MiB"}


@pytest.fixture(scope="module")
def weir(folder, far):
    with gateway(folder / "weir", {"first": far}, {"cache": CACHE}) as weir:
        yield weir
        assert_books_balance(weir)
        assert weir.stop() == 0


@pytest.fixture(autouse=True)
def fresh(weir, far):
    far.reset()
    run(weir, "cache", "clear")


def run(weir, *words):
    done = subprocess.run([BINARY, *words, "--config", str(weir.config)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def stats(weir):
    return json.loads(run(weir, "cache", "stats", "--json"))


def text_of(answer):
    return answer.body["choices"][0]["message"]["content"]


def test_the_second_time_a_question_is_answered_from_memory(weir, far):
    first, second = (ask(weir, body=question("What is a weir?")) for _ in range(2))
    assert far.requests == 1 and text_of(first) == text_of(second) == TEXT
    assert first.headers["x-weir-route"] == "remote:first/" + MODEL and "age" not in first.headers
    assert second.headers["x-weir-route"] == "cache" and second.headers["x-weir-reason"] == "cache_exact"
    assert float(second.headers["x-weir-cost-usd"]) == 0 and int(second.headers["age"]) >= 0
    assert second.body["usage"] == first.body["usage"] and second.body["id"] != first.body["id"] and second.body["model"] == first.body["model"]
    books = rows_of(weir, second)
    assert books.decision["route"] == books.outcome["route"] == "cache" and books.attempts == []
    assert books.outcome["cost_nusd"] == 0 and books.outcome["counterfactual_nusd"] == rows_of(weir, first).outcome["cost_nusd"] > 0
    inputs = json.loads(books.decision["inputs"])
    assert inputs["cache"] == {"hit": "exact", "likeness": 1.0, "decision_id": first.headers["x-weir-decision-id"]}
    assert inputs["score"] is None and inputs["local"]["state"] == "unasked"
    assert json.loads(rows_of(weir, first).decision["inputs"])["cache"] is None


@pytest.mark.parametrize("model", ["local", "remote/first/" + MODEL, "auto"])
@pytest.mark.parametrize("made_by_stream", [False, True])
def test_streamed_and_plain_answers_serve_each_other(weir, model, made_by_stream):
    body = question("What is 2+2? Answer with one number.", model, temperature=0, max_tokens=60)
    made = Stream(weir, body).drain() if made_by_stream else ask(weir, body=body)
    text = made.text if made_by_stream else text_of(made)
    assert made.headers["x-weir-route"] != "cache" and text
    whole = ask(weir, body=body)
    stream = Stream(weir, {**body, "stream_options": {"include_usage": True}}).drain()
    assert whole.headers["x-weir-route"] == stream.headers["x-weir-route"] == "cache"
    assert text_of(whole) == stream.text == text and whole.body["choices"][0]["finish_reason"] == "stop"
    assert stream.done and stream.finish_reasons == ["stop"]
    assert stream.events[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    assert stream.events[-2]["usage"] == whole.body["usage"] and whole.body["usage"]["completion_tokens"] > 0
    assert float(stream.headers["x-weir-cost-usd"]) == 0
    assert len({e["id"] for e in stream.events if isinstance(e, dict)}) == 1


@pytest.mark.parametrize("more", [{"temperature": 0.7}, {"top_p": 0.5}, {"n": 2}, {"logprobs": True}, {"store": True},
                                  {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]}])
def test_what_asks_for_more_than_one_settled_text_passes_by(weir, far, more):
    for _ in range(2):
        assert ask(weir, body=question("What is a weir?", **more)).headers["x-weir-route"] == "remote:first/" + MODEL
    assert far.requests == 2 and stats(weir)["entries"] == 0


def test_a_text_with_a_finding_is_never_kept(weir, far):
    for _ in range(2):
        ask(weir, body=question("Write to ada@example.org that the weir is built."))
    assert far.requests == 2 and stats(weir)["entries"] == 0


def test_an_unfinished_answer_is_not_kept(weir, far):
    for _ in range(2):
        cut = ask(weir, body=question("Tell me a long story.", "local", max_tokens=3, temperature=0))
        assert cut.body["choices"][0]["finish_reason"] == "length" and cut.headers["x-weir-route"] == "local"
    far.script([{"kind": "cut", "at": 2}, {"kind": "ok"}])
    assert Stream(weir, question("Say hello.")).drain().errors
    far.script([{"kind": "status", "status": 400}])
    assert ask(weir, body=question("Say goodbye.")).status == 400
    far.script([{"kind": "ok", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}])
    ask(weir, body=question("Call it."))
    Stream(weir, question("Call it.")).drain()
    assert stats(weir)["entries"] == 0


def test_a_local_answer_for_want_of_the_provider_is_not_kept(weir, far):
    far.script([{"kind": "status", "status": 500}])
    instead = ask(weir, body=question("Thank you very much!", MODEL, temperature=0, max_tokens=60))
    assert instead.status == 200 and instead.headers["x-weir-route"] == "local"
    assert stats(weir)["entries"] == 0


def test_a_caller_can_pass_it_by(weir, far):
    body = question("What is a weir?")
    ask(weir, body=body, headers={"cache-control": "no-store"})
    assert stats(weir)["entries"] == 0
    ask(weir, body=body)
    assert ask(weir, body=body, headers={"cache-control": "max-age=0, No-Cache"}).headers["x-weir-route"] == "remote:first/" + MODEL
    assert far.requests == 3 and ask(weir, body=body).headers["x-weir-route"] == "cache"


SAME = [("What is the capital of France?", "hi! what's the capital of France, please?"),
        ("How do I reset my password?", "Please tell me how do I reset my password"),
        ("Explain photosynthesis in one sentence.", "could you please explain photosynthesis in one sentence")]
DIFFERENT = [("How do I turn the alarm on?", "How do I turn the alarm off?"), ("Why can I return it?", "Why can't I return it?"),
             ("Who won the cup in 2019?", "Who won the cup in 2020?"), ("How do I enable the firewall?", "How do I disable the firewall?"),
             ("Should I eat before the test?", "Should I eat after the test?"), ("Does Alice owe Bob money?", "Does Bob owe Alice money?"),
             ("Explain `a = b`", "Explain `b = a`")]


@pytest.mark.parametrize("one, other", SAME)
def test_the_same_question_in_other_harmless_words_is_found_by_meaning(weir, far, one, other):
    first = ask(weir, body=question(one))
    second = ask(weir, body=question(other))
    assert second.headers["x-weir-route"] == "cache" and second.headers["x-weir-reason"] == "cache_semantic"
    assert far.requests == 1 and text_of(second) == text_of(first)
    found = json.loads(rows_of(weir, second).decision["inputs"])["cache"]
    assert found["hit"] == "semantic" and 0.8 <= found["likeness"] <= 1.0001 and found["decision_id"] == first.headers["x-weir-decision-id"]


@pytest.mark.parametrize("one, other", DIFFERENT)
def test_opposites_numbers_and_swapped_names_are_never_found(weir, far, one, other):
    ask(weir, body=question(one))
    assert ask(weir, body=question(other)).headers["x-weir-route"] == "remote:first/" + MODEL
    assert far.requests == 2


def test_history_and_system_prompt_must_be_the_same_for_a_meaning(weir, far):
    def talk(system, last):
        return {"model": "remote/first/" + MODEL, "messages": [{"role": "system", "content": system}, {"role": "user", "content": last}]}

    ask(weir, body=talk("Be brief.", "What is a weir?"))
    assert ask(weir, body=talk("Be long.", "what's a weir")).headers["x-weir-route"] != "cache"
    assert ask(weir, body=talk("Be brief.", "what's a weir")).headers["x-weir-route"] == "cache"


def test_a_dry_run_says_cache_and_counts_nothing(weir):
    body = question("What is a weir?")
    assert ask(weir, "/v1/route", body).body["route"] == "remote:first/" + MODEL
    ask(weir, body=body)
    before = stats(weir)
    dry = ask(weir, "/v1/route", body).body
    assert dry["route"] == "cache" and dry["reasons"] == ["cache_exact"] and dry["inputs"]["cache"]["hit"] == "exact"
    assert stats(weir) == before


def test_metrics_and_stats_count_what_happened(weir):
    before = stats(weir)
    for _ in range(3):
        ask(weir, body=question("What is a weir?"))
    ask(weir, body=question("what's a weir"))
    after = stats(weir)
    assert [after[k] - before[k] for k in ("exact_hits", "semantic_hits", "misses", "kept")] == [2, 1, 1, 1]
    assert after["tenants"] == [{"tenant": None, "entries": 1, "bytes": after["used_bytes"]}] and after["max_bytes"] == 1 << 20
    text = ask(weir, "/metrics").body.decode()
    assert f'weir_cache_lookups_total{{found="exact"}} {after["exact_hits"]}\n' in text and "weir_cache_entries 1\n" in text
    served = [line for line in text.splitlines() if line.startswith('weir_requests_total{gen_ai_operation_name="chat",route="cache",status="200"}')]
    assert len(served) == 1 and int(served[0].split()[-1]) >= 3
    assert "1 answers in" in run(weir, "cache", "stats")


def test_clearing_and_reloading_forget(weir, far):
    body = question("What is a weir?")
    ask(weir, body=body)
    assert run(weir, "cache", "clear") == "1 answers forgotten\n"
    assert ask(weir, body=body).headers["x-weir-route"] != "cache"
    weir.process.send_signal(signal.SIGHUP)
    wait_for(lambda: stats(weir)["entries"] == 0, "a reload that forgets")
    assert ask(weir, body=body).headers["x-weir-route"] != "cache" and far.requests == 3


def test_tenants_never_see_each_others_answers(folder, far):
    with gateway(folder / "tenants", {"first": far}, {"cache": CACHE, "keys": {"required": True}}) as weir:
        keys = [run(weir, "keys", "create", "--tenant", tenant).strip() for tenant in ("sales", "legal", "sales")]
        body = question("What is a weir?")
        routes = [ask(weir, body=body, key=key).headers["x-weir-route"] for key in keys]
        assert routes == ["remote:first/" + MODEL, "remote:first/" + MODEL, "cache"] and far.requests == 2
        assert ask(weir, body=question("what's a weir"), key=keys[1]).headers["x-weir-route"] == "cache"
        assert run(weir, "cache", "clear", "--tenant", "sales") == "1 answers forgotten\n"
        assert [t["tenant"] for t in stats(weir)["tenants"]] == ["legal"]
        assert [ask(weir, body=body, key=key).headers["x-weir-route"] for key in keys[:2]] == ["remote:first/" + MODEL, "cache"]
        assert_books_balance(weir)


def test_off_unless_configured_and_each_kind_by_itself(folder, far):
    for name, settings, expected in (("off", {}, ["remote", "remote", "remote"]), ("exact", {"cache": {"exact": True}}, ["remote", "cache", "remote"]),
                                     ("meaning", {"cache": {"semantic": 0.8}}, ["remote", "cache", "cache"])):
        with gateway(folder / name, {"first": far}, settings) as weir:
            asked = [ask(weir, body=question(text)) for text in ("What is a weir?", "What is a weir?", "what's a weir")]
            assert [a.headers["x-weir-route"].split(":")[0] for a in asked] == expected, name


@pytest.mark.parametrize("made_by_stream", [False, True])
def test_of_models_that_reason_only_what_is_text_alone_is_kept(folder, made_by_stream):
    root = folder / f"reasoning-{made_by_stream}"
    root.mkdir()
    source = (TEMPLATES / "Qwen3-0.6B.jinja").read_bytes().decode()
    said = {"plain": "It is cold in Oslo.", "thought": "<think>\nI must look.\n</think>\n\nIt is cold in Oslo."}
    others = {name: {"path": str(script_model.write(root / f"{name}.gguf", source, {"\n": text}, "<|im_end|>", ["<|im_start|>"], bos="<|im_end|>"))}
              for name, text in said.items()}
    with gateway(root / "weir", settings={"models": {"others": others}, "cache": CACHE}) as weir:
        for name, second in (("plain", "cache"), ("thought", "local")):
            body = question("Is it cold in Oslo?", "local/" + name, temperature=0)
            first = Stream(weir, body).drain().text if made_by_stream else text_of(ask(weir, body=body))
            again = ask(weir, body=body)
            assert again.headers["x-weir-route"] == second, name
            assert text_of(again) == first == "It is cold in Oslo."


def test_nothing_of_it_reaches_the_disk(weir, far, folder):
    canary = "The zebrafinch of Quedlinburg"
    far.script([{"kind": "ok", "text": canary + " sings."}])
    body = question(canary + " does what?")
    assert ask(weir, body=body).status == 200 and ask(weir, body=body).headers["x-weir-route"] == "cache"
    ask(weir, body=question("please tell me what " + canary + " does"))
    for path in pathlib.Path(weir.settings["data_dir"]).iterdir():
        if path.is_file():
            assert b"Quedlinburg" not in path.read_bytes(), path
    assert not any("Quedlinburg" in line for line in weir.log)


def test_the_verb_explains_itself_and_needs_a_running_weir(folder):
    def call(*words):
        return subprocess.run([BINARY, "cache", *words], capture_output=True, text=True, timeout=60, env={**os.environ, "XDG_STATE_HOME": str(folder / "state")})

    assert call("--help").returncode == 0 and call().returncode == 2 and call("stats", "--tenant", "x").returncode == 2
    absent = call("stats")
    assert absent.returncode == 1 and "no Weir runs" in absent.stderr
