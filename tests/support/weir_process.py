"""Starts the real binary in a folder of its own and waits until it says where it listens."""
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import threading

BINARY = os.environ.get("WEIR_BINARY", str(pathlib.Path(__file__).parents[2] / "build/release/weir"))


class Weir:
    """with Weir(tmp_path, {"keys": {"required": True}}) as weir: weir.url ..."""

    def __init__(self, folder, settings=None, listen=("http://127.0.0.1:0",), env=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config = self.folder / "weir.yaml"
        self.write({"listen": list(listen), "data_dir": str(self.folder / "data"), "ledger": {"durability": "process"}, **(settings or {})})
        self.n_listeners = len(listen)
        self.env = {**os.environ, **(env or {})}
        self.log = []
        self.urls = []

    def write(self, settings):
        # JSON is YAML.
        self.settings = settings
        self.config.write_text(json.dumps(settings))

    def start(self):
        self.process = subprocess.Popen([BINARY, "serve", "--config", str(self.config)], stderr=subprocess.PIPE, env=self.env, text=True)
        for line in self.process.stderr:
            self._take(line)
            if len(self.urls) == self.n_listeners:
                break
        else:
            raise RuntimeError("weir did not start:\n" + "\n".join(self.log))
        self.url = self.urls[0]
        self.port = int(self.url.rsplit(":", 1)[1])
        self.reader = threading.Thread(target=lambda: [self._take(line) for line in self.process.stderr], daemon=True)
        self.reader.start()
        return self

    def _take(self, line):
        self.log.append(line.rstrip())
        try:
            event = json.loads(line)
        except ValueError:
            return
        if event["event"] == "listening":
            self.urls.append(event["message"])

    def stop(self, number=signal.SIGTERM):
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(60)
        self.reader.join()
        return code

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.reader.join()
        self.process.stderr.close()

    def dial(self, index=0, tls=None):
        port = int(self.urls[index].rsplit(":", 1)[1])
        plain = socket.create_connection(("127.0.0.1", port), timeout=60)
        return tls.wrap_socket(plain, server_hostname="localhost") if tls else plain

    def query(self, sql):
        """Rows of the ledger, read by another process's connection as a user would."""
        import sqlite3
        with sqlite3.connect(f"file:{self.folder}/data/ledger.db?mode=ro", uri=True, timeout=10) as db:
            return db.execute(sql).fetchall()


def certificate(folder, name="localhost"):
    """A self-signed certificate with its key: (certificate path, key path, client context that trusts it)."""
    folder = pathlib.Path(folder)
    pem, key = folder / f"{name}.pem", folder / f"{name}.key"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                    "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name},IP:127.0.0.1", "-keyout", str(key), "-out", str(pem)],
                   check=True, capture_output=True)
    context = ssl.create_default_context(cafile=str(pem))
    return str(pem), str(key), context


def read_response(stream):
    """One response from a socket's file object: (status, headers, body). None at the end of the connection."""
    line = stream.readline()
    if not line:
        return None
    status = int(line.split()[1])
    headers = {}
    while (line := stream.readline().strip()):
        name, value = line.decode("latin-1").split(":", 1)
        headers[name.lower()] = value.strip()
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while (size := int(stream.readline(), 16)) > 0:
            body += stream.read(size)
            stream.readline()
        stream.readline()
    else:
        body = stream.read(int(headers.get("content-length", "0")))
    return status, headers, body
