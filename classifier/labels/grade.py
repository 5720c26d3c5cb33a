"""Grades the local model's answers: from prompts and answers to training lines.

usage: python3 grade.py prompts.jsonl answers.jsonl > labels.jsonl      (a table by kind goes to standard error)

A prompt whose check is "beyond" needs no answer: a small model has no tools, no memory of the present and no chance at long
proofs or programs, so its local score is 0. Where a prompt has no recorded remote score, REMOTE says what is assumed of a large
model; README.md says why.
"""
import json
import re
import sys
from collections import defaultdict

REMOTE = {"oos": 0.5}
REMOTE_ELSEWHERE = 0.95
NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def normal(text):
    return " ".join(re.sub(r"[^\w.@€$%₂'+-]+", " ", text.lower()).split())


def words_of(text):
    return re.findall(r"[a-z0-9']+", text.lower())


def has_any(text, wanted):
    plain = f" {normal(text)} "
    for want in wanted:
        want = normal(want)
        if re.search(rf"(?<!\w){re.escape(want)}(?!\w)", plain):
            return True
    return False


def numbers(text):
    return [float(found.replace(",", "")) for found in NUMBER.findall(text)]


def repeats(text):
    """A loop: the same five words three times."""
    words = words_of(text)
    seen = defaultdict(int)
    for i in range(len(words) - 4):
        seen[tuple(words[i:i + 5])] += 1
    return any(count >= 3 for count in seen.values())


def grade(check, text):
    kind = check["type"]
    if kind == "beyond" or not text.strip():
        return 0.0
    if kind == "contains":
        return float(has_any(text, check["any"]) and not any(has_any(text, [no]) for no in check.get("not", [])))
    if kind == "exact_contains":
        return float(any(want in text for want in check["any"]))
    if kind == "number":
        found = numbers(text)
        return float(bool(found) and abs(found[-1] - check["value"]) < 1e-6 * max(1, abs(check["value"])))
    if kind == "letter":
        match = re.search(r"\b([A-Z])\b", text.strip())
        return float(match is not None and match.group(1) == str(check["value"]).strip().upper())
    if kind == "words":
        said = words_of(text)
        share = sum(any(word.startswith(want.lower()[:max(3, len(want) - 2)]) for word in said) for want in check["all"]) / len(check["all"])
        return round(share, 2) if share == 1 and len(said) <= 60 else round(share / 2, 2)
    if kind == "chat":
        return float(2 <= len(words_of(text)) and not repeats(text))
    if kind == "rewrite":
        said, given = words_of(text), words_of(check["of"])
        kept = sum(word in said for word in given if len(word) > 3) / max(1, sum(len(word) > 3 for word in given))
        return float(said != given and len(said) <= 5 * len(given) + 10 and kept >= 0.34 and not repeats(text))
    if kind == "summary":
        said, given = words_of(text), words_of(check["of"])
        return float(len(said) < len(given) + 8 and any(any(word.startswith(want) for word in said) for want in check["any"]))
    raise SystemExit(f"unknown check {kind}")


def main():
    with open(sys.argv[2], encoding="utf-8") as file:
        answers = {answer["id"]: answer for answer in map(json.loads, file)}
    table = defaultdict(lambda: [0, 0.0, 0.0])
    with open(sys.argv[1], encoding="utf-8") as file:
        for prompt in map(json.loads, file):
            answer = answers.get(prompt["id"])
            if prompt["check"]["type"] != "beyond" and (answer is None or "error" in answer):
                print(f"line {prompt['id']}: no answer, left out", file=sys.stderr)
                continue
            kind = prompt["kind"]
            local = grade(prompt["check"], answer["text"] if answer else "")
            remote = round(prompt.get("remote", REMOTE.get(kind, REMOTE_ELSEWHERE)), 3)
            row = table[kind]
            row[0] += 1
            row[1] += local
            row[2] += remote
            line = {"text": prompt["messages"][-1]["content"], "scores": {"local": local, "remote": remote}, "domain": kind}
            print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))
    for kind, (n, local, remote) in sorted(table.items(), key=lambda item: -item[1][1] / item[1][0]):
        print(f"{kind:15s} {n:5d}  local {local / n:.3f}  remote {remote / n:.3f}", file=sys.stderr)


if __name__ == "__main__":
    main()
