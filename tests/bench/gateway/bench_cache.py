#!/usr/bin/env python3
"""What an answer from the cache takes, beside the same question asked of the provider.

    WEIR_BINARY=build/release/weir tests/bench/gateway/bench_cache.py [--rate 300] [--seconds 3]

The stand-in of bench_overhead.py answers at once, so the provider's own time is nil: a cached answer saves all of a real one's.
Rows: remote without the cache; the very same question (exact); one in other words (semantic: one encoder pass each).
"""
import argparse
import datetime
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import bench_overhead
from bench_overhead import TOOL, cpu, peak_rss_mb
from weir_process import Weir

QUESTION = "What does a weir do to a river?"


def body(text):
    return json.dumps({"model": "remote/far/gpt-4o-mini", "messages": [{"role": "user", "content": text}]})


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=300, help="requests a second of the open loop [300]")
    parser.add_argument("--seconds", type=float, default=3, help="[3]")
    parser.add_argument("--connections", type=int, default=16, help="[16]")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        server = subprocess.Popen([TOOL, "serve"], stdout=subprocess.PIPE, text=True)
        far = int(server.stdout.readline())
        provider = {"name": "far", "dialect": "openai", "base_url": f"http://127.0.0.1:{far}/v1", "region": "eu", "models": ["gpt-4o-mini"]}
        try:
            for who, cache, first, text in (("remote, no cache", {}, None, QUESTION), ("exact", {"exact": True}, QUESTION, QUESTION),
                                            ("semantic", {"semantic": True}, QUESTION, "please tell me what does a weir do to the river")):
                settings = {"providers": [provider], "ledger": {"durability": "process"}, "cache": {"exact": False, "semantic": False, **cache}}
                with Weir(pathlib.Path(name) / who.split(",")[0], settings) as weir:
                    for asked in ([first] if first else []):
                        bench_overhead.BODY = body(asked)
                        bench_overhead.load(weir.port, 1, 2, 1)
                    bench_overhead.BODY = body(text)
                    results = [bench_overhead.load(weir.port, rate, args.seconds, args.connections) for rate in (args.rate, 0)]
                    rows.append((who, results, peak_rss_mb(weir.process.pid)))
                    weir.stop()
                    routes = dict(weir.query("select route, count(*) from outcome group by route"))
                    expected = "cache" if cache else "remote:far/gpt-4o-mini"
                    assert routes.get(expected, 0) >= sum(routes.values()) - 4, routes
        finally:
            server.kill()
            server.wait()
    print(f"{datetime.date.today()}, {cpu()}, {os.cpu_count()} cores, load, stand-in and Weir on the same machine, {args.connections} connections\n")
    print(f"| | {args.rate}/s p50 ms | p99 ms | closed loop, requests/s | peak RSS MB |\n|---|---|---|---|---|")
    for who, (paced, closed), rss in rows:
        print(f"| {who} | {paced['p50_us'] / 1000:.2f} | {paced['p99_us'] / 1000:.2f} | {closed['per_second']:.0f} | {rss} |")
    failures = sum(result["failures"] for _, results, _ in rows for result in results)
    if failures:
        print(f"\n{failures} requests failed")


if __name__ == "__main__":
    main()
