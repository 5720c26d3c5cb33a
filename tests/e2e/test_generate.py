"""`weir generate` as other programs pipe through it: side by side, in order, as lines come."""
import json
import re
import select
import subprocess

import pytest

import script_model
from weir_process import BINARY

ONE_A_STEP = ("--speculate", "off", "--stats") # Then only company makes more tokens than steps.
LONG = "".join(f"{i:03x}" for i in range(150))


@pytest.fixture(scope="module")
def model(folder):
    template = "{% for m in messages %}{{ '' + m.content }}{% endfor %}{{ '\\n' }}"
    return script_model.write(folder / "long.gguf", template, {"\n": LONG, "?": "Yes."}, "<|end|>")


def generate(model, lines, *more, **options):
    text = "".join(line if isinstance(line, str) else json.dumps(line) + "\n" for line in lines)
    return subprocess.run([BINARY, "generate", "--model", str(model), *more], input=text, capture_output=True, text=True, timeout=240, **options)


def stats(done):
    return {name: int(n) for name, n in re.findall(r"(steps|generated) (\d+)", done.stderr)}


def talks(n, **more):
    return [{"id": i, "messages": [{"role": "user", "content": f"Story {i}"}], **more} for i in range(n)]


def test_sessions_side_by_side_share_their_steps_and_say_the_same(model):
    lines = talks(48)
    lines[0]["max_tokens"] = 60 # Shorter or longer than its neighbours: neither holds them up.
    lines[16] = {"id": 16, "ids": [10], "ignore_eos": True, "max_tokens": 700}
    together = generate(model, lines, "--sessions", "16", *ONE_A_STEP)
    assert together.returncode == 0, together.stderr
    answers = [json.loads(line) for line in together.stdout.splitlines()]
    assert [a["id"] for a in answers] == list(range(48)) and answers[1]["text"] == LONG and len(answers[16]["ids"]) == 700
    said = stats(together)
    assert said["generated"] > 48 * 150 and said["steps"] < said["generated"] / 3, said
    alone = generate(model, lines, "--sessions", "1", *ONE_A_STEP)
    assert alone.stdout == together.stdout and stats(alone)["steps"] >= stats(alone)["generated"]


def test_training_lines_with_probes_share_their_steps_too(model):
    lines = [{"id": i, "text": f"Story {i}", "scores": {"local": 1, "remote": 1}} for i in range(40)]
    options = ("--train-lines", "--probe", "--self-check", *ONE_A_STEP)
    together, alone = generate(model, lines, *options, "--sessions", "16"), generate(model, lines, *options, "--sessions", "1")
    assert together.returncode == 0, together.stderr
    assert together.stdout == alone.stdout
    for i, line in enumerate(together.stdout.splitlines()):
        out = json.loads(line)
        assert out["id"] == i and out["answer"]["text"] == LONG and {"probe", "self_check", "logprob_mean"} < set(out["answer"])
    said = stats(together)
    assert said["generated"] > 40 * 150 and said["steps"] < said["generated"] / 3, said


def test_a_bad_line_among_those_under_way_is_named_in_its_turn(model):
    lines = talks(20)
    lines[7] = {"id": 7, "ids": [999999]} # The engine's word.
    lines[9] = {"id": 9, "messages": []}
    lines[11] = "no json\n"
    done = generate(model, lines, "--keep-going")
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == 1 and len(answers) == 20
    assert [i for i, a in enumerate(answers) if "error" in a] == [7, 9, 11]
    assert "not in the vocabulary" in answers[7]["error"] and "messages: is empty" in answers[9]["error"]
    assert [line.split(": ")[2] for line in done.stderr.splitlines()] == ["line 8", "line 10", "line 12"]
    stopped = generate(model, lines)
    assert stopped.returncode == 1 and stopped.stdout.splitlines() == done.stdout.splitlines()[:7]
    assert "standard input: line 8: " in stopped.stderr


@pytest.mark.parametrize("line, said", [
    ({"messages": []}, "messages: is empty"),
    ({"messages": [{"role": "user"}]}, "messages: "),
    ({"messages": "hello"}, "messages: must be an array"),
    ({"ids": [10], "max_tokens": 0}, "max_tokens: 0: must be at least 1"),
    ({"ids": [10], "max_tokens": -5}, "max_tokens: -5: must be at least 1"),
    ({"text": "hello"}, "ids: is required"),
])
def test_a_line_that_cannot_be_answered_says_which_member_is_wrong(model, line, said):
    done = generate(model, [{"id": "x", **line}])
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith(f"weir: standard input: line 1: {said}"), done


@pytest.mark.parametrize("verb, line", [("generate", {"id": 1, "messages": [{"role": "user", "content": "?"}]}), ("tokenize", {"id": 1, "text": "abc"})])
def test_who_writes_a_line_can_have_its_answer_before_the_next(model, verb, line):
    """A program that talks with a verb line by line: neither side waits for the other."""
    with subprocess.Popen([BINARY, verb, "--model", str(model)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for i in range(3):
            process.stdin.write(json.dumps({**line, "id": i}).encode() + b"\n")
            process.stdin.flush()
            assert select.select([process.stdout], [], [], 60)[0], "no answer came"
            assert json.loads(process.stdout.readline())["id"] == i
        process.stdin.close()
        assert process.wait(timeout=60) == 0
