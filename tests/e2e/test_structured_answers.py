"""Answers held to a shape: through the OpenAI SDK, and as JSON Lines, by the default model."""
import json
import re
import subprocess
import typing

import openai
import pydantic
import pytest
from weir_process import BINARY, Weir


@pytest.fixture(scope="module")
def weir(tmp_path_factory):
    with Weir(tmp_path_factory.mktemp("shape")) as weir:
        yield weir


@pytest.fixture(scope="module")
def client(weir):
    return openai.OpenAI(base_url=weir.url + "/v1", api_key="anything", max_retries=0)


class Pet(pydantic.BaseModel):
    name: str = pydantic.Field(max_length=20)
    kind: typing.Literal["cat", "dog", "bird"]
    age: int = pydantic.Field(ge=0, le=30)
    friends: list["Pet"] = pydantic.Field(max_length=2)


def ask(text):
    return [{"role": "user", "content": text}]


def test_the_sdk_parses_an_answer_into_its_type(client):
    for seed in range(40): # About every fifth ends: friends have friends, and the model likes company.
        try:
            answer = client.chat.completions.parse(model="local", messages=ask("Invent a pet."), response_format=Pet, max_tokens=400,
                                                   temperature=1.0, seed=seed)
        except openai.LengthFinishReasonError:
            continue
        assert answer.choices[0].finish_reason == "stop" and isinstance(answer.choices[0].message.parsed, Pet)
        return
    pytest.fail("no answer came to its end")


def test_a_json_object_is_one_streamed_or_whole(client):
    """Where a small model ends its object is not the same on every processor: the first request whose answer comes to its end."""
    settings = {"model": "local", "response_format": {"type": "json_object"}, "temperature": 0, "max_tokens": 200}
    for text in ("A person as JSON, with name and age.", "Say hello as JSON.", "The colour of the sky as JSON.", "Your name as JSON.", "A cat as JSON."):
        whole = client.chat.completions.create(messages=ask(text), **settings).choices[0]
        if whole.finish_reason == "stop":
            break
    assert whole.finish_reason == "stop"
    assert isinstance(json.loads(whole.message.content), dict)
    chunks = list(client.chat.completions.create(messages=ask(text), **settings, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == whole.message.content


def test_auto_may_keep_a_shaped_request_here(client):
    raw = client.chat.completions.with_raw_response.create(model="auto", messages=ask("hi"), response_format={"type": "json_object"}, max_tokens=60)
    assert raw.headers["x-weir-route"] == "local"
    assert raw.parse().choices[0].message.content.startswith("{")


def test_choices_patterns_and_grammars_are_kept_to(client):
    def create(**extra):
        return client.chat.completions.create(model="local", messages=ask("Is water wet?"), temperature=1.0, seed=4, max_tokens=40, extra_body=extra).choices[0]
    assert create(structured_outputs={"choice": ["yes", "no"]}).message.content in ("yes", "no")
    assert re.fullmatch("[a-z]{3,8}", create(structured_outputs={"regex": "^[a-z]{3,8}$"}).message.content)
    assert re.fullmatch(r"Well, \w+!", create(grammar='root ::= "Well, " [a-z]+ "!"').message.content)
    text = client.completions.create(model="local", prompt="The answer is", max_tokens=5, extra_body={"structured_outputs": {"choice": [" 42", " 43"]}})
    assert text.choices[0].text in (" 42", " 43")


def test_guessed_tokens_end_with_the_shape(tmp_path):
    """Every word of the only choice can be guessed from the question, and so can the words behind it."""
    words = "one two three four five six seven eight nine ten".split()
    with Weir(tmp_path / "guesses", {"models": {"chat": {"speculate": "lookup"}}}) as weir:
        client = openai.OpenAI(base_url=weir.url + "/v1", api_key="anything", max_retries=0)
        for n in range(2, 10):
            only = " ".join(words[:n])
            answer = client.completions.create(model="local", prompt=(" ".join(words) + " ") * 3, max_tokens=30, temperature=0,
                                               extra_body={"structured_outputs": {"choice": [only]}})
            assert answer.choices[0].text == only and answer.choices[0].finish_reason == "stop"


def test_several_choices_of_one_request_are_all_of_the_shape(client):
    answer = client.chat.completions.create(model="local", messages=ask("A number."), n=4, temperature=1.5, seed=2, max_tokens=30,
                                            response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": {
                                                "type": "object", "properties": {"n": {"type": "integer", "minimum": 10, "maximum": 99}},
                                                "required": ["n"], "additionalProperties": False}}})
    for choice in answer.choices:
        assert 10 <= json.loads(choice.message.content)["n"] <= 99


@pytest.mark.parametrize("extra, field, text", [
    ({"response_format": {"type": "xml"}}, "response_format.type", "must be text, json_object or json_schema"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x"}}}, "response_format.json_schema.schema", "is missing"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "text"}}}},
     "response_format.json_schema.schema.type", "no type of JSON"),
    ({"response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "number", "multipleOf": 3}}}},
     "response_format", "multipleOf: this keyword is not supported"),
    ({"extra_body": {"grammar": "root ::= a"}}, "grammar", "rule a is not defined"),
    ({"extra_body": {"grammar": "root ::= \"a\"", "json_schema": {}}}, "grammar", "json_schema already says"),
    ({"extra_body": {"structured_outputs": {"regex": "("}}}, "structured_outputs.pattern", "not closed"),
])
def test_a_shape_that_cannot_be_kept_is_refused_with_its_place(client, extra, field, text):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="local", messages=ask("x"), max_tokens=4, **extra)
    assert caught.value.param == field
    assert text in caught.value.message


SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "number", "minimum": -1, "maximum": 1}, "b": {"type": ["string", "null"], "maxLength": 8}}, "required": ["b"]},
    {"type": "array", "items": {"type": "boolean"}, "minItems": 2, "maxItems": 4},
    {"type": "string", "format": "date-time"},
    {"type": "object", "additionalProperties": {"type": "integer"}, "maxProperties": 3},
    {"enum": [1, "two", None, [3]]},
]


def fits(value, schema):
    """Just the keywords used above."""
    if "enum" in schema:
        return value in schema["enum"]
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    names = {dict: "object", list: "array", str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
    if names[type(value)] not in types and not (type(value) is int and "number" in types):
        return False
    if isinstance(value, dict):
        known = schema.get("properties", {})
        return (all(name in value for name in schema.get("required", [])) and len(value) <= schema.get("maxProperties", 99) and
                all(fits(member, known.get(name, schema.get("additionalProperties", {"enum": []}))) for name, member in value.items()))
    if isinstance(value, list):
        return schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", 99) and all(fits(item, schema["items"]) for item in value)
    if isinstance(value, str):
        return len(value) <= schema.get("maxLength", 10**6) and ("format" not in schema or re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)", value))
    return not isinstance(value, (int, float)) or isinstance(value, bool) or schema.get("minimum", -1e30) <= value <= schema.get("maximum", 1e30)


def test_wildly_drawn_answers_that_end_are_valid():
    lines = [{"id": [i, seed], "messages": ask("Anything."), "json_schema": schema, "temperature": 3.0, "seed": seed, "max_tokens": 150}
             for i, schema in enumerate(SCHEMAS) for seed in range(12)]
    run = subprocess.run([BINARY, "generate"], input="".join(json.dumps(line) + "\n" for line in lines), text=True, capture_output=True, check=True)
    ended = 0
    for line in run.stdout.splitlines():
        answer = json.loads(line)
        if answer["finish_reason"] == "stop":
            ended += 1
            assert fits(json.loads(answer["text"]), SCHEMAS[answer["id"][0]]), answer
    assert ended >= 30
