"""The official Python client gets through the gateway what it gets from OpenAI: answers, streams, tools, models, headers."""

import asyncio
import json
import time

import pytest
from openai import OpenAI

HELLO = [{"role": "user", "content": "Hello"}]
ANSWER = "Hello there, caller – 你好 😀."
TOOLS = [{"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}]
WEATHER = {"city": "Paris", "unit": "°C"}


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def test_a_chat_is_answered(client):
    completion = client.chat.completions.create(model="openai/ok", messages=HELLO)
    assert completion.choices[0].message.content == ANSWER
    assert completion.choices[0].finish_reason == "stop"
    assert completion.usage.total_tokens == 16
    assert completion.usage.prompt_tokens_details.cached_tokens == 4
    assert completion.system_fingerprint == "fp_44709d6fcb"
    assert completion.service_tier == "default"


def test_a_base_url_without_v1_works_too(scene, options):
    with OpenAI(**{**options, "base_url": scene["gateway"]}) as client:
        completion = client.chat.completions.create(model="ok", messages=HELLO)
    assert completion.choices[0].message.content == ANSWER


def test_fields_that_the_client_does_not_know_survive_both_ways(client, provider):
    completion = client.chat.completions.create(model="any/odd", messages=HELLO, extra_body={"x_mine": {"a": [1.0, None]}})
    assert completion.x_float == 1.0
    assert completion.citations == ["https://example.org/"]
    assert json.loads(provider()[-1]["body"])["x_mine"] == {"a": [1.0, None]}


def test_reasoning_is_kept(client):
    completion = client.chat.completions.create(model="any/reasoner", messages=HELLO)
    assert completion.choices[0].message.reasoning_content == "The caller greets; greet back."


def test_logprobs_are_kept(client):
    completion = client.chat.completions.create(model="ok", messages=HELLO, logprobs=True)
    assert completion.choices[0].logprobs.content[0].logprob == -0.25


def test_the_callers_headers_stay_outside(client, provider):
    client.chat.completions.create(model="ok", messages=HELLO, extra_headers={"x-mine": "1"})
    headers = provider()[-1]["headers"]
    assert "x-mine" not in headers
    assert not [name for name in headers if name.startswith("x-stainless")]


def test_a_stream_adds_up_to_the_answer(client):
    chunks = list(client.chat.completions.create(model="ok", messages=HELLO, stream=True))
    assert text_of(chunks) == ANSWER
    assert chunks[-1].choices[0].finish_reason == "stop"
    assert all(chunk.usage is None for chunk in chunks)


def test_a_stream_ends_with_usage_when_asked(client):
    chunks = list(client.chat.completions.create(model="ok", messages=HELLO, stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 7
    assert all(chunk.usage is None for chunk in chunks[:-1])


@pytest.mark.parametrize("model", ["crlf", "comments", "no-space-data", "utf8-split", "one-write", "no-done", "no-done-no-newline"])
def test_a_stream_of_any_framing_adds_up(client, model):
    assert text_of(client.chat.completions.create(model=f"any/{model}", messages=HELLO, stream=True)) == ANSWER


def test_a_stream_is_live(client):
    # The provider stops in the middle and never ends: what it had said comes nevertheless.
    with client.chat.completions.create(model="any/stall-mid-stream", messages=HELLO, stream=True) as stream:
        text = ""
        while not text:
            text += next(stream).choices[0].delta.content or ""
    assert ANSWER.startswith(text) and text != ANSWER


def test_a_stream_may_be_left(client, provider):
    with client.chat.completions.create(model="any/trickle", messages=HELLO, stream=True) as stream:
        assert next(iter(stream)).choices[0].delta.content == "drip"
    deadline = time.monotonic() + 150
    while not provider()[-1]["closed_early"]:
        assert time.monotonic() < deadline, "the provider still talks"
        time.sleep(0.05)


def test_the_stream_helper_puts_the_answer_together(client):
    with client.chat.completions.stream(model="ok", messages=HELLO) as stream:
        deltas = [event.delta for event in stream if event.type == "content.delta"]
        final = stream.get_final_completion()
    assert "".join(deltas) == ANSWER
    assert final.choices[0].message.content == ANSWER


def test_a_tool_is_called(client):
    completion = client.chat.completions.create(model="ok", messages=HELLO, tools=TOOLS)
    call = completion.choices[0].message.tool_calls[0]
    assert completion.choices[0].finish_reason == "tool_calls"
    assert call.function.name == "weather"
    assert json.loads(call.function.arguments) == WEATHER


def test_the_fragments_of_a_streamed_tool_call_add_up(client):
    chunks = client.chat.completions.create(model="ok", messages=HELLO, tools=TOOLS, stream=True)
    fragments = [call for chunk in chunks for call in chunk.choices[0].delta.tool_calls or []]
    assert fragments[0].function.name == "weather"
    assert json.loads("".join(fragment.function.arguments for fragment in fragments)) == WEATHER


def test_the_async_client_is_answered_many_times_at_once(async_client):
    async def ask(stream):
        if not stream:
            completion = await async_client.chat.completions.create(model="ok", messages=HELLO)
            return completion.choices[0].message.content
        chunks = await async_client.chat.completions.create(model="ok", messages=HELLO, stream=True)
        return text_of([chunk async for chunk in chunks])

    async def ask_all():
        async with async_client:
            return await asyncio.gather(*[ask(stream=n % 2 == 0) for n in range(20)])

    assert asyncio.run(ask_all()) == [ANSWER] * 20


def test_models_are_listed_and_found(client):
    ids = [model.id for model in client.models.list()]
    assert "openai/gpt-4o" in ids
    model = client.models.retrieve("openai/gpt-4o")
    assert (model.id, model.object, model.owned_by) == ("openai/gpt-4o", "model", "openai")
    assert isinstance(model.created, int)


def test_raw_response_headers_are_there(client):
    headers = {"x-request-id": "py-1", "origin": "https://app.example"}
    raw = client.chat.completions.with_raw_response.create(model="ok", messages=HELLO, extra_headers=headers)
    assert raw.headers["x-request-id"] == "py-1"
    assert raw.headers["content-type"].startswith("application/json")
    assert raw.headers["access-control-allow-origin"] == "*"
    assert raw.parse().choices[0].message.content == ANSWER


def test_the_raw_body_is_the_providers(client, provider):
    raw = client.chat.completions.with_raw_response.create(model="any/odd", messages=HELLO)
    assert raw.content == provider()[-1]["sent"]
