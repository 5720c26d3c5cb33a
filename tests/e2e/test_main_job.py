"""The main job on the real binary and the real default models: a query answered here or escalated over TLS, what policy keeps at
home, the rows of each, keys, and the life of the process."""
import json
import os
import signal
import subprocess

import pytest
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, provider_entry, question, rows, rows_of, select, verify, wait_for
from provider import TEXT
from weir_process import BINARY

CARD = "4012 8888 8888 1881"
TOKEN = "ghp_x7Kq2mVb9Tn4Rw8Zc1Yd5Hf3Lj6PsAe0UgQi"
PROVIDER_KEY = "sk-of-the-gateway"
EASY = "Hello!"


@pytest.fixture(scope="module")
def weir(folder, far):
    prices = folder / "prices.yaml"
    prices.write_text('version: "test-1"\nprices:\n  - {model: gpt-4o-mini, input: 0.15, cached_input: 0.075, output: 0.60}\n')
    settings = {"aliases": {"gpt-4o": "auto"}, "prices": str(prices)}
    entry = provider_entry("first", far, api_key_env="TEST_PROVIDER_KEY", models=[MODEL, "unpriced-model"])
    with gateway(folder / "one", {"first": entry}, settings, env={"TEST_PROVIDER_KEY": PROVIDER_KEY}) as weir:
        yield weir
        assert_books_balance(weir)
        assert weir.stop() == 0
        assert not [line for line in weir.log if '"level":"error"' in line]


@pytest.fixture(scope="module")
def eu_weir(folder, far):
    """The eu-only pack with a provider inside and one outside of the EU; both are the same stand-in."""
    pack = os.path.join(os.path.dirname(__file__), "../../policies/packs/eu-only.yaml")
    entries = {"berlin": provider_entry("berlin", far, region="eu"), "virginia": provider_entry("virginia", far, region="us", models=["gpt-4o"])}
    with gateway(folder / "eu", entries, {"policy": {"pack": os.path.abspath(pack)}}) as weir:
        yield weir
        assert_books_balance(weir)


def test_a_query_is_answered_here_and_its_rows_say_so(weir, far):
    answer = ask(weir, body=question("Which planet is the largest in the solar system?", "auto:1.0", max_tokens=12, temperature=0))
    assert answer.status == 200
    assert "Jupiter" in answer.body["choices"][0]["message"]["content"]
    assert answer.headers["x-weir-route"] == "local" and answer.headers["x-weir-cost-usd"] == "0"
    assert answer.headers["x-weir-reason"]
    books = rows_of(weir, answer)
    assert books.decision["route"] == books.outcome["route"] == "local"
    assert books.decision["endpoint"] == "/v1/chat/completions" and books.decision["model"] == "auto:1.0"
    assert books.decision["pack_sha256"] and books.decision["effect"] == "allow" and books.decision["data_class"] == "public"
    assert books.attempts == [] and books.outcome["result"] == "ok" and books.outcome["status"] == 200
    assert books.outcome["cost_nusd"] == 0
    usage = answer.body["usage"]
    assert (books.outcome["prompt_tokens"], books.outcome["completion_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    # What it would have cost elsewhere: the same tokens at the first target's price.
    assert books.outcome["counterfactual_nusd"] == usage["prompt_tokens"] * 150 + usage["completion_tokens"] * 600
    assert far.requests == 0


def test_a_named_remote_model_is_asked_with_the_gateways_own_key_and_priced(weir, far):
    answer = ask(weir, body=question(), key="whatever-the-caller-has")
    assert answer.body["choices"][0]["message"]["content"] == TEXT
    assert far.headers[0]["authorization"] == "Bearer " + PROVIDER_KEY
    assert far.bodies[0]["model"] == MODEL
    usage = answer.body["usage"]
    fresh_tokens = usage["prompt_tokens"] - usage["prompt_tokens_details"]["cached_tokens"]
    cost = fresh_tokens * 150 + usage["prompt_tokens_details"]["cached_tokens"] * 75 + usage["completion_tokens"] * 600
    books = rows_of(weir, answer)
    assert books.decision["route"] == books.outcome["route"] == answer.headers["x-weir-route"] == "remote:first/" + MODEL
    assert json.loads(books.decision["reasons"]) == ["model_named"]
    attempt, = books.attempts
    assert (attempt["provider"], attempt["provider_model"], attempt["region"], attempt["status"]) == ("first", MODEL, "eu", 200)
    assert attempt["cost_nusd"] == books.outcome["cost_nusd"] == cost
    assert attempt["price_version"] == books.outcome["price_version"] == "test-1"
    assert float(answer.headers["x-weir-cost-usd"]) == pytest.approx(cost / 1e9, rel=1e-9)
    assert len(attempt["body_sha256"]) == 64 and attempt["request_bytes"] > 0


def test_the_hash_in_the_attempt_is_of_the_very_bytes_that_left(folder, weir, far):
    import hashlib
    answer = ask(weir, body=question("Exactly these bytes, with ümlauts."))
    attempt, = rows_of(weir, answer).attempts
    sent = [json.dumps(far.bodies[0], separators=(",", ":"), ensure_ascii=ascii).encode() for ascii in (False, True)]
    assert attempt["request_bytes"] in [len(s) for s in sent]
    assert attempt["body_sha256"] in [hashlib.sha256(s).hexdigest() for s in sent]


def test_an_unknown_price_is_null_and_not_nothing(weir):
    answer = ask(weir, body=question(model="remote/first/unpriced-model"))
    assert answer.status == 200 and "x-weir-cost-usd" not in answer.headers
    books = rows_of(weir, answer)
    assert books.outcome["cost_nusd"] is None and books.attempts[0]["cost_nusd"] is None
    assert books.outcome["completion_tokens"] == answer.body["usage"]["completion_tokens"]


def test_a_remote_stream_comes_through_and_is_priced(weir, far):
    stream = Stream(weir, question(stream_options={"include_usage": True})).drain()
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert stream.text == TEXT and stream.done and stream.finish_reasons == ["stop"]
    first = stream.events[0]["choices"][0]["delta"]
    assert first["role"] == "assistant" and not first.get("content")
    assert stream.events[-2]["choices"] == [] and stream.events[-2]["usage"]["completion_tokens"] == len(TEXT.split())
    assert all("usage" not in e or e["usage"] is None for e in stream.events[:-2])
    books = rows_of(weir, stream)
    assert books.decision["stream"] == 1 and books.outcome["cost_nusd"] > 0 and books.outcome["first_token_us"] > 0
    without = Stream(weir, question()).drain()
    assert without.text == TEXT and all("usage" not in e for e in without.events[:-1])
    assert rows_of(weir, without).outcome["cost_nusd"] == books.outcome["cost_nusd"]  # Asked for by Weir itself.


def test_completions_and_embeddings_have_their_rows_too(weir, far):
    answer = ask(weir, "/v1/completions", {"model": "remote/first/" + MODEL, "prompt": "Say hello."})
    assert answer.body["choices"][0]["text"] == TEXT
    assert rows_of(weir, answer).decision["endpoint"] == "/v1/completions"
    here = ask(weir, "/v1/completions", {"model": "local", "prompt": "The capital of France is", "max_tokens": 2})
    assert rows_of(weir, here).outcome["route"] == "local"
    far_vector = ask(weir, "/v1/embeddings", {"model": "remote/first/" + MODEL, "input": ["a", "b"]})
    assert [d["embedding"] for d in far_vector.body["data"]] == [[0.5, -0.5, 0.25]] * 2
    assert rows_of(weir, far_vector).outcome["prompt_tokens"] == far_vector.body["usage"]["prompt_tokens"]
    vector = ask(weir, "/v1/embeddings", {"model": "local", "input": "a"})
    assert rows_of(weir, vector).outcome["route"] == vector.headers["x-weir-route"] == "local"


def test_what_weir_does_not_know_goes_to_the_provider_untouched(weir, far):
    extra = {"tools": [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object", "properties": {}}}}],
             "response_format": {"type": "json_object"}, "reasoning_effort": "low", "metadata": {"a": "b"}, "logit_bias": {"7": 1.5}}
    answer = ask(weir, body=question(**extra))
    assert answer.status == 200
    for name, value in extra.items():
        assert far.bodies[0][name] == value


def test_a_request_only_a_provider_can_honour_leaves_under_auto(weir, far):
    answer = ask(weir, body=question(EASY, "auto", tools=[{"type": "function", "function": {"name": "f"}}]))
    assert answer.headers["x-weir-route"] == "remote:first/" + MODEL and "local_unsupported" in answer.headers["x-weir-reason"]
    assert far.requests == 1


def test_the_default_pack_redacts_a_card_and_turns_it_back(weir, far):
    far.script([{"kind": "ok", "text": "I cannot charge anything."}])
    answer = ask(weir, body=question(f"Charge my card {CARD} please."))
    sent = far.bodies[0]["messages"][-1]["content"]
    assert CARD not in sent and "1881" not in sent and sent.startswith("Charge my card ") and sent.endswith(" please.")
    pseudonym = sent[len("Charge my card "):-len(" please.")]
    assert "CREDIT_CARD" in pseudonym
    books = rows_of(weir, answer)
    assert books.decision["effect"] == "redact" and books.decision["data_class"] == "restricted"
    assert "policy_redacts" in books.decision["reasons"]
    # The provider speaks of the pseudonym; the caller reads his card, whole and streamed, however the stream cuts it.
    far.script([{"kind": "ok", "text": f"Charged {pseudonym} twice: {pseudonym}."}])
    whole = ask(weir, body=question(f"Charge my card {CARD} please."))
    assert whole.body["choices"][0]["message"]["content"] == f"Charged {CARD} twice: {CARD}."
    for pieces in (1, None):
        far.script([{"kind": "ok", "text": f"Charged {pseudonym} twice: {pseudonym}.", "tokens": pieces}])
        assert Stream(weir, question(f"Charge my card {CARD} please.")).drain().text == f"Charged {CARD} twice: {CARD}."
    assert all(CARD not in json.dumps(body) for body in far.bodies)


def test_every_field_that_could_leave_is_scanned(weir, far):
    places = {
        "system": {"messages": [{"role": "system", "content": f"Card {CARD}"}, {"role": "user", "content": "Hi"}]},
        "parts": {"messages": [{"role": "user", "content": [{"type": "text", "text": f"Card {CARD}"}]}]},
        "name": {"messages": [{"role": "user", "name": "4012888888881881", "content": "Hi"}]},
        "tool description": {"tools": [{"type": "function", "function": {"name": "f", "description": f"Card {CARD}"}}]},
        "tool parameters": {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "description": f"Card {CARD}"}}}]},
        "arguments": {"messages": [{"role": "user", "content": "Hi"},
                                   {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"card": CARD})}}]},
                                   {"role": "tool", "tool_call_id": "1", "content": f"Card {CARD}"}]},
        "user": {"user": "4012888888881881"},
        "metadata": {"metadata": {"card": CARD}},
        "unknown": {"made_up_field": {"deep": [f"Card {CARD}"]}},
        "prediction": {"prediction": {"type": "content", "content": f"Card {CARD}"}},
        "stop": {"stop": [CARD]},
        "file name": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"filename": f"card-{CARD}.pdf", "file_id": "f"}}]}]},
        "a member's name": {"metadata": {CARD: "x"}},
        "an integer": {"metadata": {"n": 4012888888881881}},
        "a real": {"metadata": {"n": 4012888888881881.0}},
        "options of a stream": {"stream": True, "stream_options": {"include_usage": True, "note": f"Card {CARD}"}},
    }
    for place, change in places.items():
        answer = ask(weir, body={**question("Hi"), **change})
        for body in far.bodies:
            assert not any(tail in json.dumps(body) for tail in ("1881", "888888")), f"the card left in {place}"
        if "x-weir-decision-id" in answer.headers:
            assert rows_of(weir, answer).decision["effect"] != "allow", place
        far.reset()


def test_secrets_stay_home(weir, far):
    text = f"Why does this token not work: {TOKEN}"
    for model in ("auto:0", MODEL):
        answer = ask(weir, body=question(text, model, max_tokens=4))
        assert answer.status == 200 and answer.headers["x-weir-route"] == "local"
        books = rows_of(weir, answer)
        assert books.decision["effect"] == "local_only" and books.decision["data_class"] == "secret"
    pinned = ask(weir, body=question(text))
    assert pinned.status == 403 and pinned.headers["x-weir-route"] == "refuse"
    assert pinned.body["error"]["code"] == "policy_violation" and "default" in pinned.body["error"]["message"]
    assert TOKEN not in json.dumps(pinned.body)
    books = rows_of(weir, pinned)
    assert (books.decision["route"], books.outcome["route"], books.outcome["result"], books.outcome["status"]) == ("refuse", "refuse", "refused", 403)
    assert Stream(weir, question(text)).drain().status == 403
    assert far.requests == 0 and far.connections == 0


def test_eu_only_keeps_a_card_at_home(eu_weir, far):
    for model in ("auto:0", MODEL):
        for body in (question(f"Charge my card {CARD}.", model, max_tokens=4),):
            answer = ask(eu_weir, body=body)
            assert answer.status == 200 and answer.headers["x-weir-route"] == "local"
            assert rows_of(eu_weir, answer).decision["effect"] == "local_only"
            assert Stream(eu_weir, body).drain().headers["x-weir-route"] == "local"
    assert ask(eu_weir, body=question(f"Charge my card {CARD}.", "remote/berlin/" + MODEL)).status == 403
    assert far.requests == 0 and far.connections == 0


def test_eu_only_lets_ordinary_text_go_to_the_eu_and_nowhere_else(eu_weir, far):
    inside = ask(eu_weir, body=question(model="remote/berlin/" + MODEL))
    assert inside.status == 200 and far.requests == 1
    outside = ask(eu_weir, body=question(model="remote/virginia/gpt-4o"))
    assert outside.status == 403 and outside.body["error"]["code"] == "policy_violation"
    assert far.requests == 1
    elsewhere = ask(eu_weir, body=question(model="gpt-4o", max_tokens=4))
    assert elsewhere.headers["x-weir-route"] == "local" and far.requests == 1
    verdict = json.loads(rows_of(eu_weir, outside).decision["verdict"])
    assert "virginia" not in verdict.get("targets", verdict.get("permitted", []))


def test_a_dry_run_explains_and_sends_nothing(weir, far):
    before = select(weir, "select count(*) as n from decision")[0]["n"]
    answer = ask(weir, "/v1/route", question(f"Charge my card {CARD}.", "auto:0"))
    assert answer.status == 200
    assert set(answer.body) >= {"route", "reasons", "inputs", "verdict", "targets", "score"}
    assert answer.body["inputs"]["verdict"]["effect"] == "redact"
    assert CARD not in json.dumps(answer.body) and "8888" not in json.dumps(answer.body)
    refused = ask(weir, "/v1/route", question(TOKEN))
    assert refused.status == 200 and refused.body["route"] == "refuse" and refused.body["status"] == 403
    assert far.requests == 0 and select(weir, "select count(*) as n from decision")[0]["n"] == before


def keys(weir, *arguments):
    done = subprocess.run([BINARY, "keys", *arguments, "--config", str(weir.config), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_keys_are_made_named_and_revoked_while_it_runs(folder, far):
    with gateway(folder / "keys", {"first": far}, {"keys": {"required": True}}) as weir:
        assert ask(weir, body=question()).status == 401
        assert ask(weir, body=question(), key="weir-guess").status == 401
        made = keys(weir, "create", "--tenant", "sales", "--name", "bot")
        secret = made["key"]
        answer = ask(weir, body=question(), key=secret)
        assert answer.status == 200
        books = rows_of(weir, answer)
        assert books.decision["tenant"] == books.outcome["tenant"] == "sales" and books.decision["key_id"]
        assert ask(weir, "/v1/models", key=secret).status == 200
        listed = keys(weir, "list")
        assert secret not in json.dumps(listed) and "bot" in json.dumps(listed)
        keys(weir, "revoke", "bot")
        refused = ask(weir, body=question(), key=secret)
        assert refused.status == 401 and refused.body["error"]["code"] == "invalid_api_key"
        assert secret not in json.dumps(refused.body)
        usage = wait_for(lambda: select(weir, "select * from key_usage"), "a row of key_usage")
        assert usage[0]["requests"] == 1 and usage[0]["cost_nusd"] == books.outcome["cost_nusd"]
        assert far.requests == 1
        assert_books_balance(weir)


def test_a_key_without_money_or_turns_left_is_429(folder, far):
    with gateway(folder / "budget", {"first": far}, {"keys": {"required": True}}) as weir:
        poor = keys(weir, "create", "--name", "poor", "--budget-usd", "0.000001")["key"]
        refused = ask(weir, body=question(max_tokens=100), key=poor)
        assert refused.status == 429 and refused.body["error"]["code"] == "insufficient_quota" and "retry-after" in refused.headers
        assert ask(weir, body=question("Hi", "local", max_tokens=2), key=poor).status == 200
        hasty = keys(weir, "create", "--name", "hasty", "--per-minute", "1")["key"]
        assert ask(weir, body=question(), key=hasty).status == 200
        again = ask(weir, body=question(), key=hasty)
        assert again.status == 429 and int(again.headers["retry-after"]) >= 1
        assert far.requests == 1
        assert_books_balance(weir)


def test_sigterm_finishes_what_runs_and_leaves_even_books(folder, far):
    with gateway(folder / "drain", {"first": far}) as weir:
        far.script([{"kind": "slow", "ms": 20}])
        stream = Stream(weir, question())
        assert stream.next_text()
        weir.process.send_signal(signal.SIGTERM)
        stream.drain()
        assert stream.text == TEXT and stream.done
        assert weir.process.wait(60) == 0
        assert rows(weir, stream.headers["x-weir-decision-id"]).outcome["result"] == "ok"
        assert_books_balance(weir)


def test_a_reload_with_an_error_keeps_the_old_configuration_whole(folder, far):
    with gateway(folder / "reload", {"first": far}) as weir:
        good = weir.config.read_text()
        weir.config.write_text(good.replace('"first"', '"second"').replace('"region"', '"rgion"'))
        weir.process.send_signal(signal.SIGHUP)
        line = wait_for(lambda: [line for line in list(weir.log) if "reload_failed" in line], "the log line of a refused reload")[0]
        assert "weir.yaml:" in line and "rgion" in line and "region" in line
        assert ask(weir, body=question()).headers["x-weir-route"] == "remote:first/" + MODEL
        weir.config.write_text(good.replace('"first"', '"second"'))
        weir.process.send_signal(signal.SIGHUP)
        wait_for(lambda: ask(weir, body=question(model="remote/second/" + MODEL)).status == 200, "the new configuration")
        assert ask(weir, body=question()).status == 404
        assert_books_balance(weir)


def test_the_ledgers_own_verifier_agrees(folder, far):
    with gateway(folder / "verify", {"first": far}) as weir:
        for text in ("one", "two"):
            assert ask(weir, body=question(text)).status == 200
        assert_books_balance(weir)
        assert weir.stop() == 0
        done = verify(weir)
        assert done.returncode == 0, done.stdout + done.stderr
