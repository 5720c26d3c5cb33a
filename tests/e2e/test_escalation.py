"""`auto` on the real classifier: what the small model answers well stays here, what it does not is escalated, and the rows say why."""
import json

import pytest
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, question, rows_of
from provider import TEXT

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
