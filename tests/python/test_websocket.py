"""The Python example of docs/websocket.md, as it stands there, but for where it calls."""

import re
import subprocess
import sys
from pathlib import Path

DOCUMENT = Path(__file__).parents[2] / "docs/websocket.md"


def test_the_example_answers_two_chats_at_once(scene, tmp_path):
    code = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.S)[1]
    for name, value in {"URL": scene["gateway"].replace("http", "ws") + "/v1/ws", "KEY": scene["key"], "MODEL": "ok"}.items():
        code, found = re.subn(rf"^{name} = .*$", f"{name} = {value!r}", code, flags=re.M)
        assert found == 1
    script = tmp_path / "example.py"
    script.write_text(code, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stderr == ""
    assert sorted(line.split(" ", 1)[0] for line in done.stdout.splitlines()) == ["one", "two"]
    assert all(line.endswith("Hello there, caller – 你好 😀.") for line in done.stdout.splitlines())
