"""Tiers by cost with the real encoder: `weir distill`, a head with its table, and routes that the table decides."""
import json
import subprocess

import pytest
from gateway_case import MODEL, ask, gateway, question, rows_of
from weir_process import BINARY

ANIMALS = """dog cat horse cow sheep goat pig donkey camel llama alpaca deer moose elk bison buffalo zebra giraffe elephant rhinoceros lion tiger leopard
jaguar cheetah panther lynx wolf fox coyote jackal hyena bear panda koala kangaroo wombat possum rabbit hare squirrel chipmunk beaver otter badger
weasel ferret mole hedgehog mouse rat hamster bat monkey gorilla chimpanzee baboon lemur whale dolphin seal walrus shark salmon trout tuna eel
octopus squid crab lobster shrimp snail frog toad newt lizard gecko snake cobra python turtle tortoise crocodile alligator eagle hawk falcon owl
crow raven sparrow robin finch swan duck goose chicken turkey pigeon parrot penguin ostrich flamingo heron spider ant bee wasp beetle butterfly
moth""".split()
TOOLS = """hammer saw drill screwdriver wrench pliers chisel ladder shovel rake hoe axe knife scissors needle pin nail screw bolt nut hinge lock key chain
rope wire cable pipe tap pump valve engine motor gear wheel tyre brake clutch piston battery lamp lantern candle torch mirror window door table chair
desk sofa bed shelf cupboard drawer carpet curtain pillow blanket towel basket bucket bottle jar cup mug plate bowl spoon fork pan kettle oven stove
toaster fridge freezer heater fan clock watch radio television telephone computer keyboard printer camera telescope microscope thermometer ruler
pencil pen brush eraser stapler envelope notebook suitcase backpack umbrella helmet""".split()
HELD = ("elephant", "lobster", "sparrow", "wrench", "kettle", "printer", "chisel", "stove", "drawer", "screwdriver")


def run(*words):
    done = subprocess.run([BINARY, *map(str, words)], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def write(path, lines):
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def head(folder):
    """Animals are answered well here, tools are not, but for one in eight, so that nothing is as good as sure. No noun of one such line
    is in another: only meaning tells. How long an answer is, the form of other lines tells."""
    texts = [{"text": pattern.format(noun)} for noun in ANIMALS + TOOLS for pattern in ("Tell me about the {}.", "Where does one find a {}?")]
    report = json.loads(run("distill", "--data", write(folder / "texts.jsonl", texts), "--dims", 32, "--out", folder / "table", "--quiet"))
    assert report["tokens"] == 30522 and report["dims"] == 32
    metrics = report["metrics"]
    assert metrics["held_out"] > 5 and metrics["cosine_unfitted"] < metrics["cosine"] <= metrics["cosine_limit"]
    labels = [{"text": f"Tell me about the {noun}.", "scores": {"local": int((noun in ANIMALS) == (i % 8 > 0)), "remote": 1}}
              for i, noun in enumerate(ANIMALS + TOOLS) if noun not in HELD]
    labels += [{"text": pattern.format(noun), "output_tokens": tokens} for noun in ANIMALS
               for pattern, tokens in (("Is there a {} here?", 8), ("Write a long report about the {}, with sections and examples.", 600))]
    path = folder / "tiers.head"
    run("train", "--data", write(folder / "labels.jsonl", labels), "--static", folder / "table", "--out", path, "--landmarks", 100, "--quiet")
    (folder / "table").unlink()
    return path


@pytest.fixture(scope="module")
def weir(folder, far, head):
    with gateway(folder / "weir", {"first": far}, {"classifier": {"head": str(head)}}) as weir:
        yield weir
        assert weir.stop() == 0


def test_a_table_decides_a_route_and_the_ledger_says_so(weir, far):
    tiers = {}
    for noun in HELD[3:]:
        answer = ask(weir, body=question(f"Tell me about the {noun}.", "auto:0.4"))
        inputs = json.loads(rows_of(weir, answer).decision["inputs"])
        tiers.setdefault(inputs["score"]["tier"], []).append((noun, answer.headers["x-weir-route"], inputs))
    assert tiers.get("static"), {tier: [noun for noun, *_ in found] for tier, found in tiers.items()}
    for noun, route, inputs in tiers["static"]:
        assert route == "remote:first/" + MODEL and inputs["score"]["gain"] > 0.4, noun
    scraped = ask(weir, "/metrics").body.decode()
    counted = {line.split('"')[1]: int(line.split()[-1]) for line in scraped.splitlines() if line.startswith("weir_scores_total{")}
    assert {tier: counted[tier] for tier in tiers} == {tier: len(found) for tier, found in tiers.items()}


def test_leaving_out_the_encoder_changes_no_route(head, folder):
    lines = write(folder / "asked.jsonl", [{"id": i, "text": f"Tell me about the {noun}."} for i, noun in enumerate(ANIMALS + TOOLS)])
    whole = [json.loads(line) for line in run("score", "--head", head, "--input", lines).splitlines()]
    assert {score["tier"] for score in whole} == {"encoder"}
    for threshold in (0.1, 0.4, 0.7):
        quick = [json.loads(line) for line in run("score", "--head", head, "--input", lines, "--max-regret", threshold).splitlines()]
        assert [score["gain"] > threshold for score in quick] == [score["gain"] > threshold for score in whole]
        assert sum(score["tier"] == "static" for score in quick) > 10, threshold


def test_an_expected_length_is_an_expected_cost_below_what_is_reserved(weir):
    answer = ask(weir, "/v1/route", question("Tell me about the wrench.", "auto", max_tokens=2000))
    inputs = answer.body["inputs"]
    assert 1 <= inputs["score"]["output_tokens"] <= 2000
    target = inputs["targets"][0]
    assert 0 < target["expected_nusd"] < target["worst_nusd"]
    said = run("route", "Tell me about the wrench.", "--config", weir.config)
    assert "length    about" in said and "at worst $" in said


def test_the_evaluation_counts_and_times_each_tier(head, folder):
    metrics = json.loads(run("eval", "--head", head, "--data", folder / "labels.jsonl", "--max-regret", 0.4, "--json"))
    tiers = metrics["tiers"]
    assert sum(tier["n"] for tier in tiers.values()) == metrics["n"] and abs(sum(tier["share"] for tier in tiers.values()) - 1) < 1e-9
    assert metrics["output_tokens"]["log_error"] < 0.2 * metrics["output_tokens"]["log_error_of_mean"]
    refused = subprocess.run([BINARY, "train", "--data", str(folder / "labels.jsonl"), "--static", str(folder / "labels.jsonl"), "--out", "/dev/null"],
                             capture_output=True, text=True, timeout=60)
    assert refused.returncode == 1 and "no static table" in refused.stderr
