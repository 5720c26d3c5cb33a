"""The verbs as their users call them: what they are told when something is wrong, and that nothing is lost by it."""
import contextlib
import json
import os
import pathlib
import resource
import select
import shutil
import signal
import sqlite3
import subprocess
import tempfile

import pytest
import script_model
from gateway_case import ask, gateway, question, select as rows_of, wait_for
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
    (["eval", "--data", "d", "--picture", "curve.jpg"], b"SVG (name.svg), HTML (name.html) or PNG"),
    (["eval", "--data", "d", "--max-regret", "-1"], b"--max-regret: 0 to 1"),
    (["score", "--max-regret", "-1"], b"--max-regret: 0 to 1"),
    (["embed", "--threads", "-1"], b"--threads: 0 to 1024, not -1"),
    (["generate", "--threads", "5000"], b"--threads: 0 to 1024, not 5000"),
    (["generate", "--sessions", "0"], b"--sessions: 1 to 64"),
    (["generate", "--max-tokens", "-2"], b"--max-tokens: -1 to 2147483647"),
    (["generate", "--max-tokens", "0"], b"--max-tokens: at least 1"),
    (["generate", "--temperature", "-1"], b"--temperature: 0 to 1000000"),
    (["generate", "--temperature", "nan"], b"--temperature: "),
    (["generate", "--top-p", "1.5"], b"--top-p: 0 to 1, not 1.5"),
    (["generate", "--top-k", "-1"], b"--top-k: 0 to 1000000000"),
    (["generate", "--keep", "-1"], b"--keep: 0 to "),
    (["bench", "--prompt", "-5"], b"--prompt: 1 to "),
    (["bench", "--gen", "1"], b"--gen: 2 to "),
    (["bench", "--sessions", "0"], b"--sessions: 1 to 256"),
    (["bench", "--batch", "0"], b"--batch: 1 to 1024"),
    (["bench", "--runs", "4"], b"--runs: 5 to 101"),
    (["bench", "--threads", "-1"], b"--threads: 0 to 1024"),
    (["ask", "--max-tokens", "-1", "hi"], b"--max-tokens: 0 to "),
    (["ledger", "query", "--limit", "-1"], b"--limit: 0 to "),
    (["knowledge", "search", "x", "--top", "0"], b"--top: 1 to "),
    (["calibrate", "--head", "h", "--data", "d", "--out", "o", "--confidence", "1.5"], b"--confidence: 0 to 1"),
    (["train", "--data", "d", "--out", "o", "--landmarks", "0"], b"--landmarks: 1 to 1536"),
    (["distill", "--out", "o", "--dims", "0"], b"--dims: 16 to 512"),
    (["prune", "--model", "m", "--out", "o", "--text", "t", "--layers", "-1"], b"--layers: 0 to 10000"),
    (["factorise", "--model", "m", "--out", "o", "--text", "t", "--rank", "-1"], b"--rank: 1 to "),
])
def test_a_value_that_an_option_cannot_have_is_wrong_usage(tmp_path, argv, said):
    called = run(*argv, stdin=subprocess.DEVNULL, cwd=tmp_path)
    assert called.returncode == 2 and said in called.stderr, called


def test_a_decoder_in_the_place_of_an_encoder_is_an_error(tmp_path):
    model = script_model.write(tmp_path / "one.gguf", "{{ messages[0].content }}", {"?": "Yes."}, "<|end|>")
    for argv in (["score", "--encoder", model], ["embed", "--model", model], ["eval", "--encoder", model, "--data", write_lines(tmp_path)]):
        called = run(*argv, input=b'{"text": "a"}\n')
        assert called.returncode == 1 and b"one.gguf: is no encoder\n" in called.stderr, called


def test_a_query_answers_json_alone(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    assert run("keys", "create", "--config", str(config)).returncode == 0
    row = json.loads(run("ledger", "query", "SELECT 9e999 AS large, -9e999 AS small, 0.5 AS half", "--config", str(config)).stdout, parse_constant=pytest.fail)
    assert row == {"large": None, "small": None, "half": 0.5}
    for nothing in ("", " -- all rows"): # "$SQL" of a variable that is not set
        asked = run("ledger", "query", nothing, "--config", str(config))
        assert asked.returncode == 1 and b"SQL: has no statement" in asked.stderr, asked


def test_a_request_that_cannot_be_routed_names_its_member_once(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    routed = run("route", "--json", "--config", str(config), input=b'{"model": "auto", "messages": []}')
    assert routed.returncode == 1 and routed.stderr.startswith(b"weir route: messages: must "), routed


def test_a_named_file_that_is_no_model_is_not_passed_over(tmp_path):
    (tmp_path / "some.bin").write_text("junk")
    listed = run("models", str(tmp_path / "some.bin"), "--json")
    assert listed.returncode == 1 and b"not a GGUF file" in listed.stderr, listed


LINES = "".join(json.dumps({"text": f"question {i} of {'cats' if i % 3 else 'dogs'}", "label": i % 2}) + "\n" for i in range(60))


def write_lines(tmp_path):
    data = tmp_path / "d.jsonl"
    data.write_text(LINES)
    return str(data)


def train(tmp_path, out, **more):
    return subprocess.Popen([BINARY, "train", "--no-encoder", "--quiet", "--data", write_lines(tmp_path), "--out", str(out)], stderr=subprocess.PIPE, **more)


def test_a_head_that_does_not_fit_on_the_disk_leaves_the_old_one_and_no_rest(tmp_path):
    head = tmp_path / "my.head"
    head.write_text("old")
    # Python ignores the signal of a file's limit; what is left of it is the error of a full disk's kind.
    trained = train(tmp_path, head, restore_signals=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)))
    assert b"my.head: File too large" in trained.communicate(timeout=60)[1] and trained.returncode == 1
    assert head.read_text() == "old" and sorted(os.listdir(tmp_path)) == ["d.jsonl", "my.head"]


def test_a_head_is_not_judged_by_lines_without_labels(tmp_path):
    head, data = tmp_path / "my.head", tmp_path / "plain.jsonl"
    assert train(tmp_path, head).wait(timeout=60) == 0
    data.write_text('{"text": "What is it?"}\n{"text": "And that?"}\n')
    judged = run("eval", "--no-encoder", "--head", head, "--data", data, "--json")
    assert judged.returncode == 1 and judged.stdout == b"" and b"plain.jsonl: there is nothing to judge" in judged.stderr, judged
    data.write_text('{"text": "What is it?", "domain": "law"}\n') # The head has learnt no domains.
    judged = run("eval", "--no-encoder", "--head", head, "--data", data)
    assert judged.returncode == 1 and judged.stdout == b"" and b"there is nothing to judge" in judged.stderr, judged
    assert run("eval", "--no-encoder", "--head", head, "--data", tmp_path / "d.jsonl").returncode == 0


MARK = b"\xef\xbb\xbf"


def test_a_byte_order_mark_is_skipped_at_the_start_of_an_input_and_nowhere_else(tmp_path):
    marked = run("scan", input=MARK + b'{"id": 1, "text": "a"}\n{"id": 2, "text": "b"}\n')
    assert marked.returncode == 0 and [json.loads(line)["id"] for line in marked.stdout.splitlines()] == [1, 2], marked
    within = run("scan", input=b'{"id": 1, "text": "a"}\n' + MARK + b'{"id": 2, "text": "b"}\n')
    assert within.returncode == 1 and b"line 2: " in within.stderr
    (tmp_path / "d.jsonl").write_bytes(MARK + LINES.encode())
    assert run("train", "--no-encoder", "--quiet", "--data", tmp_path / "d.jsonl", "--out", tmp_path / "my.head").returncode == 0
    (tmp_path / "weir.yaml").write_bytes(MARK + f"# Made on another system.\ndata_dir: {tmp_path}/data\nclassifier: {{head: my.head}}\n".encode())
    checked = run("check", "--config", tmp_path / "weir.yaml")
    assert checked.returncode == 0, checked.stdout
    packs = pathlib.Path(__file__).parents[2] / "policies" / "packs"
    (tmp_path / "pack.yaml").write_bytes(MARK + (packs / "default.yaml").read_bytes())
    checked = run("policy", "check", tmp_path / "pack.yaml")
    assert checked.returncode == 0, checked.stderr
    asked = tmp_path / "asked.json"
    asked.write_bytes(MARK + b'[{"role": "user", "content": "Hello."}]')
    routed = run("route", "--messages", asked, "--json", "--config", tmp_path / "weir.yaml")
    assert routed.returncode == 0, routed.stderr


def as_anyone(folder, *argv):
    """As a user who can write nothing in the folder, though the tests may run as root."""
    binary = folder.parent / "weir"
    shutil.copy(BINARY, binary)
    drop = (lambda: (os.setgroups([]), os.setgid(65534), os.setuid(65534))) if os.getuid() == 0 else None
    return subprocess.run([binary, *argv], capture_output=True, timeout=60, preexec_fn=drop)


def test_a_ledger_is_verified_where_nothing_can_be_written(tmp_path):
    config = tmp_path / "weir.yaml"
    config.write_text(f"data_dir: {tmp_path}/data\n")
    assert run("keys", "create", "--config", str(config)).returncode == 0
    ledger = tmp_path / "data" / "ledger.db"
    with tempfile.TemporaryDirectory() as public: # pytest's own folders are for one user.
        os.chmod(public, 0o755)
        media = pathlib.Path(public) / "a #1 100% copy?"
        media.mkdir()
        shutil.copy(ledger, media / "ledger.db")
        os.chmod(media, 0o555)
        verified = as_anyone(media, "ledger", "verify", "--file", str(media / "ledger.db"))
        assert verified.returncode == 0 and verified.stderr == b"", verified
        assert json.loads(verified.stdout) == json.loads(run("ledger", "verify", "--file", str(ledger)).stdout)
        asked = as_anyone(media, "ledger", "query", "SELECT count(*) AS n FROM decision", "--file", str(media / "ledger.db"))
        assert asked.returncode == 0 and json.loads(asked.stdout) == {"n": 0}, asked
        assert os.listdir(media) == ["ledger.db"]
        os.chmod(media, 0o755)
        with contextlib.closing(sqlite3.connect(ledger)) as writer:
            writer.execute("CREATE TABLE late(x)") # Stays in the -wal file as long as it is open.
            for name in ("ledger.db", "ledger.db-wal"):
                shutil.copy(tmp_path / "data" / name, media / name)
        os.chmod(media, 0o555)
        verified = as_anyone(media, "ledger", "verify", "--file", str(media / "ledger.db"))
        size = (media / "ledger.db-wal").stat().st_size
        assert verified.returncode == 0 and json.loads(verified.stdout)["unread_wal_bytes"] == size > 0, verified
        assert f"ledger.db-wal: its {size} bytes were not read".encode() in verified.stderr
        os.chmod(media, 0o755)


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


def reload(weir, event):
    """The log's line of that event, of those after the signal."""
    n = len(weir.log)
    weir.process.send_signal(signal.SIGHUP)
    return json.loads(wait_for(lambda: next((line for line in weir.log[n:] if f'"{event}"' in line), None), event))["message"]


def scored_by(weir):
    return ask(weir, "/v1/route", question("What is a cat?", "auto")).body["head"]


def test_a_head_that_is_replaced_under_its_path_scores_after_a_reload(tmp_path, far):
    head, ids = tmp_path / "my.head", []
    for name in ("first", "second"):
        made = subprocess.run([BINARY, "train", "--no-encoder", "--quiet", "--name", name, "--data", write_lines(tmp_path), "--out", str(tmp_path / name)], timeout=60)
        assert made.returncode == 0
    os.link(tmp_path / "first", head)
    with gateway(tmp_path / "weir", {"far": far}, {"classifier": {"head": str(head)}}) as weir:
        ids.append(scored_by(weir))
        assert "head_open" not in reload(weir, "reloaded") and scored_by(weir) == ids[0]
        os.replace(tmp_path / "second", head)
        assert "head is" in reload(weir, "head_open")
        wait_for(lambda: scored_by(weir) != ids[0], "the new head")
        ids.append(scored_by(weir))
        assert ask(weir, body=question("What is a cat?", "auto", max_tokens=2)).status == 200
        assert rows_of(weir, "select head_id from decision order by leaf_index desc limit 1")[0]["head_id"] == ids[1]
        head.write_text("junk")
        assert "is no head file; the old configuration stays" in reload(weir, "reload_failed")
        assert scored_by(weir) == ids[1]
        assert weir.stop() == 0


def test_a_reload_says_that_a_replaced_model_or_certificate_waits_for_a_restart(tmp_path):
    model, (pem, key, _) = tmp_path / "one.gguf", certificate(tmp_path)
    write = lambda said: script_model.write(model, "{{ messages[0].content }}", {"?": said}, "<|end|>")
    write("Yes.")
    settings = {"models": {"chat": {"path": str(model)}}, "tls": {"certificate": pem, "private_key": key}}
    with Weir(tmp_path / "weir", settings) as weir:
        assert "restart" not in reload(weir, "reloaded")
        write("No, never.")
        assert "restart" in reload(weir, "reloaded")
        assert "restart" in reload(weir, "reloaded") # It still runs with what it read at its start.
    with Weir(tmp_path / "weir", settings) as weir:
        assert "restart" not in reload(weir, "reloaded")
        certificate(tmp_path)
        assert "restart" in reload(weir, "reloaded")
