#!/usr/bin/env python3
"""One row of classifier/README.md's table, from the data to the number.

    tests/bench/classifier/proof.py mmlu|gsm8k|mtbench|clinc150|banking77|promise|tiers|lengths|cascade|latency
                                    [--shared ../shared] [--weir build/release/weir]

Writes lines for `weir train` and `weir eval`, runs them and prints what came out, with the published figures and, where scikit-learn is
there, TF-IDF with two logistic heads (a linear classifier for intents) on the very same lines. Uses the rows that the data folder has:
with all of RouteLLM's rows, or with the published test files beside the training files, it uses those. --keep DIR keeps lines and heads.

Metrics: APGR and CPT on every point of the curve as `weir eval` computes them, and on RouteLLM's eleven points (thresholds at the deciles
of the scores, trapezoid, linear interpolation: routellm/evals of github lm-sys/RouteLLM at 0b64fdafe049e596a3f5657c219329f24af24198).
"""
import argparse
import csv
import io
import json
import lzma
import os
import pathlib
import random
import statistics
import struct
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[3]
LABELS, SHIPPED = ROOT / "classifier/labels", ROOT / "classifier/heads/default.head"
WEAK, STRONG = "mistralai/Mixtral-8x7B-Instruct-v0.1", "gpt-4-1106-preview"


# ------------------------------------------------------------------ data

def fnv(text):
    value = 0xcbf29ce484222325
    for byte in text.encode():
        value = ((value ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return value


def read_csv(path):
    return list(csv.DictReader(io.StringIO(lzma.open(path, "rt", encoding="utf-8", newline="").read())))


def read_jsonl(path):
    opener = lzma.open if path.suffix == ".xz" else open
    return [json.loads(line) for line in opener(path, "rt", encoding="utf-8")]


def line(text, local, remote, **more):
    return {"text": text, "scores": {"local": float(local), "remote": float(remote)}, **more}


def mmlu_rows(data):
    rows = [row for row in read_csv(data / "routellm/mmlu_mixtral_gpt4.csv.xz") if row["contaminated"] != "1"]
    return [line(row["prompt"], row["weak_mixtral_8x7b"], row["strong_gpt4_1106"], subject=row["subject"]) for row in rows]


def gsm8k_rows(data):
    dirty = {row["eval_prompt"] for row in read_jsonl(data / "routellm/gsm8k_contaminated_prompts.jsonl")}
    return [line(row["prompt"], row[WEAK] == "True", row[STRONG] == "True", answer={"text": row[WEAK + "_response"]})
            for row in read_csv(data / "routellm/gsm8k_responses.csv.xz") if row["prompt"] not in dirty]


def mtbench_rows(data):
    """First turn, and each model's mean score of both turns in tenths."""
    dirty = {row["eval_prompt"] for row in read_jsonl(data / "routellm/mt_bench_contaminated_prompts.jsonl")}
    scores = {}
    for row in read_jsonl(data / "routellm/mt_bench_judgements.jsonl.xz"):
        scores.setdefault((str(row["question_id"]), row["model"]), []).append(float(row["score"]) / 10)
    rows = []
    for row in read_jsonl(data / "routellm/mt_bench_question.jsonl"):
        if not dirty.intersection(row["turns"]):
            rows.append(line(row["turns"][0], *(statistics.mean(scores[str(row["question_id"]), model]) for model in (WEAK, STRONG))))
    return rows


# ------------------------------------------------------------------ metrics

def curve(gains, rows):
    """Quality recovered after each call to the strong model; equal gains share their part."""
    gap = [row["scores"]["remote"] - row["scores"]["local"] for row in rows]
    order = sorted(range(len(rows)), key=lambda i: -gains[i])
    points, total, i = [0.0], sum(gap), 0
    while i < len(order):
        end = i
        while end < len(order) and gains[order[end]] == gains[order[i]]:
            end += 1
        each = sum(gap[k] for k in order[i:end]) / (end - i) / total
        for _ in range(i, end):
            points.append(points[-1] + each)
        i = end
    return points


def apgr(gains, rows):
    points = curve(gains, rows)
    return (sum(points) - (points[0] + points[-1]) / 2) / (len(points) - 1)


def cpt(gains, rows, share):
    points = curve(gains, rows)
    for i in range(1, len(points)):
        if points[i] >= share:
            rise = points[i] - points[i - 1]
            return (i - 1 + (max(0, share - points[i - 1]) / rise if rise > 0 else 0)) / (len(points) - 1)
    return 1.0


def routellm_points(gains, rows, n=10):
    """(share of strong calls, quality) at the n quantiles of the gains, as RouteLLM's evals take them."""
    ordered, points = sorted(gains), []
    for k in range(n + 1):
        at = k * (len(ordered) - 1) / n
        low = int(at)
        threshold = ordered[low] + (at - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])
        strong = [gain >= threshold if k < n else gain > threshold for gain in gains]
        quality = [row["scores"]["remote" if taken else "local"] for row, taken in zip(rows, strong)]
        points.append((sum(strong) / len(rows), statistics.mean(quality)))
    return sorted(points)


def routellm_metrics(gains, rows):
    points = routellm_points(gains, rows)
    weak, strong = (statistics.mean(row["scores"][name] for row in rows) for name in ("local", "remote"))

    def area(values):
        return sum((b[0] - a[0]) * (values(a) + values(b)) / 2 for a, b in zip(points, points[1:]))

    def at(share):
        goal = weak + share * (strong - weak)
        for a, b in zip(points, points[1:]):
            if a[1] <= goal <= b[1] and b[1] > a[1]:
                return a[0] + (goal - a[1]) / (b[1] - a[1]) * (b[0] - a[0])
        return float("nan")

    width = area(lambda point: 1)
    return {"cpt50": at(0.5), "cpt80": at(0.8), "apgr": (area(lambda point: point[1]) - weak * width) / ((strong - weak) * width)}


def interval(gains, rows, n=2000):
    """95 % of APGR over bootstrap samples of the rows."""
    rng, values = random.Random(0), []
    for _ in range(n):
        take = [rng.randrange(len(rows)) for _ in rows]
        if abs(sum(rows[i]["scores"]["remote"] - rows[i]["scores"]["local"] for i in take)) > 1e-9:
            values.append(apgr([gains[i] for i in take], [rows[i] for i in take]))
    values.sort()
    return values[int(0.025 * len(values))], values[int(0.975 * len(values))]


# ------------------------------------------------------------------ weir and TF-IDF

class Bench:
    def __init__(self, args, folder):
        self.weir, self.folder = args.weir, folder
        self.options = (["--quiet"] if args.quiet else []) + (["--kind", args.kind] if args.kind else [])
        self.data = args.shared / "data/routing"

    def write(self, name, rows):
        path = self.folder / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return path

    def run(self, *arguments, **more):
        return subprocess.run([self.weir, *map(str, arguments)], check=True, stdout=subprocess.PIPE, text=True, **more).stdout

    def train(self, name, rows, *options):
        head = self.folder / f"{name}.head"
        self.run("train", "--data", self.write(f"{name}.train.jsonl", rows), "--out", head, *options, *self.options)
        return head

    def eval(self, head, name, rows):
        return json.loads(self.run("eval", "--head", head, "--data", self.write(f"{name}.test.jsonl", rows), "--json"))

    def scores(self, head, rows, *options, with_answer=False):
        keep = ("text", "answer") if with_answer else ("text",)
        lines = "".join(json.dumps({key: row[key] for key in keep}) + "\n" for row in rows)
        return [json.loads(text) for text in self.run("score", "--head", head, *options, input=lines).splitlines()]

    def gains(self, head, rows, with_answer=False):
        return [score["gain"] for score in self.scores(head, rows, with_answer=with_answer)]


def tfidf(train, test):
    """Word 1-2-grams and character 2-5-grams as matrices, or None without scikit-learn."""
    try:
        from scipy import sparse
        from sklearn.feature_extraction.text import TfidfVectorizer
    except ImportError:
        return None
    parts = (TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True), TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=2))
    return [sparse.hstack([part.fit_transform(train) if k == 0 else part.transform(test) for part in parts]).tocsr() for k in range(2)]


def tfidf_gains(train, test, text=lambda row: row["text"]):
    matrices = tfidf([text(row) for row in train], [text(row) for row in test])
    if matrices is None:
        return None
    from sklearn.linear_model import LogisticRegression
    p = {}
    for name in ("local", "remote"):
        fit = LogisticRegression(C=1, max_iter=300).fit(matrices[0], [row["scores"][name] >= 0.5 for row in train])
        p[name] = fit.predict_proba(matrices[1])[:, 1]
    return list(p["remote"] - p["local"])


def report(name, gains, rows):
    if gains is None:
        return
    eleven = routellm_metrics(gains, rows)
    print(f"{name:<44} n {len(rows):>5}  APGR {apgr(gains, rows):.4f}  CPT50 {cpt(gains, rows, .5):.3f}  CPT80 {cpt(gains, rows, .8):.3f}   "
          f"on RouteLLM's points {eleven['apgr']:.4f} {eleven['cpt50']:.3f} {eleven['cpt80']:.3f}", flush=True)


def folds_pooled(bench, name, rows, fold_of, with_answer=False):
    """Each row's gain by a head that was trained on the four other folds; with the TF-IDF heads' beside."""
    gains, answered, plain, plain_answered = ([0.0] * len(rows) for _ in range(4))
    for fold in range(5):
        test = [i for i, row in enumerate(rows) if fold_of(row) % 5 == fold]
        train = [row for row in rows if fold_of(row) % 5 != fold]
        head, of = bench.train(f"{name}{fold}", train), [rows[i] for i in test]

        def put(into, values):
            for i, value in zip(test, values if values is not None else [0.0] * len(test)):
                into[i] = value
        put(gains, bench.gains(head, of))
        put(plain, tfidf_gains(train, of))
        if with_answer:
            put(answered, bench.gains(head, of, True))
            put(plain_answered, tfidf_gains(train, of, lambda row: row["text"] + " \n " + row["answer"]["text"]))
        elif name.startswith("folds"):
            report(f"  fold {fold}", [gains[i] for i in test], of)
    return gains, answered, plain, plain_answered


# ------------------------------------------------------------------ rows

def mmlu(bench, args):
    rows = mmlu_rows(bench.data)
    print(f"RouteLLM's MMLU rows at hand: {len(rows)} of 14,037. Published (APGR/CPT50/CPT80): SW ranking .603/.354/.716, causal LLM 8B .600/.355/.703")
    if args.half:
        rows = [row for row in rows if (fnv("choose " + row["text"]) >> 20 & 1) == (args.half == "reporting")]
        print(f"{len(rows)} rows, the half on which " + ("no setting of the training was chosen" if args.half == "reporting" else "settings of the training were chosen"))
    ours, theirs = [], []
    for draw in range(args.draws):
        order = list(range(len(rows)))
        random.Random(draw).shuffle(order)
        train, test = [rows[i] for i in order[:1500]], [rows[i] for i in order[1500:]]
        gains, plain = bench.gains(bench.train(f"draw{draw}", train), test), tfidf_gains(train, test)
        report(f"1,500 labels, draw {draw}", gains, test)
        report("  TF-IDF, two logistic heads", plain, test)
        ours.append(apgr(gains, test))
        theirs += [apgr(plain, test)] if plain is not None else []
    for who, values in (("weir", ours), ("TF-IDF", theirs)):
        if len(values) > 1:
            print(f"1,500 labels, {len(values)} draws, {who}: mean APGR {statistics.mean(values):.4f}, standard deviation {statistics.stdev(values):.4f}")
    above = [a - b for a, b in zip(ours, theirs)]
    if len(above) > 1:
        print(f"above TF-IDF on the same rows: mean {statistics.mean(above):.4f}, standard deviation {statistics.stdev(above):.4f}, least {min(above):.4f}")
    if args.half:
        return
    order = sorted(rows, key=lambda row: fnv(row["text"]))
    train, test = order[:1500], order[1500:]
    report("1,500 labels, lowest hashes", bench.gains(bench.train("lowest", train), test), test)
    report("  TF-IDF, two logistic heads", tfidf_gains(train, test), test)
    if args.all:
        for name, fold_of in (("folds", lambda row: fnv(row["text"])), ("subjects", lambda row: fnv(row["subject"]))):
            gains, _, plain, _ = folds_pooled(bench, name, rows, fold_of)
            report(f"five {name}, pooled", gains, rows)
            report("  TF-IDF, two logistic heads", plain if any(plain) else None, rows)


def gsm8k(bench, args):
    rows = gsm8k_rows(bench.data)
    print(f"RouteLLM's GSM8K rows at hand: {len(rows)} of 1,307. Published (APGR/CPT50/CPT80): causal LLM 8B .622/.336/.633, SW ranking .568, MF .565, BERT .531")
    print("Standard error of an APGR of so few rows about .023. Seed 0 is the issue's split, the hash modulo 5; the others hash a number before the text.")
    for seed in range(args.seeds):
        fold_of = (lambda row, seed=seed: fnv((f"{seed} " if seed else "") + row["text"]))
        gains, answered, plain, plain_answered = folds_pooled(bench, f"gsm{seed}", rows, fold_of, True)
        report(f"five folds, seed {seed}: the question", gains, rows)
        report("  TF-IDF, two logistic heads", plain if any(plain) else None, rows)
        report(f"five folds, seed {seed}: with the answer's text", answered, rows)
        report("  TF-IDF of question and answer", plain_answered if any(plain_answered) else None, rows)
    report("the longest question first", [float(len(row["text"])) for row in rows], rows)


def mtbench(bench, args):
    rows = mtbench_rows(bench.data)
    print(f"MT-Bench: {len(rows)} questions, routed by the first turn. Published (APGR/CPT50/CPT80): MF with judge data .802/.134/.313, SW ranking .759, BERT .751")
    others = [line(row["question"], row["scores"]["mistral-7b-instruct-v0.3"], row["scores"]["llama-3.3-nemotron-super-49b-v1"])
              for row in read_jsonl(bench.data / "llmrouter/dcrouter_scores_train.jsonl.xz")]
    heads = [("the shipped head", SHIPPED),
             ("a head of LLMRouter's outcomes (7B, 49B)", bench.train("llmrouter", others)),
             ("a head of RouteLLM's MMLU and GSM8K", bench.train("exams", [{key: row[key] for key in ("text", "scores")} for row in mmlu_rows(bench.data) + gsm8k_rows(bench.data)]))]
    for name, head in heads:
        gains = bench.gains(head, rows)
        low, high = interval(gains, rows)
        report(name, gains, rows)
        print(f"  95 % of bootstrap samples: {low:.3f} to {high:.3f}")
    report("the longest question first", [float(len(row["text"])) for row in rows], rows)
    print(f"{len(rows)} questions are not enough to rank routers: the intervals are wider than the distances in the published table.")


def intents(bench, name, train, test):
    head = bench.train(name, [{"text": text, "domain": label} for text, label in train])
    found = bench.eval(head, name, [{"text": text, "domain": label} for text, label in test])
    inside = [row for row in test if row[1] != "oos"]
    print(f"{name}: {len(train)} lines for training, {len(inside)} judged: accuracy {found['accuracy_in_scope']:.4f}", end="")
    if len(inside) < len(test):
        print(f"; {len(test) - len(inside)} out of scope: AUROC {found['auroc_oos']:.4f}, recall at 5 % rejected {found['recall_oos_at_5pct_in_scope_rejected']:.3f}", end="")
    print(flush=True)
    matrices = tfidf([row[0] for row in train], [row[0] for row in inside])
    if matrices is not None:
        from sklearn.svm import LinearSVC
        said = LinearSVC(C=1).fit(matrices[0], [row[1] for row in train]).predict(matrices[1])
        print(f"  TF-IDF, linear support vectors: accuracy {statistics.mean(a == row[1] for a, row in zip(said, inside)):.4f}")


def clinc150(bench, args):
    folder = bench.data / "clinc150"
    full = folder / "data_full.json.xz"
    data = json.load(lzma.open(full if full.exists() else folder / "data_full_train_val.json.xz", "rt", encoding="utf-8"))
    part = "test" if "test" in data else "val"
    print(f"CLINC150, judged on its {part} part. Published: BERT fine-tuned .962 in scope at an out-of-scope recall of .523 (Larson et al. 2019), "
          "RoBERTa fine-tuned with Mahalanobis distance AUROC .984")
    intents(bench, "clinc150", data["train"], data[part] + [[text, "oos"] for text, _ in data[f"oos_{part}"]])


def banking77(bench, args):
    folder = bench.data / "banking77"
    train = [[row["text"], row["category"]] for row in read_csv(folder / "train.csv.xz")]
    if (folder / "test.csv.xz").exists():
        test = [[row["text"], row["category"]] for row in read_csv(folder / "test.csv.xz")]
    else:
        test, train = [row for row in train if fnv(row[0]) % 5 == 0], [row for row in train if fnv(row[0]) % 5 != 0]
    print("Banking77. Published: bge-small with linear support vectors .931, Llama 1B by LoRA .902, Qwen3 8B by LoRA .919; on all training lines and the test part")
    intents(bench, "banking77", train, test)


def labels_parted(bench):
    """The shipped head's training lines (without the lengths), and the labels that its training did not see."""
    labels, training, held = (bench.folder / f"labels.{part}.jsonl" for part in ("all", "training", "held"))
    labels.write_bytes(lzma.open(LABELS / "labels.jsonl.xz").read())
    subprocess.run([sys.executable, LABELS / "split.py", labels, training, held], check=True, stdout=subprocess.DEVNULL)
    return read_jsonl(training), read_jsonl(held)


def lengths_rows(bench):
    found = subprocess.run([sys.executable, LABELS / "lengths.py", bench.data.parent], check=True, stdout=subprocess.PIPE, text=True).stdout
    return [json.loads(text) for text in found.splitlines()]


def promise(bench, args):
    """Of the promises: a head of 1,500 MMLU rows on the others, and the shipped head on the labels that its training did not see."""
    rows = mmlu_rows(bench.data)
    random.Random(0).shuffle(rows)
    mmlu_head = bench.train("promise", rows[:1500])
    _, held = labels_parted(bench)
    for name, head, of, n, regrets in (("MMLU, 1,500 rows for training", mmlu_head, rows[1500:], 2000, (0.1, 0.12, 0.15)),
                                       ("the shipped head, held-out labels", SHIPPED, held, len(held), (0.05, 0.1, 0.15, 0.2, 0.3))):
        lines = "".join(f"{gain} {row['scores']['local']} {row['scores']['remote']}\n" for gain, row in zip(bench.gains(head, of), of))
        print(name)
        print(subprocess.run([ROOT / "build/release/tests/bench_promise", str(n), *map(str, regrets)], input=lines, check=True, stdout=subprocess.PIPE, text=True).stdout, end="")


def promised_threshold(head, regret):
    """Of a head file, whose format heads classifier/head_file.c."""
    content = head.read_bytes()
    length, arrays = struct.unpack_from("<II", content, 12)
    header = json.loads(content[24 + 48 * arrays:24 + 48 * arrays + length])
    return header["promises"]["thresholds"][round(100 * regret) - 1]


def tiers(bench, args):
    """Which tier of the shipped head decides, on the labels that its training did not see, and whether any route is another for it."""
    training, held = labels_parted(bench)
    names = ("rules", "features", "static", "encoder")

    def shares(scores):
        return "  ".join(f"{name} {100 * sum(score['tier'] == name for score in scores) / len(scores):5.1f} %" for name in names)

    whole = bench.scores(SHIPPED, held)
    print(f"The shipped head, {len(held):,} labels that its training did not see")
    for regret in (0.05, 0.1, 0.3, 0.5):
        limited, threshold = bench.scores(SHIPPED, held, "--max-regret", str(regret)), promised_threshold(SHIPPED, regret)
        other = sum((a["gain"] > threshold) != (b["gain"] > threshold) for a, b in zip(limited, whole))
        kept = [row for row, score in zip(held, limited) if score["gain"] <= threshold]
        right = f", {100 * statistics.mean(row['scores']['local'] for row in kept):.1f} % of it right" if kept else ""
        print(f"max_regret {regret:<4}  {shares(limited)}   routed otherwise than by all tiers: {other}   answered here {100 * len(kept) / len(held):.1f} %{right}")
    print(f"any threshold    {shares(whole)}")
    report("the shipped head", [score["gain"] for score in whole], held)
    plain = bench.scores(bench.train("tiers", training + lengths_rows(bench), "--landmarks", "448"), held)
    print(f"without a table  {shares(plain)}")
    report("a head without a table, the same training", [score["gain"] for score in plain], held)


def lengths(bench, args):
    """Expected output tokens: a fifth of the recorded lengths by a head that was trained on the others."""
    rows = lengths_rows(bench)
    training, _ = labels_parted(bench)
    test, train = ([row for row in rows if (fnv(row["text"]) % 5 == 0) == held] for held in (True, False))
    found = bench.eval(bench.train("lengths", training + train, "--landmarks", "64"), "lengths", test)["output_tokens"]
    print(f"{len(test)} lengths, trained on {len(train)}: {found}")


def cascade(bench, args):
    """The default model's answers to its labels' prompts, begun and judged: by the question, the answer, both, and a probe."""
    rows = [row for row in read_jsonl(LABELS / "labels.jsonl.xz") if row["domain"] not in ("planning", "code", "oos")]  # Those were never asked.
    rows = sorted(rows, key=lambda row: fnv("cascade " + row["text"]))[:2400]
    answered = [json.loads(text) for text in bench.run("generate", "--train-lines", "--probe", "--self-check", "--max-tokens", "24", "--sessions", "32",
                                                       "--input", bench.write("cascade.asked.jsonl", rows)).splitlines()]
    found = []
    for fold in range(4):
        test, train = [row for row in answered if fnv(row["text"]) % 4 == fold], [row for row in answered if fnv(row["text"]) % 4 != fold]
        found.append(bench.eval(bench.train(f"cascade{fold}", train, "--landmarks", "768"), f"cascade{fold}", test))
    print(f"{len(answered)} prompts, four folds by hash, 24 tokens of each answer; means of the folds")
    for way in ("scoring", "answer", "both", "probe"):
        print(f"{way:<8} APGR {statistics.mean(fold['cascade'][way]['apgr'] for fold in found):.4f}")
    print(f"AUROC of P(local) {statistics.mean(fold['auroc_local'] for fold in found):.4f}, "
          f"once the answer is read {statistics.mean(fold['with_answer']['auroc_local'] for fold in found):.4f}")


def latency(bench, args):
    rows = [row for row in read_jsonl(LABELS / "labels.jsonl.xz")][:2000]
    found = bench.eval(SHIPPED, "latency", rows)
    for tier, value in found["tiers"].items():
        print(f"{tier:<9} {value['n']:>5} texts, {value['mean_us']:.1f} µs each")
    gsm = gsm8k_rows(bench.data)[:300]
    found = bench.eval(bench.train("latency", gsm), "latency.answers", gsm)
    print(f"answer    {found['tiers']['answer']['n']:>5} texts, {found['tiers']['answer']['mean_us']:.1f} µs each after the question's score")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", choices=("mmlu", "gsm8k", "mtbench", "clinc150", "banking77", "promise", "tiers", "lengths", "cascade", "latency"))
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT / "../shared", help="the folder with data/routing in it [../shared]")
    parser.add_argument("--weir", default=os.environ.get("WEIR_BINARY", str(ROOT / "build/release/weir")), help="[build/release/weir]")
    parser.add_argument("--draws", type=int, default=5, help="mmlu: random draws of 1,500 rows [5]")
    parser.add_argument("--all", action="store_true", help="mmlu: five folds and unseen subjects too (half an hour)")
    parser.add_argument("--half", choices=("reporting", "choosing"), help="mmlu: only the rows that no setting was chosen on, or only the others")
    parser.add_argument("--kind", choices=("kernel", "logistic", "factors", "mlp"), help="of the heads (weir train --kind)")
    parser.add_argument("--seeds", type=int, default=3, help="gsm8k: fold seeds [3]")
    parser.add_argument("--keep", type=pathlib.Path, help="a folder that keeps the lines and heads")
    parser.add_argument("--quiet", action="store_true", help="no progress of training")
    args = parser.parse_args()
    if not (args.shared / "data/routing").is_dir():
        sys.exit(f"{args.shared}/data/routing: no such folder (--shared)")
    with tempfile.TemporaryDirectory() as name:
        folder = args.keep or pathlib.Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        globals()[args.row](Bench(args, folder), args)


if __name__ == "__main__":
    main()
