"""Serve an example of Flask whose answers another process writes, as docs/ui-messages.md says: `PORT`, or `write`.

Run in the folder of the example. The queue is files in it; what is put in is written by whoever runs as `write`.
"""

from __future__ import annotations

import json
import runpy
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import assistant
from streamkit.llm import ui_messages

PACE = 0.08
BOUND = 20.0


def ask(chat_id: str, prompt: str) -> Any:
    """Put a question into the queue, wait until its answer is begun, and return that."""
    key = str(uuid.uuid4())
    job = Path(f"{key}.new")
    job.write_text(json.dumps([chat_id, key, prompt]))
    job.rename(f"{key}.job")
    until = time.monotonic() + BOUND
    while assistant.chats.streams.status_sync(key).state == "unknown" and time.monotonic() < until:
        time.sleep(0.02)
    return ui_messages.attach(assistant.chats.streams, key)


def write() -> None:
    """Write the answer to whatever is in the queue, for ever."""
    assistant.PACE = PACE
    while True:
        for job in Path().glob("*.job"):
            chat_id, key, prompt = json.loads(job.read_text())
            job.unlink()
            assistant.chats.start_sync(chat_id, assistant.typed(prompt), message_id=key)
        time.sleep(0.02)


if sys.argv[1] == "write":
    write()
else:
    assistant.chats.start_sync = ask
    assistant.typed = lambda prompt: prompt
    sys.argv[0] = "app.py"
    runpy.run_path("app.py", run_name="__main__")
