"""Writes tiny GGUF models that say what a test wants them to: a real transformer through the real runtime, whose weights are a table.

Each embedding is a vector of its own axis, attention and MLP add nothing, and the head turns a token's axis into its successor's
logit: the next token depends on the last one alone. So a script is a chain of tokens, each used once. Its pieces are made unique by
their length; after a prompt's last token (the mark that ends the template's generation prompt, or any other) the chain of that
script begins, and it ends in the end token.

    write(path, template, {"<|assistant|>": "Hello."}, end="<|end|>")
"""
import struct


def byte_alphabet():
    """GPT-2's spelling of bytes as printable characters."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table, n = {b: chr(b) for b in plain}, 0
    for b in range(256):
        if b not in table:
            table[b] = chr(256 + n)
            n += 1
    return table


def pieces_of(text, taken):
    """Cuts text into pieces of one to a few characters that no other token is spelled like."""
    out, at = [], 0
    while at < len(text):
        n = 2
        while text[at:at + n] in taken and at + n < len(text):
            n += 1
        piece = text[at:at + n]
        if piece in taken:  # The end of the text, spelled like another token: it joins the piece before.
            taken.discard(out[-1])
            out[-1] += piece
            assert out[-1] not in taken
            taken.add(out[-1])
            break
        out.append(piece)
        taken.add(piece)
        at += n
    return out


def packed(value):
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        raw = value.encode()
        return 8, struct.pack("<Q", len(raw)) + raw
    kind = 5 if value and isinstance(value[0], int) else 8
    body = b"".join(struct.pack("<i", v) if kind == 5 else packed(v)[1] for v in value)
    return 9, struct.pack("<IQ", kind, len(value)) + body


def write(path, template, scripts, end, specials=(), bos=None, context=4096):
    """scripts: {the prompt's last token (a special token's text, or a byte's character): what is then said}. specials: further special
    tokens, of which a script may say each once."""
    alphabet = byte_alphabet()
    names = [end, *dict.fromkeys([*[s for s in scripts if len(s) > 1], *specials])]
    tokens, kinds = list(names), [3] * len(names)
    tokens += [alphabet[b] for b in range(256)]
    kinds += [1] * 256
    byte_at = len(names)
    taken = {chr(b) for b in range(128)} | set(names)
    after = {}
    for start, text in scripts.items():
        last = names.index(start) if start in names else byte_at + ord(start)
        for run in split_specials(text, [n for n in names if n != end and n not in scripts]):
            if run in names:
                chain = [names.index(run)]
            else:
                pieces = pieces_of(run, taken)
                chain = list(range(len(tokens), len(tokens) + len(pieces)))
                tokens += ["".join(alphabet[b] for b in piece.encode()) for piece in pieces]
                kinds += [1] * len(pieces)
            for token in chain:
                assert last not in after, "a special token can be said once only"
                after[last] = token
                last = token
        after[last] = 0
    n_vocab, width = len(tokens), -(-len(tokens) // 64) * 64
    meta = {
        "general.architecture": "llama", "general.name": "script", "llama.context_length": context, "llama.embedding_length": width,
        "llama.block_count": 1, "llama.feed_forward_length": 64, "llama.attention.head_count": width // 64,
        "llama.attention.head_count_kv": width // 64, "llama.attention.layer_norm_rms_epsilon": 1e-6, "llama.vocab_size": n_vocab,
        "tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2", "tokenizer.ggml.tokens": tokens, "tokenizer.ggml.token_type": kinds,
        "tokenizer.ggml.merges": [], "tokenizer.ggml.bos_token_id": names.index(bos or end), "tokenizer.ggml.eos_token_id": 0,
        "tokenizer.ggml.add_bos_token": False, "tokenizer.chat_template": template,
    }
    zeros = bytes(4 * width * width)
    one = struct.pack(f"<{width}f", *[1.0] * width)
    embedding, head = bytearray(4 * n_vocab * width), bytearray(4 * n_vocab * width)
    for i in range(n_vocab):
        struct.pack_into("<f", embedding, 4 * (i * width + i), 1.0)
        struct.pack_into("<f", head, 4 * (after.get(i, 0) * width + i), 4.0)
    square, tensors = (width, width), {}
    tensors["token_embd.weight"] = ((width, n_vocab), bytes(embedding))
    tensors["output.weight"] = ((width, n_vocab), bytes(head))
    tensors["output_norm.weight"] = tensors["blk.0.attn_norm.weight"] = tensors["blk.0.ffn_norm.weight"] = ((width,), one)
    for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
        tensors[f"blk.0.{name}.weight"] = (square, zeros)
    for name, shape in (("ffn_gate", (width, 64)), ("ffn_up", (width, 64)), ("ffn_down", (64, width))):
        tensors[f"blk.0.{name}.weight"] = (shape, bytes(4 * 64 * width))
    head_bytes = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(meta))
    for key, value in meta.items():
        kind, body = packed(value)
        head_bytes += packed(key)[1] + struct.pack("<I", kind) + body
    at = 0
    for name, (shape, data) in tensors.items():
        head_bytes += packed(name)[1] + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, at)
        at += -(-len(data) // 32) * 32
    with open(path, "wb") as out:
        out.write(head_bytes + bytes(-len(head_bytes) % 32))
        for _, data in tensors.values():
            out.write(data + bytes(-len(data) % 32))
    return path


def split_specials(text, names):
    """The text's runs: special tokens, and what stands between them."""
    out = [text]
    for name in names:
        cut = []
        for run in out:
            if run in names:
                cut.append(run)
                continue
            parts = run.split(name)
            for i, part in enumerate(parts):
                cut += ([name] if i > 0 else []) + ([part] if part else [])
        out = cut
    return out
