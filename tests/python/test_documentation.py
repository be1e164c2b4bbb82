"""The Python examples of the front pages run verbatim, except for the gateway's address, the key and the model."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]


def examples(page):
    blocks = re.findall(r"```python\n(.*?)```", (PROJECT / page).read_text(encoding="utf-8"), re.S)
    return [block for block in blocks if "base_url=" in block]


@pytest.mark.parametrize("page", ["README.md", "docs/README-zh-CN.md"])
def test_the_examples_stream_a_chat(scene, tmp_path, page):
    [example] = examples(page)
    for shown, here in {
        "http://localhost:1219": scene["gateway"],
        "sk-llm-bridge-dev": scene["key"],
        "demo/echo": "ok",
    }.items():
        assert shown in example
        example = example.replace(shown, here)
    script = tmp_path / "example.py"
    script.write_text(example, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert done.stdout == "Hello there, caller – 你好 😀."
