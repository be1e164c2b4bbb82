"""Starts the gateway on a real workerd and a fake provider behind it, once for all tests, and hands out clients for them."""

import base64
import json
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path

import pytest
from openai import AsyncOpenAI, OpenAI

PROJECT = Path(__file__).parents[2]


def pytest_runtest_logstart(nodeid):
    """Writes the name of the test under way to where scripts/limit.sh looks for it."""
    folder = os.environ.get("TESTS_UNDER_WAY")
    if folder:
        Path(folder, "tests").write_text(f"{nodeid}\n", encoding="utf-8")


def node():
    """The project's own Node where it is installed: the system's may be too old."""
    own = PROJECT / "node_modules/.bin/node"
    return str(own) if own.exists() else shutil.which("node")


@pytest.fixture(scope="session")
def scene():
    """Where everything is: `gateway`, `provider`, the caller's `key`, and the key of metrics (`scraper`)."""
    helper = subprocess.Popen(
        [node(), str(Path(__file__).with_name("scene.mjs"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        line = helper.stdout.readline()
        assert line, "the scene did not start; its complaint is above"
        yield json.loads(line)
        helper.stdin.close()
        assert helper.wait(timeout=120) == 0, "the scene ended badly; its complaint is above"
    finally:
        helper.kill()


@pytest.fixture
def provider(scene):
    """What the provider was sent since the test began: call it for the list."""
    url = scene["provider"] + "/_requests"
    urllib.request.urlopen(urllib.request.Request(url, method="DELETE")).read()

    def requests():
        rows = json.load(urllib.request.urlopen(url))
        return [{**row, "body": base64.b64decode(row["body"]), "sent": base64.b64decode(row["sent"])} for row in rows]

    return requests


@pytest.fixture
def options(scene):
    """What any client is made with. It never tries again: a second try would hide the first one's failure."""
    return {"base_url": scene["gateway"] + "/v1", "api_key": scene["key"], "max_retries": 0, "timeout": 150}


@pytest.fixture
def pass_deadline(scene, request):
    """
    Lets the deadline of a model of `brief` pass: for the test to call when what has to come before it has come. Until then the
    gateway's clock goes at a fiftieth of its speed. For other models it does nothing.
    """

    def order(**words):
        urllib.request.urlopen(urllib.request.Request(scene["gateway"] + "/test/control", data=json.dumps(words).encode())).read()

    if not request.node.callspec.params["model"].startswith("brief/"):
        yield lambda: None
        return
    order(speed=0.02)
    yield lambda: order(advance=60_000)
    order(speed=1)


@pytest.fixture
def client(options):
    with OpenAI(**options) as client:
        yield client


@pytest.fixture
def async_client(options):
    return AsyncOpenAI(**options)
