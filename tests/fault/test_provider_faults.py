"""What providers do wrong, over real TLS: what the caller sees of it, which attempts stand in the ledger, who takes over."""
import json
import pathlib
import socket
import subprocess
import sys

import pytest
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, provider_entry, question, rows_of, wait_for
from provider import TEXT, Provider

SHORT = {"connect": "2s", "first_byte": "1s", "stall": "1s", "total": "20s"}
SAMPLING = {"max_tokens": 12, "temperature": 0}  # For where the local model answers or goes on.


@pytest.fixture(scope="module")
def first(folder):
    with Provider(folder / "certificates") as provider:
        yield provider


@pytest.fixture(scope="module")
def second(folder, first):
    with Provider(folder / "certificates") as provider:
        yield provider


@pytest.fixture(scope="module")
def weir(folder, first, second):
    """`gpt-4o-mini` goes to first, then second, then the local model; remote/first/… to first alone."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        nobody = (f"https://127.0.0.1:{closed.getsockname()[1]}/v1", first.ca)  # Bound and not listening: refused.
        bad = {name: Provider(folder / "certificates", name).start() for name in ("expired", "wrong_host", "self")}
        providers = {"first": provider_entry("first", first, timeouts=SHORT), "second": provider_entry("second", second, timeouts=SHORT)}
        providers.update({name: provider_entry(name, provider, models=["m-" + name]) for name, provider in bad.items()})
        providers["refused"] = provider_entry("refused", nobody, models=["m-refused"])
        providers["second-too"] = provider_entry("second-too", second, models=["m-" + name for name in bad] + ["m-refused"])
        with gateway(folder / "weir", providers) as weir:
            yield weir
            assert_books_balance(weir)
            assert weir.stop() == 0
            assert not [line for line in weir.log if '"level":"error"' in line]
        for provider in bad.values():
            provider.stop()


@pytest.fixture(autouse=True)
def fresh(weir, first, second):
    """Both providers answer well, and first's breaker has forgotten what the test before did to it."""
    for provider in (first, second):
        provider.script([{"kind": "ok"}])
    wait_for(lambda: ask(weir, body=question()).status == 200, "first is asked again")
    first.reset()
    second.reset()


def results(books):
    return [(a["provider"], a["result"]) for a in books.attempts]


OK, FIRST, SECOND = {"kind": "ok"}, "first", "second"
# fault: (script of first, status and code for who pinned it, first's attempts then)
WHOLE = {
    "reset before the answer": ([{"kind": "cut", "at": 0}], 502, "provider_error", ["reset", "reset"]),
    "answer cut in its middle": ([{"kind": "truncate", "at": 1}], 502, "provider_error", ["reset", "reset"]),
    "401": ([{"kind": "status", "status": 401}], 502, "provider_credentials", ["credentials"]),
    "403": ([{"kind": "status", "status": 403}], 502, "provider_credentials", ["credentials"]),
    "429 twice": ([{"kind": "status", "status": 429, "retry_after": "0"}], 429, "provider_rate_limited", ["rate_limited", "rate_limited"]),
    "429 for an hour": ([{"kind": "status", "status": 429, "retry_after": "3600"}], 429, "provider_rate_limited", ["rate_limited"]),
    "500": ([{"kind": "status", "status": 500}], 502, "provider_error", ["server_error", "server_error"]),
    "503": ([{"kind": "status", "status": 503, "retry_after": "0"}], 502, "provider_error", ["server_error", "server_error"]),
    "200 with an error": ([{"kind": "error_body"}], 502, "provider_error", ["error_body"]),
    "bad JSON": ([{"kind": "bad_json"}], 502, "provider_error", ["bad_json"]),
    "an answer of no choices": ([{"kind": "no_choices"}], 502, "provider_error", ["bad_json"]),
    "stall before anything": ([{"kind": "stall", "at": -1}], 504, "provider_timeout", ["timeout_first_byte"]),
    "context length": ([{"kind": "context_length"}], 400, "context_length_exceeded", ["context_length"]),
}


@pytest.mark.parametrize("fault", WHOLE)
def test_a_fault_of_the_named_provider_is_told_and_recorded(weir, first, second, fault):
    script, status, code, attempts = WHOLE[fault]
    first.script(script)
    answer = ask(weir, body=question())
    assert (answer.status, answer.body["error"]["code"]) == (status, code)
    assert set(answer.body["error"]) == {"message", "type", "param", "code"}
    assert "scripted" not in answer.body["error"]["message"]
    assert ("retry-after" in answer.headers) == (status == 429)
    books = rows_of(weir, answer)
    assert results(books) == [(FIRST, result) for result in attempts]
    assert books.outcome["result"] == "error" and books.outcome["status"] == status and books.outcome["error_code"] == code
    assert first.requests == len(attempts) and second.requests == 0  # A pinned provider is never replaced.


@pytest.mark.parametrize("fault", WHOLE)
def test_the_next_provider_takes_over(weir, first, second, fault):
    script, _, _, attempts = WHOLE[fault]
    first.script(script)
    answer = ask(weir, body=question(model=MODEL))
    assert answer.status == 200 and answer.body["choices"][0]["message"]["content"] == TEXT
    assert answer.headers["x-weir-route"] == "remote:second/" + MODEL
    books = rows_of(weir, answer)
    assert results(books) == [(FIRST, result) for result in attempts] + [(SECOND, "ok")]
    assert books.decision["route"] == "remote:first/" + MODEL and books.outcome["route"] == "remote:second/" + MODEL
    assert books.outcome["seams"] == 0


@pytest.mark.parametrize("fault", WHOLE)
def test_a_stream_that_has_not_begun_is_taken_over_unseen(weir, first, second, fault):
    script, _, _, _ = WHOLE[fault]
    script = [{"kind": "cut", "at": 0}] if fault == "answer cut in its middle" else script
    first.script(script)
    stream = Stream(weir, question(model=MODEL)).drain()
    assert stream.status == 200 and stream.text == TEXT and stream.done and stream.finish_reasons == ["stop"] and not stream.errors
    assert stream.headers["x-weir-route"] == "remote:second/" + MODEL
    books = rows_of(weir, stream)
    assert books.outcome["route"] == "remote:second/" + MODEL and books.outcome["seams"] == 0


@pytest.mark.parametrize("step, result", [({"kind": "cut", "at": 0}, "reset"), ({"kind": "status", "status": 500}, "server_error"),
                                          ({"kind": "status", "status": 429, "retry_after": "1"}, "rate_limited")])
def test_one_retry_at_the_same_provider_mends_a_passing_fault(weir, first, second, step, result):
    for ask_it in (lambda: ask(weir, body=question(model=MODEL)), lambda: Stream(weir, question(model=MODEL)).drain()):
        first.script([step, OK])
        answer = ask_it()
        assert answer.headers["x-weir-route"] == "remote:first/" + MODEL
        assert results(rows_of(weir, answer)) == [(FIRST, result), (FIRST, "ok")]
    assert second.requests == 0


@pytest.mark.parametrize("script, status, code, result", [
    ([{"kind": "content_filter"}], 400, "content_filter", "content_filter"),
    ([{"kind": "status", "status": 422, "error": {"message": "n is too large", "type": "invalid_request_error", "param": "n", "code": "bad_n"}}], 422, "bad_n", "refused"),
])
def test_a_refusal_of_the_request_itself_ends_it(weir, first, second, script, status, code, result):
    first.script(script)
    answer = ask(weir, body=question(model=MODEL, **SAMPLING))
    assert (answer.status, answer.body["error"]["code"]) == (status, code)
    assert results(rows_of(weir, answer)) == [(FIRST, result)]
    assert Stream(weir, question(model=MODEL)).drain().status == status
    assert second.requests == 0


@pytest.mark.parametrize("name", ["refused", "expired", "wrong_host", "self"])
def test_who_cannot_be_trusted_or_reached_is_told_nothing(weir, second, name):
    code, result = ("provider_unreachable", "connect") if name == "refused" else ("provider_certificate", "tls")
    pinned = ask(weir, body=question(model=f"remote/{name}/m-{name}"))
    assert (pinned.status, pinned.body["error"]["code"]) == (502, code)
    assert {a["result"] for a in rows_of(weir, pinned).attempts} == {result}
    over = ask(weir, body=question(model="m-" + name))
    assert over.status == 200 and over.headers["x-weir-route"] == f"remote:second-too/m-{name}"
    assert [r for r in results(rows_of(weir, over)) if r[0] != name] == [("second-too", "ok")]


def test_nothing_was_sent_to_an_untrusted_provider(folder, second):
    for name in ("expired", "wrong_host", "self"):
        with Provider(folder / "certificates", name) as bad, gateway(folder / ("trust-" + name), {"bad": bad}) as weir:
            assert ask(weir, body=question(model="remote/bad/" + MODEL)).status == 502
            assert bad.connections >= 1 and bad.requests == 0


MIDWAY = {
    "cut": {"kind": "cut", "at": 2},
    "truncated": {"kind": "truncate", "at": 2},
    "stalled": {"kind": "stall", "at": 2},
    "error event": {"kind": "error_event", "at": 2},
}


@pytest.mark.parametrize("fault", MIDWAY)
def test_a_broken_stream_goes_on_at_the_next_provider(weir, first, second, fault):
    first.script([MIDWAY[fault]])
    stream = Stream(weir, question(model=MODEL)).drain()
    assert stream.text == TEXT and stream.done and stream.finish_reasons == ["stop"] and not stream.errors
    said = second.bodies[0]["messages"][-1]
    assert said["role"] == "assistant" and TEXT.startswith(said["content"]) and said["content"]
    books = rows_of(weir, stream)
    assert [a["provider"] for a in books.attempts] == [FIRST, SECOND]
    assert [a["resumed"] for a in books.attempts] == [0, 1] and books.outcome["seams"] == 1
    assert books.outcome["route"] == "remote:second/" + MODEL and books.outcome["result"] == "ok"
    assert stream.headers["x-weir-route"] == "remote:first/" + MODEL  # Who it began with: a head cannot be taken back.


def test_where_a_prefix_is_refused_the_question_is_asked_afresh_and_the_beginning_skipped(weir, first, second):
    first.script([MIDWAY["cut"]])
    second.script([{"kind": "refuse_prefix"}])
    stream = Stream(weir, question(model=MODEL)).drain()
    assert stream.text == TEXT and stream.done
    assert [body["messages"][-1]["role"] for body in second.bodies] == ["assistant", "user"]
    assert rows_of(weir, stream).outcome["seams"] == 1


def test_the_local_model_finishes_last_of_all(weir, first, second):
    first.script([MIDWAY["cut"]])
    second.script([{"kind": "status", "status": 500}])
    stream = Stream(weir, question(model=MODEL, **SAMPLING)).drain()
    assert stream.text.startswith("The stand-in") and stream.done and not stream.errors
    assert len(stream.finish_reasons) == 1 and stream.finish_reasons[0] in ("stop", "length")
    books = rows_of(weir, stream)
    assert books.outcome["route"] == "local" and books.outcome["result"] == "ok" and books.outcome["seams"] >= 1
    assert [a["provider"] for a in books.attempts] == [FIRST, SECOND, SECOND]


def test_a_shaped_answer_that_broke_off_is_finished_within_its_shape(weir, first, second):
    first.script([{"kind": "cut", "at": 3, "text": '{"city": "Par is", "inhabitants": 2'}])
    second.script([{"kind": "status", "status": 500}])
    schema = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}, "inhabitants": {"type": "integer"}},
              "required": ["city", "inhabitants"], "additionalProperties": False}
    stream = Stream(weir, question(model=MODEL, response_format={"type": "json_schema", "json_schema": {"name": "c", "schema": schema}}, temperature=0, max_tokens=120)).drain()
    assert rows_of(weir, stream).outcome["route"] == "local" and stream.finish_reasons == ["stop"]
    assert set(json.loads(stream.text)) == {"city", "inhabitants"}


def test_another_answer_than_before_is_never_glued_on(weir, first, second):
    first.script([MIDWAY["cut"]])
    second.script([{"kind": "refuse_prefix", "text": "Something else entirely."}])
    stream = Stream(weir, question(model=MODEL, **SAMPLING)).drain()
    assert "Something" not in stream.text and stream.text.startswith("The stand-in") and stream.done
    assert rows_of(weir, stream).outcome["route"] == "local"


def test_the_local_model_answers_when_nobody_else_can(weir, first, second):
    for provider in (first, second):
        provider.script([{"kind": "status", "status": 500}])
    answer = ask(weir, body=question("Which planet is the largest in the solar system?", MODEL, **SAMPLING))
    assert answer.status == 200 and "Jupiter" in answer.body["choices"][0]["message"]["content"]
    assert answer.headers["x-weir-route"] == "local"
    books = rows_of(weir, answer)
    assert books.decision["route"] == "remote:first/" + MODEL and books.outcome["route"] == "local" and len(books.attempts) == 4


@pytest.mark.parametrize("fault", MIDWAY)
def test_a_stream_that_cannot_be_saved_ends_with_an_error_and_no_finish_reason(weir, first, second, fault):
    first.script([MIDWAY[fault]])
    stream = Stream(weir, question()).drain()
    assert stream.text.startswith("The stand-in") and not stream.finish_reasons and not stream.done
    assert len(stream.errors) == 1 and stream.events[-1]["error"]["message"]
    books = rows_of(weir, stream)
    assert books.outcome["result"] == "error" and len(books.attempts) == 1 and books.outcome["cost_nusd"] is None
    assert second.requests == 0


def test_a_bad_event_is_skipped_and_counted(weir, first):
    first.script([{"kind": "bad_event", "at": 1}])
    stream = Stream(weir, question(model=MODEL)).drain()
    assert stream.text == TEXT and stream.done
    books = rows_of(weir, stream)
    assert results(books) == [(FIRST, "ok")] and books.attempts[0]["bad_events"] == 1


def test_a_stream_without_done_ends_with_its_connection(weir, first, second):
    first.script([{"kind": "no_done"}])
    stream = Stream(weir, question(model=MODEL)).drain()
    assert stream.text == TEXT and stream.done and stream.finish_reasons == ["stop"]
    assert results(rows_of(weir, stream)) == [(FIRST, "ok")] and second.requests == 0


def test_a_head_alone_is_no_first_byte(weir, first, second):
    first.script([{"kind": "stall", "at": -2}])
    stream = Stream(weir, question(model=MODEL)).drain()
    assert stream.text == TEXT
    assert results(rows_of(weir, stream)) == [(FIRST, "timeout_first_byte"), (SECOND, "ok")]


def test_the_local_encoder_never_stands_in_for_a_provider_s(folder, first):
    """Vectors of two encoders don't compare: without its provider an embedding model is an error."""
    entry = provider_entry("keyless", first, models=["text-embedding-3-small"], api_key_env="WEIR_TEST_NO_SUCH_KEY")
    with gateway(folder / "encoder", {"keyless": entry}) as weir:
        answer = ask(weir, "/v1/embeddings", {"model": "text-embedding-3-small", "input": "a"})
        assert answer.status == 503 and answer.body["error"]["code"] == "provider_not_configured"
        assert rows_of(weir, answer).outcome["route"] == "refuse"


def test_what_failed_attempts_cost_stays_on_an_answer_from_here(weir, first, second):
    """A 200 that can't be used was charged all the same, and nobody said how much."""
    for provider in (first, second):
        provider.script([{"kind": "bad_json"}])
    answer = ask(weir, body=question(model=MODEL, **SAMPLING))
    assert answer.status == 200 and answer.headers["x-weir-route"] == "local"
    books = rows_of(weir, answer)
    assert [a["cost_nusd"] for a in books.attempts] == [None, None] and books.outcome["cost_nusd"] is None
    assert "x-weir-cost-usd" not in answer.headers


def test_a_client_that_leaves_hangs_up_at_the_provider(weir, first):
    first.script([{"kind": "stall", "at": 1}])
    stream = Stream(weir, question())
    assert stream.next_text()
    stream.response.close()
    stream.connection.close()
    wait_for(lambda: first.hangups, "the provider sees the hang-up")
    books = rows_of(weir, stream)
    assert books.outcome["result"] == "cancelled" and [a["result"] for a in books.attempts] == ["cancelled"]


def test_a_provider_that_stays_down_is_left_alone_and_asked_again_when_it_is_back(folder, first, second):
    down = [{"kind": "status", "status": 500}]
    providers = {"first": provider_entry("first", first), "second": provider_entry("second", second)}
    with gateway(folder / "breaker", providers) as weir:
        first.script(down)
        wait_for(lambda: "provider_down" in ask(weir, body=question(model=MODEL)).headers["x-weir-reason"], "the breaker opens")
        n = first.requests
        assert n >= 5
        refused = ask(weir, body=question())
        assert refused.status in (502, 503)  # Open: refused unasked; or just probed.
        first.script([OK])
        wait_for(lambda: ask(weir, body=question()).status == 200, "a probe closes the breaker")
        assert ask(weir, body=question(model=MODEL)).headers["x-weir-route"] == "remote:first/" + MODEL
        assert_books_balance(weir)


def test_a_provider_unplugged_in_mid_stream(folder, first):
    """Not a scripted fault: its process is killed while its stream runs. The local model finishes."""
    program = pathlib.Path(__file__).parents[1] / "support" / "provider.py"
    process = subprocess.Popen([sys.executable, str(program), "--dir", str(folder / "certificates"), "--script", json.dumps([{"kind": "stall", "at": 3}])],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        place = json.loads(process.stdout.readline())
        with gateway(folder / "unplugged", {"first": provider_entry("first", (place["url"], place["ca"]))}) as weir:
            stream = Stream(weir, question(model=MODEL, **SAMPLING))
            assert stream.next_text() and stream.next_text()
            process.kill()
            stream.drain()
            assert stream.text.startswith("The stand-in") and stream.done and not stream.errors
            books = rows_of(weir, stream)
            assert books.outcome["route"] == "local" and books.outcome["seams"] >= 1 and books.attempts[0]["result"] in ("reset", "cut")
            # And what comes after it does not depend on it.
            assert ask(weir, body=question("Hi", "local", max_tokens=2)).status == 200
            assert ask(weir, "/readyz").status == 200
            assert ask(weir, body=question()).status in (502, 503)
            assert_books_balance(weir)
    finally:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_embeddings_move_on_and_never_come_from_another_model(weir, first, second):
    body = {"model": MODEL, "input": "a"}
    first.script([{"kind": "status", "status": 500}])
    answer = ask(weir, "/v1/embeddings", body)
    assert answer.status == 200 and answer.headers["x-weir-route"] == "remote:second/" + MODEL
    second.script([{"kind": "status", "status": 500}])
    refused = ask(weir, "/v1/embeddings", body)
    assert refused.status == 502, "vectors of the local encoder are no stand-in for another model's"
