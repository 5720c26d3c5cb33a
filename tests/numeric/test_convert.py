"""`weir convert`: the GGUF file of a published decoder gives the logits of its authors' code."""
import os
import subprocess

import pytest

from test_decoders import FIXTURES, WEIR, check, hf_cases, logits

CONVERTED = ["llama", "llama-bf16-sharded", "llama-bias", "llama-f16", "llama-linear", "llama-llama3", "llama-gptq-g32", "llama-gptq-g32-act",
             "llama-gptq-g128-asym", "llama-gptq-v2-act-asym", "llama-awq-g32", "llama-awq-g128", "mistral", "qwen2", "qwen3", "gemma"]


@pytest.mark.parametrize("name", CONVERTED)
def test_a_converted_directory_gives_the_same_logits(name, tmp_path):
    directory, out = os.path.join(FIXTURES, "hf", name), tmp_path / "out.gguf"
    done = subprocess.run([WEIR, "convert", "--model", directory, "--out", str(out), "--type", "F32"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    cases = [case for case in hf_cases(directory) if not case[0].startswith("adapter")]
    assert cases
    for (case, _, want, before), got in zip(cases, logits(out, [case[1] for case in cases], tmp_path, "--precision", "exact")):
        check(got[before:], want, case)


@pytest.mark.parametrize("name", ["llama-yarn", "mixtral", "phi3-longrope"])
def test_what_can_not_be_converted_is_refused_and_leaves_nothing(name, tmp_path):
    out = tmp_path / "out.gguf"
    done = subprocess.run([WEIR, "convert", "--model", os.path.join(FIXTURES, "hf", name), "--out", str(out)], capture_output=True, text=True)
    assert done.returncode == 1 and "convert" in done.stderr
    assert not os.listdir(tmp_path)
