"""`auto` on the real classifier: what the small model answers well stays here, what it does not is escalated, and the rows say why."""
import json

import pytest
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, question, rows_of
from provider import TEXT, Provider

EASY = ["Hello!", "Hi there, how are you?", "Thank you very much!"]
HARD = ["Prove that there are infinitely many primes congruent to 3 modulo 4, step by step.",
        "Write a lock-free multi-producer queue in C11 and explain why each memory order suffices.",
        "A train leaves at 14:35 and travels 347 km at 83 km/h, with two stops of 7 minutes. When does it arrive?"]


@pytest.fixture(scope="module")
def weir(folder, far):
    with gateway(folder / "weir", {"first": far}) as weir:
        yield weir
        assert_books_balance(weir)


@pytest.mark.parametrize("text", HARD)
def test_a_hard_query_is_escalated_and_its_rows_say_so(weir, far, text):
    answer = ask(weir, body=question(text, "auto", max_tokens=8))
    assert answer.status == 200 and answer.body["choices"][0]["message"]["content"] == TEXT
    assert answer.headers["x-weir-route"] == "remote:first/" + MODEL
    books = rows_of(weir, answer)
    inputs = json.loads(books.decision["inputs"])
    assert inputs["score"]["gain"] > inputs["max_regret"] and json.loads(books.decision["reasons"])[0] == "gain_above_max_regret"
    assert books.decision["head_id"] and books.decision["score_us"] > 0
    assert [a["result"] for a in books.attempts] == ["ok"]
    assert far.bodies[0]["messages"][-1]["content"] == text
    assert Stream(weir, question(text, "auto", max_tokens=8)).drain().text == TEXT


@pytest.mark.parametrize("text", EASY)
def test_an_easy_query_stays_here(weir, far, text):
    answer = ask(weir, body=question(text, "auto", max_tokens=8))
    assert answer.status == 200 and answer.headers["x-weir-route"] == "local"
    inputs = json.loads(rows_of(weir, answer).decision["inputs"])
    assert inputs["score"]["gain"] <= inputs["max_regret"]
    assert far.requests == 0


def test_the_regret_a_caller_allows_moves_the_border(weir, far):
    text = HARD[0]
    assert ask(weir, "/v1/route", question(text, "auto:0")).body["route"] == "remote:first/" + MODEL
    assert ask(weir, "/v1/route", question(text, "auto:1")).body["route"] == "local"
    assert ask(weir, body=question(text, "auto:2")).status == 400
    assert far.requests == 0


def test_a_dry_run_scores_as_the_real_one_does(weir, far):
    for text in EASY + HARD:
        dry = ask(weir, "/v1/route", question(text, "auto")).body
        real = rows_of(weir, ask(weir, body=question(text, "auto", max_tokens=2))).decision
        assert dry["route"] == real["route"] and dry["inputs"]["score"] == json.loads(real["inputs"])["score"]


TOOL = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object", "properties": {}}}}
CALL = {"id": "call_9", "type": "function", "function": {"name": "lookup", "arguments": "{}"}}


def test_a_tool_loop_stays_with_the_model_that_called_though_an_earlier_choice_is_back(folder, far):
    with Provider(folder / "second") as second, gateway(folder / "loop", {"first": far, "second": second}) as weir:
        far.script([{"kind": "status", "status": 503}])
        second.script([{"kind": "ok", "tool_calls": [CALL]}])
        body = question(HARD[0], "auto", tools=[TOOL])
        first = ask(weir, body=body)
        assert first.headers["x-weir-route"] == "remote:second/" + MODEL
        far.reset()
        second.reset()
        body["messages"] += [first.body["choices"][0]["message"], {"role": "tool", "tool_call_id": "call_9", "content": "4"}]
        answer = ask(weir, body=body)
        books = rows_of(weir, answer)
        assert answer.headers["x-weir-route"] == "remote:second/" + MODEL and far.requests == 0
        assert json.loads(books.decision["reasons"]) == ["local_unsupported", "conversation_was_remote"]
        inputs = json.loads(books.decision["inputs"])
        assert inputs["tool_loop"] and inputs["conversation"]["route"] == "remote:second/" + MODEL
        assert_books_balance(weir)


def test_a_conversation_that_left_is_known_and_one_that_began_otherwise_is_not(weir, far):
    body = question(HARD[1], "auto", max_tokens=8)
    first = ask(weir, body=body)
    body["messages"] += [{"role": "assistant", "content": first.body["choices"][0]["message"]["content"]}, {"role": "user", "content": EASY[2]}]
    inputs = json.loads(rows_of(weir, ask(weir, body=body)).decision["inputs"])
    assert inputs["conversation"]["route"] == "remote:first/" + MODEL and not inputs["tool_loop"]
    assert inputs["conversation"]["cached_tokens"] == first.body["usage"]["prompt_tokens"]
    body["messages"][0]["content"] += " Please."
    assert json.loads(rows_of(weir, ask(weir, body=body)).decision["inputs"])["conversation"] is None
