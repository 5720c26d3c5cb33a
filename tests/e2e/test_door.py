"""The door of the real binary, over raw sockets: framing, pipelining, slow and half-sent requests, TLS, drain."""
import gzip
import json
import signal
import socket
import ssl
import urllib.request

import pytest
from weir_process import Weir, certificate, read_response

CHAT = {"model": "local", "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 8, "temperature": 0}


@pytest.fixture(scope="module")
def tls(folder):
    return certificate(folder)


@pytest.fixture(scope="module")
def weir(folder, tls):
    pem, key, _ = tls
    with Weir(folder / "one", {"tls": {"certificate": pem, "private_key": key}}, ["http://127.0.0.1:0", "https://127.0.0.1:0"]) as weir:
        yield weir
        assert weir.stop() == 0
        assert not [line for line in weir.log if '"level":"error"' in line]


def post(path, body, extra="", method="POST"):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return f"{method} {path} HTTP/1.1\r\nHost: weir\r\nContent-Length: {len(data)}\r\n{extra}\r\n".encode() + data


def get(path, extra="", method="GET"):
    return f"{method} {path} HTTP/1.1\r\nHost: weir\r\n{extra}\r\n".encode()


def exchange(weir, *requests, **kwargs):
    """Sends everything at once on one connection; reads that many answers."""
    with weir.dial(**kwargs) as connection, connection.makefile("rb") as stream:
        connection.sendall(b"".join(requests))
        return [read_response(stream) for _ in requests]


def error_of(answer):
    error = json.loads(answer[2])["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def test_a_connection_is_kept_and_pipelined_answers_come_in_order(weir):
    answers = exchange(weir, get("/healthz"), post("/v1/chat/completions", CHAT), get("/readyz"), post("/v1/chat/completions", CHAT), get("/healthz"))
    assert [status for status, _, _ in answers] == [200] * 5
    assert json.loads(answers[0][2])["status"] == "ok"
    assert json.loads(answers[1][2])["object"] == "chat.completion"
    assert json.loads(answers[1][2])["choices"] == json.loads(answers[3][2])["choices"]
    assert json.loads(answers[2][2])["status"] == "ready"


def test_lawful_forms_are_served(weir):
    body = json.dumps(CHAT).encode()
    chunks = b"".join(b"%x;ext=1\r\n%s\r\n" % (len(body[i:i + 7]), body[i:i + 7]) for i in range(0, len(body), 7)) + b"0\r\nTrailer: x\r\n\r\n"
    chunked = b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks
    absolute = b"GET http://weir/healthz HTTP/1.1\r\nHost: weir\r\n\r\n"
    head = get("/healthz", method="HEAD")
    with weir.dial() as connection, connection.makefile("rb") as stream:
        connection.sendall(chunked + absolute + b"\r\n")
        assert read_response(stream)[0] == 200
        assert read_response(stream)[0] == 200
        connection.sendall(head)
        assert stream.readline().split()[1] == b"200"
        assert b"Content-Length: 16\r\n" in list(iter(stream.readline, b"\r\n"))
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        assert b"200" in stream.readline()  # HEAD had no body, so this is the next status line.
        assert stream.read().endswith(b'{"status":"ok"}\n')  # And HTTP/1.0 ends with the connection.


def test_an_expecting_client_is_told_to_continue(weir):
    body = json.dumps(CHAT).encode()
    with weir.dial() as connection, connection.makefile("rb") as stream:
        connection.sendall(post("/v1/chat/completions", body, "Expect: 100-continue\r\n")[:-len(body)])
        assert stream.readline() == b"HTTP/1.1 100 Continue\r\n"
        assert stream.readline() == b"\r\n"
        connection.sendall(body)
        assert read_response(stream)[0] == 200


SMUGGLING = {
    "length and coding": b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "two lengths": b"Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
    "equal lengths": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "plus": b"Content-Length: +5\r\n\r\nhello",
    "minus": b"Content-Length: -5\r\n\r\nhello",
    "blank before the colon": b"Content-Length : 5\r\n\r\nhello",
    "bare line feed": b"X: y\nContent-Length: 5\r\n\r\nhello",
    "folded": b"X: y\r\n Content-Length: 5\r\n\r\nhello",
    "folded coding": b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "odd coding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding list": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "bad size": b"Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n",
    "huge size": b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
    "negative size": b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
    "data past its size": b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
    "size with line feed": b"Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    "two hosts": b"Host: other\r\n\r\n",
}


@pytest.mark.parametrize("name", SMUGGLING)
def test_ambiguous_framing_gets_one_400_and_the_connection_ends(weir, name):
    with weir.dial() as connection, connection.makefile("rb") as stream:
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\n" + SMUGGLING[name] + get("/healthz"))
        answer = read_response(stream)
        assert answer[0] == 400
        assert answer[1]["connection"] == "close"
        error_of(answer)
        assert stream.read() == b"", "something behind a refused request was answered"


@pytest.mark.parametrize("size, chunked", [(10_000_000, False), (10_000_000, True)])
def test_the_answer_to_a_10_mb_body_can_be_read_in_full(weir, size, chunked):
    with weir.dial() as connection, connection.makefile("rb") as stream:
        if chunked:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % size)
        else:
            connection.sendall(f"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nContent-Length: {size}\r\n\r\n".encode())
        for _ in range(size // 100_000):
            connection.sendall(b" " * 100_000)
        answer = read_response(stream)
        assert answer[0] == 413
        assert error_of(answer)["type"] == "invalid_request_error"


def test_half_a_request_is_answered_when_its_sender_stops(weir):
    with weir.dial() as connection, connection.makefile("rb") as stream:
        connection.sendall(post("/v1/chat/completions", CHAT)[:-10])
        connection.shutdown(socket.SHUT_WR)
        assert read_response(stream)[0] == 400


def test_a_hundred_slow_clients_hold_up_no_one(weir):
    slow = [weir.dial() for _ in range(100)]
    for i, connection in enumerate(slow):
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: weir\r\nX-Slow: " + b"x" * (i % 7))
    assert exchange(weir, get("/healthz"), post("/v1/chat/completions", CHAT))[1][0] == 200
    for connection in slow:  # Each is ended with an answer, within the time a head may take.
        with connection, connection.makefile("rb") as stream:
            assert read_response(stream)[0] == 408
            assert stream.read() == b""


def test_paths_and_methods(weir):
    nowhere, wrong, options = exchange(weir, get("/v1/nothing"), get("/v1/chat/completions"), get("/v1/chat/completions", method="OPTIONS"))
    assert nowhere[0] == 404 and error_of(nowhere)["code"] == "unknown_url"
    assert wrong[0] == 405 and "POST" in wrong[1]["allow"]
    assert options[0] == 204 and "POST" in options[1]["allow"]
    deleted, = exchange(weir, get("/healthz", method="DELETE"))
    assert deleted[0] == 405 and "GET" in deleted[1]["allow"]


def test_request_ids_are_taken_over_or_made(weir):
    taken, made, refused = exchange(weir, post("/v1/chat/completions", CHAT, "X-Request-Id: mine-7\r\n"), post("/v1/chat/completions", CHAT),
                                    post("/v1/chat/completions", {}, "X-Request-Id: mine-8\r\n"))
    assert taken[1]["x-request-id"] == "mine-7"
    assert made[1]["x-request-id"].startswith("req_")
    assert refused[0] == 400 and refused[1]["x-request-id"] == "mine-8"


def test_answers_say_how_they_were_routed_and_the_ledger_agrees(weir):
    answer, = exchange(weir, post("/v1/chat/completions", CHAT))
    headers = answer[1]
    assert headers["x-weir-route"] == "local" and headers["x-weir-cost-usd"] == "0" and headers["x-weir-reason"]
    decision = headers["x-weir-decision-id"]
    weir.query("select 1")  # The file can be read while Weir runs.
    for _ in range(1000):  # The outcome row follows the answer by one group commit.
        rows = weir.query(f"select d.route, o.route, o.result, o.completion_tokens, o.cost_nusd from decision d join outcome o using (decision_id) where decision_id = '{decision}'")
        if rows:
            break
    assert rows == [("local", "local", "ok", json.loads(answer[2])["usage"]["completion_tokens"], 0)]


def test_tls_is_modern_and_serves_the_same(weir, tls):
    _, _, context = tls
    with weir.dial(1, context) as connection, connection.makefile("rb") as stream:
        assert connection.version() in ("TLSv1.2", "TLSv1.3")
        assert "GCM" in connection.cipher()[0] or "CHACHA20" in connection.cipher()[0]
        connection.sendall(get("/healthz") + post("/v1/chat/completions", CHAT))
        assert read_response(stream)[0] == 200
        assert json.loads(read_response(stream)[2])["object"] == "chat.completion"
        connection.sendall(post("/v1/chat/completions", b" " * 5_000_000))
        assert read_response(stream)[0] == 400


def test_tls_refuses_what_is_old_or_no_tls(weir, tls):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("AES128-SHA")
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        weir.dial(1, old)
    with weir.dial(1) as connection:
        connection.sendall(get("/healthz"))
        assert b"HTTP" not in connection.makefile("rb").read()
    assert exchange(weir, get("/healthz"), index=1, tls=tls[2])[0][0] == 200


def test_metrics_are_prometheus_text(weir):
    answer, = exchange(weir, get("/metrics"))
    assert answer[0] == 200 and answer[1]["content-type"].startswith("text/plain; version=0.0.4")
    described = set()
    for line in answer[2].decode().splitlines():
        if line.startswith("# TYPE "):
            described.add(line.split()[2])
        elif not line.startswith("#"):
            name = line.split("{")[0].split()[0]
            float(line.rsplit(" ", 1)[1])
            assert name in described or name.rsplit("_", 1)[0] in described, line
    assert {"gen_ai_server_request_duration_seconds", "gen_ai_client_token_usage", "weir_requests_total"} <= described


def test_a_client_that_leaves_cancels_its_generation(weir):
    before = weir.query("select count(*) from outcome where result = 'cancelled'")[0][0]
    with weir.dial() as connection, connection.makefile("rb") as stream:
        connection.sendall(post("/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 4000, "messages": [{"role": "user", "content": "Count to a thousand."}]}))
        assert stream.readline().split()[1] == b"200"
        n_texts = 0
        while n_texts < 3:
            n_texts += b'"delta":{"content":"' in stream.readline()
    while True:  # Ends when the outcome is there; the suite's time limit is the only clock.
        rows = weir.query("select completion_tokens from outcome where result = 'cancelled'")
        if len(rows) > before:
            break
    assert rows[-1][0] >= 3, "what was generated before the client left is counted"
    while b"weir_local_sessions_running 0\n" not in exchange(weir, get("/metrics"))[0][2]:
        pass


def test_a_drain_finishes_what_runs_and_then_ends_well(folder):
    with Weir(folder / "drain") as weir:
        with weir.dial() as connection, connection.makefile("rb") as stream:
            connection.sendall(post("/v1/chat/completions", {**CHAT, "stream": True, "max_tokens": 60}))
            assert stream.readline().split()[1] == b"200"
            weir.process.send_signal(signal.SIGTERM)
            rest = stream.read()
            assert b"data: [DONE]" in rest and rest.endswith(b"0\r\n\r\n")
        assert weir.process.wait(60) == 0


def test_a_reload_swaps_the_snapshot_or_keeps_the_old_one(folder):
    with Weir(folder / "reload") as weir:
        ask = lambda: exchange(weir, get("/v1/models"))[0][2]
        weir.write({**weir.settings, "aliases": {"house-model": "local"}})
        weir.process.send_signal(signal.SIGHUP)
        while b"house-model" not in ask():
            pass
        weir.config.write_text("listen: [")
        weir.process.send_signal(signal.SIGHUP)
        while not any("reload_failed" in line for line in weir.log):
            pass
        assert b"house-model" in ask()


def test_a_busy_port_is_named(folder, weir):
    import subprocess
    from weir_process import BINARY
    other = Weir(folder / "busy", listen=[weir.url])
    done = subprocess.run([BINARY, "serve", "--config", str(other.config)], capture_output=True, text=True)
    assert done.returncode == 1
    assert weir.url in done.stderr and "in use" in done.stderr


def test_metrics_need_a_key_away_from_loopback_and_requests_when_keys_are_required(folder):
    with Weir(folder / "keys", {"keys": {"required": True}}) as weir:
        refused, health = exchange(weir, post("/v1/chat/completions", CHAT), get("/healthz"))
        assert refused[0] == 401 and error_of(refused)["code"] == "missing_api_key"
        wrong, = exchange(weir, post("/v1/chat/completions", CHAT, "Authorization: Bearer weir-no\r\n"))
        assert wrong[0] == 401 and error_of(wrong)["code"] == "invalid_api_key"
        assert health[0] == 200
        assert urllib.request.urlopen(weir.url + "/metrics").status == 200


def test_every_answer_has_its_request_id(weir):
    sent = "x-request-id: my-own-1\r\n"
    requests = [get("/", sent), get("/healthz", sent), get("/readyz", sent), get("/metrics", sent), get("/v1/models", sent), get("/v1/models/auto", sent),
                get("/v1/models/none", sent), get("/nowhere", sent), get("/v1/models", sent, method="OPTIONS"), get("*", sent, method="OPTIONS"),
                get("/v1/models", sent, method="DELETE"), post("/v1/chat/completions", CHAT, sent), post("/v1/route", {**CHAT, "model": "auto"}, sent),
                post("/v1/embeddings", {"model": "local", "input": "a"}, sent), post("/v1/feedback", {}, sent), post("/v1/chat/completions", b"{", sent)]
    for request in requests:
        (_, headers, _), = exchange(weir, request)
        assert headers["x-request-id"] == "my-own-1", request
    (status, headers, _), = exchange(weir, get("/healthz"))
    assert status == 200 and headers["x-request-id"].startswith("req_")
    for bad, status_of in ((b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + sent.encode() + b"\r\n", 400), (b"nonsense\r\n\r\n", 400),
                           (b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n" + sent.encode() + b"\r\n", 413)):
        (status, headers, _), = exchange(weir, bad)
        assert status == status_of and headers["x-request-id"].startswith(("req_", "my-own-1")), bad


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings", "/v1/route", "/v1/feedback"])
def test_a_packed_body_is_refused_by_the_name_of_its_coding(weir, path):
    packed = gzip.compress(json.dumps(CHAT).encode())
    for coding in ("gzip", "br", "identity, gzip", "x" * 200):
        answer, = exchange(weir, post(path, packed, f"Content-Encoding: {coding}\r\n"))
        error = error_of(answer)
        assert answer[0] == 415 and error["type"] == "invalid_request_error" and error["code"] == "unsupported_content_encoding"
        assert coding[:40] in error["message"] and answer[1]["accept-encoding"] == "identity"
    if path == "/v1/chat/completions":
        (status, _, _), = exchange(weir, post(path, CHAT, "Content-Encoding: Identity\r\n"))
        assert status == 200
