#!/usr/bin/env python3
"""CLINC150's and Banking77's lines as "label<TAB>text", for bench_phrase: phrase_lines.py FOLDER (../shared/data/routing)."""
import csv
import io
import json
import lzma
import pathlib
import sys

folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/data/routing")
for rows in json.load(lzma.open(folder / "clinc150/data_full_train_val.json.xz")).values():
    for text, label in rows:
        print("clinc:" + label, text, sep="\t")
for row in csv.DictReader(io.TextIOWrapper(lzma.open(folder / "banking77/train.csv.xz"), encoding="utf-8")):
    print("banking:" + row["category"], " ".join(row["text"].split("\n")), sep="\t")
