"""The Responses API by the official Python client and by OpenAI's Agents SDK: answers, streams, tools, kept responses, errors."""

import asyncio
import json

import openai
import pytest
from agents import Agent, OpenAIProvider, RunConfig, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI, OpenAI

ANSWER = "Hello there, caller – 你好 😀."
MODELS = ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "responses/gpt-5.4"]
TOOLS = [
    {"type": "function", "name": name, "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}, "strict": False}
    for name in ("get_weather", "get_time")
]

set_tracing_disabled(True)


@pytest.fixture
def formats(scene, options):
    """A client of the gateway before providers of four formats."""
    with OpenAI(**{**options, "base_url": scene["formats"] + "/v1"}) as client:
        yield client


def calls_of(response):
    return [item for item in response.output if item.type == "function_call"]


def results_of(response):
    return [{"type": "function_call_output", "call_id": call.call_id, "output": "fine"} for call in calls_of(response)]


def test_a_response_is_answered(client):
    response = client.responses.create(model="openai/ok", input="Hello", instructions="Be brief.")
    assert (response.status, response.output_text) == ("completed", ANSWER)
    assert (response.usage.input_tokens, response.usage.output_tokens, response.usage.total_tokens) == (9, 7, 16)
    assert response.usage.input_tokens_details.cached_tokens == 4


def test_a_stream_adds_up_to_the_response(client):
    text, kinds = "", []
    with client.responses.stream(model="openai/ok", input="Hello") as stream:
        for event in stream:
            kinds.append(event.type)
            if event.type == "response.output_text.delta":
                text += event.delta
        final = stream.get_final_response()
    assert text == final.output_text == ANSWER
    assert (kinds[0], kinds[-1]) == ("response.created", "response.completed")
    assert final.usage.total_tokens == 16


@pytest.mark.parametrize("model", MODELS)
def test_tools_are_run_over_what_the_client_carries(formats, scene, model):
    said = [{"role": "user", "content": "Weather?"}]
    called = []
    for _ in scene["dialogue"]["calls"]:
        response = formats.responses.create(model=model, input=said, tools=TOOLS, store=False, include=["reasoning.encrypted_content"])
        called += [{"name": call.name, "args": json.loads(call.arguments)} for call in calls_of(response)]
        said += [*response.output, *results_of(response)]
    assert called == scene["dialogue"]["calls"]
    with formats.responses.stream(model=model, input=said, tools=TOOLS, store=False) as stream:
        stream.until_done()
        assert stream.get_final_response().output_text == "".join(scene["dialogue"]["words"])


@pytest.mark.parametrize("model", MODELS)
def test_tools_are_run_over_kept_responses(formats, scene, model):
    response = formats.responses.create(model=model, input="Weather?", tools=TOOLS)
    called = []
    while calls_of(response):
        called += [{"name": call.name, "args": json.loads(call.arguments)} for call in calls_of(response)]
        response = formats.responses.create(model=model, input=results_of(response), tools=TOOLS, previous_response_id=response.id)
    assert called == scene["dialogue"]["calls"]
    assert response.output_text == "".join(scene["dialogue"]["words"])


def test_a_kept_response_is_read_and_deleted(client):
    made = client.responses.create(model="openai/ok", input="Hello")
    assert client.responses.retrieve(made.id).output_text == ANSWER
    [item] = client.responses.input_items.list(made.id)
    assert (item.type, item.role, item.content[0].type, item.content[0].text) == ("message", "user", "input_text", "Hello")
    said = [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi."}, {"role": "user", "content": "Bye"}]
    more = client.responses.create(model="openai/ok", input=said)
    items = [(item.role, item.content[0].type, item.content[0].text) for item in client.responses.input_items.list(more.id, order="asc", limit=2)]
    assert items == [("user", "input_text", "Hello"), ("assistant", "output_text", "Hi."), ("user", "input_text", "Bye")]
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)


def test_tokens_of_a_prompt_are_counted(client):
    counted = client.responses.input_tokens.count(model="openai/ok", input="Hello")
    assert counted.input_tokens > 0


def test_a_response_that_nobody_has_raises_not_found(client):
    with pytest.raises(openai.NotFoundError) as raised:
        client.responses.retrieve("resp_0123456789abcdef")
    assert raised.value.request_id


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("model", "kind", "status", "code"),
    [
        ("openai/unknown", openai.NotFoundError, 404, "model_not_found"),
        ("any/err-429", openai.RateLimitError, 429, "rate_limit_exceeded"),
        ("any/err-500", openai.InternalServerError, 500, None),
        ("any/err-401", openai.InternalServerError, 502, "upstream_credentials_refused"),
    ],
)
def test_a_failure_before_the_first_byte_raises_its_own_exception(client, model, kind, status, code, stream):
    with pytest.raises(kind) as raised:
        client.responses.create(model=model, input="Hello", stream=stream)
    assert (raised.value.status_code, raised.value.code) == (status, code)


def test_a_prompt_that_is_too_long_raises_its_code(client):
    with pytest.raises(openai.BadRequestError) as whole:
        client.responses.create(model="any/err-400-context", input="Hello")
    # Agents look for this one in streams, not among the statuses.
    with pytest.raises(openai.APIError) as streamed:
        list(client.responses.create(model="any/err-400-context", input="Hello", stream=True))
    assert whole.value.code == streamed.value.code == "context_length_exceeded"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("any/ends-early", "broke off"),
        ("any/cut-mid-stream", "broke off"),
        ("any/reset-mid-stream", "broke off"),
        ("brief/stall-mid-stream", "in the time allowed"),
        ("any/error-mid-stream", "overloaded"),
    ],
)
def test_a_stream_that_breaks_raises_after_what_came_before(client, pass_deadline, model, words):
    text = ""
    with pytest.raises(openai.APIError) as raised:
        for event in client.responses.create(model=model, input="Hello", stream=True):
            text += event.delta if event.type == "response.output_text.delta" else ""
            if text:
                pass_deadline()
    # The one code of the Responses API for a failure that is not the caller's.
    assert raised.value.code == "server_error"
    assert words in raised.value.message
    assert text


@pytest.mark.parametrize("model", ["any/cut-mid-stream", "any/error-mid-stream"])
def test_the_helper_makes_no_response_of_a_stream_that_breaks(client, model):
    with pytest.raises(openai.APIError), client.responses.stream(model=model, input="Hello") as stream:
        stream.get_final_response()


def run(scene, address, model, prompt, *, tools=(), streamed=False, **more):
    """What an agent says in the end, and its run."""

    async def work():
        async with AsyncOpenAI(base_url=scene[address] + "/v1", api_key=scene["key"], max_retries=0, timeout=150) as client:
            config = RunConfig(model_provider=OpenAIProvider(openai_client=client, use_responses=True), tracing_disabled=True)
            agent = Agent(name="Weather", model=model, tools=list(tools))
            if not streamed:
                return await Runner.run(agent, prompt, run_config=config, **more)
            result = Runner.run_streamed(agent, prompt, run_config=config, **more)
            async for _ in result.stream_events():
                pass
            return result

    return asyncio.run(work())


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
def test_an_agent_runs_tools_and_goes_on_from_a_kept_response(scene, model, streamed):
    ran = []

    @function_tool(strict_mode=False)
    def get_weather(city: str) -> str:
        ran.append({"name": "get_weather", "args": {"city": city}})
        return "fine"

    @function_tool(strict_mode=False)
    def get_time() -> str:
        ran.append({"name": "get_time", "args": {}})
        return "fine"

    tools = [get_weather, get_time]
    result = run(scene, "formats", model, "Weather?", tools=tools, streamed=streamed)
    assert result.final_output == "".join(scene["dialogue"]["words"])
    assert ran == scene["dialogue"]["calls"]
    more = run(scene, "formats", model, "And then?", tools=tools, streamed=streamed, previous_response_id=result.last_response_id)
    assert more.final_output == "".join(scene["dialogue"]["words"])
    # A model that did not know of the two results would call the tools once more.
    assert ran == scene["dialogue"]["calls"]


def test_an_agent_raises_what_the_client_raises(scene):
    with pytest.raises(openai.BadRequestError) as raised:
        run(scene, "gateway", "any/err-400-context", "Hello")
    assert raised.value.code == "context_length_exceeded"


def test_an_agent_takes_no_part_of_a_stream_for_an_answer(scene):
    with pytest.raises(Exception) as raised:  # noqa: B017 (its own class, or the client's)
        run(scene, "gateway", "any/cut-mid-stream", "Hello", streamed=True)
    assert "broke off" in str(raised.value) or "failed" in str(raised.value)
