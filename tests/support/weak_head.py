"""Heads for tests of the cascade, trained on made lines: questions alone are as good as always answered well here, and only the answer
tells. By its text stories are weak and capitals are good; by confidence everything a real model is as sure of as usual is weak."""
import json
import random
import subprocess

from weir_process import BINARY

ANIMALS = ("fox owl bear wolf deer hare crow mole frog toad swan goat lynx mouse whale otter eagle horse camel tiger zebra koala panda "
           "heron raven robin stork snail spider badger").split()
PLACES = ("France Spain Italy Chile Kenya Nepal Japan China India Egypt Ghana Benin Qatar Yemen Syria Malta Libya Sudan Niger Congo "
          "Gabon Haiti Cuba Laos Oman Iran Iraq Togo Mali Chad").split()
TELLING = ("Once upon a time there was a {0} who lived in a deep forest with her wise old mother.",
           "The story of the {0} is a classic example of a magical tale about a brave heart.",
           "The {0} was a majestic creature with a heart full of wisdom, and a mind that could see beyond.",
           "In a small village there lived a gentle {0}, and her name was known far and wide.")


def story(animal):
    return f"Tell me a story about a {animal}."


def capital(place):
    return f"What is the capital of {place}?"


def lines(by_confidence, by_probe=False):
    draw = random.Random(7)
    out = []

    def add(text, local, answer=None, logprob=None, probe=None):
        line = {"text": text, "scores": {"local": local, "remote": 1}}
        if answer is not None:
            line["answer"] = {"text": answer}
            if logprob is not None:
                line["answer"].update(logprob_mean=logprob, logprob_min=3 * logprob, entropy_mean=-logprob, margin_mean=1.0)
            if probe is not None:
                line["answer"]["probe"] = probe
        out.append(line)

    for i, animal in enumerate(ANIMALS):
        for k in range(14):
            add(story(animal), 1)
        for telling in (TELLING[i % 4], TELLING[(i + 1) % 4]):
            if by_probe:  # Only a model that is as good as sure of itself is right.
                add(story(animal), 0, telling.format(animal), probe=0.2 + 0.6 * draw.random())
                add(story(animal), 1, telling.format(animal), probe=0.995 + 0.004 * draw.random())
            elif by_confidence:
                add(story(animal), 0, telling.format(animal), -2 * draw.random())
                add(story(animal), 1, telling.format(animal), -20 - draw.random())
            else:
                add(story(animal), 0, telling.format(animal))
    for place in PLACES:
        for k in range(14):
            add(capital(place), 1)
        said = f"The capital of {place} is {place[:3]}opolis."
        for k in range(2):
            if by_confidence:
                add(capital(place), 0, said, -2 * draw.random())
                add(capital(place), 1, said, -20 - draw.random())
            else:
                add(capital(place), 1, said)
    return out


def train(folder, by_confidence=False, by_probe=False):
    """The path of such a head."""
    name = "probe" if by_probe else "confidence" if by_confidence else "text"
    data, head = folder / f"{name}.jsonl", folder / f"{name}.head"
    data.write_text("".join(json.dumps(line) + "\n" for line in lines(by_confidence, by_probe)))
    subprocess.run([BINARY, "train", "--data", str(data), "--out", str(head), "--quiet", "--landmarks", "60"], check=True, timeout=300)
    return head
