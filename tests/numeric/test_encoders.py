"""`weir embed` and `weir classify` against the reference's numbers: every encoder directory of fixtures/hf, by both forms of
its configuration, and all-MiniLM-L6-v2 from text to embedding."""
import json
import os
import struct
import subprocess

import pytest

WEIR = os.environ["WEIR_BINARY"]
SHARED = os.environ["WEIR_SHARED"]
HF = os.path.join(SHARED, "fixtures", "hf")
MINILM = os.path.join(SHARED, "fixtures", "minilm")
FAMILIES = ("bert", "distilbert", "roberta", "albert", "mobilebert", "modernbert", "deberta-v2")
NARROW = ("bert", "distilbert", "roberta", "albert")  # A setting altered moves these by less than 2e-3.

assert os.path.isdir(HF), f"{HF}: the shared fixtures are needed"


def run(verb, *options, lines):
    done = subprocess.run(
        [WEIR, verb, *options], input="".join(json.dumps(line) + "\n" for line in lines), capture_output=True, text=True, timeout=120
    )
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def answers(verb, *options, lines):
    code, out, err = run(verb, *options, lines=lines)
    assert code == 0, err
    assert [a.get("id") for a in out] == [line.get("id") for line in lines]
    return out


def floats(path, offset=0, n=None):
    with open(path, "rb") as file:
        file.seek(4 * offset)
        data = file.read(4 * n) if n is not None else file.read()
    return struct.unpack(f"<{len(data) // 4}f", data)


def difference(ours, reference):
    assert len(ours) == len(reference)
    return max(abs(a - b) for a, b in zip(ours, reference))


def flat(values):
    return [x for row in values for x in row] if values and isinstance(values[0], list) else values


def questions(expected):
    """(line, case, row of the batch, its length) for every text of every case, without padding."""
    for case in expected["cases"]:
        for row, ids in enumerate(case["input_ids"]):
            n = sum(case["attention_mask"][row])
            line = {"id": f"{case['name']}/{row}", "ids": ids[:n]}
            if "token_type_ids" in case:
                line["token_type_ids"] = case["token_type_ids"][row][:n]
            yield line, case, row, n


def check(name, verb, output, member, directory):
    with open(os.path.join(HF, name, "expected.json")) as file:
        expected = json.load(file)
    asked = [q for q in questions(expected) if output in q[1]["outputs"]]
    if not asked:
        return 0
    tolerance = 5e-5 if name.split("-")[0] in NARROW else 1e-4
    options = ["--tokens"] if verb == "embed" else []
    got = answers(verb, "--model", directory, "--precision", "exact", *options, lines=[q[0] for q in asked])
    for answer, (line, case, row, n) in zip(got, asked):
        place = case["outputs"][output]
        shape = place["shape"][1:]
        size = shape[0] * (shape[1] if len(shape) > 1 else 1)
        reference = floats(os.path.join(HF, name, "expected.f32"), place["offset"] + row * size, size)
        if len(shape) > 1:
            assert len(answer[member]) == n
            reference = reference[: n * shape[1]]
        assert difference(flat(answer[member]), reference) < tolerance, (name, line["id"])
    if verb == "classify":
        with open(os.path.join(HF, name, "config.json")) as file:
            labels = json.load(file)["id2label"]
        assert got[0]["labels"] == [labels[str(i)] for i in range(len(labels))]
    return len(got)


DIRECTORIES = sorted(d for d in os.listdir(HF) if os.path.isdir(os.path.join(HF, d)) and d.startswith(FAMILIES))


def test_there_are_all_families():
    assert len(DIRECTORIES) == 26


@pytest.mark.parametrize("name", DIRECTORIES)
def test_outputs_match_the_reference_by_either_configuration(name, tmp_path):
    today = tmp_path / name
    today.mkdir()
    (today / "config.json").symlink_to(os.path.abspath(os.path.join(HF, name, "config.v5.json")))
    (today / "model.safetensors").symlink_to(os.path.abspath(os.path.join(HF, name, "model.safetensors")))
    for directory in (os.path.join(HF, name), str(today)):
        n = check(name, "embed", "last_hidden_state", "tokens", directory)
        n += check(name, "classify", "logits", "logits", directory)
        assert n >= 7


def minilm_rows():
    with open(os.path.join(MINILM, "embeddings.json")) as file:
        return json.load(file)["rows"]


def cosine(a, b):
    dot = sum(x * y for x, y in zip(a, b))
    return dot / (sum(x * x for x in a) * sum(y * y for y in b)) ** 0.5


def test_minilm_embeds_texts_and_ids_exactly():
    rows = minilm_rows()
    reference = floats(os.path.join(MINILM, "embeddings.f32"))
    lines = [{"id": i, "text": r["text"]} for i, r in enumerate(rows)] + [{"id": -i, "ids": r["ids"]} for i, r in enumerate(rows)]
    got = answers("embed", "--precision", "exact", lines=lines)
    for i, answer in enumerate(got):
        row = i % len(rows)
        assert difference(answer["embedding"], reference[384 * row : 384 * (row + 1)]) < 2e-6, rows[row]["text"]


def test_minilm_stays_close_when_fast():
    rows = minilm_rows()
    reference = floats(os.path.join(MINILM, "embeddings.f32"))
    got = answers("embed", lines=[{"id": i, "text": r["text"]} for i, r in enumerate(rows)])
    for i, answer in enumerate(got):
        assert cosine(answer["embedding"], reference[384 * i : 384 * (i + 1)]) >= 0.998, rows[i]["text"]


def test_a_pair_is_two_segments():
    model = os.path.join(HF, "bert-seqcls")
    code, _, err = run("classify", "--model", model, lines=[{"id": 1, "text": "a", "pair": "b"}])
    assert code == 1 and "no tokenizer" in err


def test_a_pair_of_texts_is_two_segments_between_special_tokens(tmp_path):
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + [f"w{i}" for i in range(5, 256)]
    (tmp_path / "vocab.txt").write_text("\n".join(words) + "\n")
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).symlink_to(os.path.abspath(os.path.join(HF, "bert-seqcls", name)))
    lines = [
        {"id": "text", "text": "w10 w20", "pair": "w30"},
        {"id": "ids", "ids": [2, 10, 20, 3, 30, 3], "token_type_ids": [0, 0, 0, 0, 1, 1]},
        {"id": "long", "text": "w10 " * 300, "pair": "w30 " * 20},
        {"id": "cut", "ids": [2] + [10] * 105 + [3] + [30] * 20 + [3], "token_type_ids": [0] * 107 + [1] * 21},
        {"id": "single", "text": "w10 " * 300},
        {"id": "single cut", "ids": [2] + [10] * 126 + [3]},
    ]
    got = answers("classify", "--model", str(tmp_path), "--precision", "exact", lines=lines)
    for i in range(0, 6, 2):
        assert got[i]["logits"] == got[i + 1]["logits"], lines[i]["id"]
    assert got[0]["logits"] != got[2]["logits"]


@pytest.mark.parametrize(
    "line, message",
    [
        ({"id": 1}, "text"),
        ({"id": 1, "ids": []}, "no tokens"),
        ({"id": 1, "ids": [1, "x"]}, "element 1 is not a token id"),
        ({"id": 1, "ids": [1, 256]}, "element 1 is 256, the vocabulary has 256"),
        ({"id": 1, "ids": [1] * 129}, "129 tokens, the model takes 128"),
        ({"id": 1, "ids": [1, 2], "token_type_ids": [0]}, "has 1 elements, ids has 2"),
        ({"id": 1, "ids": [1, 2], "token_type_ids": [0, 2]}, "element 1 is 2, the model has 2 types"),
        ({"id": 1, "text": 5}, "text"),
    ],
)
def test_a_bad_line_ends_the_run_or_is_answered_with_its_error(line, message):
    model = os.path.join(HF, "bert")
    good = {"id": 2, "ids": [2, 250, 3]}
    code, out, err = run("embed", "--model", model, lines=[line, good])
    assert code == 1 and out == [] and "line 1" in err and message in err
    code, out, err = run("embed", "--model", model, "--keep-going", lines=[line, good])
    assert code == 1 and message in out[0]["error"] and out[0]["id"] == 1 and len(out[1]["embedding"]) == 64


def test_what_a_model_cannot_do_is_said_at_once():
    code, out, err = run("classify", "--model", os.path.join(HF, "bert"), lines=[])
    assert code == 1 and "no classification head" in err
    code, out, err = run("embed", "--model", os.path.join(HF, "llama"), lines=[])
    assert code == 1 and "no encoder" in err
    code, out, err = run("embed", "--model", "/nowhere", lines=[])
    assert code == 1 and "/nowhere" in err
    code, out, err = run("embed", "--precision", "rough", lines=[])
    assert code in (1, 2) and "rough" in err
