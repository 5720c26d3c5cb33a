"""Tool calls and reasoning of local models, by the OpenAI SDK against the real binary: tiny models with real chat templates say what
models of those families say, and the whole path (template, engine, reader, answer) makes messages and chunks of it."""
import json
import os
import pathlib
import subprocess

import openai
import pytest

import script_model
import weak_head
from gateway_case import MODEL, Stream, ask, gateway, rows, rows_of, select
from weir_process import BINARY

TEMPLATES = pathlib.Path(os.environ.get("WEIR_SHARED", pathlib.Path(__file__).parents[3] / "shared")) / "fixtures" / "templates"
QUESTION = [{"role": "user", "content": "Weather in Oslo?"}]
TOOLS = [{"type": "function", "function": {"name": "get_weather", "description": "Current weather.", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}, "required": ["city"]}}}]
CALL = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Oslo", "days": 1}}\n</tool_call>'
OSLO = {"city": "Oslo", "days": 1}

# name: (template, the prompt's last token, what is said, end token, special tokens)
CHATML = ["<|im_start|>", "<|im_end|>"]
MODELS = {
    "all": ("Qwen3-0.6B", {"\n": "<think>\nI must look, twice.\n</think>\n\nLet me see.\n" + CALL + '\n<tool_call>\n{"name": "get_weather", "arguments": {"city": "Bergen"}}\n</tool_call>'}, *CHATML[::-1]),
    "said": ("Qwen3-0.6B", {"\n": "It is cold in Oslo."}, *CHATML[::-1]),
    "wrong": ("Qwen3-0.6B", {"\n": '<tool_call>\n{"name": "get_weather", "arguments": {city: Oslo}}\n</tool_call>'}, *CHATML[::-1]),
    "long": ("Qwen3-0.6B", {"\n": '<tool_call>\n{"name": "get_weather", "arguments": {"city": "%s"}}\n</tool_call>' % "".join(f"{i:03x}" for i in range(1100))}, *CHATML[::-1]),
    "forced": ("Qwen3-0.6B", {" ": '{"city": "Oslo", "days": 1}', "\n": "I would rather talk."}, *CHATML[::-1]),
    "must": ("Qwen3-0.6B", {"\n": '{"name": "get_weather", "arguments": {"city": "Oslo", "days": 1}}'}, *CHATML[::-1]),
    "tagged": ("Qwen3-Coder", {"\n": "<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n1\n</parameter>\n</function>\n</tool_call>"}, *CHATML[::-1]),
    "chatty": ("Qwen3-0.6B", {"\n": CALL + "\nMore: " + "".join(f"{i:03x}" for i in range(1100))}, *CHATML[::-1]),
    "opened": ("Qwen3.5-4B", {"\n": "It is said\nto rain.\n</think>\n\n<tool_call>\n<function=get_weather>\n<parameter=city>\nOslo\n</parameter>\n<parameter=days>\n1\n</parameter>\n</function>\n</tool_call>"},
               *CHATML[::-1]),
    "llama": ("Llama-3.2-3B-Instruct", {"\n": '{"name": "get_weather", "parameters": {"city": "Oslo", "days": 1}}'}, "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>", "<|begin_of_text|>"),
    "nemo": ("Mistral-Nemo-Instruct-2407", {"[/INST]": '[TOOL_CALLS][{"name": "get_weather", "arguments": {"city": "Oslo", "days": 1}, "id": "123456789"}]'}, "</s>",
             "[INST]", "[TOOL_CALLS]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]", "<s>"),
    "lfm": ("LFM2.5-8B-A1B", {"\n": "<|tool_call_start|>[get_weather(city='Oslo', days=1)]<|tool_call_end|>"}, *CHATML[::-1], "<|tool_call_start|>", "<|tool_call_end|>", "<|startoftext|>"),
    "hermes": ("Hermes-3-tools", {"\n": CALL}, *CHATML[::-1]),
}


def model_file(folder, name):
    template, scripts, end, *specials = MODELS[name]
    source = (TEMPLATES / "models" / f"{template}.jinja").read_bytes().decode()
    begins = {"<s>", "<|begin_of_text|>", "<|startoftext|>"}.intersection(specials)
    return script_model.write(folder / f"{name}.gguf", source, scripts, end, specials, bos=next(iter(begins), end))


@pytest.fixture(scope="module")
def files(folder):
    return {name: model_file(folder, name) for name in MODELS}


@pytest.fixture(scope="module")
def weir(folder, files):
    others = {name: {"path": str(path), "kv_budget": 64 << 20} for name, path in files.items()}
    with gateway(folder / "weir", settings={"models": {"others": others}}) as weir:
        yield weir


@pytest.fixture(scope="module")
def client(weir):
    return openai.OpenAI(base_url=weir.url + "/v1", api_key="anything", max_retries=0)


def create(client, name, **more):
    return client.chat.completions.create(**{"model": "local/" + name, "messages": QUESTION, "tools": TOOLS, "temperature": 0, **more})


def calls_of(message):
    return [(call.function.name, json.loads(call.function.arguments)) for call in message.tool_calls or []]


def gathered(chunks):
    """A stream's message put together as the SDK's users do: (content, reasoning, calls, finish reason)."""
    content, reasoning, calls, reason = "", "", {}, None
    for chunk in chunks:
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            for call in choice.delta.tool_calls or []:
                if call.index not in calls:
                    assert call.id.startswith("call_local_") and call.type == "function" and call.function.arguments == ""
                    calls[call.index] = [call.function.name, ""]
                else:
                    assert call.id is None and call.function.name is None
                    calls[call.index][1] += call.function.arguments
            reason = choice.finish_reason or reason
    assert list(calls) == list(range(len(calls)))
    return content, reasoning, [(name, json.loads(arguments)) for name, arguments in calls.values()], reason


def test_reasoning_text_and_calls_come_apart_whole_and_streamed(client, weir):
    raw = client.chat.completions.with_raw_response.create(model="local/all", messages=QUESTION, tools=TOOLS, temperature=0)
    whole = raw.parse()
    message = whole.choices[0].message
    assert message.reasoning_content == "I must look, twice." and message.content == "Let me see."
    assert calls_of(message) == [("get_weather", OSLO), ("get_weather", {"city": "Bergen"})]
    ids = [call.id for call in message.tool_calls]
    assert len(set(ids)) == 2 and all(id.startswith("call_local_") and len(id) <= 40 for id in ids)
    assert whole.choices[0].finish_reason == "tool_calls"
    thought = whole.usage.completion_tokens_details.reasoning_tokens
    # Tokens are pieces of two or three characters here.
    assert len("<think>I must look, twice.</think>") / 4 < thought < whole.usage.completion_tokens / 2
    outcome = rows(weir, raw.headers["x-weir-decision-id"]).outcome
    assert (outcome["finish_reason"], outcome["route"]) == ("tool_calls", "local")
    chunks = list(create(client, "all", stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.role == "assistant" and not chunks[0].choices[0].delta.content
    assert gathered(chunks) == ("Let me see.", "I must look, twice.", calls_of(message), "tool_calls")
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens and chunks[-1].usage.completion_tokens_details == whole.usage.completion_tokens_details
    assert [create(client, "all").usage.completion_tokens_details.reasoning_tokens for _ in range(3)] == [thought] * 3


def test_each_choice_and_each_log_probability_has_its_place(client):
    answer = create(client, "all", n=2)
    assert [calls_of(choice.message) for choice in answer.choices] == [[("get_weather", OSLO), ("get_weather", {"city": "Bergen"})]] * 2
    assert len({call.id for choice in answer.choices for call in choice.message.tool_calls}) == 4
    whole = create(client, "all", logprobs=True).choices[0].logprobs.content
    streamed = [item for chunk in create(client, "all", logprobs=True, stream=True) for choice in chunk.choices if choice.logprobs for item in choice.logprobs.content]
    assert [item.token for item in streamed] == [item.token for item in whole]
    assert "".join(item.token for item in whole).startswith("<think>\nI must look")


@pytest.mark.parametrize("name", ["opened", "llama", "nemo", "lfm", "hermes"])
def test_each_familys_manner_of_calling_is_understood(client, name):
    whole = create(client, name).choices[0]
    assert calls_of(whole.message) == [("get_weather", OSLO)] and whole.finish_reason == "tool_calls" and whole.message.content is None
    content, reasoning, calls, reason = gathered(create(client, name, stream=True))
    assert (content, calls, reason) == ("", [("get_weather", OSLO)], "tool_calls")
    assert reasoning == (getattr(whole.message, "reasoning_content", None) or "") == ("It is said\nto rain." if name == "opened" else "")


@pytest.mark.parametrize("name, case", [("said", "tools_simple"), ("said", "tool_round_simple"), ("said", "tool_parallel"), ("said", "tool_round_string_arguments"),
                                        ("said", "thinking_on"), ("nemo", "tool_round_simple"), ("llama", "tools_simple"), ("lfm", "tool_parallel")])
def test_tools_calls_and_results_reach_the_model_as_the_reference_renders_them(client, files, name, case):
    given = next(c for c in json.loads((TEMPLATES / "cases.json").read_text())["cases"] if c["id"] == case)
    messages = json.loads(json.dumps(given.get("given", given["messages"])))
    for message in messages:
        for call in message.get("tool_calls") or []:
            if not isinstance(call["function"]["arguments"], str):
                call["function"]["arguments"] = json.dumps(call["function"]["arguments"])
    if name == "nemo":  # Its ids are nine letters and digits: other ones are taken too, and the same one always becomes the same.
        messages = json.loads(json.dumps(messages).replace("k1l2m3n4o", "call_abcdefghijklmnopqrstuvwx"))
    usage = create(client, name, messages=messages, **({"tools": given["tools"]} if "tools" in given else {"tools": openai.omit})).usage
    expected = json.loads((TEMPLATES / "expected" / f"{MODELS[name][0]}.json").read_text())["cases"][case]["text"]
    lines = json.dumps({"id": 0, "text": expected}) + "\n"
    run = subprocess.run([BINARY, "tokenize", "--model", str(files[name]), "--special", "--bare"], input=lines, capture_output=True, text=True, check=True)
    assert usage.prompt_tokens == len(json.loads(run.stdout)["ids"])


def test_reasoning_is_switched_where_the_template_has_a_switch(client, files):
    """Qwen3's prompt grows by an empty thought."""
    plain = create(client, "said", tools=openai.omit).usage.prompt_tokens
    empty = len("<think>\n\n</think>\n\n")
    for more in (dict(extra_body={"chat_template_kwargs": {"enable_thinking": False}}), dict(reasoning_effort="none")):
        assert create(client, "said", tools=openai.omit, **more).usage.prompt_tokens == plain + empty, more
    assert create(client, "said", tools=openai.omit, reasoning_effort="high").usage.prompt_tokens == plain
    for model, more, param in (("local/said", {"extra_body": {"chat_template_kwargs": {"nonsense": 1}}}, "chat_template_kwargs.nonsense"),
                               ("local/said", {"extra_body": {"chat_template_kwargs": {"messages": []}}}, "chat_template_kwargs.messages"),
                               ("local", {"reasoning_effort": "low"}, "reasoning_effort")):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=model, messages=QUESTION, **more)
        assert caught.value.param == param
    assert client.chat.completions.create(model="local", messages=QUESTION, reasoning_effort="none", max_tokens=2).choices[0].message.content


def test_a_loop_goes_round(client):
    first = create(client, "all").choices[0].message
    results = [{"role": "tool", "tool_call_id": call.id, "content": "-3"} for call in first.tool_calls]
    answer = create(client, "said", messages=[*QUESTION, first.model_dump(exclude_none=True), *results])
    assert answer.choices[0].message.content == "It is cold in Oslo." and answer.choices[0].finish_reason == "stop"
    assert answer.choices[0].message.tool_calls is None


NAMED = {"type": "function", "function": {"name": "get_weather"}}
UNIT = {"type": "function", "function": {"name": "set_unit", "strict": True, "parameters": {
    "type": "object", "properties": {"unit": {"enum": ["celsius"]}}, "required": ["unit"], "additionalProperties": False}}}


def test_a_call_that_must_be_is_held_to_its_tools_schema(client):
    assert create(client, "said").choices[0].message.content == "It is cold in Oslo.", "it calls nothing by itself"
    for choice, tools in (({"type": "function", "function": {"name": "set_unit"}}, [*TOOLS, UNIT]), ("required", [UNIT])):
        answer = create(client, "said", tools=tools, tool_choice=choice).choices[0]
        assert calls_of(answer.message) == [("set_unit", {"unit": "celsius"})] and answer.finish_reason == "tool_calls"
        assert gathered(create(client, "said", tools=tools, tool_choice=choice, stream=True))[2:] == ([("set_unit", {"unit": "celsius"})], "tool_calls")
    other = {"type": "function", "function": {"name": "reset", "parameters": {"type": "object", "properties": {}, "additionalProperties": False}}}
    assert calls_of(create(client, "said", tools=[UNIT, other], tool_choice="required").choices[0].message)[0][0] in ("set_unit", "reset")
    beyond = {"type": "function", "function": {"name": "f", "strict": True, "parameters": {"type": "object", "properties": {"a": {"not": {"type": "string"}}}}}}
    for model, tools in (("local/said", [beyond]), ("local/tagged", [UNIT])):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(model=model, messages=QUESTION, tools=tools, tool_choice="required")
        assert caught.value.param == "tools"
    beyond["function"]["strict"] = False
    cut = create(client, "said", tools=TOOLS, tool_choice=NAMED, max_tokens=3).choices[0]
    assert cut.finish_reason == "length" and cut.message.tool_calls is None


def test_a_held_answer_comes_without_the_reasoning_that_its_prompt_opens(client):
    shape = {"type": "json_schema", "json_schema": {"name": "x", "schema": {"enum": [{"a": 1}]}}}
    message = create(client, "opened", tools=openai.omit, response_format=shape).choices[0].message
    assert json.loads(message.content) == {"a": 1} and getattr(message, "reasoning_content", None) is None


def test_a_choice_of_tools_is_kept(client):
    assert calls_of(create(client, "forced", tool_choice=NAMED).choices[0].message) == [("get_weather", OSLO)]
    assert calls_of(create(client, "forced", tool_choice="required").choices[0].message) == [("get_weather", OSLO)]
    assert calls_of(create(client, "must", tools=[*TOOLS, UNIT], tool_choice="required").choices[0].message) == [("get_weather", OSLO)]
    assert calls_of(create(client, "tagged", tool_choice=NAMED).choices[0].message) == [("get_weather", OSLO)]
    assert gathered(create(client, "forced", tool_choice="required", stream=True))[2:] == ([("get_weather", OSLO)], "tool_calls")
    assert create(client, "forced").choices[0].message.content == "I would rather talk."
    none = create(client, "all", tool_choice="none").choices[0]
    assert none.message.tool_calls is None and none.finish_reason == "stop" and CALL in none.message.content
    one, two = create(client, "chatty", parallel_tool_calls=False), create(client, "chatty")
    assert calls_of(one.choices[0].message) == [("get_weather", OSLO)] and one.choices[0].finish_reason == "tool_calls"
    assert one.choices[0].message.content is None and two.choices[0].message.content.startswith("More: ")
    assert one.usage.completion_tokens < two.usage.completion_tokens, "what is not wanted is not generated"
    assert gathered(create(client, "all", parallel_tool_calls=False, stream=True))[2:] == ([("get_weather", OSLO)], "tool_calls")


def test_a_malformed_call_is_content(client):
    wrong = create(client, "wrong").choices[0]
    assert wrong.message.content == MODELS["wrong"][1]["\n"] and wrong.message.tool_calls is None and wrong.finish_reason == "stop"
    assert gathered(create(client, "wrong", stream=True)) == (wrong.message.content, "", [], "stop")
    cut = create(client, "all", max_tokens=40).choices[0]
    assert cut.finish_reason == "length" and cut.message.tool_calls is None and cut.message.content.startswith("Let me see.\n<tool_call>")


def test_long_arguments_stream_before_the_call_is_whole(client):
    deltas = [call.function.arguments for chunk in create(client, "long", stream=True) for choice in chunk.choices for call in choice.delta.tool_calls or []]
    assert len(deltas) > 100 and len(json.loads("".join(deltas))["city"]) == 3300


def test_a_model_without_tools_says_so_and_under_auto_another_answers(client, weir, folder, far):
    for change, param in ((dict(model="local"), "tools"), (dict(tools=[{"type": "function", "function": {**TOOLS[0]["function"], "strict": True}}]), "tools[0].function.strict"),
                          (dict(tool_choice={"type": "function", "function": {"name": "other"}}), "tool_choice")):
        with pytest.raises(openai.BadRequestError) as caught:
            client.chat.completions.create(**{"model": "local/all", "messages": QUESTION, "tools": TOOLS, **change})
        assert caught.value.param == param and caught.value.code == "unsupported_parameter" and param in caught.value.message
    follow = [*QUESTION, {"role": "assistant", "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}, {"role": "tool", "tool_call_id": "1", "content": "x"}]
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="local", messages=follow)
    assert caught.value.param == "messages[1].tool_calls"
    with gateway(folder / "escalates", {"first": far}) as other:
        answer = ask(other, body={"model": "auto", "messages": QUESTION, "tools": TOOLS})
        assert answer.headers["x-weir-route"] == "remote:first/" + MODEL and answer.headers["x-weir-reason"].startswith("local_unsupported")
        assert json.loads(rows_of(other, answer).decision["inputs"])["local"] == {"state": "unsupported", "detail": "tools"}


def test_the_chat_model_itself_calls_under_auto(folder, files):
    with gateway(folder / "chat", settings={"models": {"chat": {"path": str(files["all"])}}}) as weir:
        client = openai.OpenAI(base_url=weir.url + "/v1", api_key="anything", max_retries=0)
        message = client.chat.completions.create(model="auto", messages=QUESTION, tools=TOOLS, temperature=0).choices[0].message
        assert calls_of(message)[0] == ("get_weather", OSLO)
        assert not any("Oslo" in line for line in weir.log)


def test_the_command_line_prints_the_answer_without_the_reasoning(folder, files):
    config = folder / "ask.json"
    config.write_text(json.dumps({"models": {"chat": {"path": str(files["all"])}}, "listen": ["http://127.0.0.1:0"], "data_dir": str(folder / "ask")}))
    run = subprocess.run([BINARY, "ask", "--config", str(config), "--model", "local", "Weather in Oslo?"], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("Let me see.\n" + CALL) and "twice" not in run.stdout


def judged(weir, answer):
    rows_of(weir, answer)
    return [json.loads(row["inputs"]) for row in select(weir, "select inputs from judgement where decision_id = ?", answer.headers["x-weir-decision-id"])]


@pytest.mark.parametrize("name", ["hermes", "all"])
def test_a_held_call_is_judged_by_confidence_alone_and_nothing_of_it_is_seen(folder, far, files, name):
    """These models are as sure of themselves as can be; by confidence the head finds that weak, and the remote's call is the one that is told."""
    body = {"model": "auto", "messages": [{"role": "user", "content": "Tell me a story about a fox."}], "tools": TOOLS, "temperature": 0}
    there = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Bergen"}'}}
    for by_confidence in (True, False):
        settings = {"models": {"chat": {"path": str(files[name]), "kv_budget": 64 << 20}}, "cascade": {"hold_tokens": 8},
                    "classifier": {"head": str(weak_head.train(folder, by_confidence)), "max_regret": 0.5}}
        far.script([{"kind": "ok", "tool_calls": [there]}])
        with gateway(folder / f"held-{name}-{by_confidence}", {"first": far}, settings) as weir:
            whole, stream = ask(weir, body=body), Stream(weir, body).drain()
            calls = whole.body["choices"][0]["message"]["tool_calls"]
            told = [c for e in stream.events[:-1] for choice in e["choices"] for c in choice["delta"].get("tool_calls") or []]
            for answer in (whole, stream):
                inputs = judged(weir, answer)
                assert answer.headers["x-weir-route"] == ("remote:first/" + MODEL if by_confidence else "local")
                assert [i["as_text"] for i in inputs] == ([False] if by_confidence else [])
            assert [c["id"].startswith("call_local_") for c in calls] == [not by_confidence] * len(calls)
            assert {c["id"] for c in told if c.get("id")} == ({"call_1"} if by_confidence else {c["id"] for c in told if c.get("id", "").startswith("call_local_")})
            assert stream.finish_reasons == ["tool_calls"] and stream.done
            if by_confidence:
                assert calls == [there] and not any(c["delta"].get("reasoning_content") for e in stream.events[:-1] for c in e["choices"])
