"""`weir route`: a decision from the command line, of a whole conversation, as the daemon would take it; and what only a daemon knows."""
import json
import subprocess

import pytest
import weak_head
from gateway_case import MODEL, ask, gateway, question, rows_of
from weir_process import BINARY

EASY = "Hello!"
HARD = "Prove that there are infinitely many primes congruent to 3 modulo 4, step by step."
REMOTE = "remote:first/" + MODEL


def route(weir, *arguments, stdin=None, check=True):
    done = subprocess.run([BINARY, "route", *arguments, "--config", str(weir.config)], input=stdin, capture_output=True, text=True, timeout=60)
    assert not check or done.returncode == 0, done.stderr
    return done if not check else done.stdout


def comparable(decision):
    """Without what differs by nature: times, ids, and that the daemon asked the providers how they are."""
    return decision["route"], decision["reasons"], {**decision["inputs"], "prices_version": None}, decision["verdict"], decision["targets"]


@pytest.fixture(scope="module")
def weir(folder, far):
    with gateway(folder / "route", {"first": far}) as weir:
        yield weir
        assert weir.stop() == 0


def conversation(first, answer, then):
    return [{"role": "user", "content": first}, {"role": "assistant", "content": answer}, {"role": "user", "content": then}]


def test_a_conversation_is_decided_as_the_daemon_decides_it(weir, tmp_path):
    """Its first turn left, so the second is charged with the cache that a switch would throw away."""
    one = ask(weir, body=question(HARD, "auto", max_tokens=8))
    assert one.headers["x-weir-route"] == REMOTE
    messages = conversation(HARD, one.body["choices"][0]["message"]["content"], "yes, go on")
    dry = ask(weir, "/v1/route", {"model": "auto", "messages": messages}).body
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(messages))
    said = json.loads(route(weir, "--messages", str(file), "--earlier", REMOTE, "--json"))
    assert said["inputs"]["conversation"]["route"] == dry["inputs"]["conversation"]["route"] == REMOTE
    # What the provider counted is not what the tokenizer here counts.
    for decision in (dry, said):
        assert 0 < decision["inputs"]["conversation"].pop("cached_tokens") <= decision["inputs"]["conversation"]["prompt_tokens"]
    assert comparable(said) == comparable(dry)
    assert "conversation_was_remote" in said["reasons"] and said["unknown"] == ["provider_health"]


@pytest.mark.parametrize("text", [EASY, HARD])
def test_a_first_turn_is_decided_as_the_daemon_decides_it_however_it_is_given(weir, tmp_path, text):
    body = question(text, "auto")
    dry = ask(weir, "/v1/route", body).body
    file = tmp_path / "request.json"
    file.write_text(json.dumps(body))
    given = [route(weir, "--json", text), route(weir, "--json", stdin=json.dumps(body)), route(weir, "--messages", str(file), "--json"),
             route(weir, "--messages", "-", "--json", stdin=json.dumps(body["messages"]))]
    assert [comparable(json.loads(one)) for one in given] == [comparable(dry)] * 4


def test_in_words_it_says_what_only_a_running_weir_knows(weir, tmp_path):
    file = tmp_path / "messages.json"
    file.write_text(json.dumps(conversation(EASY, "Hello.", HARD)))
    words = route(weir, "--messages", str(file), "--tenant", "sales")
    assert "unknown   whether the providers are up" in words and "what is left of the key's budget" in words and "who answered the turn before (--earlier tells it)" in words
    assert "a running Weir knows: POST /v1/route" in words
    told = route(weir, "--messages", str(file), "--earlier", "local")
    assert "earlier   local answered the turn before" in told and "--earlier tells it" not in told


@pytest.mark.parametrize("content, arguments, says", [
    ("[", [], "line 1, column 1"), ('{"model": "auto"}', [], "must be a JSON array of messages, or a chat request with messages"),
    ('[{"role": "nobody", "content": "x"}]', [], "role"), ("[]", [], "messages"),
    ('[{"role": "user", "content": "x"}]', ["--earlier", "far"], "not like local or remote:<provider>/<model>"),
    ('[{"role": "user", "content": "x"}]', ["--earlier", "remote:nobody/m"], 'has no provider "nobody"'),
    (None, [], "No such file")])
def test_what_is_no_conversation_is_an_error_that_says_what_and_where(weir, tmp_path, content, arguments, says):
    file = tmp_path / "messages.json"
    if content is not None:
        file.write_text(content)
    done = route(weir, "--messages", str(file), *arguments, check=False)
    assert done.returncode == 1 and says in done.stderr, done.stderr
    assert arguments or content not in ("[", '{"model": "auto"}', None) or str(file) in done.stderr, done.stderr


def test_a_text_and_messages_together_are_no_request(weir):
    assert route(weir, "Hello!", "--messages", "-", check=False).returncode == 2


def test_a_configured_probe_is_asked_as_the_daemon_asks_it(folder, far):
    head = weak_head.train(folder, by_probe=True)
    with gateway(folder / "probe", {"first": far}, {"classifier": {"head": str(head), "max_regret": 0.5, "probe": 1}}) as weir:
        body = question("Tell me a story about a fox.", "auto")
        dry = ask(weir, "/v1/route", body).body
        assert dry["inputs"]["score"]["tier"] == "probe"
        said = json.loads(route(weir, "--messages", "-", "--json", stdin=json.dumps(body["messages"])))
        assert comparable(said) == comparable(dry)
        assert f"probe     the answering model itself: {dry['inputs']['score']['probe']:.2f}" in route(weir, body["messages"][0]["content"])
        assert weir.stop() == 0


def test_the_drift_alarm_of_the_ledger_is_looked_at(folder, far):
    with gateway(folder / "drift", {"first": far}, {"classifier": {"max_regret": 0.3}}) as weir:
        for _ in range(30):
            answer = ask(weir, body=question(EASY, "auto", max_tokens=1))
            rows_of(weir, answer)
            assert ask(weir, "/v1/feedback", {"decision_id": answer.headers["x-weir-decision-id"], "rating": "down"}).status == 200
            if ask(weir, "/v1/route", question(EASY, "auto")).body["inputs"]["drift"]:
                break
        dry = ask(weir, "/v1/route", question(EASY, "auto")).body
        said = json.loads(route(weir, "--json", EASY))
        assert said["inputs"]["drift"] is dry["inputs"]["drift"] is True and "feedback_drift" in said["reasons"]
        assert weir.stop() == 0
