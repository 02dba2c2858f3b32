"""The page in Chromium. `npm install --prefix /tmp/browser playwright-core` (with PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1),
then `NODE_PATH=/tmp/browser/node_modules python -m pytest -m browser tests/live`; CHROMIUM names another browser."""

import json
import os
import shutil
import subprocess
import threading
from pathlib import Path

import pytest

from maml_numpy.live.server import Server

SCRIPT = Path(__file__).with_name("page.cjs")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(
    not (shutil.which("node") and os.environ.get("NODE_PATH")),
    reason="needs Node, and NODE_PATH for playwright-core")]


def test_every_section_works_without_an_error_or_an_outside_request(tmp_path):
    with Server() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ran = subprocess.run(["node", str(SCRIPT), server.address, str(tmp_path)], capture_output=True, text=True,
                             timeout=280)
        server.shutdown()
    assert ran.returncode == 0, ran.stderr[-1000:]
    seen = json.loads(ran.stdout)
    assert "failed" not in seen, seen
    assert seen["errors"] == [] and seen["outside"] == []
    assert seen["still"] and seen["moved"] and seen["sections"]["own"] and seen["sections"]["trace"]
    assert seen["first"] <= 1000 and seen["drag"] <= 60 and seen["judged"] <= 3000  # on a busy machine
    assert seen["old"] == 6 and "names no section" in seen["none"]
    assert seen["narrow"] <= 400 and "goal=" in seen["link"]
    assert {path.stem for path in tmp_path.glob("*.png")} >= {"still", "adapt", "check", "dark-train", "narrow-check"}
