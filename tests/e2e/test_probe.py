"""The probe: where the score is near the threshold the answering model is asked, behind the very prompt that it will answer, whether it can."""
import json
import subprocess

import pytest
import weak_head
from gateway_case import MODEL, Stream, ask, assert_books_balance, connect, gateway, question, rows_of, select, wait_for
from provider import TEXT
from weir_process import BINARY

REMOTE = "remote:first/" + MODEL
STORY = "Tell me a story about a fox."


def settings(head, probe, **classifier):
    return {"classifier": {"head": str(head), "max_regret": 0.5, "probe": probe, **classifier}}


@pytest.fixture(scope="module")
def head(folder):
    return weak_head.train(folder, by_probe=True)


def chat(text, **more):
    return question(text, "auto", temperature=0, max_tokens=8, **more)


def score_of(weir, answer):
    return json.loads(rows_of(weir, answer).decision["inputs"])["score"]


def metric(weir, series):
    return [float(line.split()[-1]) for line in ask(weir, "/metrics").body.decode().splitlines() if line.startswith(series + " ")][0]


def test_a_model_that_is_unsure_of_itself_is_not_asked_to_answer(folder, far, head):
    with gateway(folder / "wide", {"first": far}, settings(head, 1)) as weir:
        answer = ask(weir, body=chat(STORY))
        score = score_of(weir, answer)
        assert answer.headers["x-weir-route"] == REMOTE and answer.body["choices"][0]["message"]["content"] == TEXT
        assert score["tier"] == "probe" and 0 < score["probe"] < 1 and score["gain"] > 0.5
        assert rows_of(weir, answer).decision["route"] == REMOTE, "the decision itself, not what came of it"
        assert Stream(weir, chat(STORY)).drain().text == TEXT
        dry = ask(weir, "/v1/route", chat(STORY)).body
        assert dry["route"] == REMOTE and dry["inputs"]["score"]["probe"] == score["probe"], "the same answer to the same question"
        assert ask(weir, body={**chat(STORY), "model": "local"}).headers["x-weir-route"] == "local"
        assert metric(weir, "weir_probes_total") == 3
        assert_books_balance(weir)


def test_the_answer_goes_on_from_the_cache_that_the_probe_has_filled(folder, far, head):
    with gateway(folder / "cache", {"first": far}, {**settings(head, 1), "cascade": {"hold_tokens": 4}}) as weir:
        # A regret that nothing is above keeps it here after the probe.
        text = STORY + " " + "The fox met many friends in the wood, and they all had long names and stories of their own. " * 12
        answer = ask(weir, body={**chat(text), "model": "auto:0.99"})
        usage = answer.body["usage"]
        assert answer.headers["x-weir-route"] == "local" and score_of(weir, answer)["tier"] == "probe"
        assert usage["prompt_tokens_details"]["cached_tokens"] >= 0.8 * usage["prompt_tokens"] > 150
        judged = json.loads(select(weir, "select inputs from judgement")[0]["inputs"])
        assert judged["gain"] is not None, "the probe and the cascade get along"


def test_far_from_the_threshold_nobody_is_asked(folder, far, head):
    with gateway(folder / "narrow", {"first": far}, settings(head, 0.001)) as weir:
        answer = ask(weir, body=chat(STORY))
        assert answer.headers["x-weir-route"] == "local" and score_of(weir, answer)["tier"] != "probe" and "probe" not in score_of(weir, answer)
        assert metric(weir, "weir_probes_total") == 0 and far.requests == 0


def test_a_client_that_leaves_before_the_model_has_said_is_no_decision(folder, far, head):
    with gateway(folder / "left", {"first": far}, settings(head, 1)) as weir:
        connection = connect(weir)
        connection.request("POST", "/v1/chat/completions", json.dumps(chat(STORY + " and his friends" * 800)), {"content-type": "application/json"})
        wait_for(lambda: metric(weir, "weir_local_sessions_running") == 1 or select(weir, "select 1 from decision"), "the probe")
        connection.close()
        wait_for(lambda: metric(weir, "weir_local_sessions_running") == 0, "the probe's end")
        assert_books_balance(weir)


def test_a_head_without_probes_is_named(folder, far):
    with gateway(folder / "plain", {"first": far}, {"classifier": {"probe": 0.2}}) as weir:
        assert ask(weir, body=chat("Hello!")).status == 200
        checked = subprocess.run([BINARY, "check", "--config", str(weir.config)], capture_output=True, text=True, timeout=60)
        assert checked.returncode == 0 and "classifier.probe: the answering model is not asked" in checked.stdout
        assert "trained without probes" in "\n".join(weir.log)


def test_training_lines_hold_what_cascade_and_probe_will_see(folder, far):
    lines = [{"id": 1, "text": "What is the capital of Peru?", "scores": {"local": 1, "remote": 1}, "domain": "geography"}, {"id": 2, "text": STORY}]
    done = subprocess.run([BINARY, "generate", "--train-lines", "--probe", "--self-check", "--max-tokens", "12"], capture_output=True, text=True, timeout=120,
                          input="".join(json.dumps(line) + "\n" for line in lines), check=True)
    out = [json.loads(line) for line in done.stdout.splitlines()]
    assert [{k: o.get(k) for k in line} for o, line in zip(out, lines)] == lines
    for answer in (o["answer"] for o in out):
        assert set(answer) == {"text", "logprob_mean", "logprob_min", "entropy_mean", "margin_mean", "self_check", "probe"}
        assert answer["logprob_min"] <= answer["logprob_mean"] < 0 < answer["entropy_mean"] and 0 < answer["probe"] < 1 and 0 < answer["self_check"] < 1
    head = weak_head.train(folder)
    settings_ = {"classifier": {"head": str(head), "max_regret": 0.5}, "cascade": {"hold_tokens": 12, "self_check": True}}
    with gateway(folder / "same", {"first": far}, settings_) as weir:
        list(Stream(weir, question(STORY, "auto", temperature=0, max_tokens=40)))
        judged = json.loads(wait_for(lambda: select(weir, "select inputs from judgement"), "the judgement")[0]["inputs"])
    for name in ("logprob_mean", "logprob_min", "entropy_mean", "margin_mean", "self_check"):
        assert judged[name] == pytest.approx(out[1]["answer"][name], rel=2e-2), name
    bad = subprocess.run([BINARY, "generate", "--train-lines"], capture_output=True, text=True, timeout=120, input='{"id": 1, "ids": [1]}\n')
    assert bad.returncode == 1 and "text: is required" in bad.stderr
