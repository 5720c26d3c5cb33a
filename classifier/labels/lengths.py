"""Lengths of large models' recorded answers, for the head's expected output tokens: lines {"text", "output_tokens"}.

usage: lengths.py SHARED_DATA > lengths.jsonl

RouterArena: tokens as billed, the geometric mean of two models. GSM8K (GPT-4) and MT-Bench (GPT-4, first turn): characters / 4.
"""
import csv
import json
import lzma
import math
import re
import sys


def rows(path):
    with lzma.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def main(data):
    lengths = {}
    for model in ("claude-3-haiku-20240307", "gemini-2.0-flash-001"):
        for row in rows(f"{data}/routing/routerarena/{model}.jsonl.xz"):
            lengths.setdefault(row["question"].strip(), []).append(max(1, row["token_usage"]["output_tokens"]))
    with lzma.open(f"{data}/routing/routellm/gsm8k_responses.csv.xz", "rt", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            lengths.setdefault(row["prompt"].strip(), []).append(max(1, len(row["gpt-4-1106-preview_response"]) / 4))
    for row in rows(f"{data}/routing/routellm/mt_bench_judgements.jsonl.xz"):
        turns = re.findall(r"\[Question\]\n(.*?)\n\n\[The Start of .*?\]\n(.*?)\n\[The End", row["user_prompt"], re.S)
        if row["model"] == "gpt-4-1106-preview" and row["turn"] == 1 and turns:
            question, answer = turns[0]
            lengths.setdefault(question.strip(), []).append(max(1, len(answer) / 4))
    for text, counts in lengths.items():
        mean = math.exp(sum(map(math.log, counts)) / len(counts))
        print(json.dumps({"text": text, "output_tokens": round(mean)}, ensure_ascii=False))


main(sys.argv[1])
