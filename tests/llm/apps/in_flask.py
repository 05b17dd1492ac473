"""The completions in Flask, sync throughout."""

from __future__ import annotations

import openai
from flask import Flask, Response, jsonify, make_response, request

from streamkit.flask import EventStreamResponse, primed
from streamkit.llm import chat_completions
from tests.llm.apps.answers import POLICY, BusyError, options, sync_source
from tests.rig.sidedoor import open_side_door

app = Flask(__name__)
open_side_door()


@app.post("/v1/chat/completions")
def completions() -> Response:
    """Answer by the model."""
    body = request.get_json()
    try:
        source = primed(chat_completions.stream(sync_source(body), **options(body)))
    except BusyError:
        return make_response(jsonify(error={"message": "come back later"}), 429)
    except openai.APIStatusError as error:
        return make_response(jsonify(error=error.body), error.status_code)
    return EventStreamResponse(source, policy=POLICY)
