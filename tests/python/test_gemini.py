"""Gemini's API by Google's client for Python: answers, streams, tools, counts, embeddings, errors, by models of every format."""

import pytest
from google import genai
from google.genai import errors, types

ANSWER = "Hello there, caller – 你好 😀."
MODELS = ["openai/gpt-4.1", "anthropic/claude-sonnet-4-5", "gemini/gemini-2.5-flash", "responses/gpt-5.4"]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOLS = [
    types.Tool(
        function_declarations=[
            types.FunctionDeclaration(name=name, description=name, parameters_json_schema=SCHEMA) for name in ("get_weather", "get_time")
        ]
    )
]


def google(scene, address):
    options = types.HttpOptions(base_url=scene[address], timeout=150_000)
    return genai.Client(api_key=scene["key"], http_options=options)


@pytest.fixture
def client(scene):
    with google(scene, "gateway") as client:
        yield client


@pytest.fixture
def formats(scene):
    with google(scene, "formats") as client:
        yield client


def test_content_is_generated(client):
    response = client.models.generate_content(model="openai/ok", contents="Hello")
    assert response.text == ANSWER
    assert response.candidates[0].finish_reason == types.FinishReason.STOP
    usage = response.usage_metadata
    assert (usage.prompt_token_count, usage.total_token_count, usage.cached_content_token_count) == (9, 16, 4)


def test_a_stream_adds_up_to_the_answer(client):
    chunks = list(client.models.generate_content_stream(model="openai/ok", contents="Hello"))
    assert "".join(chunk.text or "" for chunk in chunks) == ANSWER
    assert chunks[-1].candidates[0].finish_reason == types.FinishReason.STOP
    assert chunks[-1].usage_metadata.total_token_count == 16


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("model", MODELS)
def test_tools_are_run(formats, scene, model, streamed):
    config = types.GenerateContentConfig(tools=TOOLS, automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True))
    said = [types.UserContent("Weather?")]
    called = []

    def parts():
        if not streamed:
            return formats.models.generate_content(model=model, contents=said, config=config).candidates[0].content.parts
        chunks = formats.models.generate_content_stream(model=model, contents=said, config=config)
        return [part for chunk in chunks for part in (chunk.candidates[0].content.parts or [])]

    for _ in scene["dialogue"]["calls"]:
        turn = parts()
        calls = [part.function_call for part in turn if part.function_call]
        called += [{"name": call.name, "args": call.args or {}} for call in calls]
        said.append(types.ModelContent(turn))
        answers = [types.FunctionResponse(id=call.id, name=call.name, response={"output": "fine"}) for call in calls]
        said.append(types.UserContent([types.Part(function_response=answer) for answer in answers]))
    assert called == scene["dialogue"]["calls"]
    assert "".join(part.text or "" for part in parts()) == "".join(scene["dialogue"]["words"])


def test_tokens_are_counted(client):
    assert client.models.count_tokens(model="openai/ok", contents="Hello").total_tokens > 0


def test_texts_are_embedded(formats):
    embedded = formats.models.embed_content(model="gemini/gemini-embedding-001", contents=["one", "two"])
    assert [embedding.values for embedding in embedded.embeddings] == [[0.5, 0.375, 0.25, 0.125], [1.5, 1.375, 1.25, 1.125]]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("model", "kind", "status", "word"),
    [
        ("openai/unknown", errors.ClientError, 404, "NOT_FOUND"),
        ("any/err-400-context", errors.ClientError, 400, "INVALID_ARGUMENT"),
        ("any/err-429", errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
        ("any/err-500", errors.ServerError, 500, "INTERNAL"),
        ("any/err-401", errors.ServerError, 502, "INTERNAL"),
    ],
)
def test_a_failure_before_the_first_byte_raises_its_own_exception(client, model, kind, status, word, streamed):
    with pytest.raises(kind) as raised:
        if streamed:
            list(client.models.generate_content_stream(model=model, contents="Hello"))
        else:
            client.models.generate_content(model=model, contents="Hello")
    assert (raised.value.code, raised.value.status) == (status, word)


def test_a_wrong_key_raises_client_error(scene):
    with google({**scene, "key": "wrong"}, "gateway") as client, pytest.raises(errors.ClientError) as raised:
        client.models.generate_content(model="openai/ok", contents="Hello")
    assert raised.value.status in ("UNAUTHENTICATED", "INVALID_ARGUMENT")


@pytest.mark.parametrize("model", ["any/ends-early", "any/cut-mid-stream", "any/error-mid-stream", "brief/stall-mid-stream"])
def test_a_stream_that_breaks_raises_after_what_came_before(client, pass_deadline, model):
    text = ""
    with pytest.raises((errors.APIError, errors.UnknownApiResponseError)):
        for chunk in client.models.generate_content_stream(model=model, contents="Hello"):
            text += chunk.text or ""
            if text:
                pass_deadline()
    assert text
