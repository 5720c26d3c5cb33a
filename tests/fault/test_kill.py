"""What happens to Weir itself: killed under load, a full disk, a locked ledger, models that are missing or broken. And the
canary: text that must be nowhere, looked for everywhere."""
import concurrent.futures
import http.client
import json
import pathlib
import resource
import signal
import sqlite3
import subprocess

import pytest
from gateway_case import (MODEL, Stream, ask, assert_books_balance, chat_model, gateway, provider_entry, question, require_models, rows, rows_of, select,
                          verify, wait_for)
from weir_process import BINARY, Weir


@pytest.mark.parametrize("durability", ["process", "power"])
def test_kill_9_under_load_loses_no_decision(folder, far, durability):
    """Every answer a caller has seen, and every question a provider has seen, stands in the ledger after kill -9; each decision
    has exactly one outcome once Weir has started again, and the tree still proves."""
    seen, started = [], []
    stalled = question("stalls", max_tokens=4)
    with gateway(folder / durability, {"first": far}, {"ledger": {"durability": durability}}) as weir:
        far.script([{"kind": "stall", "at": 2}])
        hanging = [Stream(weir, stalled, headers={"x-request-id": f"hang-{i}"}) for i in range(3)]
        for stream in hanging:
            assert stream.next_text()
        far.script([{"kind": "slow", "ms": 1}])

        def load(worker):
            for i in range(10000):
                marker = f"{durability}-{worker}-{i}"
                body = question("Say " + marker, max_tokens=2, **({} if worker % 4 else {"model": "local"}))
                started.append(marker)
                try:
                    if worker % 2:
                        answer = Stream(weir, body, headers={"x-request-id": marker}).drain()
                        assert answer.broken or answer.done
                    else:
                        answer = ask(weir, body=body, headers={"x-request-id": marker})
                    seen.append((marker, answer.headers["x-weir-decision-id"]))
                except (OSError, http.client.HTTPException, ValueError):
                    return  # Killed.

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            futures = [pool.submit(load, worker) for worker in range(8)]
            wait_for(lambda: len(seen) >= 100, "a hundred answers")
            weir.process.kill()
            for future in futures:
                future.result()
        assert weir.process.wait() == -signal.SIGKILL
        for stream in hanging:
            stream.drain()
    with Weir(folder / durability, weir.settings) as again:
        assert_books_balance(again)
        request_ids = {row["request_id"] for row in select(again, "select request_id from decision")}
        assert {marker for marker, _ in seen} <= request_ids
        asked = {body["messages"][-1]["content"][len("Say "):] for body in far.bodies if body["messages"][-1]["content"].startswith("Say ")}
        assert asked <= request_ids, "a question left before its row was there"
        for stream in hanging:
            assert rows(again, stream.headers["x-weir-decision-id"]).outcome["result"] == "interrupted"
        finished = {row["decision_id"]: row["result"] for row in select(again, "select decision_id, result from outcome")}
        assert all(finished[decision] in ("ok", "interrupted") for _, decision in seen)
        assert select(again, "select result from outcome where result = 'interrupted' and cost_nusd is not null and route like 'remote:%'") == []
        assert ask(again, body=question()).status == 200
        assert_books_balance(again)
        assert again.stop() == 0
        checked = verify(again)
        assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.fixture
def tmpfs(folder):
    """A real small file system; root and a kernel that lets us are needed, otherwise the limit on file sizes stands in."""
    place = folder / "tmpfs"
    place.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True).returncode == 0
    yield place if mounted else None
    if mounted:
        subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk_closes_the_remote_path_and_opens_it_again(folder, far, tmpfs):
    """No byte leaves without its row; nothing crashes; when there is room again it goes on by itself."""
    data = tmpfs / "data" if tmpfs else folder / "limited"
    with gateway(folder / "full", {"first": far}, {"data_dir": str(data)}) as weir:
        assert ask(weir, body=question()).status == 200
        if tmpfs:
            filler = open(tmpfs / "filler", "wb", buffering=0)

            def fill():
                try:
                    while True:
                        filler.write(b"x" * 4096)
                except OSError:
                    pass
            fill()
        else:
            size = max(f.stat().st_size for f in data.iterdir() if f.is_file())
            resource.prlimit(weir.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

        def refused():
            answer = ask(weir, body=question("x" * 2000))
            assert answer.status in (200, 503)
            return answer.status == 503 and answer
        answer = wait_for(refused, "the ledger cannot write any more")
        assert answer.body["error"]["code"] == "ledger_unavailable" and int(answer.headers["retry-after"]) > 0
        sent = far.requests
        for _ in range(5):
            assert ask(weir, body=question()).status == 503
        assert far.requests == sent, "a question left without its row"
        assert ask(weir, "/healthz").status == 200
        assert b"weir_ledger" in ask(weir, "/metrics").body
        wait_for(lambda: any("ledger" in line and ("full" in line or "space" in line or "disk" in line) for line in list(weir.log)), "the operator is told")
        if tmpfs:
            filler.truncate(0)
            filler.close()
        else:
            resource.prlimit(weir.process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        again = wait_for(lambda: (lambda a: a.status == 200 and a)(ask(weir, body=question())), "the ledger writes again")
        assert rows_of(weir, again).outcome["result"] == "ok"
        assert_books_balance(weir)
        assert weir.stop() == 0
        assert verify(weir).returncode == 0


def test_a_ledger_locked_by_another_closes_the_remote_path_until_it_is_free(folder, far):
    with gateway(folder / "locked", {"first": far}) as weir:
        assert ask(weir, body=question()).status == 200
        sent = far.requests
        other = sqlite3.connect(folder / "locked" / "data" / "ledger.db", isolation_level=None, timeout=60)
        try:
            other.execute("begin immediate")
            with concurrent.futures.ThreadPoolExecutor(1) as pool:
                waiting = pool.submit(ask, weir, body=question())
                assert ask(weir, "/healthz").status == 200, "the loop waits for no lock"
                wait_for(lambda: waiting.done() or any("ledger" in line for line in weir.log[-20:]) or ask(weir, "/readyz").status, "it is seen")
                if waiting.done():
                    assert waiting.result().status == 503
                assert far.requests == sent
                other.execute("rollback")
                assert waiting.result().status in (200, 503)
        finally:
            other.close()
        wait_for(lambda: ask(weir, body=question()).status == 200, "it goes on when the lock is gone")
        assert_books_balance(weir)


def fails_to_start(settings, folder, env=None):
    require_models()
    other = Weir(folder, settings, env=env)
    return subprocess.run([BINARY, "serve", "--config", str(other.config)], capture_output=True, text=True, env=other.env)


def test_a_second_daemon_on_the_same_data_folder_is_refused(folder, far):
    with gateway(folder / "twice", {"first": far}) as weir:
        done = fails_to_start({"data_dir": weir.settings["data_dir"]}, folder / "twice-too")
        assert done.returncode == 1 and ("another" in done.stderr or "running" in done.stderr) and str(folder / "twice" / "data") in done.stderr
        assert ask(weir, body=question()).status == 200
        assert_books_balance(weir)


def test_a_broken_ledger_is_named(folder):
    data = folder / "broken" / "data"
    data.mkdir(parents=True)
    (data / "ledger.db").write_bytes(b"this is no database " * 1000)
    done = fails_to_start({}, folder / "broken")
    assert done.returncode == 1 and "ledger.db" in done.stderr


def test_a_model_that_was_named_and_is_missing_is_an_error_that_names_it(folder):
    for which in ("chat", "encoder"):
        done = fails_to_start({"models": {which: {"path": str(folder / "no-such-model.gguf")}}}, folder / ("missing-" + which))
        assert done.returncode == 1 and "no-such-model.gguf" in done.stderr and "listening" not in done.stderr


def test_a_truncated_model_is_an_error_that_names_file_and_place(folder):
    require_models()
    model = folder / "truncated.gguf"
    whole = chat_model().read_bytes()
    for size in (0, 3, 23, 5000, 2_000_000, len(whole) // 2, len(whole) - 1):
        model.write_bytes(whole[:size])
        done = fails_to_start({"models": {"chat": {"path": str(model)}}}, folder / "truncated")
        assert done.returncode == 1, (size, done.stderr[-300:])
        line = done.stderr.strip().splitlines()[-1]
        assert "truncated.gguf" in line and len(line) < 1000
    model.write_bytes(b"GGUF" + b"\xff" * 4000)
    assert fails_to_start({"models": {"chat": {"path": str(model)}}}, folder / "truncated").returncode == 1
    model.unlink()


def test_without_any_model_weir_starts_and_relays(folder, far):
    """The default models were never pulled: a warning that says how, the local route closed, the remote one open."""
    entry = provider_entry("first", far)
    with Weir(folder / "bare", {"providers": [entry]}, env={"XDG_CACHE_HOME": str(folder / "empty-cache")}) as weir:
        wait_for(lambda: any("model_missing" in line and "weir pull" in line for line in weir.log), "the line in the log")
        ready = ask(weir, "/readyz")
        assert ready.status == 200 and ready.body["local_model"] is False
        assert ask(weir, body=question()).status == 200
        assert ask(weir, body=question(model="auto")).headers["x-weir-route"] == "remote:first/" + MODEL
        closed = ask(weir, body=question(model="local"))
        assert closed.status == 503 and closed.body["error"]["code"] == "model_not_loaded"
        assert ask(weir, "/v1/embeddings", {"model": "local", "input": "x"}).status == 503
        assert_books_balance(weir)


CANARY = "canary-" + "q7w9e2"


def canaries():
    """Texts that must be nowhere but in the exchange itself, each findable by itself."""
    return {place: f"{CANARY}{place}zx" for place in
            ("prompt", "system", "answer", "part", "arguments", "tool", "completion", "embedding", "echo", "partial", "broken", "field", "provider-error",
             "resumed", "query", "header", "seed")}


def everything_in(path):
    for file in pathlib.Path(path).rglob("*"):
        if file.is_file() and not file.is_symlink():
            yield file, file.read_bytes()


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_text_stays_behind(folder, far, level):
    c = canaries()
    card, address, secret = "5105 1051 0510 5100", f"{CANARY}@mail.example.org", "ghp_Q7w9E2r4T6y8U1i3O5p7A9s2D4f6G8h0JkLz"
    provider_key = "sk-" + CANARY + "-providers-own"
    found = [card, card.replace(" ", ""), address, secret, provider_key]
    data = folder / ("canary-" + level) / "data"
    entries = {"first": provider_entry("first", far, api_key_env="CANARY_KEY"),
               "down": provider_entry("down", ("https://127.0.0.1:9/v1", far.ca), models=["down-model"])}
    errors = []
    with gateway(folder / ("canary-" + level), entries, {"keys": {"required": True}, "log": {"level": level}}, env={"CANARY_KEY": provider_key}) as weir:
        made = subprocess.run([BINARY, "keys", "create", "--name", "k", "--config", str(weir.config), "--json"], capture_output=True, text=True)
        key = json.loads(made.stdout)["key"]
        found.append(key)

        def send(body, path="/v1/chat/completions", **kwargs):
            answer = ask(weir, path, body, key=kwargs.pop("key", key), **kwargs)
            if answer.status >= 400:
                errors.append(json.dumps(answer.body) if not isinstance(answer.body, bytes) else answer.body.decode("latin-1"))
            errors.append(json.dumps({k: v for k, v in answer.headers.items()}))
            return answer

        far.script([{"kind": "ok", "text": c["answer"] + " is the answer."}])
        for model in ("remote/first/" + MODEL, "local", "auto:0", "auto:1"):
            messages = [{"role": "system", "content": c["system"]},
                        {"role": "user", "content": [{"type": "text", "text": f"{c['part']} {card} {address}"}]},
                        {"role": "user", "content": f"{c['prompt']} {card}"}]
            assert send({"model": model, "messages": messages, "max_tokens": 4}).status == 200
            stream = Stream(weir, {"model": model, "messages": messages, "max_tokens": 4}, key=key).drain()
            assert stream.status == 200 and stream.done
        tools = [{"role": "user", "content": "x"},
                 {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": json.dumps({"a": c["arguments"]})}}]},
                 {"role": "tool", "tool_call_id": "1", "content": c["tool"]}]
        send({"model": "remote/first/" + MODEL, "messages": tools})
        send({"model": "local", "prompt": c["completion"], "max_tokens": 2, "echo": True, "logprobs": 1}, "/v1/completions")
        send({"model": "local", "input": [c["embedding"]]}, "/v1/embeddings")
        send(question(c["prompt"] + " " + secret))
        send(question(c["prompt"] + " " + card), "/v1/route")
        send(question(c["prompt"] + " " + secret), "/v1/route")
        # What goes wrong, on every side.
        send(question(c["prompt"]), key=c["header"])
        send(('{"model": "local", "messages": [{"role": "user", "content": "' + c["broken"] + '"').encode())
        send({"model": "local", "messages": [{"role": c["field"], "content": c["prompt"]}]})
        send({"model": "local", "messages": [{"role": "user", "content": {"text": c["field"]}}]})
        send({"model": "local", "messages": [{"role": "user", "content": c["prompt"]}], "temperature": c["field"]})
        send({"model": "local", "messages": [{"role": "user", "content": c["prompt"]}], "stop": [c["field"], 5]})
        send({"model": "local", "messages": [{"role": "user", "content": (c["prompt"] + " ") * 3000}]})
        send({"model": "remote/down/down-model", "messages": [{"role": "user", "content": c["prompt"]}]})
        send(None, "/v1/models?x=" + c["query"])
        for script in ([{"kind": "cut", "at": 2}], [{"kind": "bad_event", "at": 1}], [{"kind": "stall", "at": 1}], [{"kind": "bad_json"}], [{"kind": "error_body"}]):
            far.script([{**script[0], "text": c["partial"] + " one two three"}])
            stream = Stream(weir, question(c["prompt"] + " " + card), key=key)
            if script[0]["kind"] == "stall":
                assert stream.next_text()
                stream.response.close()
                stream.connection.close()
            else:
                stream.drain()
            errors += [json.dumps(e) for e in stream.errors]
        far.script([{"kind": "status", "status": 500, "error": {"message": c["provider-error"], "type": "server_error"}}])
        send(question(c["prompt"]))
        metrics = ask(weir, "/metrics").body.decode()
        wait_for(lambda: select(weir, "select (select count(*) from decision) = (select count(*) from outcome) as even")[0]["even"], "even books")
        before_stop = list(everything_in(data))
        assert weir.stop() == 0
    haystacks = [(str(file), content) for file, content in before_stop] + [(str(file), content) for file, content in everything_in(data)]
    haystacks += [("log", "\n".join(weir.log).encode()), ("metrics", metrics.encode())] + [("error or header", text.encode()) for text in errors]
    assert any(b"remote:first/" in content for name, content in haystacks if "ledger.db" in name), "this search finds nothing that is there"
    for name, content in haystacks:
        for needle in list(c.values()) + found + [CANARY]:
            for form in (needle, needle.upper(), json.dumps(needle)[1:-1]):
                at = content.find(form.encode())
                assert at < 0, f"{needle} is in {name}: …{content[max(0, at - 60):at + 60]!r}…"
