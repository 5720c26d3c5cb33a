"""Parts the labels into lines for training and lines held out for calibration, a quarter, by a hash of the text.

usage: split.py LABELS.jsonl TRAINING.jsonl HELD.jsonl      (what the held lines are goes to standard output, in a few words)

The recorded remote scores are left aside: they are of two models of 50B, and nobody knows which remote model a user has. What is
promised must hold whatever it is, so in the held lines it is right always (1) and every wrong local answer counts. For
training it is taken to answer all kinds alike, well in 95 of 100: so the gain orders queries by the chance that the local answer
is wrong, and what the local model gets right as surely as that (greetings) stays under every target.
"""
import json
import sys

REMOTE = 0.95


def fnv(text):
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return value


def main(labels, training, held):
    n = 0
    with open(labels, encoding="utf-8") as file, open(training, "w", encoding="utf-8") as train, open(held, "w", encoding="utf-8") as rest:
        for line in map(json.loads, file):
            is_held = fnv("held " + line["text"]) >> 9 & 3 == 0
            line["scores"]["remote"] = 1 if is_held else REMOTE
            n += is_held
            (rest if is_held else train).write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(f"{n:,} prompts of classifier/labels that training did not see, 13 kinds, answers checked by pattern")


if __name__ == "__main__":
    main(*sys.argv[1:])
