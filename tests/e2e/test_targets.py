"""Targets end to end: a share that holds at each query and over starts, a month's money, a threshold that labels move, and what says so."""
import json
import signal
import subprocess

import pytest
from gateway_case import MODEL, ask, assert_books_balance, gateway, question, rows_of, select, verify, wait_for
from provider import Provider
from weir_process import BINARY

EASY = "Hello!"
HARD = "Prove that there are infinitely many primes congruent to 3 modulo 4, step by step."


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("targets")


@pytest.fixture(scope="module")
def far(folder):
    with Provider(folder / "certificates") as provider:
        yield provider


def make_keys(weir, *tenants):
    weir.keys = {tenant: subprocess.run([BINARY, "keys", "create", "--tenant", tenant, "--config", str(weir.config)], capture_output=True, text=True,
                                        timeout=60, check=True).stdout.strip() for tenant in tenants}


def ask_auto(weir, tenant, text, model="auto"):
    answer = ask(weir, body=question(text, model, max_tokens=1), key=weir.keys[tenant])
    assert answer.status == 200, answer.body
    return answer


def route(weir, tenant, text=HARD, model="auto"):
    return ask(weir, "/v1/route", question(text, model, max_tokens=1), key=weir.keys[tenant]).body


def left(answer):
    return answer.headers["x-weir-route"].startswith("remote:")


def metric(weir, series):
    return [float(line.split()[-1]) for line in ask(weir, "/metrics").body.decode().splitlines() if line.startswith(series + " ")][0]


def restart(weir):
    assert weir.stop() == 0
    weir.urls.clear()
    weir.start()


def test_a_share_holds_at_every_query_for_each_tenant_and_over_a_start(folder, far):
    with gateway(folder / "share", {"first": far}, {"keys": {"required": True}, "classifier": {"max_remote_share": 0.3}, "tenants": {"legal": {"max_regret": 0}}}) as weir:
        make_keys(weir, "sales", "legal")
        n_left, n = 0, 0
        for start in range(2):
            for i in range(50):
                n_left += left(ask_auto(weir, "sales", HARD.replace("4", str(4 + n)) if i % 2 else EASY))
                n += 1
                assert n_left <= 0.3 * n, f"{n_left} of the first {n}"
            credit = route(weir, "sales")["inputs"]["goal"]["credit_ppm"]
            if start == 0:
                restart(weir)
                assert route(weir, "sales")["inputs"]["goal"]["credit_ppm"] == credit, "a start goes on with it"
        assert n_left > 0
        assert left(ask_auto(weir, "legal", HARD)) and route(weir, "legal")["inputs"]["goal"] is None, "has a target of its own"
        dry = route(weir, "sales")
        assert dry["inputs"]["goal"]["kind"] == "max_remote_share" and dry["inputs"]["goal"]["source"] == "traffic" and dry["inputs"]["goal"]["lines"] == n
        said = subprocess.run([BINARY, "route", HARD, "--tenant", "sales", "--config", str(weir.config)], capture_output=True, text=True, timeout=60, check=True).stdout
        assert "target    max_remote_share 0.3" in said and f"by {n} recent queries" in said
        assert metric(weir, 'weir_target_credit{tenant="sales",target="max_remote_share"}') == credit / 1e6
        assert metric(weir, 'weir_target_threshold{tenant="legal",target="max_regret"}') == -2, "no regret at all can be promised for no query"
        reasons = {r["r"] for r in select(weir, "select json_extract(reasons, '$[0]') as r from decision where tenant = 'sales'")}
        assert reasons <= {"gain_above_threshold", "gain_within_threshold", "remote_share_spent"} and "gain_above_threshold" in reasons
        assert_books_balance(weir)
        assert weir.stop() == 0


def test_a_months_budget_lets_auto_leave_while_there_is_money_and_counts_named_models(folder, far):
    with gateway(folder / "budget", {"first": far}, {"keys": {"required": True}, "tenants": {"rich": {"budget_usd_per_month": 1000}, "poor": {"budget_usd_per_month": "0.000001"}}}) as weir:
        make_keys(weir, "rich", "poor")
        answers = [ask_auto(weir, "rich", HARD if i % 2 else EASY) for i in range(12)]
        assert any(left(a) for a in answers) and not left(answers[0]), "greetings gain nothing"
        assert answers[1].headers["x-weir-reason"].startswith("gain_above_threshold,budget_usd_per_month")
        poor = ask_auto(weir, "poor", HARD)
        assert not left(poor) and poor.headers["x-weir-reason"].startswith("month_budget_spent")
        assert left(ask_auto(weir, "poor", HARD, "remote/first/" + MODEL)), "the target is auto's"
        assert_books_balance(weir)  # Outcomes may come after the answer.
        for start in range(2):
            for tenant in ("rich", "poor"):
                cost = select(weir, "select sum(cost_nusd) as c from outcome where tenant = ?", tenant)[0]["c"]
                goal = route(weir, tenant)["inputs"]["goal"]
                assert goal["spent_nusd"] == cost > 0 and goal["kind"] == "budget_usd_per_month"
            if start == 0:
                restart(weir)
        said = subprocess.run([BINARY, "route", HARD, "--tenant", "poor", "--config", str(weir.config)], capture_output=True, text=True, timeout=60, check=True).stdout
        assert "month_budget_spent" in said and "of $0.000001" in said
        assert_books_balance(weir)
        assert weir.stop() == 0


def test_labels_that_refute_a_threshold_lower_it_on_record(folder, far):
    with gateway(folder / "labels", {"first": far}, {"keys": {"required": True}, "classifier": {"max_regret": 0.3}}) as weir:
        make_keys(weir, "sales", "legal")
        before = route(weir, "sales", EASY)["inputs"]
        assert route(weir, "sales", EASY)["route"] == "local"
        promise = before["promise"]
        assert promise["source"] == "calibration" and promise["remote"] == "always_right" and "classifier/labels" in promise["about"] and promise["lines"] > 1000
        said = subprocess.run([BINARY, "route", EASY, "--config", str(weir.config)], capture_output=True, text=True, timeout=60, check=True).stdout
        assert f"by {promise['lines']} calibration lines" in said and promise["about"] in said and "always right" in said
        old_ppm = round(promise["threshold"] * 1e6)
        for i in range(60):
            one = ask_auto(weir, "sales", EASY).headers["x-weir-decision-id"] if not select(weir, "select 1 from threshold") else None
            if one is None:
                break
            assert ask(weir, "/v1/feedback", {"decision_id": one, "rating": "down"}, key=weir.keys["sales"]).status == 200
        moves = select(weir, "select * from threshold")
        assert len(moves) == 1
        move = moves[0]
        assert (move["tenant"], move["reason"], move["max_regret_ppm"], move["old_ppm"], move["confidence_ppm"]) == ("sales", "refuted", 300000, old_ppm, 900000)
        assert move["new_ppm"] < before["score"]["gain"] * 1e6 and move["regret_ppm"] == 1000000 and move["n_labels"] >= 5, "those before the alarm halved it"
        wait_for(lambda: any("threshold_moved" in line and "sales" in line for line in weir.log), "the line in the log")
        for start in range(2):
            dry = route(weir, "sales", EASY)
            promise = dry["inputs"]["promise"]
            assert promise["source"] == "labels" and promise["lines"] == move["n_labels"] and abs(promise["threshold"] * 1e6 - move["new_ppm"]) < 1
            assert dry["route"].startswith("remote:") and "max_regret_by_labels" in dry["reasons"]
            assert route(weir, "legal", EASY)["route"] == "local", "for this tenant alone"
            assert route(weir, "sales", EASY, "auto:0.9")["inputs"]["promise"]["source"] == "calibration", "of this max_regret alone"
            if start == 0:
                restart(weir)
        answer = ask_auto(weir, "sales", EASY)
        assert json.loads(rows_of(weir, answer).decision["inputs"])["promise"]["source"] == "labels"
        said = subprocess.run([BINARY, "route", EASY, "--tenant", "sales", "--config", str(weir.config)], capture_output=True, text=True, timeout=60, check=True).stdout
        assert f"by {move['n_labels']} labels of the tenant's own answers" in said
        assert metric(weir, 'weir_target_threshold{tenant="sales",target="max_regret"}') < 0
        weir.process.send_signal(signal.SIGHUP)
        wait_for(lambda: any('"reloaded"' in line for line in weir.log), "a reload")
        assert route(weir, "sales", EASY)["inputs"]["promise"]["source"] == "labels"
        assert_books_balance(weir)
        assert weir.stop() == 0
        verified = verify(weir)
        assert verified.returncode == 0, verified.stderr


def test_check_names_targets_that_contradict_each_other(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text("classifier: {max_regret: 0.1, max_remote_share: 0.3}\n")
    checked = subprocess.run([BINARY, "check", "--config", str(config)], capture_output=True, text=True, timeout=60)
    assert checked.returncode == 1 and "1:31" in checked.stdout and "max_regret and max_remote_share are two targets" in checked.stdout


def test_check_says_what_the_head_promises_and_warns_of_what_it_cannot(tmp_path):
    def checked(text, *more):
        config = tmp_path / "weir.yaml"
        config.write_text(text)
        return subprocess.run([BINARY, "check", "--config", str(config), *more], capture_output=True, text=True, timeout=60)
    kept = checked("classifier: {max_regret: 0.1}\n")
    assert kept.returncode == 0 and "promise: max_regret 0.1: gains up to" in kept.stdout and "always right" in kept.stdout and "classifier/labels" in kept.stdout
    assert "for queries like those" in json.loads(checked("classifier: {max_regret: 0.1}\n", "--json").stdout)["promise"]
    strict = checked("classifier: {max_regret: 0.01}\ntenants: {legal: {max_regret: 0.005}, sales: {max_regret: 0.3}}\n")
    assert strict.returncode == 0 and "promise:" not in strict.stdout
    warned = [line for line in strict.stdout.splitlines() if "can promise that for no query" in line]
    assert [line.split()[1] for line in warned] == ["tenants.legal.max_regret", "classifier.max_regret"] and "the least it can promise is 0." in warned[0]
    assert json.loads(checked("classifier: {max_remote_share: 0.3}\n", "--json").stdout).get("promise") is None, "another target"
