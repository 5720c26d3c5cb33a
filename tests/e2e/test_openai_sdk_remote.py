"""The official OpenAI SDK against Weir with a provider behind it: what is passed through, and which exception each failure becomes."""
import subprocess
import json

import openai
import pytest
from gateway_case import MODEL, assert_books_balance, gateway, provider_entry
from provider import TEXT
from weir_process import BINARY

QUESTION = [{"role": "user", "content": "Say hello."}]
PINNED = "remote/first/" + MODEL
TOKEN = "ghp_x7Kq2mVb9Tn4Rw8Zc1Yd5Hf3Lj6PsAe0UgQi"
TOOLS = [{"type": "function", "function": {"name": "weather", "description": "Weather of a city",
                                           "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}]


@pytest.fixture(scope="module")
def weir(folder, far):
    entry = provider_entry("first", far, timeouts={"connect": "2s", "first_byte": "1s", "stall": "1s", "total": "20s"})
    with gateway(folder / "weir", {"first": entry}, {"aliases": {"gpt-4o": "remote/first/" + MODEL}}) as weir:
        yield weir
        assert_books_balance(weir)
        assert weir.stop() == 0


@pytest.fixture(scope="module")
def client(weir):
    return openai.OpenAI(base_url=weir.url + "/v1", api_key="anything", max_retries=0)


@pytest.fixture(autouse=True)
def fresh(client, far):
    far.script([{"kind": "ok"}])
    client.chat.completions.create(model=PINNED, messages=QUESTION)
    far.reset()


@pytest.mark.parametrize("model", [PINNED, MODEL, "gpt-4o"])
def test_a_chat_reaches_the_provider_and_comes_back(client, far, model):
    answer = client.chat.completions.create(model=model, messages=QUESTION, temperature=0.5, seed=3, max_completion_tokens=50)
    assert answer.choices[0].message.content == TEXT and answer.choices[0].finish_reason == "stop"
    assert answer.usage.prompt_tokens_details.cached_tokens == 4
    assert far.bodies[0]["temperature"] == 0.5 and far.bodies[0]["seed"] == 3 and far.bodies[0]["max_completion_tokens"] == 50


def test_a_stream_and_its_usage(client, far):
    chunks = list(client.chat.completions.create(model=PINNED, messages=QUESTION, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant" and not chunks[0].choices[0].delta.content
    assert "".join(c.choices[0].delta.content or "" for c in chunks if c.choices) == TEXT
    assert chunks[-1].usage.total_tokens == chunks[-1].usage.prompt_tokens + chunks[-1].usage.completion_tokens
    assert len({c.id for c in chunks}) == 1 and all(c.object == "chat.completion.chunk" for c in chunks)


def test_several_choices_of_a_remote_stream_keep_apart(client):
    texts = ["", ""]
    for chunk in client.chat.completions.create(model=PINNED, messages=QUESTION, n=2, stream=True):
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [TEXT, TEXT]


def test_the_stream_helper_of_the_sdk_works(client):
    with client.chat.completions.stream(model=PINNED, messages=QUESTION) as stream:
        for _ in stream:
            pass
        assert stream.get_final_completion().choices[0].message.content == TEXT


def test_tool_calls_come_through_whole_and_streamed(client, far):
    calls = [{"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Berlin"}'}}]
    far.script([{"kind": "ok", "tool_calls": calls}])
    message = client.chat.completions.create(model=PINNED, messages=QUESTION, tools=TOOLS, tool_choice="auto").choices[0]
    assert message.finish_reason == "tool_calls"
    assert message.message.tool_calls[0].function.arguments == '{"city": "Berlin"}'
    assert far.bodies[0]["tools"] == TOOLS and far.bodies[0]["tool_choice"] == "auto"
    name, arguments = "", ""
    for chunk in client.chat.completions.create(model=PINNED, messages=QUESTION, tools=TOOLS, stream=True):
        for call in chunk.choices[0].delta.tool_calls or []:
            name += call.function.name or ""
            arguments += call.function.arguments or ""
    assert name == "weather" and json.loads(arguments) == {"city": "Berlin"}
    follow = QUESTION + [{"role": "assistant", "tool_calls": calls}, {"role": "tool", "tool_call_id": "call_1", "content": "Sunny"}]
    far.script([{"kind": "ok"}])
    assert client.chat.completions.create(model=PINNED, messages=follow, tools=TOOLS).choices[0].message.content == TEXT
    assert far.bodies[-1]["messages"][1]["tool_calls"] == calls


def test_a_card_in_tool_arguments_is_turned_back(client, far):
    """The provider calls the tool with the pseudonym; the application gets the card, whole and streamed."""
    card = "4012888888881881"
    question = [{"role": "user", "content": f"Charge {card}"}]
    client.chat.completions.create(model=PINNED, messages=question, tools=TOOLS)
    pseudonym = far.bodies[-1]["messages"][0]["content"][len("Charge "):]
    assert card not in pseudonym
    far.script([{"kind": "ok", "tool_calls": [{"id": "c", "type": "function", "function": {"name": "charge", "arguments": json.dumps({"card": pseudonym})}}]}])
    whole = client.chat.completions.create(model=PINNED, messages=question, tools=TOOLS).choices[0].message
    assert json.loads(whole.tool_calls[0].function.arguments) == {"card": card}
    arguments = "".join(call.function.arguments or "" for chunk in client.chat.completions.create(model=PINNED, messages=question, tools=TOOLS, stream=True)
                        for call in chunk.choices[0].delta.tool_calls or [])
    assert json.loads(arguments) == {"card": card}


def test_legacy_completions_and_embeddings(client):
    assert client.completions.create(model=PINNED, prompt="x").choices[0].text == TEXT
    assert "".join(c.choices[0].text for c in client.completions.create(model=PINNED, prompt="x", stream=True) if c.choices) == TEXT
    assert len(client.embeddings.create(model=PINNED, input=["a", "b"], encoding_format="float").data) == 2


def test_the_models_of_providers_are_listed(client):
    names = {model.id for model in client.models.list()}
    assert {"auto", "local", MODEL, "gpt-4o", PINNED} <= names
    assert client.models.retrieve(PINNED).id == PINNED


FAILURES = {
    "its own limit": ([{"kind": "status", "status": 429, "retry_after": "3600"}], openai.RateLimitError),
    "its own trouble": ([{"kind": "status", "status": 500}], openai.InternalServerError),
    "Weir's credentials": ([{"kind": "status", "status": 401}], openai.InternalServerError),
    "silence": ([{"kind": "stall", "at": -1}], openai.InternalServerError),
    "nonsense": ([{"kind": "bad_json"}], openai.InternalServerError),
    "content filter": ([{"kind": "content_filter"}], openai.BadRequestError),
    "context length": ([{"kind": "context_length"}], openai.BadRequestError),
    "unprocessable": ([{"kind": "status", "status": 422}], openai.UnprocessableEntityError),
    "unknown there": ([{"kind": "status", "status": 404}], openai.NotFoundError),
}


@pytest.mark.parametrize("failure", FAILURES)
def test_each_failure_is_the_right_exception(client, far, failure):
    script, exception = FAILURES[failure]
    far.script(script)
    with pytest.raises(exception) as caught:
        client.chat.completions.create(model=PINNED, messages=QUESTION)
    assert type(caught.value) is exception and caught.value.message
    with pytest.raises(exception):
        client.chat.completions.create(model=PINNED, messages=QUESTION, stream=True)


def test_a_stream_that_breaks_raises_where_it_breaks(client, far):
    far.script([{"kind": "cut", "at": 2}])
    text = ""
    with pytest.raises(openai.APIError):
        for chunk in client.chat.completions.create(model=PINNED, messages=QUESTION, stream=True):
            text += chunk.choices[0].delta.content or ""
            assert chunk.choices[0].finish_reason is None
    assert TEXT.startswith(text) and text


def test_policy_is_permission_denied_and_unknown_models_are_not_found(client):
    with pytest.raises(openai.PermissionDeniedError) as caught:
        client.chat.completions.create(model=PINNED, messages=[{"role": "user", "content": "My token: " + TOKEN}])
    assert caught.value.code == "policy_violation"
    for model in ("remote/first/other", "remote/nobody/" + MODEL, "remote/first", "gpt-17", "local/other"):
        with pytest.raises(openai.NotFoundError) as caught:
            client.chat.completions.create(model=model, messages=QUESTION)
        assert caught.value.code == "model_not_found"


def test_a_field_the_route_cannot_honour_is_named(client):
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="local", messages=QUESTION, tools=TOOLS)
    assert caught.value.param == "tools"


def test_keys_map_to_authentication_errors(folder, far):
    with gateway(folder / "keys", {"first": far}, {"keys": {"required": True}}) as weir:
        with pytest.raises(openai.AuthenticationError):
            openai.OpenAI(base_url=weir.url + "/v1", api_key="wrong", max_retries=0).models.list()
        made = subprocess.run([BINARY, "keys", "create", "--per-minute", "1", "--config", str(weir.config), "--json"], capture_output=True, text=True)
        mine = openai.OpenAI(base_url=weir.url + "/v1", api_key=json.loads(made.stdout)["key"], max_retries=0)
        assert mine.chat.completions.create(model=PINNED, messages=QUESTION).choices[0].message.content == TEXT
        with pytest.raises(openai.RateLimitError) as caught:
            mine.chat.completions.create(model=PINNED, messages=QUESTION)
        assert int(caught.value.response.headers["retry-after"]) >= 1


def test_asynchronous_clients_and_tls(folder, far):
    import asyncio
    from weir_process import certificate
    pem, key, context = certificate(folder)
    settings = {"tls": {"certificate": pem, "private_key": key}}
    with gateway(folder / "tls", {"first": far}, settings, listen=["https://127.0.0.1:0"]) as weir:
        async def ask_all():
            async with openai.AsyncOpenAI(base_url=weir.url + "/v1", api_key="x", max_retries=0, http_client=openai.DefaultAsyncHttpx2Client(verify=context)) as client:
                answers = await asyncio.gather(*(client.chat.completions.create(model=PINNED if i % 2 else "local", messages=QUESTION, max_tokens=4) for i in range(16)))
                return [answer.choices[0].message.content for answer in answers]
        texts = asyncio.run(ask_all())
        assert texts[1::2] == [TEXT] * 8 and len(set(texts[0::2])) >= 1
        assert_books_balance(weir)
