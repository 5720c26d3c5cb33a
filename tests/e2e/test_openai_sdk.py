"""The official OpenAI SDK with nothing but base_url changed, against the real binary and the default models."""
import base64
import struct

import openai
import pytest
from weir_process import Weir

QUESTION = [{"role": "user", "content": "What is the capital of France?"}]


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    with Weir(tmp_path_factory.mktemp("sdk")) as weir:
        yield weir


@pytest.fixture(scope="module")
def client(weir):
    return openai.OpenAI(base_url=weir.url + "/v1", api_key="anything", max_retries=0)


def test_a_chat_is_answered(client):
    raw = client.chat.completions.with_raw_response.create(model="local", messages=QUESTION, max_tokens=24, temperature=0)
    answer = raw.parse()
    assert answer.choices[0].message.content.strip()
    assert answer.choices[0].finish_reason in ("stop", "length")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert raw.headers["x-weir-route"] == "local"
    assert answer.id.startswith("chatcmpl-")


def test_a_stream_says_the_same_as_a_whole_answer(client):
    settings = {"model": "local", "messages": QUESTION, "max_tokens": 24, "temperature": 0}
    whole = client.chat.completions.create(**settings)
    chunks = list(client.chat.completions.create(**settings, stream=True, stream_options={"include_usage": True}))
    first = chunks[0].choices[0].delta
    assert first.role == "assistant" and not first.content
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == [] and chunks[-1].usage == whole.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == whole.choices[0].finish_reason


def test_auto_without_a_provider_stays_here(client):
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=QUESTION, max_tokens=4)
    assert raw.headers["x-weir-route"] == "local"


def test_several_choices_stops_and_seeds(client):
    settings = {"model": "local", "messages": [{"role": "user", "content": "Name a colour."}], "max_tokens": 12, "temperature": 1.0, "seed": 7, "n": 3}
    one, two = (client.chat.completions.create(**settings) for _ in range(2))
    texts = [choice.message.content for choice in one.choices]
    assert [choice.index for choice in one.choices] == [0, 1, 2]
    assert texts == [choice.message.content for choice in two.choices]
    assert len(set(texts)) > 1
    whole = client.chat.completions.create(model="local", messages=QUESTION, temperature=0, max_tokens=40).choices[0].message.content
    stopped = client.chat.completions.create(model="local", messages=QUESTION, temperature=0, max_tokens=40, stop=[whole[10:15]]).choices[0]
    assert stopped.message.content == whole[:whole.index(whole[10:15])] and stopped.finish_reason == "stop"


def test_text_parts_are_one_text(client):
    whole = client.chat.completions.create(model="local", messages=QUESTION, max_tokens=8, temperature=0)
    parts = [{"role": "user", "content": [{"type": "text", "text": "What is the capital "}, {"type": "text", "text": "of France?"}]}]
    assert client.chat.completions.create(model="local", messages=parts, max_tokens=8, temperature=0).choices == whole.choices


def test_log_probabilities_come_with_their_tokens(client):
    settings = {"model": "local", "messages": QUESTION, "max_tokens": 6, "temperature": 0, "logprobs": True, "top_logprobs": 3}
    content = client.chat.completions.create(**settings).choices[0].logprobs.content
    assert all(item.logprob <= 0 and len(item.top_logprobs) == 3 and bytes(item.bytes).decode() == item.token for item in content)
    assert all(item.token == item.top_logprobs[0].token for item in content)
    streamed = [chunk.choices[0] for chunk in client.chat.completions.create(**settings, stream=True)]
    assert [item.token for choice in streamed if choice.logprobs for item in choice.logprobs.content] == [item.token for item in content]
    for choice in streamed:
        if choice.delta.content:
            assert "".join(item.token for item in choice.logprobs.content) == choice.delta.content


def test_completions_echo_and_score_their_prompt(client):
    answer = client.completions.create(model="local", prompt="The capital of France is", max_tokens=3, echo=True, logprobs=2, temperature=0)
    choice = answer.choices[0]
    assert choice.text.startswith("The capital of France is Paris")
    assert choice.logprobs.token_logprobs[0] is None and all(value <= 0 for value in choice.logprobs.token_logprobs[1:])
    assert "".join(choice.logprobs.tokens) == choice.text
    assert [choice.text[at:at + len(token)] for at, token in zip(choice.logprobs.text_offset, choice.logprobs.tokens)] == choice.logprobs.tokens
    score = client.completions.create(model="local", prompt="The capital of France is", max_tokens=0, echo=True, logprobs=1)
    assert score.choices[0].text == "The capital of France is" and score.usage.completion_tokens == 0
    two = client.completions.create(model="local", prompt=["One,", "Two,"], n=2, max_tokens=2)
    assert [c.index for c in two.choices] == [0, 1, 2, 3]
    ids = client.completions.create(model="local", prompt=[504, 3575, 282, 4649, 314], max_tokens=3, temperature=0)
    assert ids.usage.prompt_tokens == 5
    best = client.completions.create(model="local", prompt="The sky is", best_of=4, n=1, max_tokens=4, seed=1)
    assert len(best.choices) == 1
    text = "".join(chunk.choices[0].text for chunk in client.completions.create(model="local", prompt="The capital of France is", max_tokens=3, temperature=0, stream=True))
    assert "Paris" in text


def test_embeddings_in_both_encodings(client):
    floats = client.embeddings.create(model="local", input=["A cat sat on the mat.", "A dog lay on the rug."], encoding_format="float")
    assert [item.index for item in floats.data] == [0, 1] and len(floats.data[0].embedding) == 384
    assert abs(sum(x * x for x in floats.data[0].embedding) - 1) < 1e-3
    coded = client.embeddings.with_raw_response.create(model="all-minilm-l6-v2", input="A cat sat on the mat.", encoding_format="base64")
    vector = struct.unpack("<384f", base64.b64decode(coded.http_response.json()["data"][0]["embedding"]))
    assert max(abs(a - b) for a, b in zip(vector, floats.data[0].embedding)) < 1e-6
    assert floats.usage.prompt_tokens == floats.usage.total_tokens > 10
    assert client.embeddings.create(model="local", input="x " * 5000).usage.prompt_tokens == 256
    assert client.embeddings.create(model="local", input="x", dimensions=384).data


def test_models_are_listed_and_shown(client):
    names = {model.id for model in client.models.list()}
    assert {"auto", "local", "all-minilm-l6-v2"} <= names
    for name in names:
        assert client.models.retrieve(name).id == name
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no-such-model")


BAD = {
    "no messages": (dict(messages=[]), "messages"),
    "unknown role": (dict(messages=[{"role": "king", "content": "x"}]), "messages[0].role"),
    "content of another type": (dict(messages=[{"role": "user", "content": 5}]), "messages[0].content"),
    "missing content": (dict(messages=[{"role": "user"}]), "messages[0].content"),
    "temperature": (dict(temperature=3), "temperature"),
    "top_p": (dict(top_p=-0.1), "top_p"),
    "n": (dict(n=0), "n"),
    "five stops": (dict(stop=["a", "b", "c", "d", "e"]), "stop"),
    "top_logprobs alone": (dict(top_logprobs=2), "top_logprobs"),
    "logit_bias": (dict(logit_bias={"5": 101}), "logit_bias"),
    "max_tokens": (dict(max_tokens=0), "max_tokens"),
    "presence_penalty": (dict(presence_penalty=2.5), "presence_penalty"),
    "stream_options without stream": (dict(stream_options={"include_usage": True}), "stream_options"),
    "tools that cannot be honoured": (dict(tools=[{"type": "function", "function": {"name": "f"}}]), "tools"),
    "a schema that cannot be honoured": (dict(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {"not": {"type": "string"}}}}), "response_format"),
    "a field nobody knows": (dict(extra_body={"frobnicate": 1}), "frobnicate"),
    "an image": (dict(messages=[{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]), "messages[0].content"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_fields_are_named(client, name):
    change, param = BAD[name]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(**{"model": "local", "messages": QUESTION, "max_tokens": 4, **change})
    assert caught.value.param == param
    assert param in caught.value.message


def test_errors_map_to_their_exceptions(client, weir):
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="no-such-model", messages=QUESTION)
    assert caught.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="remote/nobody/gpt-4o", messages=QUESTION)
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="local", messages=[{"role": "user", "content": "word " * 20000}])
    assert caught.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="local", input="")
    with pytest.raises(openai.BadRequestError):
        client.embeddings.create(model="local", input=[])
    with pytest.raises(openai.BadRequestError) as caught:
        client.embeddings.create(model="local", input="x", dimensions=100)
    assert caught.value.param == "dimensions"
    with pytest.raises(openai.BadRequestError):
        client.completions.create(model="local", prompt="x", n=3, best_of=2)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'{"model": 5}', b'{"model": "local", "model": "auto"}', b'{"model": "local", "messages": "x"}',
                                  b'{"model": "local", "messages": [{"role": "user", "content": "\xff"}]}', b'{"model":"local"} x', b"\xef\xbb\xbf{}",
                                  b"[" * 100000, b'{"a":' * 5000])
def test_broken_bodies_are_400(weir, body):
    import urllib.error
    import urllib.request
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(weir.url + "/v1/chat/completions", data=body, method="POST"))
    assert caught.value.code == 400
    assert caught.value.headers["content-type"] == "application/json"


def test_sixteen_streams_side_by_side_are_each_their_own(client):
    import concurrent.futures
    settings = {"model": "local", "messages": QUESTION, "max_tokens": 24, "temperature": 1.0, "seed": 5}
    alone = client.chat.completions.create(**settings).choices[0].message.content

    def ask(_):
        return "".join(chunk.choices[0].delta.content or "" for chunk in client.chat.completions.create(**settings, stream=True) if chunk.choices)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert set(pool.map(ask, range(16))) == {alone}
