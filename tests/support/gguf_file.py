"""Writes GGUF files whose keys are texts and numbers and whose tensors are F32: {name: array}."""
import struct


def write(path, keys, tensors):
    def text(value):
        return struct.pack("<Q", len(value.encode())) + value.encode()

    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys))
    for name, value in keys.items():
        head += text(name)
        head += struct.pack("<I", 8) + text(value) if isinstance(value, str) else struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)
    at, data = 0, b""
    for name, array in tensors.items():
        sizes = array.shape[::-1]
        head += text(name) + struct.pack("<I", len(sizes)) + struct.pack(f"<{len(sizes)}Q", *sizes) + struct.pack("<IQ", 0, at)
        raw = array.astype("<f4").tobytes()
        raw += bytes(-len(raw) % 32)
        data += raw
        at += len(raw)
    with open(path, "wb") as out:
        out.write(head + bytes(-len(head) % 32) + data)
