"""Answers from documents end to end: a folder becomes an index, the router knows what it covers, the local model reads the passages and cites them."""
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess

import pytest
from gateway_case import MODEL, Stream, ask, assert_books_balance, gateway, question, rows_of, wait_for
from weir_process import BINARY

HANDBOOK = {
    "people/vacation.md": "# Vacation\n\nEmployees of Brookfield Mills get 27 days of paid vacation each year.\n\n## Carrying over\n\n"
                          "Up to 5 unused vacation days may be carried over until the end of March.\n\n## Asking for it\n\n"
                          "Ask your team lead for vacation at least two weeks before it begins, in the calendar tool Larkspur.\n",
    "people/sickness.txt": "Call the front desk before nine in the morning when you are ill.\n\nA doctor's note is needed from the fourth day of illness on.\n",
    "office.html": "<html><head><title>Office</title><script>var x = 'no text';</script></head><body><h1>Office</h1><h2>Parking</h2>"
                   "<p>Visitors park in the underground garage on level B2; the barrier opens with the code 4711.</p>"
                   "<h2>Coffee</h2><p>The coffee machine on the third floor is cleaned every Friday by the facility team.</p></body></html>",
    "it/vpn.md": "IT help\n=======\n\nVPN\n---\n\nInstall the Foxglove client and sign in with your badge number to use the VPN from home.\n\n"
                 "Passwords\n---------\n\nA password is reset at the kiosk beside the lift; it must have 14 characters.\n",
    "notes.docx": "not one of ours", ".hidden.md": "# Hidden\n\nThe hidden treasure lies in the cellar.\n",
}
COVERED = [("How many days of paid vacation do employees get each year?", "people/vacation.md"), ("Where do visitors park?", "office.html"),
           ("How do I use the VPN from home?", "it/vpn.md"), ("When is a doctor's note needed?", "people/sickness.txt"),
           ("How many vacation days can be carried over?", "people/vacation.md"), ("How is a password reset?", "it/vpn.md"),
           ("Who cleans the coffee machine?", "office.html"), ("How long before vacation must I ask my team lead?", "people/vacation.md")]
NOT_COVERED = ["Prove that there are infinitely many primes congruent to 3 modulo 4, step by step.",
               "Write a lock-free multi-producer queue in C11 and explain why each memory order suffices.",
               "What is the tallest mountain in South America?", "Who wrote the opera Tosca?", "Translate good morning to Japanese.",
               "What is the boiling point of nitrogen?", "Who won the football world cup in 1998?", "How does a transistor work?"]


def write(root, documents):
    for path, text in documents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)


def indexed(weir, n=1):
    """Waits until the running Weir has indexed n times."""
    return wait_for(lambda: len([line for line in weir.log if '"knowledge"' in line and "indexed:" in line]) >= n, "an index")


@pytest.fixture(scope="module")
def docs(folder):
    write(folder / "docs", HANDBOOK)
    return folder / "docs"


@pytest.fixture(scope="module")
def weir(folder, far, docs):
    with gateway(folder / "weir", {"first": far}, {"knowledge": {"folder": str(docs)}, "cache": {"exact": True}}) as weir:
        indexed(weir)
        yield weir
        assert_books_balance(weir)
        assert weir.stop() == 0


def knowledge(config, *words, code=0):
    done = subprocess.run([BINARY, "knowledge", *words, "--config", str(config)], capture_output=True, text=True, timeout=120)
    assert done.returncode == code, done.stderr
    return done


def chat(text, model="auto", **more):
    return question(text, model, temperature=0, max_tokens=48, **more)


@pytest.mark.parametrize("text, path", COVERED)
def test_a_covered_question_is_found_stays_here_and_is_answered_from_its_passage(weir, far, text, path):
    found = json.loads(knowledge(weir.config, "search", text, "--json").stdout)
    assert found["covers"] and found["passages"][0]["path"] == path, found
    answer = ask(weir, body=chat(text))
    assert answer.status == 200 and answer.headers["x-weir-route"] == "local" and answer.headers["x-weir-reason"].split(",")[0] == "knowledge_covers"
    inputs = json.loads(rows_of(weir, answer).decision["inputs"])["knowledge"]
    assert inputs["passages"] >= 1 and inputs["likeness"] >= inputs["least_likeness"] and inputs["terms"] >= inputs["least_terms"]
    assert inputs["likeness"] == pytest.approx(found["likeness"], abs=1e-3) and re.fullmatch("[0-9a-f]{16}-[0-9]+", inputs["state"])
    assert far.requests == 0


@pytest.mark.parametrize("text", NOT_COVERED)
def test_what_the_documents_do_not_hold_is_decided_as_ever(weir, text):
    dry = ask(weir, "/v1/route", question(text, "auto")).body
    assert not json.loads(knowledge(weir.config, "search", text, "--json").stdout)["covers"]
    assert "knowledge_covers" not in dry["reasons"] and dry["inputs"]["knowledge"]["likeness"] < 0.45


def test_the_answer_comes_from_the_passage_and_cites_it(weir):
    whole = ask(weir, body=chat("What is the code of the garage barrier?"))
    message = whole.body["choices"][0]["message"]
    assert "4711" in message["content"], message
    cited = message["annotations"]
    assert cited and all(c["type"] == "url_citation" for c in cited)
    first = cited[0]["url_citation"]
    assert first["url"] == "office.html#L1-L1" and first["title"] == "Office > Parking"
    assert 0 <= first["start_index"] < first["end_index"] <= len(message["content"])
    assert whole.body["usage"]["prompt_tokens"] > 60, "the passages are tokens of the prompt"


def streamed(weir, body):
    """A stream, its deltas, and the annotations among them."""
    stream = Stream(weir, body).drain()
    assert stream.done
    deltas = [choice["delta"] for event in stream.events if isinstance(event, dict) for choice in event["choices"]]
    return stream, deltas, [delta["annotations"] for delta in deltas if "annotations" in delta]


def test_a_stream_cites_before_it_finishes_and_the_cache_keeps_the_citations(weir):
    """What the small model makes of a passage is not the same on every processor: the first answer that cites and ends by itself."""
    for text in ("Where do visitors park their cars?", "What is the parking place of visitors?", "On which level do visitors park?", "How do visitors open the barrier?"):
        body = chat(text)
        stream, deltas, cited = streamed(weir, body)
        assert stream.headers["x-weir-route"] == "local"
        if cited and stream.finish_reasons == ["stop"]:
            break
    assert len(cited) == 1 and cited[0][0]["url_citation"]["url"].startswith("office.html#L")
    assert deltas[-1] == {} and "annotations" in deltas[-2] and stream.finish_reasons == ["stop"]
    again = ask(weir, body=body)
    assert again.headers["x-weir-route"] == "cache" and again.body["choices"][0]["message"]["annotations"] == cited[0]
    stream, _, kept = streamed(weir, body)
    assert stream.headers["x-weir-route"] == "cache" and kept == cited


def test_passages_never_leave(weir, far):
    """Neither with a name that goes out nor with a question that is not covered does any passage's text reach a provider."""
    for body in (chat("Where do visitors park?", "remote/first/" + MODEL), chat("Where do visitors park?", MODEL), chat(NOT_COVERED[0])):
        assert ask(weir, body=body).headers["x-weir-route"].startswith("remote:")
    assert far.requests == 3
    sent = json.dumps(far.bodies)
    assert "4711" not in sent and "Foxglove" not in sent and "passages" not in sent


def test_a_local_name_is_answered_from_them_too(weir):
    answer = ask(weir, body=chat("What is the code of the garage barrier?", "local"))
    assert answer.headers["x-weir-reason"] == "local_named,knowledge_covers" and "4711" in answer.body["choices"][0]["message"]["content"]


def test_the_verb_route_explains_with_the_documents_as_the_daemon_does(weir):
    for text in (COVERED[0][0], NOT_COVERED[0]):
        done = subprocess.run([BINARY, "route", "--json", "--config", str(weir.config), text], capture_output=True, text=True, timeout=120)
        said, dry = json.loads(done.stdout), ask(weir, "/v1/route", question(text, "auto")).body
        assert said["route"] == dry["route"] and said["reasons"] == dry["reasons"]
        assert {k: v for k, v in said["inputs"]["knowledge"].items() if k != "likeness"} == {k: v for k, v in dry["inputs"]["knowledge"].items() if k != "likeness"}


def test_metrics_count_what_was_covered(weir):
    def counts():
        text = ask(weir, "/metrics").body.decode()
        return [int(re.search(f'weir_knowledge_searches_total{{covered="{word}"}} ([0-9]+)', text)[1]) for word in ("true", "false")]

    before = counts()
    ask(weir, body=chat(COVERED[1][0]))
    ask(weir, body=chat(NOT_COVERED[2]))
    ask(weir, "/v1/route", chat(COVERED[1][0]))
    assert [b - a for a, b in zip(before, counts())] in ([1, 1], [0, 1]), "a cached one is not searched again"


def test_text_of_documents_is_in_the_index_and_nowhere_else(weir):
    for path in pathlib.Path(weir.settings["data_dir"]).iterdir():
        if path.is_file() and not path.name.startswith("knowledge.db"):
            assert b"Foxglove" not in path.read_bytes(), path
    assert not any("Foxglove" in line for line in weir.log)


def test_an_index_follows_its_folder_and_reads_only_what_changed(folder, docs):
    root = folder / "follow"
    shutil.copytree(docs, root / "docs")
    (root / "weir.yaml").write_text(json.dumps({"data_dir": str(root / "data"), "knowledge": {"folder": "docs"}}))

    def index():
        answer = json.loads(knowledge(root / "weir.yaml", "index", "--json").stdout)
        return {k: answer[k] for k in ("new", "changed", "unchanged", "removed")}, answer

    counts, answer = index()
    assert counts == {"new": 4, "changed": 0, "unchanged": 0, "removed": 0} and answer["passages"] == 8 and answer["skipped"] == []
    assert index()[0] == {"new": 0, "changed": 0, "unchanged": 4, "removed": 0}
    os.utime(root / "docs/it/vpn.md")  # Another time, the same content.
    assert index()[0] == {"new": 0, "changed": 0, "unchanged": 4, "removed": 0}
    (root / "docs/it/vpn.md").write_text("# VPN\n\nThe Hawthorn client has taken the old one's place.\n")
    (root / "docs/office.html").unlink()
    (root / "docs/bad.txt").write_bytes(b"caf\xe9")
    (root / "docs/link.md").symlink_to("/etc/passwd")
    counts, answer = index()
    assert counts == {"new": 0, "changed": 1, "unchanged": 2, "removed": 1} and answer["passages"] == 5
    assert answer["skipped"] == [{"path": "bad.txt", "reason": "byte 3 is not UTF-8"}]
    found = json.loads(knowledge(root / "weir.yaml", "search", "Which VPN client is used?", "--json").stdout)
    assert "Hawthorn" in found["passages"][0]["text"] and "Foxglove" not in json.dumps(found) and "4711" not in json.dumps(found)
    with sqlite3.connect(root / "data/knowledge.db") as db:
        assert db.execute("select count(*) from passage_fts where passage_fts match 'foxglove'").fetchone() == (0,)
        assert db.execute("insert into passage_fts(passage_fts) values('integrity-check')") is not None


def test_a_running_weir_notices_an_index_and_a_reload(folder, docs, far):
    root = folder / "notice"
    shutil.copytree(docs, root / "docs")
    with gateway(root / "weir", {"first": far}, {"knowledge": {"folder": str(root / "docs")}, "cache": {"exact": True}}) as weir:
        indexed(weir)
        text = "What colour is the Brookfield company bicycle?"
        assert "knowledge_covers" not in ask(weir, "/v1/route", chat(text)).body["reasons"]
        write(root / "docs", {"bicycle.md": "# Bicycle\n\nThe Brookfield company bicycle has the colour teal.\n"})
        knowledge(weir.config, "index")
        wait_for(lambda: "knowledge_covers" in ask(weir, "/v1/route", chat(text)).body["reasons"], "the new document to be found")
        first = ask(weir, body=chat(text))
        assert "teal" in first.body["choices"][0]["message"]["content"].lower()
        write(root / "docs", {"bicycle.md": "# Bicycle\n\nThe Brookfield company bicycle has the colour purple.\n"})
        weir.process.send_signal(signal.SIGHUP)
        indexed(weir, 2)
        wait_for(lambda: "purple" in ask(weir, body=chat(text)).body["choices"][0]["message"]["content"].lower(), "the changed document to be answered from")


def test_questions_that_fill_the_context_get_fewer_passages_or_none(weir):
    long = "Where do visitors park? " + "Please be kind. " * 1800
    answer = ask(weir, "/v1/route", chat(long))
    assert answer.status == 200 and answer.body["inputs"]["knowledge"]["passages"] <= 4


def test_faults_say_what_and_where(folder, docs):
    root = folder / "faults"
    root.mkdir()
    config = root / "weir.yaml"
    config.write_text(json.dumps({"data_dir": str(root / "data")}))
    assert "knowledge.folder" in knowledge(config, "index", code=1).stderr
    assert "weir knowledge index" in knowledge(config, "search", "x", code=1).stderr
    assert "no-such" in knowledge(config, "index", "--folder", str(root / "no-such"), code=1).stderr
    for words in ((), ("index", "more"), ("search",), ("search", "a", "--top", "17"), ("index", "--top", "3")):
        assert knowledge(config, *words, code=2).stderr
    (root / "data").mkdir(exist_ok=True)
    (root / "data/knowledge.db").write_bytes(b"this is no database" * 100)
    assert "knowledge.db" in knowledge(config, "index", "--folder", str(docs), code=1).stderr
    config.write_text("knowledge: {folders: x}\n")
    assert 'did you mean \\"folder\\"' in subprocess.run([BINARY, "check", "--config", str(config), "--json"], capture_output=True, text=True, timeout=60).stdout
