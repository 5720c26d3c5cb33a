#!/usr/bin/env python3
"""Writes a GGUF file of random weights in the shape and format of a known model, for measuring speed.

    make_model.py tinyllama-1.1b|llama-3.2-3b Q4_0|Q3_K_M|Q4_K_M|Q5_K_M|Q6_K|Q8_0 OUT.gguf

Matrices get the types that the usual quantizers give them (the mixes of Q3_K_M, Q4_K_M and Q5_K_M; Q6_K for the head below eight bits). Their
blocks are written directly: random integers under scales that keep activations of ordinary size. The vocabulary is made
up too. What such a model says means nothing; what it costs is what the real one costs. Needs numpy.
"""
import argparse
import struct

import numpy

SHAPES = {
    "tinyllama-1.1b": dict(layers=22, width=2048, ffn=5632, heads=32, kv_heads=4, vocab=32000, context=2048, tied=False, base=10000.0),
    "llama-3.2-3b": dict(layers=28, width=3072, ffn=8192, heads=24, kv_heads=8, vocab=128256, context=8192, tied=True, base=500000.0),
}
TYPES = {"F32": (0, 1, 4), "Q4_0": (2, 32, 18), "Q8_0": (8, 32, 34), "Q3_K": (11, 256, 110), "Q4_K": (12, 256, 144), "Q5_K": (13, 256, 176), "Q6_K": (14, 256, 210)}
ALIGNMENT = 32


def blocks(kind, n, random):
    """n elements of a type as bytes: every bit random but the scales, which give weights of about ±0.03."""
    _, per_block, size = TYPES[kind]
    data = random.integers(0, 256, (n // per_block, size), dtype=numpy.uint8)

    def halves(column, value):
        scale = (value * random.uniform(0.5, 1.5, len(data))).astype("<f2")
        data[:, column:column + 2] = scale.view(numpy.uint8).reshape(-1, 2)

    if kind == "Q4_0":
        halves(0, 0.004)
    elif kind == "Q8_0":
        halves(0, 0.00025)
    elif kind in ("Q4_K", "Q5_K"):
        halves(0, 0.0001 if kind == "Q4_K" else 0.00005)
        halves(2, 0.0008)
    elif kind == "Q3_K":
        halves(108, 0.0003)
    else:
        halves(208, 0.00002)
    return data


def more_bits(layer, n):
    return layer < n // 8 or layer >= 7 * n // 8 or (layer - n // 8) % 3 == 2


def tensors(shape, form):
    """(name, dimensions, type) in file order."""
    base = form.removesuffix("_M")
    head = base if base == "Q8_0" else "Q6_K"
    width, ffn, n = shape["width"], shape["ffn"], shape["layers"]
    kv = width // shape["heads"] * shape["kv_heads"]
    yield "token_embd.weight", (width, shape["vocab"]), head if shape["tied"] else base
    if not shape["tied"]:
        yield "output.weight", (width, shape["vocab"]), head
    yield "output_norm.weight", (width,), "F32"
    for i in range(n):
        strong = "Q6_K" if form in ("Q4_K_M", "Q5_K_M") and more_bits(i, n) else base
        value, out, down = strong, base, strong
        if form == "Q3_K_M":
            value, out, down = "Q5_K" if i < 2 else "Q4_K", "Q4_K", "Q5_K" if i < n // 16 else "Q4_K"
        for name, dims, kind in (("attn_norm", (width,), "F32"), ("attn_q", (width, width), base), ("attn_k", (width, kv), base),
                                 ("attn_v", (width, kv), value), ("attn_output", (width, width), out), ("ffn_norm", (width,), "F32"),
                                 ("ffn_gate", (width, ffn), base), ("ffn_up", (width, ffn), base), ("ffn_down", (ffn, width), down)):
            yield f"blk.{i}.{name}.weight", dims, kind


def text(value):
    raw = value.encode()
    return struct.pack("<Q", len(raw)) + raw


def keys(name, shape):
    """The metadata, as (key, bytes with their type)."""
    def u32(value):
        return struct.pack("<II", 4, value)

    def f32(value):
        return struct.pack("<If", 6, value)

    n = shape["vocab"]
    words = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    words += [f"\u2581w{i}" for i in range(n - len(words))]
    kinds = [2, 3, 3] + [6] * 256 + [1] * (n - 259)
    yield "general.architecture", struct.pack("<I", 8) + text("llama")
    yield "general.name", struct.pack("<I", 8) + text(name)
    yield "llama.block_count", u32(shape["layers"])
    yield "llama.context_length", u32(shape["context"])
    yield "llama.embedding_length", u32(shape["width"])
    yield "llama.feed_forward_length", u32(shape["ffn"])
    yield "llama.attention.head_count", u32(shape["heads"])
    yield "llama.attention.head_count_kv", u32(shape["kv_heads"])
    yield "llama.rope.dimension_count", u32(shape["width"] // shape["heads"])
    yield "llama.rope.freq_base", f32(shape["base"])
    yield "llama.attention.layer_norm_rms_epsilon", f32(1e-5)
    yield "llama.vocab_size", u32(n)
    yield "tokenizer.ggml.model", struct.pack("<I", 8) + text("llama")
    yield "tokenizer.ggml.tokens", struct.pack("<IIQ", 9, 8, n) + b"".join(map(text, words))
    yield "tokenizer.ggml.scores", struct.pack("<IIQ", 9, 6, n) + struct.pack(f"<{n}f", *(-float(i) for i in range(n)))
    yield "tokenizer.ggml.token_type", struct.pack("<IIQ", 9, 5, n) + struct.pack(f"<{n}i", *kinds)
    yield "tokenizer.ggml.bos_token_id", u32(1)
    yield "tokenizer.ggml.eos_token_id", u32(2)


def make_model(name, form, path, seed=1):
    shape, random = SHAPES[name], numpy.random.default_rng(seed)
    rows, at = [], 0
    for tensor, dims, kind in tensors(shape, form):
        number, per_block, size = TYPES[kind]
        n_bytes = int(numpy.prod(dims)) // per_block * size
        rows.append((tensor, dims, kind, number, at, n_bytes))
        at += (n_bytes + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT
    metadata = list(keys(f"{name} {form}, random", shape))
    with open(path, "wb") as out:
        out.write(b"GGUF" + struct.pack("<IQQ", 3, len(rows), len(metadata)))
        for key, value in metadata:
            out.write(text(key) + value)
        for tensor, dims, kind, number, offset, _ in rows:
            out.write(text(tensor) + struct.pack("<I", len(dims)) + struct.pack(f"<{len(dims)}Q", *dims) + struct.pack("<IQ", number, offset))
        out.write(bytes(-out.tell() % ALIGNMENT))
        made = {}  # Matrices of one shape and type share their bytes: only the first is drawn.
        for tensor, dims, kind, _, _, n_bytes in rows:
            if kind == "F32":
                data = numpy.ones(dims, dtype="<f4").tobytes()
            elif (dims, kind) in made:
                data = made[dims, kind]
            else:
                data = made[dims, kind] = blocks(kind, int(numpy.prod(dims)), random).tobytes()
            out.write(data + bytes(-n_bytes % ALIGNMENT))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("form", choices=("Q4_0", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0"))
    parser.add_argument("out")
    options = parser.parse_args()
    make_model(options.shape, options.form, options.out)


if __name__ == "__main__":
    main()
