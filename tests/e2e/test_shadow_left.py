"""Samples of what left: the local model answers it too, in the background, and the pair is judged as that of a local answer is. With evidence on
both sides a tenant's threshold rises as well as falls."""
import json
import pathlib
import signal
import subprocess
import threading

import pytest
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, provider_entry, question, rows, select, verify, wait_for
from provider import TEXT
from weir_process import BINARY

JUDGE = "gpt-4.1"
EASY = "Hello!"
HARD = "Prove that there are infinitely many primes congruent to 3 modulo 4, step by step."
CARD = "5105 1051 0510 5100"


def shadow(**more):
    return {"share": 1, "left_share": 1, "judge": "judge/" + JUDGE, **more}


def start(folder, far, judge, settings=None, max_regret=0.3, samples=None, **kwargs):
    providers = {"first": far, "judge": provider_entry("judge", judge, models=[JUDGE])}
    own = {"classifier": {"max_regret": max_regret, "shadow": samples or shadow()}, "escalate": ["first/" + MODEL]}
    return gateway(folder, providers, {**own, **(settings or {})}, **kwargs)


@pytest.fixture(scope="module")
def weir(folder, far, judge):
    with start(folder / "weir", far, judge) as weir:
        yield weir
        assert_books_balance(weir)
        assert weir.stop() == 0
        checked = verify(weir)
        assert checked.returncode == 0, checked.stderr


def hard(text=HARD, **more):
    """Both answers end by themselves, at their first full stop."""
    return question(text, "auto", temperature=0, stop=["."], **more)


def left(weir, body=None, **kwargs):
    answer = ask(weir, body=body or hard(), **kwargs)
    assert answer.status == 200 and answer.headers["x-weir-route"] == "remote:first/" + MODEL, answer.headers
    return answer


def found(weir, one):
    return wait_for(lambda: select(weir, "select * from shadow where decision_id = ?", one), "a row of the sample")[0]


def sample(weir, answer):
    return found(weir, answer.headers["x-weir-decision-id"])


def metric(weir, series):
    text = ask(weir, "/metrics").body.decode()
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith(series + " ")][0]


def between(judged, letter):
    lines = judged["messages"][-1]["content"].split(f"Answer {letter}:\n", 1)[1]
    fence, rest = lines.split("\n", 1)
    return rest.split("\n" + fence + "\n", 1)[0]


def here(weir, text=HARD):
    """What the local model says to it."""
    return ask(weir, body=question(text, "local", temperature=0, stop=["."])).body["choices"][0]["message"]["content"]


def test_what_left_is_answered_here_too_and_judged_and_the_rows_say_all(weir, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    before = metric(weir, 'weir_shadow_left_total{outcome="remote_better"}')
    answer = left(weir)
    row = sample(weir, answer)
    assert (row["outcome"], row["reason"], row["judge_calls"]) == ("remote_better", "judge", 2)
    assert (row["probability_ppm"], row["other_ppm"]) == (1000000, 1000000)
    assert (row["provider"], row["provider_model"], row["judge_provider"], row["judge_provider_model"]) == ("first", MODEL, "judge", JUDGE)
    assert far.requests == 1, "it was asked by its caller, and by nobody else"
    assert row["prompt_tokens"] is row["completion_tokens"] is row["remote_us"] is None
    shown = [{letter: between(body, letter) for letter in "AB"} for body in judge.bodies]
    assert shown[0] == {"A": shown[1]["B"], "B": shown[1]["A"]} and sorted(shown[0].values()) == sorted([TEXT, here(weir)])
    books = rows(weir, row["decision_id"])
    assert [(a["n"], a["provider"], a["result"]) for a in books.attempts] == [(0, "first", "ok"), (1, "judge", "ok"), (2, "judge", "ok")]
    assert books.outcome["cost_nusd"] == books.attempts[0]["cost_nusd"] > 0, "the caller's own cost"
    assert 0 < row["cost_nusd"] == sum(a["cost_nusd"] for a in books.attempts[1:]) <= row["reserved_nusd"]
    plan = select(weir, "select * from shadow_plan where decision_id = ?", row["decision_id"])[0]
    assert books.outcome["leaf_index"] < plan["leaf_index"] < books.attempts[1]["leaf_index"] and plan["other_ppm"] == 1000000
    assert select(weir, "select side from shadowed where decision_id = ?", row["decision_id"]) == [{"side": "left"}]
    assert metric(weir, 'weir_shadow_left_total{outcome="remote_better"}') == before + 1 and metric(weir, "weir_shadow_local_tokens_total") > 0
    wait_for(lambda: any('"shadowed"' in line and row["decision_id"] in line and "left" in line for line in weir.log), "the line in the log")


def test_a_judge_that_prefers_the_local_answer(weir, judge):
    judge.script([{"kind": "judge", "prefers": here(weir)}])
    assert sample(weir, left(weir))["outcome"] == "local_better"


def test_the_same_answer_needs_no_judge(weir, far, judge):
    far.script([{"kind": "ok", "text": here(weir)}])
    row = sample(weir, left(weir))
    assert (row["outcome"], row["reason"], row["cost_nusd"]) == ("tie", "same", 0) and judge.requests == 0


def test_a_stream_is_sampled_as_a_whole_answer_is(weir, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    stream = Stream(weir, hard()).drain()
    assert stream.done and stream.text == TEXT
    assert found(weir, stream.headers["x-weir-decision-id"])["outcome"] == "remote_better"
    assert TEXT in (between(judge.bodies[0], "A"), between(judge.bodies[0], "B"))


def test_what_stayed_is_sampled_beside_it(weir, far, judge):
    judge.script([{"kind": "ok", "text": "tie"}])
    answer = ask(weir, body=question(EASY, "auto", temperature=0))
    assert answer.headers["x-weir-route"] == "local"
    row = sample(weir, answer)
    assert (row["outcome"], row["other_ppm"]) == ("tie", 1000000)
    assert select(weir, "select side from shadowed where decision_id = ?", row["decision_id"]) == [{"side": "stayed"}]


def test_what_cannot_be_compared_is_not_sampled(weir, far, judge):
    """Nor what was named, what went by another max_regret than the tenant's, or what others answered than was decided."""
    for body in (question(HARD, "remote/first/" + MODEL), hard(n=2), {**hard(), "model": "auto:0.1"}, hard(logprobs=True)):
        answer = ask(weir, body=body)
        assert answer.headers["x-weir-route"] == "remote:first/" + MODEL
        rows(weir, answer.headers["x-weir-decision-id"])
    far.script([{"kind": "status", "status": 500}])
    stayed = ask(weir, body=hard())
    assert stayed.headers["x-weir-route"] == "local"
    rows(weir, stayed.headers["x-weir-decision-id"])
    far.script([{"kind": "ok"}])
    judge.script([{"kind": "ok", "text": "tie"}])
    last = left(weir)
    sample(weir, last)
    ids = [row["decision_id"] for row in select(weir, "select decision_id from decision where route like 'remote:%' order by leaf_index desc limit 6")]
    assert [one for one in ids if select(weir, "select 1 from shadow where decision_id = ?", one)] == [last.headers["x-weir-decision-id"]]


def test_an_answer_that_is_cut_off_here_is_not_compared(weir, judge):
    """As one that stays is not: its caller's limit cuts it."""
    row = sample(weir, left(weir, question(HARD, "auto", temperature=0, max_tokens=3)))
    assert (row["outcome"], row["reason"], row["cost_nusd"]) == ("unjudged", "local_unfit", 0) and judge.requests == 0


def test_only_redacted_text_reaches_the_judge(weir, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    sample(weir, left(weir, hard(HARD + f" My card is {CARD}")))
    for body in far.bodies + judge.bodies:
        text = json.dumps(body, ensure_ascii=False)
        assert CARD not in text and "⟦CREDIT_CARD:" in text
    assert judge.requests == 2


def holding(weir):
    """A caller's local answer that goes on for long: it may not end by itself."""
    stream = Stream(weir, question("Count.", "local", temperature=0, logit_bias={"0": -100, "2": -100}, max_tokens=8000))
    stream.next_text()
    return stream


def test_while_a_caller_is_answered_here_the_local_model_does_nothing_else(weir, far, judge):
    judge.script([{"kind": "ok", "text": "tie"}])
    before = metric(weir, "weir_shadow_local_tokens_total")
    slow = holding(weir)
    answer = left(weir)
    for _ in range(10):
        assert ask(weir, body=question(EASY, "local", temperature=0, max_tokens=4)).status == 200
    assert metric(weir, "weir_shadow_waiting_local") == 1 and metric(weir, "weir_shadow_local_tokens_total") == before
    assert select(weir, "select 1 from shadow where decision_id = ?", answer.headers["x-weir-decision-id"]) == []
    assert select(weir, "select 1 from outcome where decision_id = ?", slow.headers["x-weir-decision-id"]) == [], "the caller's answer was over: this shows nothing"
    slow.connection.close()
    slow.response.close()
    assert sample(weir, answer)["outcome"] == "tie"
    assert metric(weir, "weir_shadow_waiting_local") == 0 and metric(weir, "weir_shadow_local_tokens_total") > before


def test_nor_does_it_while_a_caller_uses_the_machine_in_another_way(weir, judge):
    """Embeddings are computed beside the engine, which does not see them."""
    judge.script([{"kind": "ok", "text": "tie"}])
    before = metric(weir, "weir_shadow_local_tokens_total")
    slow = holding(weir)
    answer = left(weir)
    ended = lambda: select(weir, "select 1 from outcome join decision using (decision_id) where endpoint = '/v1/embeddings'")
    texts = [f"{i} " + "The fox met many friends in the wood, and they all had long names and stories of their own. " * 5 for i in range(600)]
    asking = threading.Thread(target=ask, args=(weir, "/v1/embeddings", {"model": "local", "input": texts}))
    asking.start()
    wait_for(lambda: select(weir, "select 1 from decision where endpoint = '/v1/embeddings'"), "the embeddings")
    slow.connection.close()
    slow.response.close()
    n = 0
    while True:
        made = metric(weir, "weir_shadow_local_tokens_total")
        if ended():
            break
        assert made == before
        n += 1
    asking.join()
    assert n > 10, "the embeddings were over too soon: this shows nothing"
    assert sample(weir, answer)["outcome"] == "tie"


def test_what_does_not_fit_the_queue_and_what_a_drain_cuts_off_is_told_as_lost(folder, far, judge):
    with start(folder / "drained", far, judge, {"limits": {"drain_timeout": "1s"}}) as weir:
        slow = holding(weir)
        ids = [left(weir).headers["x-weir-decision-id"] for _ in range(10)]
        lost = lambda reason: {row["decision_id"] for row in select(weir, "select decision_id from shadow where reason = ?", reason)}
        wait_for(lambda: len(lost("busy")) == 2, "what is beyond the eight")
        assert metric(weir, "weir_shadow_waiting_local") == 8 and metric(weir, "weir_shadow_lost_total") == 2
        assert weir.stop() == 0
        slow.connection.close()
        slow.response.close()
        assert lost("busy") | lost("draining") == set(ids) and judge.requests == 0
        assert_books_balance(weir)
        assert verify(weir).returncode == 0


def test_one_that_is_killed_is_told_at_the_next_start(folder, far, judge):
    with start(folder / "killed", far, judge) as weir:
        slow = holding(weir)
        one = left(weir).headers["x-weir-decision-id"]
        wait_for(lambda: select(weir, "select 1 from shadow_plan where decision_id = ?", one), "the plan")
        weir.process.kill()
        weir.process.wait()
        weir.urls.clear()
        weir.start()
        row = found(weir, one)
        assert (row["outcome"], row["reason"], row["other_ppm"]) == ("unjudged", "interrupted", 1000000)
        assert weir.stop() == 0 and verify(weir).returncode == 0


def test_where_policy_keeps_the_judge_away_nothing_is_sampled(folder, far, judge):
    entries = {"first": far, "judge": provider_entry("judge", judge, models=[JUDGE], region="us")}
    eu = pathlib.Path(__file__).parents[2] / "policies/packs/eu-only.yaml"
    settings = {"classifier": {"max_regret": 0.3, "shadow": shadow()}, "escalate": ["first/" + MODEL], "policy": {"pack": str(eu)}}
    with gateway(folder / "eu", entries, settings) as weir:
        rows(weir, left(weir).headers["x-weir-decision-id"])
        rows(weir, ask(weir, body=question(EASY, "local", max_tokens=1)).headers["x-weir-decision-id"])
        assert select(weir, "select 1 from shadow union select 1 from shadow_plan") == [] and judge.connections == 0
        assert weir.stop() == 0


def promise(weir):
    return ask(weir, "/v1/route", question(HARD, "auto")).body


def reload(weir, settings):
    n = sum('"reloaded"' in line for line in weir.log)
    weir.write({**weir.settings, **settings})
    weir.process.send_signal(signal.SIGHUP)
    wait_for(lambda: sum('"reloaded"' in line for line in weir.log) > n, "a reload")


def test_labels_of_both_sides_raise_a_threshold_and_lower_it_again_and_outlive_what_does_not_concern_them(folder, far, judge):
    with start(folder / "both", far, judge, samples=shadow(budget_usd_per_month=1000)) as weir:
        judge.script([{"kind": "ok", "text": "tie"}])
        first = promise(weir)
        assert first["route"].startswith("remote:") and first["inputs"]["promise"]["source"] == "calibration"
        calibrated, gain = (round(1e6 * value) for value in (first["inputs"]["promise"]["threshold"], first["inputs"]["score"]["gain"]))
        for i in range(120):
            body = hard() if i % 2 else question(EASY, "auto", temperature=0)
            answer = ask(weir, body=body)
            if answer.headers["x-weir-route"] == "local" and i % 2:
                break
            sample(weir, answer)
        move = select(weir, "select * from threshold")[0]
        assert move["reason"] == "supported" and abs(move["old_ppm"] - calibrated) <= 1 and move["new_ppm"] >= gain and move["n_labels"] >= 50 and move["regret_ppm"] <= 20000, "the last of them was still to come"
        assert len(move["answers_id"].split(":")[0]) == 16 and move["answers_id"].endswith(":judge/" + JUDGE)
        raised = promise(weir)
        assert raised["route"] == "local" and raised["inputs"]["promise"]["source"] == "labels"
        # What has nothing to do with them: limits, the log, a start.
        reload(weir, {"log": {"level": "debug"}, "limits": {"max_requests": 500}})
        assert promise(weir)["inputs"]["promise"] == raised["inputs"]["promise"]
        assert not any('"labels_dropped"' in line for line in weir.log)
        assert weir.stop() == 0
        weir.urls.clear()
        weir.start()
        assert promise(weir)["inputs"]["promise"] == raised["inputs"]["promise"]
        # Now the remote is better, and what comes of it lowers the threshold.
        judge.script([{"kind": "judge", "prefers": TEXT}])
        for i in range(120):
            answer = ask(weir, body=hard())
            sample(weir, answer)
            if len(select(weir, "select 1 from threshold")) > 1:
                break
        down = select(weir, "select * from threshold")[1]
        assert down["reason"] == "refuted" and down["new_ppm"] < gain and promise(weir)["route"].startswith("remote:")
        # What they are about has changed.
        reload(weir, {"classifier": {"max_regret": 0.25, "shadow": shadow()}})
        assert promise(weir)["inputs"]["promise"]["source"] == "calibration"
        dropped = wait_for(lambda: [line for line in weir.log if '"labels_dropped"' in line], "the line in the log")
        assert "the target is another one" in dropped[0]
        assert_books_balance(weir)
        assert weir.stop() == 0 and verify(weir).returncode == 0


@pytest.mark.parametrize("section, place, says", [
    ({"left_share": 0.02, "judge": "judge/" + JUDGE}, "left_share", "needs a share above 0"),
    ({"share": 0, "left_share": 0.02, "judge": "judge/" + JUDGE}, "left_share", "needs a share above 0"),
    ({"share": 0.1, "left_share": 2, "judge": "judge/" + JUDGE}, "left_share", "from 0.000001 to 1"),
    ({"share": 0.1, "left_shares": 0.1, "judge": "judge/" + JUDGE}, None, 'did you mean "left_share"?')])
def test_a_wrong_section_is_an_error_that_says_what_and_where(folder, far, judge, section, place, says):
    weir = start(folder / "wrong", far, judge, samples=section)
    checked = subprocess.run([BINARY, "check", "--config", str(weir.config)], capture_output=True, text=True)
    assert checked.returncode == 1 and says in checked.stdout and "weir.yaml:1:" in checked.stdout, checked.stdout


def test_a_share_that_samples_nothing_is_a_warning(folder, far, judge):
    weir = start(folder / "nobody", far, judge, {"classifier": {"max_remote_share": 0.3, "shadow": shadow()}})
    checked = subprocess.run([BINARY, "check", "--config", str(weir.config)], capture_output=True, text=True)
    assert checked.returncode == 0 and "nobody's target is max_regret" in checked.stdout, checked.stdout
    weir = start(folder / "no-model", far, judge, {"models": {"chat": {"path": str(folder / "nothing.gguf")}}})
    checked = subprocess.run([BINARY, "check", "--config", str(weir.config)], capture_output=True, text=True)
    assert "the answering model is not there, so nothing that left is sampled" in checked.stdout, checked.stdout
