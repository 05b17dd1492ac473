"""What clients of language models speak on the wire: a source's parts in, events of a protocol out.

    return EventStreamResponse(chat_completions.stream(tokens(), model="mine"))

- `chat_completions`: OpenAI's chat completions, for `OpenAI(base_url=…)` and all that speak like it
- `ui_messages`: the AI SDK's UI message stream, for `useChat`
- `relay`: any event stream of another server, sent on

Each is a source for the responses of every adapter; none models an API or imports a third-party package. The events are
the same under every `EventStream`, whatever its options.
"""

from streamkit.llm._relay import relay
from streamkit.llm._upstream import UpstreamError

__all__ = ["UpstreamError", "relay"]


def __dir__() -> list[str]:
    return __all__
