"""The verbs as their users call them: what they are told when something is wrong, and that nothing is lost by it."""
import json
import os
import resource
import select
import signal
import subprocess

import pytest
from gateway_case import wait_for
from weir_process import BINARY, Weir, certificate


def run(*argv, **more):
    """argv may hold bytes."""
    return subprocess.run([BINARY, *argv], capture_output=True, timeout=120, **more)


def check(tmp_path, text, *more):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n" + text)
    return run("check", "--config", str(config), *more)


@pytest.mark.parametrize("fault, said", [
    ("classifier: {head: junk}", b"is no head file"),
    ("classifier: {head: missing.head}", b"missing.head: No such file"),
    ("models: {chat: {path: junk}}", b"models.chat: "),
    ("models: {encoder: {path: junk}}", b"models.encoder: "),
    ("models: {others: {big: {path: junk}}}", b"models.others.big: "),
    ("models: {chat: {adapters: {legal: junk}}}", b"models.chat: "),
    ("models: {chat: {speculate: {draft: junk}}}", b"speculate.draft: "),
    ("knowledge: {folder: junk}", b"is no folder"),
    ("tls: {certificate: junk, private_key: junk}", b"the certificate cannot be read"),
    ("tls: {certificate: localhost.pem, private_key: other.key}", b"does not belong to the certificate"),
])
def test_check_opens_what_the_start_would(tmp_path, fault, said):
    (tmp_path / "junk").write_text("junk")
    certificate(tmp_path)
    certificate(tmp_path, "other")
    checked = check(tmp_path, fault)
    assert checked.returncode == 1 and b"error: " in checked.stdout and said in checked.stdout, checked.stdout
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("folder", ["junk", "junk/below", "x" * 300, "long/" * 25])
def test_check_says_where_no_data_can_be_kept(tmp_path, folder):
    (tmp_path / "junk").write_text("junk")
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {folder}\n")
    checked = run("check", "--config", str(config), "--json")
    assert checked.returncode == 1
    assert any("data_dir" in error for error in json.loads(checked.stdout)["errors"])


def test_a_fault_whose_quotation_is_cut_in_a_character_is_still_a_fault(tmp_path):
    for shift in range(2):
        checked = check(tmp_path, "x" * shift + "ä" * 60 + ": 1\n", "--json")
        said = json.loads(checked.stdout)
        assert checked.returncode == 1 and not said["ok"] and "unknown key" in said["errors"][0]
    named = run("check", "--config", b"\xff.yaml")
    assert named.returncode == 1 and b"?.yaml" in named.stdout


def test_what_is_no_utf8_makes_no_key_of_another_tenant(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    for option in ("--tenant", "--name", "--budget-usd", "--period"):
        made = run("keys", "create", option, b"5\xff", "--config", str(config))
        assert made.returncode == 2 and made.stdout == b"" and b"UTF-8" in made.stderr, (option, made)
    assert run("cache", "clear", "--tenant", b"\xff", "--config", str(config)).returncode == 2
    assert run("ask", "hi", "--system", b"\xff", "--config", str(config)).returncode == 2
    assert run("train", "--data", "x", "--out", "y", "--name", b"\xff").returncode == 2


@pytest.mark.parametrize("options, said", [
    (["--budget-usd", ""], b"budget_usd: must be an amount"), # "$BUDGET" of a variable that is not set
    (["--per-minute", "-1"], b"per_minute: must be 0 to 1000000"),
    (["--period", "month"], b"period: is that of a budget"),
])
def test_a_limit_that_cannot_be_read_makes_no_key_without_it(tmp_path, options, said):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    made = run("keys", "create", *options, "--config", str(config))
    assert made.returncode == 1 and made.stdout == b"" and said in made.stderr, made
    assert b"key_" not in run("keys", "list", "--config", str(config)).stdout


@pytest.mark.parametrize("argv", [["--help"], ["check"], ["keys", "create"], ["keys", "list"], ["ledger", "query", "SELECT 1"], ["policy", "matrix", "default"]])
def test_an_answer_that_got_lost_is_a_failure(tmp_path, argv):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    more = [] if argv[0] in ("--help", "policy") else ["--config", str(config)]
    assert run("keys", "create", *["--config", str(config)]).returncode == 0
    with open("/dev/full", "w") as full:
        done = subprocess.run([BINARY, *argv, *more], stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 1 and b"standard output: No space left on device" in done.stderr, done


@pytest.mark.parametrize("argv, said", [
    (["eval", "--data", "d", "--picture", "curve.png"], b"SVG (name.svg) or HTML"),
    (["eval", "--data", "d", "--max-regret", "-1"], b"--max-regret: 0 to 1"),
    (["score", "--max-regret", "-1"], b"--max-regret: 0 to 1"),
    (["embed", "--threads", "-1"], b"--threads: 0 (one for each core) to 1024"),
    (["generate", "--threads", "5000"], b"--threads: 0 (one for each core) to 1024"),
])
def test_a_value_that_an_option_cannot_have_is_wrong_usage(argv, said):
    called = run(*argv, stdin=subprocess.DEVNULL)
    assert called.returncode == 2 and said in called.stderr, called


def test_a_query_answers_json_alone(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    assert run("keys", "create", "--config", str(config)).returncode == 0
    row = json.loads(run("ledger", "query", "SELECT 9e999 AS large, -9e999 AS small, 0.5 AS half", "--config", str(config)).stdout, parse_constant=pytest.fail)
    assert row == {"large": None, "small": None, "half": 0.5}


def test_a_named_file_that_is_no_model_is_not_passed_over(tmp_path):
    (tmp_path / "some.bin").write_text("junk")
    listed = run("models", str(tmp_path / "some.bin"), "--json")
    assert listed.returncode == 1 and b"not a GGUF file" in listed.stderr, listed


LINES = "".join(json.dumps({"text": f"question {i} of {'cats' if i % 3 else 'dogs'}", "label": i % 2}) + "\n" for i in range(60))


def train(tmp_path, out, **more):
    data = tmp_path / "d.jsonl"
    data.write_text(LINES)
    return subprocess.Popen([BINARY, "train", "--no-encoder", "--quiet", "--data", str(data), "--out", str(out)], stderr=subprocess.PIPE, **more)


def test_a_head_that_does_not_fit_on_the_disk_leaves_the_old_one_and_no_rest(tmp_path):
    head = tmp_path / "my.head"
    head.write_text("old")
    # Python ignores the signal of a file's limit; what is left of it is the error of a full disk's kind.
    trained = train(tmp_path, head, restore_signals=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert b"my.head: File too large" in trained.communicate(timeout=60)[1] and trained.returncode == 1
    assert head.read_text() == "old" and sorted(os.listdir(tmp_path)) == ["d.jsonl", "my.head"]


def test_a_pipe_given_as_output_gets_the_head_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    fd = os.open(pipe, os.O_RDWR)
    trained, got = train(tmp_path, pipe), b""
    while trained.poll() is None or select.select([fd], [], [], 0)[0]:
        if select.select([fd], [], [], 0.01)[0]:
            got += os.read(fd, 1 << 16)
    os.close(fd)
    assert trained.returncode == 0 and pipe.is_fifo() and got.startswith(b"WEIRHEAD")


def test_a_reload_whose_pack_is_broken_is_as_if_it_had_not_been(tmp_path):
    with Weir(tmp_path / "reload") as weir:
        moved = {**weir.settings, "data_dir": str(tmp_path / "elsewhere")}
        for settings, event in (({**moved, "policy": {"pack": "missing.yaml"}}, "reload_failed"), (moved, "reloaded")):
            weir.write(settings)
            weir.process.send_signal(signal.SIGHUP)
            line = wait_for(lambda: next((line for line in weir.log if f'"{event}"' in line), None), event)
        assert "restart" in json.loads(line)["message"]
