"""What the end-to-end and fault tests share: a Weir with stand-in providers behind it, questions to it, and its ledger's rows.

    with Provider(certificates) as first, gateway(folder, {"first": first}) as weir:
        answer = ask(weir, "/v1/chat/completions", {...})
        books = rows(weir, answer.headers["x-weir-decision-id"])

Nothing here waits for a time to pass: wait_for asks again until the answer is yes, and LIMIT_S only ends a test that hangs.
"""
import collections
import http.client
import json
import pathlib
import sqlite3
import subprocess
import time
import os

from weir_process import BINARY, Weir

LIMIT_S = 60
MODEL = "gpt-4o-mini"
Answer = collections.namedtuple("Answer", "status headers body")
Rows = collections.namedtuple("Rows", "decision attempts outcome")


def cache_folder():
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return pathlib.Path(base) / "weir" / "models"


def chat_model():
    return cache_folder() / "smollm2-135m-instruct" / "SmolLM2-135M-Instruct.Q4_1.gguf"


def require_models():
    """The tests judge the real default models: without them they fail and say so."""
    for path in (chat_model(), cache_folder() / "all-minilm-l6-v2" / "model.safetensors"):
        assert path.exists(), f"{path} is missing: run `weir pull` first (tests/run does); this suite needs the default models"


def provider_entry(name, provider, **more):
    """One item of `providers`. provider: a Provider, or (url, ca_file)."""
    url, ca = (provider.url, provider.ca) if hasattr(provider, "url") else provider
    return {"name": name, "dialect": "openai", "base_url": url, "ca_file": ca, "region": "eu", "models": [MODEL],
            "timeouts": {"connect": "2s", "first_byte": "20s", "stall": "20s", "total": "60s"}, **more}


def gateway(folder, providers=None, settings=None, **kwargs):
    """A Weir (not started) whose configuration names these providers, in this order: {name: Provider or entry}."""
    require_models()
    entries = [p if isinstance(p, dict) else provider_entry(name, p) for name, p in (providers or {}).items()]
    return Weir(folder, {"providers": entries, **(settings or {})}, **kwargs)


def question(text="Say hello.", model="remote/first/" + MODEL, **more):
    return {"model": model, "messages": [{"role": "user", "content": text}], **more}


def connect(weir):
    return http.client.HTTPConnection("127.0.0.1", weir.port, timeout=LIMIT_S)


def ask(weir, path="/v1/chat/completions", body=None, key=None, headers=None, method=None):
    connection = connect(weir)
    try:
        send = {"content-type": "application/json", **({"authorization": "Bearer " + key} if key else {}), **(headers or {})}
        data = body if body is None or isinstance(body, bytes) else json.dumps(body)
        connection.request(method or ("GET" if body is None else "POST"), path, data, send)
        response = connection.getresponse()
        raw = response.read()
        kind = response.getheader("content-type") or ""
        return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, json.loads(raw) if kind.startswith("application/json") else raw)
    finally:
        connection.close()


class Stream:
    """An SSE answer read event by event: for event in Stream(weir, body). Events are parsed; "[DONE]" stays a string."""

    def __init__(self, weir, body, path="/v1/chat/completions", key=None, headers=None):
        self.connection = connect(weir)
        send = {"content-type": "application/json", **({"authorization": "Bearer " + key} if key else {}), **(headers or {})}
        self.connection.request("POST", path, json.dumps({**body, "stream": True}), send)
        self.response = self.connection.getresponse()
        self.status = self.response.status
        self.headers = {k.lower(): v for k, v in self.response.getheaders()}
        self.events = []
        self.broken = False
        self.unread = b""

    def line(self):
        """The next line, b"" at the end. By read1, which raises when a chunked body is cut; readline takes that for its end."""
        while b"\n" not in self.unread:
            more = self.response.read1(65536)
            if not more:
                line, self.unread = self.unread, b""
                return line
            self.unread += more
        line, _, self.unread = self.unread.partition(b"\n")
        return line + b"\n"

    def __iter__(self):
        while True:
            try:
                line = self.line()
            except (http.client.HTTPException, OSError):
                self.broken = True
                return
            if not line:
                return
            if line.startswith(b"data: "):
                data = line[6:].strip()
                event = data.decode() if data == b"[DONE]" else json.loads(data)
                self.events.append(event)
                yield event

    def drain(self):
        for _ in self:
            pass
        self.connection.close()
        return self

    def next_text(self):
        """The next piece of text that is not empty."""
        for event in self:
            text = self.text_of(event)
            if text:
                return text
        raise AssertionError("the stream ended: %r" % self.events)

    @staticmethod
    def text_of(event):
        if not isinstance(event, dict):
            return ""
        return "".join((c.get("delta") or {}).get("content") or c.get("text") or "" for c in event.get("choices", []))

    @property
    def text(self):
        return "".join(self.text_of(event) for event in self.events)

    @property
    def finish_reasons(self):
        return [c["finish_reason"] for e in self.events if isinstance(e, dict) for c in e.get("choices", []) if c.get("finish_reason")]

    @property
    def errors(self):
        return [e["error"] for e in self.events if isinstance(e, dict) and "error" in e]

    @property
    def done(self):
        return self.events[-1:] == ["[DONE]"]


def wait_for(check, what):
    """The first true value of check()."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        value = check()
        if value:
            return value
    raise AssertionError("did not happen: " + what)


def select(weir, sql, *values):
    """Rows as dicts, read by a connection of its own as a user would with sqlite3."""
    database = pathlib.Path(weir.settings["data_dir"]) / "ledger.db"
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=LIMIT_S)
    try:
        connection.row_factory = sqlite3.Row
        return [dict(row) for row in connection.execute(sql, values)]
    finally:
        connection.close()


def rows(weir, decision_id):
    """The three kinds of rows of a decision, once its outcome is there; exactly one decision and one outcome."""
    outcomes = wait_for(lambda: select(weir, "select * from outcome where decision_id = ?", decision_id), "an outcome of " + decision_id)
    decisions = select(weir, "select * from decision where decision_id = ?", decision_id)
    assert len(decisions) == len(outcomes) == 1
    return Rows(decisions[0], select(weir, "select * from attempt where decision_id = ? order by n", decision_id), outcomes[0])


def rows_of(weir, answer):
    return rows(weir, answer.headers["x-weir-decision-id"])


def verify(weir):
    """What the offline verifier says of the ledger: the finished process."""
    return subprocess.run([BINARY, "ledger", "verify", "--config", str(weir.config)], capture_output=True, text=True, timeout=60)


def assert_books_balance(weir):
    """Every decision has exactly one outcome, no attempt or outcome is without a decision."""
    wait_for(lambda: select(weir, "select (select count(*) from decision) = (select count(*) from outcome) as even")[0]["even"], "as many outcomes as decisions")
    assert select(weir, "select d.decision_id from decision d left join outcome o using (decision_id) where o.decision_id is null") == []
    assert select(weir, "select o.decision_id from outcome o left join decision d using (decision_id) where d.decision_id is null") == []
    assert select(weir, "select a.decision_id from attempt a left join decision d using (decision_id) where d.decision_id is null") == []
