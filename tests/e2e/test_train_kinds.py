"""Heads of other kinds than kernel: trained on made lines by the real encoder, asked, measured, calibrated, and the same each time."""
import json
import random
import subprocess

import pytest
from gateway_case import require_models
from weir_process import BINARY

EASY = ["Say hello to {}.", "Greet {} kindly.", "Write a friendly note to {}."]
HARD = ["Prove a theorem about {} by induction.", "Derive the closed form of the {} series.", "Integrate the {} function by parts."]
NAMES = ["Anna", "Ben", "Clara", "David", "Euler", "Fourier", "Gauss", "Hilbert", "Ivy", "Jack", "Kate", "Leo"]


def weir(*words, code=0):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=240)
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def lines(folder):
    require_models()
    draw, rows = random.Random(4), []
    for form in EASY + HARD:
        for name in NAMES:
            local = float(draw.random() < (0.9 if form in EASY else 0.1))
            rows.append({"text": form.format(name), "scores": {"local": local, "remote": 1.0 if draw.random() < 0.9 else 0.0}, "domain": "chat" if form in EASY else "math"})
    draw.shuffle(rows)
    path = folder / "lines.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.parametrize("kind", ["kernel", "logistic", "factors", "mlp"])
def test_each_kind_learns_what_is_easy_here(folder, lines, kind):
    head = folder / f"{kind}.head"
    weir("train", "--data", lines, "--out", head, "--kind", kind, "--quiet")
    scores = [json.loads(line) for line in subprocess.run([BINARY, "score", "--head", head], text=True, capture_output=True, check=True, timeout=120, input="".join(
        json.dumps({"id": i, "text": text}) + "\n" for i, text in enumerate(["Say hello to Maria.", "Derive the closed form of the Taylor series."]))).stdout.splitlines()]
    assert scores[0]["p_local"] > scores[1]["p_local"] and scores[0]["gain"] < scores[1]["gain"]
    metrics = json.loads(weir("eval", "--head", head, "--data", lines, "--json").stdout)
    assert metrics["apgr"] > 0.6


def test_a_network_is_the_same_bytes_from_the_same_seed_and_is_calibrated_like_any_head(folder, lines):
    one, two, other, calibrated = (folder / f"{name}.head" for name in ("one", "two", "other", "calibrated"))
    for path, seed in ((one, 1), (two, 1), (other, 2)):
        weir("train", "--data", lines, "--out", path, "--kind", "mlp", "--seed", seed, "--quiet", "--class-weights", "balanced")
    assert one.read_bytes() == two.read_bytes() != other.read_bytes()
    fresh = folder / "fresh.jsonl"
    fresh.write_text("".join(reversed(lines.read_text().splitlines(keepends=True))))
    weir("calibrate", "--head", one, "--data", fresh, "--out", calibrated)
    assert "apgr" in json.loads(weir("eval", "--head", calibrated, "--data", lines, "--json").stdout)


def test_what_cannot_be_is_refused_with_the_reason(folder, lines):
    assert "kernel, logistic, factors or mlp" in weir("train", "--data", lines, "--out", folder / "x", "--kind", "forest", code=2).stderr
    assert "none or balanced" in weir("train", "--data", lines, "--out", folder / "x", "--class-weights", "heavy", code=2).stderr
    assert "encoder" in weir("train", "--data", lines, "--out", folder / "x", "--kind", "mlp", "--no-encoder", "--quiet", code=1).stderr
    head = folder / "damaged.head"
    weir("train", "--data", lines, "--out", head, "--kind", "mlp", "--quiet")
    raw = head.read_bytes()
    head.write_bytes(raw.replace(b'"kind":"mlp"', b'"kind":"mlq"') if b'"kind":"mlp"' in raw else raw.replace(b'"mlp"', b'"mlq"'))
    assert "network" in weir("eval", "--head", head, "--data", lines, "--json", code=1).stderr
