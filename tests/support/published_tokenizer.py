"""Writes tokenizers in the forms in which models are published: tokenizer.json and tokenizer.model, of the vocabularies that the
fixtures hold as GGUF (`metadata` reads these)."""
import json
import struct

MARK = "\u2581"
GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN2 = GPT4.replace("{1,3}", "")


def metadata(path):
    """The keys of a GGUF file and the names, sizes and types of its tensors."""
    with open(path, "rb") as file:
        def read(form):
            return struct.unpack("<" + form, file.read(struct.calcsize("<" + form)))[0]

        def text():
            return file.read(read("Q")).decode("utf-8", "surrogateescape")

        def value(kind):
            if kind == 9:
                element, n = read("I"), read("Q")
                return [value(element) for _ in range(n)]
            return text() if kind == 8 else read({0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}[kind])

        assert file.read(4) == b"GGUF" and read("I") == 3
        n_tensors, n_keys = read("Q"), read("Q")
        keys = {}
        for _ in range(n_keys):
            name = text()
            keys[name] = value(read("I"))
        tensors = {}
        for _ in range(n_tensors):
            name = text()
            sizes = [read("Q") for _ in range(read("I"))]
            tensors[name] = (sizes, read("I"), read("Q"))
        return keys, tensors


BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}


def _added(keys, **flags):
    tokens, kinds = keys["tokenizer.ggml.tokens"], keys["tokenizer.ggml.token_type"]
    return [{"id": i, "content": tokens[i], "special": kinds[i] in (2, 3), "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, **flags} for i in range(len(tokens)) if kinds[i] in (2, 3, 4)]


def _frame(keys):
    bos = keys.get("tokenizer.ggml.bos_token_id")
    if not keys.get("tokenizer.ggml.add_bos_token"):
        return None
    name = keys["tokenizer.ggml.tokens"][bos]
    return {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": name, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {name: {"id": name, "ids": [bos], "tokens": [name]}}}


def byte_level(keys, pre_tokenizers, normalizer=None, ignore_merges=False):
    tokens = keys["tokenizer.ggml.tokens"]
    by_pattern = any(step["type"] == "Split" for step in pre_tokenizers)
    steps = pre_tokenizers if BYTES in pre_tokenizers else pre_tokenizers + [{**BYTES, "use_regex": not by_pattern}]
    return {"version": "1.0", "added_tokens": _added(keys), "normalizer": normalizer, "pre_tokenizer": {"type": "Sequence", "pretokenizers": steps},
            "post_processor": _frame(keys), "decoder": {"type": "ByteLevel"},
            "model": {"type": "BPE", "unk_token": None, "byte_fallback": False, "ignore_merges": ignore_merges,
                      "vocab": {token: i for i, token in enumerate(tokens)}, "merges": keys["tokenizer.ggml.merges"]}}


def sentencepiece_as_merges(keys, normalizer, pre_tokenizer=None):
    """As the transformers library converts a SentencePiece model: every cut of every token, the likelier tokens first."""
    tokens, scores, kinds = (keys["tokenizer.ggml." + name] for name in ("tokens", "scores", "token_type"))
    known = {token: i for i, token in enumerate(tokens) if kinds[i] == 1}
    merges = []
    for token, i in known.items():
        merges += [(-scores[i], token[:at], token[at:]) for at in range(1, len(token)) if token[:at] in known and token[at:] in known]
    merges.sort(key=lambda merge: merge[0])
    return {"version": "1.0", "added_tokens": _added(keys), "normalizer": normalizer, "pre_tokenizer": pre_tokenizer, "post_processor": _frame(keys),
            "decoder": {"type": "Sequence", "decoders": [{"type": "Replace", "pattern": {"String": MARK}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                                                         {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "unk_token": "<unk>", "fuse_unk": True, "byte_fallback": True, "vocab": {token: i for i, token in enumerate(tokens)},
                      "merges": [[left, right] for _, left, right in merges]}}


def wordpiece(tokens, lowercase=True):
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    ids = {token: tokens.index(token) for token in special}
    return {"version": "1.0", "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": lowercase},
            "added_tokens": [{"id": ids[t], "content": t, "special": True, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False} for t in special],
            "pre_tokenizer": {"type": "BertPreTokenizer"}, "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
            "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", ids["[SEP]"]], "cls": ["[CLS]", ids["[CLS]"]]},
            "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                      "vocab": {token: i for i, token in enumerate(tokens)}}}


def _varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def _bytes(field, data):
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def sentencepiece_model(keys):
    """tokenizer.model: BPE with byte fallback, a blank in front, blanks kept."""
    out = b""
    for token, score, kind in zip(*(keys["tokenizer.ggml." + name] for name in ("tokens", "scores", "token_type"))):
        out += _bytes(1, _bytes(1, token.encode()) + _varint(2 << 3 | 5) + struct.pack("<f", score) + _varint(3 << 3) + _varint(kind))
    trainer = b"".join(_varint(field << 3) + _varint(value) for field, value in ((3, 2), (35, 1), (40, 0), (41, 1), (42, 2)))
    normalizer = b"".join(_varint(field << 3) + _varint(value) for field, value in ((3, 1), (4, 0), (5, 1)))
    return out + _bytes(2, trainer) + _bytes(3, normalizer)


def dump(document, path):
    with open(path, "w", encoding="utf-8") as out:
        json.dump(document, out, ensure_ascii=False)
