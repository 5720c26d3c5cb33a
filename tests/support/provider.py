#!/usr/bin/env python3
"""A provider stand-in: an OpenAI-style server over real TLS whose faults are scripted. For tests only.

As a program:      python3 provider.py --dir DIR [--port 0] [--script JSON] [--plain]
    makes a CA and certificates in DIR (ca.pem, server.pem, …), prints one line of JSON
    {"port": …, "ca": …, "url": …} on standard output and serves until it is killed.
From Python:       with Provider(dir) as p: p.url, p.ca, p.script([...]), p.requests, p.bodies

A script is a list of steps; each request (to /v1/chat/completions, /v1/completions, /v1/embeddings) takes the next one; the
last one stays. A step is a dict:
    {"kind": "ok"}                          an answer; "text" sets it ("The stand-in says hello."), "tokens" how it is cut, "tool_calls": [...]
                                            makes it call tools instead, their arguments cut into pieces of a few characters
    {"kind": "status", "status": 500, "error": {...}, "retry_after": "1"}
    {"kind": "error_body"}                  200 with an error object
    {"kind": "bad_json"}                    200 with what is no JSON
    {"kind": "no_choices"}                  200 with an answer that answers nothing
    {"kind": "bad_event", "at": 1}          a stream with a broken event before piece `at`
    {"kind": "no_done"}                     a stream without [DONE], ended with the connection
    {"kind": "stall", "at": -1}             at -1: nothing after the request; -2: the head only; k: after k pieces
    {"kind": "cut", "at": 2}                the connection ends without a word after k pieces (0: a reset before the head)
    {"kind": "truncate", "at": 2}           the chunked body ends without its last chunk
    {"kind": "slow", "ms": 50}              a pause before each piece
    {"kind": "content_filter"} {"kind": "context_length"}
    {"kind": "refuse_prefix"}               400 when the last message is the assistant's, else ok
    {"kind": "judge", "prefers": "text"}    says A or B, whichever of the two answers in the last message has the text; neither: tie
A whole-text answer carries on after an assistant prefix: what the prefix says already is left out.

Over HTTP, for other processes: GET /_log gives {"requests": n, "bodies": [...]}, POST /_script sets the script, POST /_reset
clears both. Certificates: "good" (localhost, 127.0.0.1), "expired", "wrong_host" (other.test), "self" (by another CA).
"""
import argparse
import datetime
import json
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "The stand-in says hello."


def _run(*argv, **kwargs):
    subprocess.run(argv, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **kwargs)


def make_certificates(folder):
    """ca.pem and, for each case, NAME.pem with certificate and key."""
    folder = str(folder)
    os.makedirs(folder, exist_ok=True)
    if os.path.exists(os.path.join(folder, "good.pem")):
        return

    def authority(name):
        key, pem = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
        _run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        _run("openssl", "req", "-x509", "-new", "-key", key, "-sha256", "-days", "30", "-subj", "/CN=Weir test " + name, "-out", pem,
             "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        return key, pem

    def leaf(name, ca, names, expired=False):
        key, pem, csr = (os.path.join(folder, name + end) for end in (".leaf.key", ".pem", ".csr"))
        _run("openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", key)
        _run("openssl", "req", "-new", "-key", key, "-subj", "/CN=" + name, "-out", csr)
        extensions = os.path.join(folder, name + ".ext")
        with open(extensions, "w") as f:
            f.write("subjectAltName=" + names + "\nextendedKeyUsage=serverAuth\n")
        certificate = os.path.join(folder, name + ".crt")
        database = os.path.join(folder, name + ".db")
        os.makedirs(database, exist_ok=True)
        for file, content in (("index.txt", ""), ("serial", os.urandom(8).hex() + "\n")):
            with open(os.path.join(database, file), "w") as f:
                f.write(content)
        settings = os.path.join(database, "ca.cnf")
        with open(settings, "w") as f:
            f.write("[ca]\ndefault_ca=a\n[a]\ndatabase=%s/index.txt\nserial=%s/serial\nnew_certs_dir=%s\ndefault_md=sha256\npolicy=p\n"
                    "certificate=%s\nprivate_key=%s\n[p]\ncommonName=supplied\n" % (database, database, database, ca[1], ca[0]))
        now = datetime.datetime.utcnow()
        start, end = (now - datetime.timedelta(days=20), now - datetime.timedelta(days=1)) if expired else \
                     (now - datetime.timedelta(days=1), now + datetime.timedelta(days=20))
        _run("openssl", "ca", "-batch", "-notext", "-config", settings, "-in", csr, "-out", certificate, "-extfile", extensions,
             "-startdate", start.strftime("%Y%m%d%H%M%SZ"), "-enddate", end.strftime("%Y%m%d%H%M%SZ"))
        with open(pem, "w") as out:
            for part in (certificate, key):
                with open(part) as f:
                    out.write(f.read())

    ca, other = authority("ca"), authority("other_ca")
    leaf("expired", ca, "DNS:localhost,IP:127.0.0.1", expired=True)
    leaf("wrong_host", ca, "DNS:other.test")
    leaf("self", other, "DNS:localhost,IP:127.0.0.1")
    leaf("good", ca, "DNS:localhost,IP:127.0.0.1")


def pieces_of(text, n):
    """The text cut into about n pieces of whole words."""
    words = text.split(" ")
    words = [w if i == 0 else " " + w for i, w in enumerate(words)]
    return words if n is None or n >= len(words) else ["".join(words[i * len(words) // n:(i + 1) * len(words) // n]) for i in range(n)]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "stand-in"

    def log_message(self, *args):
        pass

    def do_GET(self):
        p = self.server.provider
        if self.path == "/_log":
            with p.lock:
                self.answer(200, {"requests": len(p.bodies), "bodies": p.bodies, "connections": p.connections, "headers": p.headers})
        elif self.path.endswith("/models"):
            self.answer(200, {"object": "list", "data": [{"id": "stand-in", "object": "model"}]})
        else:
            self.answer(404, {"error": {"message": "no such path", "type": "invalid_request_error"}})

    def do_POST(self):
        p = self.server.provider
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        if self.path == "/_script":
            p.script(json.loads(body))
            return self.answer(200, {})
        if self.path == "/_reset":
            p.reset()
            return self.answer(200, {})
        question = json.loads(body)
        with p.lock:
            p.bodies.append(question)
            p.headers.append({k.lower(): v for k, v in self.headers.items()})
            step = p.steps.pop(0) if len(p.steps) > 1 else p.steps[0]
        try:
            self.act(step, question)
        except (BrokenPipeError, ConnectionResetError, ssl.SSLError):
            with p.lock:
                p.hangups += 1
            self.close_connection = True

    def act(self, step, question):
        kind = step.get("kind", "ok")
        if kind == "slow" and not question.get("stream"):
            time.sleep(step.get("ms", 50) / 1000)
        if kind == "status":
            head = {"retry-after": step["retry_after"]} if "retry_after" in step else {}
            return self.answer(step["status"], {"error": step.get("error", {"message": "scripted", "type": "scripted", "code": None})}, head)
        if kind == "content_filter":
            return self.answer(400, {"error": {"message": "filtered", "type": "invalid_request_error", "code": "content_filter"}})
        if kind == "context_length":
            return self.answer(400, {"error": {"message": "This model's maximum context length is 10 tokens.", "type": "invalid_request_error",
                                               "code": "context_length_exceeded"}})
        if kind == "refuse_prefix" and question["messages"][-1]["role"] == "assistant":
            return self.answer(400, {"error": {"message": "the last message must be the user's", "type": "invalid_request_error"}})
        if kind == "error_body":
            return self.answer(200, {"error": {"message": "scripted", "type": "server_error"}})
        if kind == "no_choices":
            return self.answer(200, {"id": "none", "object": "chat.completion", "model": question["model"], "choices": [], "data": []})
        if kind == "bad_json":
            return self.raw(200, b'{"choices": [', "application/json")
        if kind == "cut" and step.get("at", 2) == 0:
            return self.reset()
        if kind == "stall" and step.get("at", -1) == -1:
            return self.wait()
        if self.path.endswith("/embeddings"):
            texts = question["input"] if isinstance(question["input"], list) else [question["input"]]
            return self.answer(200, {"object": "list", "model": question["model"], "usage": {"prompt_tokens": 3 * len(texts), "total_tokens": 3 * len(texts)},
                                     "data": [{"object": "embedding", "index": i, "embedding": [0.5, -0.5, 0.25]} for i in range(len(texts))]})
        if kind == "judge":
            first, second = question["messages"][-1]["content"].split("Answer A:", 1)[1].split("Answer B:", 1)
            step = {**step, "text": "A" if step["prefers"] in first else "B" if step["prefers"] in second else "tie"}
        self.complete(kind, step, question)

    def complete(self, kind, step, question):
        chat = self.path.endswith("/chat/completions")
        text = step.get("text", TEXT)
        if chat and question["messages"] and question["messages"][-1]["role"] == "assistant":
            said = question["messages"][-1]["content"]
            text = text[len(said):] if text.startswith(said) else text
        usage = {"prompt_tokens": 9, "completion_tokens": len(text.split()), "total_tokens": 9 + len(text.split()),
                 "prompt_tokens_details": {"cached_tokens": 4}}
        base = {"id": "chatcmpl-stand-in", "created": 1700000000, "model": question["model"]}
        n = question.get("n", 1)
        if not question.get("stream"):
            if kind in ("cut", "truncate"):
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", "1000")
                self.end_headers()
                self.wfile.write(b'{"choices"')
                self.wfile.flush()
                return self.drop()
            if kind == "stall":
                return self.wait()
            message = {"role": "assistant", "content": None, "tool_calls": step["tool_calls"]} if "tool_calls" in step else {"role": "assistant", "content": text}
            choices = [{"index": i, "finish_reason": "tool_calls" if "tool_calls" in step else "stop", "logprobs": None, "message": message} if chat
                       else {"index": i, "finish_reason": "stop", "logprobs": None, "text": text} for i in range(n)]
            return self.answer(200, dict(base, object="chat.completion" if chat else "text_completion", choices=choices, usage=usage))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        self.wfile.flush()
        if kind == "stall" and step.get("at") == -2:
            return self.wait()
        kind_name = "chat.completion.chunk" if chat else "text_completion"

        def event(choices, **more):
            self.chunk("data: " + json.dumps(dict(base, object=kind_name, choices=choices, **more)) + "\n\n")

        if chat:
            for i in range(n):
                event([{"index": i, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        for index, call in enumerate(step.get("tool_calls", [])):
            arguments = call["function"]["arguments"]
            event([{"index": 0, "delta": {"tool_calls": [{**call, "index": index, "function": {"name": call["function"]["name"], "arguments": ""}}]}, "finish_reason": None}])
            for at in range(0, len(arguments), 5):
                event([{"index": 0, "delta": {"tool_calls": [{"index": index, "function": {"arguments": arguments[at:at + 5]}}]}, "finish_reason": None}])
        for k, piece in enumerate([] if "tool_calls" in step else pieces_of(text, step.get("tokens"))):
            at = step.get("at", 1)
            if kind in ("cut", "truncate", "stall") and k == at:
                return {"cut": self.drop, "truncate": self.drop_politely, "stall": self.wait}[kind]()
            if kind == "bad_event" and k == at:
                self.chunk('data: {"choices": [{"broken\n\n')
            if kind == "error_event" and k == at:
                self.chunk('data: {"error": {"message": "scripted", "type": "server_error"}}\n\n')
                return self.drop()
            if kind == "slow":
                time.sleep(step.get("ms", 50) / 1000)
            for i in range(n):
                event([{"index": i, "delta": {"content": piece}, "finish_reason": None} if chat else {"index": i, "text": piece, "finish_reason": None}])
        for i in range(n):
            event([{"index": i, "delta": {}, "finish_reason": "tool_calls" if "tool_calls" in step else "stop"} if chat else {"index": i, "text": "", "finish_reason": "stop"}])
        if (question.get("stream_options") or {}).get("include_usage"):
            event([], usage=usage)
        if kind != "no_done":
            self.chunk("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")
        if kind == "no_done":
            self.close_connection = True

    def chunk(self, text):
        data = text.encode()
        self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))
        self.wfile.flush()

    def answer(self, status, value, headers={}):
        self.raw(status, json.dumps(value).encode(), "application/json", headers)

    def raw(self, status, data, content_type, headers={}):
        self.send_response(status)
        self.send_header("content-type", content_type)
        self.send_header("content-length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def wait(self):
        """Says nothing more until the other side has gone or the server stops."""
        self.close_connection = True
        self.connection.settimeout(0.05)
        while not self.server.provider.stopping:
            try:
                if not self.connection.recv(1):
                    break
            except (TimeoutError, socket.timeout):
                continue
            except OSError:
                break
        with self.server.provider.lock:
            self.server.provider.hangups += 1

    def reset(self):
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()

    def drop(self):
        """Ends the connection under TLS: what was sent still arrives, then nothing. (A reset might overtake it.)"""
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def drop_politely(self):
        """TLS says goodbye, but the body's last chunk never came."""
        self.close_connection = True
        if isinstance(self.connection, ssl.SSLSocket):
            self.connection.settimeout(1)
            try:
                self.connection.unwrap()
            except (OSError, ssl.SSLError):
                pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024

    def handle_error(self, request, client_address):
        pass

    def process_request_thread(self, request, client_address):
        # The handshake belongs to the connection's own thread: a client that fails it holds up nobody.
        try:
            if self.provider.context is not None:
                request = self.provider.context.wrap_socket(request, server_side=True)
        except (OSError, ssl.SSLError):
            request.close()
            return
        super().process_request_thread(request, client_address)

    def get_request(self):
        request, address = super().get_request()
        with self.provider.lock:
            self.provider.connections += 1
        return request, address


class Provider:
    def __init__(self, folder, certificate="good", port=0, script=None, plain=False):
        self.folder = str(folder)
        self.lock = threading.Lock()
        self.steps = [{"kind": "ok"}]
        self.bodies, self.headers = [], []
        self.connections = self.hangups = 0
        self.stopping = False
        self.context = None
        make_certificates(self.folder)
        if not plain:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(os.path.join(self.folder, certificate + ".pem"))
        self.server = Server(("127.0.0.1", port), Handler)
        self.server.provider = self
        self.port = self.server.server_address[1]
        self.ca = os.path.join(self.folder, "ca.pem")
        self.url = "%s://127.0.0.1:%d/v1" % ("http" if plain else "https", self.port)
        if script is not None:
            self.script(script)
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def script(self, steps):
        with self.lock:
            self.steps = list(steps) or [{"kind": "ok"}]

    def reset(self):
        with self.lock:
            self.steps = [{"kind": "ok"}]
            self.bodies.clear()
            self.headers.clear()
            self.connections = self.hangups = 0

    @property
    def requests(self):
        with self.lock:
            return len(self.bodies)

    def start(self):
        self.thread.start()
        return self

    def stop(self):
        self.stopping = True
        self.server.shutdown()
        self.server.server_close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


def main():
    parser = argparse.ArgumentParser(description="An OpenAI-style provider for tests, with scripted faults.")
    parser.add_argument("--dir", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--certificate", default="good", choices=["good", "expired", "wrong_host", "self"])
    parser.add_argument("--script", default=None)
    parser.add_argument("--plain", action="store_true")
    args = parser.parse_args()
    provider = Provider(args.dir, args.certificate, args.port, json.loads(args.script) if args.script else None, args.plain)
    print(json.dumps({"port": provider.port, "ca": provider.ca, "url": provider.url}), flush=True)
    provider.start()
    try:
        # Ends with the process that started it.
        sys.stdin.read()
    except KeyboardInterrupt:
        pass
    provider.stop()


if __name__ == "__main__":
    main()
