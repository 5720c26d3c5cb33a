"""Shadow samples end to end: a local answer put beside the remote's and judged, through the same gate as every other byte."""
import json
import pathlib
import signal
import sqlite3
import subprocess

import pytest
import weak_head
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, provider_entry, question, rows, select, verify, wait_for
from provider import TEXT
from weir_process import BINARY, Weir

JUDGE = "gpt-4.1"
EASY = "Hello!"
CARD = "5105 1051 0510 5100"


def shadow(share=1, **more):
    return {"classifier": {"shadow": {"share": share, "judge": "judge/" + JUDGE, **more}}, "escalate": ["first/" + MODEL]}


def start(folder, far, judge, settings=None, entries=None, **kwargs):
    providers = {"first": far, "judge": provider_entry("judge", judge, models=[JUDGE]), **(entries or {})}
    return gateway(folder, providers, {**shadow(), **(settings or {})}, **kwargs)


@pytest.fixture(scope="module")
def weir(folder, far, judge):
    with start(folder / "weir", far, judge) as weir:
        yield weir
        assert_books_balance(weir)
        assert weir.stop() == 0
        checked = verify(weir)
        assert checked.returncode == 0, checked.stderr


def local(text=EASY, model="auto:1", **more):
    """A question that stays here, whatever the head thinks of it."""
    return question(text, model, temperature=0, **more)


def sample(weir, answer):
    """The sample's row, once it is there."""
    one = answer.headers["x-weir-decision-id"]
    return wait_for(lambda: select(weir, "select * from shadow where decision_id = ?", one), "a row of the shadow sample")[0]


def samples(weir):
    """How many were begun or given up so far: rows come in order, so those of answers given before are there with one that came after."""
    rows(weir, ask(weir, body=question("Hi.", "local", max_tokens=1)).headers["x-weir-decision-id"])
    return select(weir, "select count(*) as n from (select decision_id from shadow union select decision_id from shadow_plan)")[0]["n"]


def metric(weir, series):
    text = ask(weir, "/metrics").body.decode()
    return [float(line.split()[-1]) for line in text.splitlines() if line.startswith(series + " ")][0]


def answered(weir, body=None, **kwargs):
    answer = ask(weir, body=body or local(), **kwargs)
    assert answer.status == 200 and answer.headers["x-weir-route"] == "local"
    assert answer.body["choices"][0]["finish_reason"] == "stop"
    return answer


def said(answer):
    return answer.body["choices"][0]["message"]["content"]


def between(judged, letter):
    """One of the two answers that a judge was shown."""
    lines = judged["messages"][-1]["content"].split(f"Answer {letter}:\n", 1)[1]
    fence, rest = lines.split("\n", 1)
    return rest.split("\n" + fence + "\n", 1)[0]


def test_a_judge_that_prefers_the_remote_is_asked_twice_and_the_rows_say_all(weir, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    before = metric(weir, 'weir_shadow_total{outcome="remote_better"}')
    answer = answered(weir)
    row = sample(weir, answer)
    assert (row["outcome"], row["reason"], row["judge_calls"], row["probability_ppm"]) == ("remote_better", "judge", 2, 1000000)
    assert (row["provider"], row["provider_model"], row["judge_provider"], row["judge_provider_model"]) == ("first", MODEL, "judge", JUDGE)
    assert far.requests == 1 and far.bodies[0]["messages"] == [{"role": "user", "content": EASY}] and far.bodies[0]["model"] == MODEL
    assert "stream" not in far.bodies[0]
    shown = [{letter: between(body, letter) for letter in "AB"} for body in judge.bodies]
    assert shown[0] == {"A": shown[1]["B"], "B": shown[1]["A"]} and sorted(shown[0].values()) == sorted([TEXT, said(answer)])
    assert all(body["temperature"] == 0 and body["max_tokens"] == 16 and EASY in body["messages"][-1]["content"] for body in judge.bodies)
    books = rows(weir, row["decision_id"])
    assert books.outcome["route"] == "local" and books.outcome["cost_nusd"] == 0, "the caller's own cost"
    assert [(a["n"], a["provider"], a["result"]) for a in books.attempts] == [(0, "first", "ok"), (1, "judge", "ok"), (2, "judge", "ok")]
    assert row["cost_nusd"] == sum(a["cost_nusd"] for a in books.attempts) > 0 and row["cost_nusd"] <= row["reserved_nusd"]
    assert row["prompt_tokens"] == 9 and row["judge_prompt_tokens"] == 18 and row["judge_completion_tokens"] == 2
    plan = select(weir, "select * from shadow_plan where decision_id = ?", row["decision_id"])[0]
    assert plan["leaf_index"] < books.attempts[0]["leaf_index"] and plan["time_ns"] <= books.attempts[0]["time_ns"]
    view = select(weir, "select * from shadowed where decision_id = ?", row["decision_id"])[0]
    assert view["probability"] == 1 and view["gain"] <= 1 and view["remote"] == "first/" + MODEL and view["judge"] == "judge/" + JUDGE
    assert metric(weir, 'weir_shadow_total{outcome="remote_better"}') == before + 1 and metric(weir, "weir_shadow_month_usd") > 0
    wait_for(lambda: any('"shadowed"' in line and row["decision_id"] in line for line in weir.log), "the line in the log")


def test_a_judge_that_prefers_the_local_answer(weir, far, judge):
    text = said(ask(weir, body=local(model="local")))
    judge.script([{"kind": "judge", "prefers": text}])
    assert sample(weir, answered(weir))["outcome"] == "local_better"


@pytest.mark.parametrize("says", ["A", "B"])
def test_a_preference_that_stays_with_the_place_is_a_tie(weir, judge, says):
    judge.script([{"kind": "ok", "text": says}])
    row = sample(weir, answered(weir))
    assert (row["outcome"], row["reason"], row["judge_calls"]) == ("tie", "judge_disagrees", 2)


def test_a_tie_is_not_asked_about_again(weir, judge):
    judge.script([{"kind": "ok", "text": "tie"}])
    row = sample(weir, answered(weir))
    assert (row["outcome"], row["reason"], row["judge_calls"]) == ("tie", "judge", 1) and judge.requests == 1


def test_the_same_answer_needs_no_judge(weir, far, judge):
    text = said(ask(weir, body=local(model="local")))
    far.script([{"kind": "ok", "text": "  " + text.upper().replace(" ", "  ") + "\n"}])
    row = sample(weir, answered(weir))
    assert (row["outcome"], row["reason"], row["judge_calls"]) == ("tie", "same", 0) and judge.requests == 0 and far.requests == 1


def test_a_stream_is_sampled_as_a_whole_answer_is(weir, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    stream = Stream(weir, local()).drain()
    assert stream.done and stream.finish_reasons == ["stop"]
    row = wait_for(lambda: select(weir, "select * from shadow where decision_id = ?", stream.headers["x-weir-decision-id"]), "a row")[0]
    assert row["outcome"] == "remote_better" and stream.text in (between(judge.bodies[0], "A"), between(judge.bodies[0], "B"))
    assert "stream" not in far.bodies[0] and "stream_options" not in far.bodies[0]


@pytest.mark.parametrize("step, reason", [({"text": "I think the first one."}, "judge_unreadable"), ({"text": "A B"}, "judge_unreadable"),
                                          ({"text": ""}, "judge_unreadable"), ({"text": "A" * 100000}, "judge_unreadable"),
                                          ({"text": "x" * 3000000}, "judge_failed"), ({"kind": "bad_json"}, "judge_failed"),
                                          ({"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "judge_unreadable"),
                                          ({"kind": "status", "status": 400}, "judge_failed"), ({"kind": "content_filter"}, "judge_failed")])
def test_a_judge_that_says_no_word_judges_nothing(weir, judge, step, reason):
    judge.script([{"kind": "ok", **step}])
    row = sample(weir, answered(weir))
    assert (row["outcome"], row["reason"]) == ("unjudged", reason)


@pytest.mark.parametrize("step, reason", [({"text": "y" * 20000}, "remote_unfit"), ({"kind": "status", "status": 400}, "remote_failed"),
                                          ({"tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, "remote_unfit")])
def test_a_remote_answer_that_is_no_text_to_compare_is_not_shown_to_the_judge(weir, far, judge, step, reason):
    far.script([{"kind": "ok", **step}])
    row = sample(weir, answered(weir))
    assert (row["outcome"], row["reason"]) == ("unjudged", reason) and judge.requests == 0


def test_what_cannot_be_compared_is_not_sampled(weir, far, judge):
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    bodies = [local(model="local"), local(n=2), local(max_tokens=1), local(logprobs=True), local(tools=[tool]),
              local(response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"a": {"type": "boolean"}},
                                                                                                    "required": ["a"], "additionalProperties": False}}}),
              {**local(), "messages": [{"role": "user", "content": "Hello!"}, {"role": "assistant", "content": "Hi."}] * 9 + [{"role": "user", "content": "Hello!"}]}]
    before = samples(weir)
    for body in bodies:
        answer = ask(weir, body=body)
        if answer.status == 200:
            rows(weir, answer.headers["x-weir-decision-id"])
    done = Stream(weir, local(max_tokens=1)).drain()
    rows(weir, done.headers["x-weir-decision-id"])
    assert ask(weir, "/v1/route", local()).status == 200
    assert ask(weir, "/v1/completions", {"model": "auto:1", "prompt": "Hello", "max_tokens": 4}).status == 200
    sent = [body for body in far.bodies if body.get("tools") or body.get("n") == 2 or "response_format" in body]
    assert samples(weir) == before and far.requests == len(sent) and judge.requests == 0


def test_of_held_answers_only_those_that_stayed_are_sampled(folder, far, judge):
    """What the cascade sent away and got back was decided otherwise, and its attempts are the caller's."""
    settings = shadow()
    settings["classifier"] |= {"head": str(weak_head.train(folder)), "max_regret": 0.5}
    with start(folder / "held", far, judge, {**settings, "cascade": {"hold_tokens": 16}}) as weir:
        far.script([{"kind": "status", "status": 400}])
        weak = ask(weir, body=question("Tell me a story about a fox.", "auto", temperature=0, stop=["."], max_tokens=200))
        assert weak.headers["x-weir-route"] == "local" and weak.body["choices"][0]["finish_reason"] == "stop"
        assert select(weir, "select escalated from judgement") == [{"escalated": 1}] and samples(weir) == 0 and judge.requests == 0
        far.reset()
        judge.script([{"kind": "ok", "text": "tie"}])
        good = answered(weir, question("What is the capital of Peru?", "auto", temperature=0))
        assert sample(weir, good)["outcome"] == "tie" and samples(weir) == 1
        assert_books_balance(weir)
        assert weir.stop() == 0


def test_a_secret_at_home_is_not_sampled(weir, far, judge):
    before = samples(weir)
    answered(weir, local("Hello! My token is ghp_Q7w9E2r4T6y8U1i3O5p7A9s2D4f6G8h0JkLz"))
    assert samples(weir) == before and far.requests == judge.requests == 0


def test_only_redacted_text_reaches_either_of_them(weir, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    row = sample(weir, answered(weir, local(f"Hello! My card is {CARD}.")))
    assert row["outcome"] == "remote_better"
    for body in far.bodies + judge.bodies:
        text = json.dumps(body, ensure_ascii=False)
        assert CARD not in text and "⟦CREDIT_CARD:" in text
    assert far.requests == 1 and judge.requests == 2


def test_a_pseudonym_in_the_remote_answer_is_the_same_one_before_the_judge(weir, far, judge):
    """The remote says back what it was given; the judge must see one thing, not two."""
    answered(weir, local(f"Hello! My card is {CARD}."))
    wait_for(lambda: far.requests, "the question")
    pseudonym = far.bodies[0]["messages"][-1]["content"].split("⟦")[1].split("⟧")[0]
    wait_for(lambda: judge.requests, "the first sample's judge")
    judge.reset()
    far.script([{"kind": "ok", "text": f"Your card is ⟦{pseudonym}⟧."}])
    sample(weir, answered(weir, local(f"Hello! My card is {CARD}.")))
    shown = [between(judge.bodies[0], letter) for letter in "AB"]
    assert f"Your card is ⟦{pseudonym}⟧." in shown and CARD not in json.dumps(judge.bodies[0])


def test_an_answer_with_a_secret_in_it_is_not_shown_to_the_judge(weir, far, judge):
    far.script([{"kind": "ok", "text": "Use ghp_Q7w9E2r4T6y8U1i3O5p7A9s2D4f6G8h0JkLz for it."}])
    row = sample(weir, answered(weir))
    assert (row["outcome"], row["reason"]) == ("unjudged", "policy") and judge.requests == 0


def eu_only(folder, far, judge, regions):
    pack = pathlib.Path(__file__).parents[2] / "policies/packs/eu-only.yaml"
    entries = {name: provider_entry(name, place, models=models, region=regions[name])
               for name, place, models in (("first", far, [MODEL]), ("judge", judge, [JUDGE]))}
    return gateway(folder, entries, {**shadow(), "policy": {"pack": str(pack)}})


@pytest.mark.parametrize("regions", [{"first": "us", "judge": "us"}, {"first": "eu", "judge": "us"}, {"first": "us", "judge": "eu"}])
def test_where_policy_forbids_leaving_not_one_byte_does(folder, far, judge, regions):
    """Not to the judge of a permitted target, not to a target beside a permitted judge, and no connection is opened either."""
    before = far.connections + judge.connections
    with eu_only(folder / ("eu-" + "-".join(regions.values())), far, judge, regions) as weir:
        for _ in range(3):
            answered(weir)
        assert samples(weir) == 0 and far.requests == judge.requests == 0 and far.connections + judge.connections == before
        assert select(weir, "select count(*) as n from attempt")[0]["n"] == 0
        assert_books_balance(weir)
        assert weir.stop() == 0


def test_a_provider_that_is_down_costs_the_caller_nothing(folder, far, judge):
    with start(folder / "down", ("https://127.0.0.1:9/v1", far.ca), judge) as weir:
        row = sample(weir, answered(weir))
        assert (row["outcome"], row["reason"], row["cost_nusd"]) == ("unjudged", "remote_failed", 0) and judge.requests == 0
        for _ in range(6): # Once its breaker is open `auto` has no target there, and nothing is sampled.
            answered(weir)
        assert_books_balance(weir)
        assert weir.stop() == 0


def test_a_model_of_unknown_price_is_not_sampled(folder, far, judge):
    with gateway(folder / "unpriced", {"first": far, "judge": provider_entry("judge", judge, models=["no-such-price"])},
                 {**shadow(), "classifier": {"shadow": {"share": 1, "judge": "judge/no-such-price"}}}) as weir:
        answered(weir)
        assert samples(weir) == 0 and far.requests == 0
        checked = subprocess.run([BINARY, "check", "--config", str(weir.config)], capture_output=True, text=True)
        assert checked.returncode == 0 and "judge/no-such-price is not known, so nothing is sampled" in checked.stdout


def test_the_months_budget_is_kept_and_remembered(folder, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    with start(folder / "budget", far, judge, shadow(budget_usd_per_month=0.2)) as weir:
        one = sample(weir, answered(weir))
        spent = metric(weir, "weir_shadow_month_usd")
        assert one["outcome"] == "remote_better" and spent == pytest.approx(one["cost_nusd"] / 1e9) and metric(weir, "weir_shadow_budget_usd") == 0.2
        assert weir.stop() == 0
        weir.urls.clear()
        weir.write({**weir.settings, **shadow(budget_usd_per_month=0.01)})
        weir.start()
        assert metric(weir, "weir_shadow_month_usd") == pytest.approx(spent), "the ledger remembers what the month has cost"
        far.reset()
        judge.reset()
        for _ in range(3):
            row = sample(weir, answered(weir))
            assert (row["outcome"], row["reason"], row["cost_nusd"]) == ("unjudged", "budget", 0)
        assert far.requests == judge.requests == 0 and metric(weir, 'weir_shadow_total{outcome="unjudged"}') == 3
        wait_for(lambda: sum('"shadow_budget"' in line for line in weir.log) == 1, "one line in the log")
        assert select(weir, "select count(*) as n from shadow_plan")[0]["n"] == 1
        assert weir.stop() == 0


def test_kill_9_in_the_middle_leaves_one_row_for_each_sample(folder, far, judge):
    far.script([{"kind": "stall", "at": -1}])
    with start(folder / "killed", far, judge) as weir:
        ids = [answered(weir).headers["x-weir-decision-id"] for _ in range(3)]
        wait_for(lambda: far.requests == 3, "three samples under way")
        weir.process.kill()
        weir.process.wait()
    with Weir(folder / "killed", weir.settings) as again:
        left = {row["decision_id"]: row for row in select(again, "select * from shadow")}
        assert set(left) == set(ids) == {row["decision_id"] for row in select(again, "select decision_id from shadow_plan")}
        assert {(row["outcome"], row["reason"], row["cost_nusd"]) for row in left.values()} == {("unjudged", "interrupted", None)}
        assert {rows(again, one).outcome["result"] for one in ids} == {"ok"}, "their callers had their answers"
        assert metric(again, "weir_shadow_month_usd") == pytest.approx(sum(row["reserved_nusd"] for row in left.values()) / 1e9), "what may have been spent counts"
        far.reset()
        judge.script([{"kind": "ok", "text": "tie"}])
        assert sample(again, answered(again))["outcome"] == "tie"
        assert_books_balance(again)
        assert again.stop() == 0
        checked = verify(again)
        assert checked.returncode == 0, checked.stderr


def test_nothing_leaves_for_a_sample_before_its_row_is_durable(folder, far, judge):
    with start(folder / "locked", far, judge) as weir:
        other = sqlite3.connect(pathlib.Path(weir.settings["data_dir"]) / "ledger.db", isolation_level=None, timeout=60)
        other.execute("BEGIN IMMEDIATE")
        answer = answered(weir)
        wait_for(lambda: metric(weir, 'weir_shadow_total{outcome="unjudged"}') == 1, "the sample given up")
        other.execute("ROLLBACK")
        other.close()
        row = sample(weir, answer)
        assert (row["outcome"], row["reason"], row["cost_nusd"]) == ("unjudged", "ledger", 0) and far.requests == judge.requests == 0
        assert rows(weir, row["decision_id"]).attempts == []
        judge.script([{"kind": "ok", "text": "tie"}])
        assert sample(weir, answered(weir))["outcome"] == "tie", "it goes on when the lock is gone"
        assert_books_balance(weir)
        assert weir.stop() == 0
        assert verify(weir).returncode == 0


def test_a_drain_waits_for_no_sample_and_no_caller_waits_for_one(folder, far, judge):
    far.script([{"kind": "stall", "at": -1}])
    with start(folder / "drained", far, judge) as weir:
        ids = [answered(weir).headers["x-weir-decision-id"] for _ in range(12)]
        found = lambda reason: {row["decision_id"] for row in select(weir, "select decision_id from shadow where reason = ?", reason)}
        wait_for(lambda: len(found("busy")) == 4, "what is beyond the eight")
        assert metric(weir, "weir_shadow_running") == 8 and metric(weir, "weir_requests_in_flight") == 0
        assert weir.stop() == 0
        assert found("busy") | found("draining") == set(ids) and len(found("draining")) == 8
        assert_books_balance(weir)
        assert verify(weir).returncode == 0


def test_a_reload_gives_up_what_runs_under_the_old_policy(folder, far, judge):
    far.script([{"kind": "stall", "at": -1}])
    with start(folder / "reloaded", far, judge) as weir:
        one = answered(weir)
        wait_for(lambda: far.requests, "the sample under way")
        weir.write({**weir.settings, **shadow(share=0)})
        weir.process.send_signal(signal.SIGHUP)
        row = sample(weir, one)
        assert (row["outcome"], row["reason"], row["cost_nusd"]) == ("unjudged", "reloaded", None)
        before = far.requests
        answered(weir)
        assert metric(weir, "weir_shadow_budget_usd") == 0 and samples(weir) == 1 and far.requests == before
        assert weir.stop() == 0


def test_samples_that_are_worse_raise_the_alarm_for_that_tenant_alone(folder, far, judge):
    judge.script([{"kind": "judge", "prefers": TEXT}])
    with start(folder / "drift", far, judge, {"keys": {"required": True}}) as weir:
        keys = {tenant: subprocess.run([BINARY, "keys", "create", "--tenant", tenant, "--config", str(weir.config)], capture_output=True, text=True,
                                       timeout=60, check=True).stdout.strip() for tenant in ("sales", "legal")}
        drift = lambda tenant: ask(weir, "/v1/route", local(model="auto:0.1"), key=keys[tenant]).body["inputs"]["drift"]
        body = local(model="auto:0.1")
        assert not drift("sales")
        for _ in range(8):
            assert sample(weir, answered(weir, body, key=keys["sales"]))["outcome"] == "remote_better"
            if drift("sales"):
                break
        wait_for(lambda: drift("sales"), "the alarm")
        assert not drift("legal") and metric(weir, "weir_drift_alarms_total") == 1
        wait_for(lambda: any('"drift_alarm"' in line and "sales" in line and "judged" in line for line in weir.log), "the line in the log")
        assert {row["tenant"] for row in select(weir, "select tenant from shadow")} == {"sales"}
        assert weir.stop() == 0
        weir.urls.clear()
        weir.start()
        assert drift("sales") and not drift("legal"), "the ledger remembers"
        assert weir.stop() == 0


def test_no_text_of_a_sample_stays_behind(folder, far, judge):
    canary = "canary-q7w9e2"
    places = {place: f"{canary}{place}zx" for place in ("prompt", "remote", "verdict", "refusal")}
    log = []
    with start(folder / "canary", far, judge, {"log": {"level": "debug"}}) as weir:
        ask_one = lambda: sample(weir, answered(weir, local(f"Hello! I am {places['prompt']}, my card is {CARD}.")))
        far.script([{"kind": "ok", "text": f"Hello {places['remote']}."}])
        for says in ("A", places["verdict"], "tie"):
            judge.script([{"kind": "ok", "text": says}])
            ask_one()
        judge.script([{"kind": "status", "status": 400, "error": {"message": places["refusal"], "type": "x"}}])
        ask_one()
        local_text = said(answered(weir, local(f"Hello! I am {places['prompt']}, my card is {CARD}.")))
        metrics = ask(weir, "/metrics").body
        assert weir.stop() == 0
        log = "\n".join(weir.log).encode()
    files = [(str(file), file.read_bytes()) for file in (folder / "canary" / "data").rglob("*") if file.is_file() and not file.is_symlink()]
    assert any(b"judge_disagrees" in content for name, content in files if "ledger.db" in name), "this search finds nothing that is there"
    for name, content in files + [("log", log), ("metrics", metrics)]:
        for needle in [canary, *places.values(), CARD, CARD.replace(" ", ""), local_text]:
            assert needle.encode() not in content, f"{needle} is in {name}"


@pytest.mark.parametrize("section, place, says", [
    ({"share": 0.02}, None, "needs judge: provider/model"), ({"share": 2, "judge": "judge/" + JUDGE}, "share", "from 0.000001 to 1"),
    ({"share": 0.0000001, "judge": "judge/" + JUDGE}, "share", "from 0.000001 to 1"), ({"share": 0.1, "judge": "nobody/x"}, None, 'no provider "nobody"'),
    ({"share": 0.1, "judge": "judge/gpt-4.2"}, None, f'did you mean "{JUDGE}"?'), ({"share": 0.1, "judge": "judge"}, None, "not like provider/model"),
    ({"share": 0.1, "judge": "judge/" + JUDGE, "budget_usd_per_month": 0}, "budget_usd_per_month", "above 0"),
    ({"share": 0.1, "judge": "judge/" + JUDGE, "budget_usd_per_month": "much"}, "budget_usd_per_month", "above 0"),
    ({"share": 0.1, "judges": "judge/" + JUDGE}, None, 'did you mean "judge"?')])
def test_a_wrong_section_is_an_error_that_says_what_and_where(folder, far, judge, section, place, says):
    weir = start(folder / "wrong", far, judge, {"classifier": {"shadow": section}})
    checked = subprocess.run([BINARY, "check", "--config", str(weir.config)], capture_output=True, text=True)
    assert checked.returncode == 1 and says in checked.stdout and "weir.yaml:1:" in checked.stdout, checked.stdout


def test_a_judge_of_its_own_answers_is_a_warning(folder, far, judge):
    weir = gateway(folder / "own", {"first": far}, {"classifier": {"shadow": {"share": 0.1, "judge": "first/" + MODEL}}})
    checked = subprocess.run([BINARY, "check", "--config", str(weir.config)], capture_output=True, text=True)
    assert checked.returncode == 0 and "models favour their own answers" in checked.stdout, checked.stdout
