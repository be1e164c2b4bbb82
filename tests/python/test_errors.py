"""Each failure reaches the official Python client as the exception that its users catch, in a stream as well as before it."""

import asyncio
import json

import openai
import pytest

HELLO = [{"role": "user", "content": "Hello"}]


def chat(client, model, **fields):
    return client.chat.completions.create(model=model, messages=HELLO, **fields)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("model", "kind", "status", "code"),
    [
        ("openai/unknown", openai.NotFoundError, 404, "model_not_found"),
        ("any/err-400-context", openai.BadRequestError, 400, "context_length_exceeded"),
        ("any/err-404", openai.NotFoundError, 404, "model_not_found"),
        ("any/err-429", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("any/err-500", openai.InternalServerError, 500, None),
        ("any/err-401", openai.InternalServerError, 502, "upstream_credentials_refused"),
        ("any/html-200", openai.InternalServerError, 502, "upstream_invalid_response"),
        ("any/error-in-200", openai.InternalServerError, 502, "insufficient_credits"),
        ("brief/silent", openai.InternalServerError, 504, "upstream_timeout"),
    ],
)
def test_a_failure_before_the_first_byte_raises_its_own_exception(client, model, kind, status, code, stream):
    with pytest.raises(kind) as raised:
        chat(client, model, stream=stream)
    assert (raised.value.status_code, raised.value.code) == (status, code)
    assert set(raised.value.body) == {"message", "type", "param", "code"}
    assert raised.value.request_id == raised.value.response.headers["x-request-id"]


def test_a_wrong_key_raises_authentication_error(options):
    with openai.OpenAI(**{**options, "api_key": "wrong"}) as client, pytest.raises(openai.AuthenticationError) as raised:
        chat(client, "ok")
    assert raised.value.code == "invalid_api_key"


def test_a_wrong_type_raises_bad_request_error(client):
    with pytest.raises(openai.BadRequestError) as raised:
        client.chat.completions.create(model="ok", messages="Hello")
    assert (raised.value.code, raised.value.param) == ("invalid_type", "messages")


def test_an_unknown_model_is_not_retrieved(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.models.retrieve("openai/unknown")
    assert raised.value.code == "model_not_found"


def test_retry_after_is_there_for_those_who_heed_it(client):
    with pytest.raises(openai.RateLimitError) as raised:
        chat(client, "any/err-429")
    assert raised.value.response.headers["retry-after"] == "7"


BROKEN_STREAMS = [
    ("any/ends-early", "stream_truncated"),
    ("any/cut-mid-stream", "stream_truncated"),
    ("any/reset-mid-stream", "stream_truncated"),
    ("brief/stall-mid-stream", "upstream_timeout"),
    ("brief/trickle", "upstream_timeout"),
    ("any/error-mid-stream", "overloaded"),
    ("any/error-event", "overloaded"),
]


# A client that asks for the usage gets the provider's bytes natively; for any other the gateway takes the usage out again, event by event.
WAYS = pytest.mark.parametrize("fields", [{"stream_options": {"include_usage": True}}, {}], ids=["native", "checked"])


@WAYS
@pytest.mark.parametrize(("model", "code"), BROKEN_STREAMS)
def test_a_stream_that_breaks_raises_after_what_came_before(client, pass_deadline, model, code, fields):
    text = ""
    with pytest.raises(openai.APIError) as raised:
        for chunk in chat(client, model, stream=True, **fields):
            text += chunk.choices[0].delta.content or ""
            if text:
                pass_deadline()
    assert raised.value.code == code
    assert text


@WAYS
def test_a_stream_that_breaks_inside_an_event_raises_too(client, fields):
    # Half of the event has passed natively: what is raised may be the client's own complaint of it.
    with pytest.raises((openai.APIError, json.JSONDecodeError)):
        for _ in chat(client, "any/cut-mid-event", stream=True, **fields):
            pass


@WAYS
@pytest.mark.parametrize(("model", "code"), BROKEN_STREAMS)
def test_the_helper_makes_no_answer_of_a_stream_that_breaks(client, pass_deadline, model, code, fields):
    with pytest.raises(openai.APIError) as raised, client.chat.completions.stream(model=model, messages=HELLO, **fields) as stream:
        next(event for event in stream if event.type == "content.delta")
        pass_deadline()
        stream.get_final_completion()
    assert raised.value.code == code


@WAYS
@pytest.mark.parametrize(("model", "code"), BROKEN_STREAMS[:1])
def test_a_stream_that_breaks_raises_in_the_async_client_too(async_client, model, code, fields):
    async def read():
        async with async_client:
            async for _ in await chat(async_client, model, stream=True, **fields):
                pass

    with pytest.raises(openai.APIError) as raised:
        asyncio.run(read())
    assert raised.value.code == code
