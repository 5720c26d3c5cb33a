"""Texts that the static table of the shipped head is fitted to: lines {"text"}, each once, in an order drawn from a seed.

usage: texts.py SHARED_DATA LABELS.jsonl > texts.jsonl

Questions and recorded answers of the routing data sets; no label, score or domain of theirs is read.
"""
import csv
import json
import lzma
import random
import sys

LONGEST = 6000


def main(data, labels):
    found = set()

    def opened(name):
        return lzma.open(f"{data}/routing/{name}.xz", "rt", encoding="utf-8")

    def add(*texts):
        found.update(text.strip() for text in texts if isinstance(text, str) and 1 < len(text.strip()) < LONGEST)

    def rows(name):
        with opened(name) as file:
            yield from map(json.loads, file)

    for row in rows("llmrouter/default_query_train.jsonl"):
        add(row["query"], row.get("ground_truth"))
    for row in rows("llmrouter/dcrouter_scores_train.jsonl"):
        add(row["question"])
    for row in rows("gsm8k/train.jsonl"):
        add(row["question"], row["answer"])
    for row in rows("bbh/bbh.jsonl"):
        add(row["input"])
    for row in rows("arena_hard/question.jsonl"):
        add(*(turn["content"] for turn in row["turns"]))
    for name in ("seed_tasks", "user_oriented_instructions"):
        for row in rows(f"self_instruct/{name}.jsonl"):
            add(row.get("instruction"))
            for instance in row.get("instances", []):
                add(instance.get("input"), instance.get("output"))
    for model in ("claude-3-haiku-20240307", "gemini-2.0-flash-001"):
        for row in rows(f"routerarena/{model}.jsonl"):
            add(row["question"], row["generated_answer"])
    with opened("routellm/mmlu_mixtral_gpt4.csv") as file:
        for row in csv.DictReader(file):
            add(row["prompt"])
    with opened("routellm/gsm8k_responses.csv") as file:
        for row in csv.DictReader(file):
            add(row["prompt"], row["gpt-4-1106-preview_response"], row["mistralai/Mixtral-8x7B-Instruct-v0.1_response"])
    with opened("truthfulqa/TruthfulQA.csv") as file:
        for row in csv.DictReader(file):
            add(row["Question"], row["Best Answer"], *row["Correct Answers"].split(";"), *row["Incorrect Answers"].split(";"))
    with opened("banking77/train.csv") as file:
        for row in csv.reader(file):
            add(row[0])
    with opened("clinc150/data_full_train_val.json") as file:
        for split in json.load(file).values():
            add(*(text for text, _ in split))
    with opened("svamp/SVAMP.json") as file:
        for row in json.load(file):
            add(row["Body"] + " " + row["Question"])
    with open(labels, encoding="utf-8") as file:
        add(*(json.loads(line)["text"] for line in file))
    texts = sorted(found)
    random.Random(1).shuffle(texts)
    for text in texts:
        print(json.dumps({"text": text}, ensure_ascii=False))


main(*sys.argv[1:])
