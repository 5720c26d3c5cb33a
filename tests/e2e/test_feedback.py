"""Ratings end to end: who may rate what, where a rating stands, and how a tenant's ratings move the border of `auto`."""
import concurrent.futures
import json
import pathlib
import signal
import sqlite3
import subprocess

import pytest
from gateway_case import MODEL, ask, assert_books_balance, gateway, question, rows_of, select, verify, wait_for
from weir_process import BINARY

EASY = "Hello!"
FAIR = "What is the capital of France?"


def make_keys(weir):
    return {tenant: subprocess.run([BINARY, "keys", "create", "--tenant", tenant, "--config", str(weir.config)], capture_output=True, text=True,
                                   timeout=60, check=True).stdout.strip() for tenant in ("sales", "legal")}


@pytest.fixture(scope="module")
def weir(folder, far):
    with gateway(folder / "weir", {"first": far}, {"keys": {"required": True}}) as weir:
        weir.keys = make_keys(weir)
        yield weir
        assert_books_balance(weir)
        assert weir.stop() == 0


def answered(weir, tenant="sales", text=EASY, model="auto"):
    answer = ask(weir, body=question(text, model, max_tokens=1), key=weir.keys[tenant])
    assert answer.status == 200
    return answer.headers["x-weir-decision-id"]


def rate(weir, decision_id, rating, tenant="sales", **more):
    return ask(weir, "/v1/feedback", {"decision_id": decision_id, "rating": rating, **more}, key=weir.keys[tenant])


def metric(weir, series):
    text = ask(weir, "/metrics").body.decode()
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith(series + " ")][0]


def test_thumbs_become_rows_and_the_last_one_counts(weir):
    series = 'weir_feedback_total{route="local",rating="%s"}'
    before = {word: metric(weir, series % word) for word in ("up", "down", "neutral")}
    one = answered(weir, model="local")
    for given, number, more in (("up", 1, {}), (-0.25, -0.25, {"correct": True}), (0, 0, {}), ("down", -1, {"correct": False})):
        taken = rate(weir, one, given, **more)
        assert taken.status == 200 and "x-request-id" in taken.headers
        assert taken.body == {"object": "feedback", "decision_id": one, "rating": number, "correct": more.get("correct")}
    rows = select(weir, "select rating_ppm, correct, tenant from feedback where decision_id = ? order by leaf_index", one)
    assert [(r["rating_ppm"], r["correct"]) for r in rows] == [(1000000, None), (-250000, 1), (0, None), (-1000000, 0)]
    assert {r["tenant"] for r in rows} == {"sales"}
    assert [r["rating"] for r in select(weir, "select rating from rating where decision_id = ?", one)] == [-1]
    assert {word: metric(weir, series % word) - n for word, n in before.items()} == {"up": 1, "down": 2, "neutral": 1}
    far_one = answered(weir, model="remote/first/" + MODEL)
    assert rate(weir, far_one, "up").status == 200
    assert metric(weir, 'weir_feedback_total{route="remote",rating="up"}') == 1
    checked = verify(weir)
    assert checked.returncode == 0, checked.stderr


def test_only_the_tenant_that_asked_may_rate(weir):
    one = answered(weir, model="local")
    other, unknown = rate(weir, one, "up", "legal"), rate(weir, "0190-nothing", "up")
    assert other.status == unknown.status == 404 and other.body == unknown.body, "an id cannot be tried out"
    assert other.body["error"]["code"] == "decision_not_found" and other.body["error"]["param"] == "decision_id"
    assert ask(weir, "/v1/feedback", {"decision_id": one, "rating": "up"}).status == 401
    assert select(weir, "select count(*) as n from feedback where decision_id = ?", one)[0]["n"] == 0
    assert rate(weir, one, "up").status == 200


@pytest.mark.parametrize("body, field", [({"rating": "up"}, "decision_id"), ({"decision_id": "", "rating": "up"}, "decision_id"),
                                         ({"decision_id": 7, "rating": "up"}, "decision_id"), ({"decision_id": "x" * 64, "rating": 1}, "decision_id"),
                                         ({"decision_id": "x"}, "rating"), ({"decision_id": "x", "rating": "great"}, "rating"),
                                         ({"decision_id": "x", "rating": 1.01}, "rating"), ({"decision_id": "x", "rating": True}, "rating"),
                                         ({"decision_id": "x", "rating": 1, "correct": "no"}, "correct"),
                                         ({"decision_id": "x", "rating": 1, "comment": "It was bad."}, "comment"),
                                         ([], None), (b"{", None), (b"", None), (b'{"decision_id":"\xff","rating":1}', None)])
def test_a_wrong_body_is_an_error_that_names_the_field(weir, body, field):
    answer = ask(weir, "/v1/feedback", body, key=weir.keys["sales"], method="POST")
    assert answer.status == 400 and answer.body["error"]["param"] == field
    assert ask(weir, "/v1/feedback", key=weir.keys["sales"]).status == 405


def test_ratings_of_one_answer_at_the_same_time_replace_each_other(weir):
    one = answered(weir)
    alarms = metric(weir, "weir_drift_alarms_total")
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert {answer.status for answer in pool.map(lambda _: rate(weir, one, "down"), range(64))} == {200}
    assert select(weir, "select count(*) as n from feedback where decision_id = ?", one)[0]["n"] == 64
    assert metric(weir, "weir_drift_alarms_total") == alarms, "one answer, however often it is rated"
    assert verify(weir).returncode == 0


def test_a_rating_that_could_not_be_written_at_once_counts_once(weir):
    one = answered(weir, "legal")
    other = sqlite3.connect(pathlib.Path(weir.settings["data_dir"]) / "ledger.db", isolation_level=None, timeout=60)
    other.execute("BEGIN IMMEDIATE")
    refused = rate(weir, one, "down", "legal")
    assert refused.status == 503 and refused.body["error"]["code"] == "ledger_unavailable" and "retry-after" in refused.headers
    other.execute("ROLLBACK")
    other.close()
    wait_for(lambda: rate(weir, one, "down", "legal").status == 200, "a ledger that writes again")
    rated = 1
    while metric(weir, "weir_drift_alarms_total") == 0:
        assert rated < 10 and rate(weir, answered(weir, "legal"), "down", "legal").status == 200
        rated += 1
    alarm = wait_for(lambda: [line for line in weir.log if "drift_alarm" in line], "an alarm")
    assert f"legal: {rated} of {rated} rated" in alarm[0]


def on_the_border(weir, tenant):
    """A model name under which FAIR just stays here: above half the threshold, within the whole."""
    for step in range(1, 100):
        name = f"auto:{step / 100}"
        dry = ask(weir, "/v1/route", question(FAIR, name), key=weir.keys[tenant]).body
        limit = dry["inputs"]["promise"]["threshold"] if dry["inputs"]["promise"] else dry["inputs"]["max_regret"]
        if dry["route"] == "local" and limit - abs(limit) / 2 < dry["inputs"]["score"]["gain"]:
            return name
    raise AssertionError("no max_regret puts the question on the border")


def route(weir, tenant, name):
    dry = ask(weir, "/v1/route", question(FAIR, name), key=weir.keys[tenant]).body
    return dry["route"].split(":")[0], dry["inputs"]["drift"], "feedback_drift" in dry["reasons"]


def test_bad_ratings_raise_an_alarm_that_moves_the_border_for_that_tenant_alone(folder, far):
    with gateway(folder / "drift", {"first": far}, {"keys": {"required": True}}) as weir:
        weir.keys = make_keys(weir)
        name = on_the_border(weir, "sales")
        assert route(weir, "sales", name) == ("local", False, False)
        for _ in range(5):
            remote = answered(weir, model="remote/first/" + MODEL)
            assert rate(weir, remote, "down").status == 200
        assert metric(weir, "weir_drift_alarms_total") == 0, "ratings of remote answers say nothing of local ones"
        rated = [answered(weir) for _ in range(5)]
        for one in rated:
            assert rate(weir, one, "down").status == 200
        assert metric(weir, "weir_drift_alarms_total") == 1
        wait_for(lambda: any("drift_alarm" in line and "sales" in line for line in weir.log), "the line in the log")
        assert route(weir, "sales", name) == ("remote", True, True) and route(weir, "legal", name) == ("local", False, False)
        real = ask(weir, body=question(FAIR, name, max_tokens=1), key=weir.keys["sales"])
        decision = rows_of(weir, real).decision
        assert real.headers["x-weir-route"].startswith("remote:") and json.loads(decision["inputs"])["drift"] is True
        assert "feedback_drift" in json.loads(decision["reasons"])
        assert weir.stop() == 0
        weir.urls.clear()
        weir.start()
        assert route(weir, "sales", name) == ("remote", True, True), "the ledger remembers"
        weir.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any('"reloaded"' in line for line in weir.log), "a reload")
        assert route(weir, "sales", name) == ("remote", True, True), "the same configuration, the same promise"
        for one in rated:
            assert rate(weir, one, "up").status == 200
        assert route(weir, "sales", name) == ("local", False, False), "they have thought better of it"
        for one in rated:
            assert rate(weir, one, "down").status == 200
        assert route(weir, "sales", name) == ("remote", True, True)
        weir.write({**weir.settings, "classifier": {"max_regret": 0.2}})
        weir.process.send_signal(signal.SIGHUP)
        wait_for(lambda: route(weir, "sales", name) == ("local", False, False), "another configuration, that begins anew")
        assert_books_balance(weir)
        assert weir.stop() == 0
        assert verify(weir).returncode == 0
