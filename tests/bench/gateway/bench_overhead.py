#!/usr/bin/env python3
"""The gateway's own share: how much longer a request takes through Weir than straight at the provider, with the ledger on.

    WEIR_BINARY=build/release/weir tests/bench/gateway/bench_overhead.py [--rate 300,1000] [--seconds 4]

A local stand-in (bench_http serve, beside the other benchmarks in the build folder) answers at once over plain HTTP; the load is an
open loop at each rate on 16 kept connections, then a closed loop. Rows: direct, nginx as a plain proxy where it is installed, Weir
with durability process and power. The share of a row is its quantile less direct's, measured in the same run.
"""
import argparse
import datetime
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve()
sys.path.insert(0, str(HERE.parents[2] / "support"))
from weir_process import BINARY, Weir  # noqa: E402

TOOL = pathlib.Path(BINARY).parent / "tests" / "bench_http"
BODY = json.dumps({"model": "remote/far/gpt-4o-mini", "messages": [{"role": "system", "content": "You answer briefly."},
                                                                  {"role": "user", "content": "What does a weir do to a river, in one sentence? " * 4}]})


def load(port, rate, seconds, connections):
    done = subprocess.run([TOOL, "load", str(port), "/v1/chat/completions", BODY, str(connections), str(rate), str(seconds)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("bench_http load failed: " + done.stderr)
    return json.loads(done.stdout)


def cpu():
    with open("/proc/cpuinfo") as f:
        return next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), "unknown CPU")


def peak_rss_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return next(int(line.split()[1]) // 1024 for line in f if line.startswith("VmHWM"))


def nginx(folder, provider):
    config = folder / "nginx.conf"
    port = 19080
    config.write_text(f"daemon off; pid {folder}/nginx.pid; error_log /dev/null; worker_processes 1; events {{ worker_connections 1024; }}\n"
                      f"http {{ access_log off; client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;"
                      f" scgi_temp_path {folder}/s; upstream far {{ server 127.0.0.1:{provider}; keepalive 64; }}\n"
                      f" server {{ listen 127.0.0.1:{port}; keepalive_requests 10000000; location / {{ proxy_pass http://far; proxy_http_version 1.1; proxy_set_header Connection ''; }} }} }}\n")
    return subprocess.Popen([shutil.which("nginx"), "-c", str(config), "-p", str(folder)], stderr=subprocess.DEVNULL), port


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", default="300,1000", help="requests a second of the open loops, comma-separated [300,1000]")
    parser.add_argument("--seconds", type=float, default=3, help="of each measurement; the first fifth warms up [3]")
    parser.add_argument("--connections", type=int, default=16, help="[16]")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    if not TOOL.exists():
        sys.exit(f"{TOOL} is not there: build with -DWEIR_TESTS=ON")
    rates = [int(rate) for rate in args.rate.split(",")] + [0]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        server = subprocess.Popen([TOOL, "serve"], stdout=subprocess.PIPE, text=True)
        far = int(server.stdout.readline())

        def measure(who, port, pid=None):
            rows.append({"who": who, "results": {rate: load(port, rate, args.seconds, args.connections) for rate in rates}})
            rows[-1]["peak_rss_mb"] = peak_rss_mb(pid) if pid else None
        try:
            measure("direct", far)
            if shutil.which("nginx"):
                process, port = nginx(folder, far)
                try:
                    measure("nginx, no log", port)
                finally:
                    process.terminate()
                    process.wait()
            provider = {"name": "far", "dialect": "openai", "base_url": f"http://127.0.0.1:{far}/v1", "region": "eu", "models": ["gpt-4o-mini"]}
            for durability in ("process", "power"):
                settings = {"providers": [provider], "ledger": {"durability": durability}}
                with Weir(folder / durability, settings) as weir:
                    measure("weir, " + durability, weir.port, weir.process.pid)
                    weir.stop()
                    n = weir.query("select (select count(*) from decision), (select count(*) from outcome), (select count(*) from attempt where result = 'ok')")[0]
                    assert len(set(n)) == 1, n
        finally:
            server.kill()
            server.wait()
    if args.json:
        print(json.dumps(rows))
        return
    print(f"{datetime.date.today()}, {cpu()}, {os.cpu_count()} cores, load and stand-in on the same machine, {args.connections} connections, {len(BODY)} bytes a request\n")
    print("| |" + "".join(f" {rate}/s p50 ms | p99 ms | share p50 | share p99 |" for rate in rates[:-1]) + " closed loop, requests/s | peak RSS MB |")
    print("|---|" + "---|" * (4 * len(rates[:-1]) + 2))
    for row in rows:
        line = f"| {row['who']} |"
        for rate in rates[:-1]:
            one, direct = row["results"][rate], rows[0]["results"][rate]
            line += "".join(f" {one[q] / 1000:.2f} |" for q in ("p50_us", "p99_us"))
            line += "".join(" |" if row is rows[0] else f" {(one[q] - direct[q]) / 1000:.2f} |" for q in ("p50_us", "p99_us"))
        print(line + f" {row['results'][0]['per_second']:.0f} | {row['peak_rss_mb'] or ''} |")
    failures = sum(result["failures"] for row in rows for result in row["results"].values())
    if failures:
        print(f"\n{failures} requests failed")


if __name__ == "__main__":
    main()
