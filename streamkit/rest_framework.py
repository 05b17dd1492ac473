"""Renderers by which Django REST framework lets event streams, NDJSON and JSON sequences be asked for.

    class Progress(APIView):
        renderer_classes = [EventStreamRenderer]

        def get(self, request):
            return EventStreamResponse(progress(), request=request)  # of streamkit.django

REST framework negotiates before it authenticates: without such a renderer `Accept: text/event-stream` is answered 406
before the view is asked. The stream itself is rendered by no renderer, since it is no REST framework `Response`. What
is one, such as an error, is JSON here, and says so: a client that waits for events looks at the status.
"""

from __future__ import annotations

from typing import Any, ClassVar

try:
    from rest_framework.renderers import JSONRenderer
except ModuleNotFoundError as _exc:  # pragma: no cover - run by a test in another process
    raise ImportError(f"this module needs Django REST framework: pip install djangorestframework ({_exc})") from _exc

from streamkit import django
from streamkit.openapi import complete

__all__ = ["EventStreamRenderer", "JSONSeqRenderer", "NDJSONRenderer", "StreamRenderer", "complete_schema"]


def __dir__() -> list[str]:
    return __all__


class StreamRenderer(JSONRenderer):  # type: ignore[misc]
    """What the renderers have in common; a subclass of one of them says by `response` how its streams are.

    Attributes:
        response: The response class of the stream.
        format: What selects it in `?format=` and as the suffix of a URL.
    """

    response: ClassVar[Any]

    def stream(self, content: object, *, request: Any, **options: Any) -> Any:
        """Return the response that streams `content`, for a view that has several formats.

            if isinstance(request.accepted_renderer, StreamRenderer):
                return request.accepted_renderer.stream(rows(), request=request)

        Unlike `NegotiatedResponse`, which knows the Accept header alone, this obeys `?format=` and suffixes.

        Args:
            content: The source of the stream.
            request: REST framework's own.
            options: Of the response class, such as `end` and `policy`.
        """
        return self.response(content, request=request, **options)

    def render(self, data: Any, accepted_media_type: str | None = None, renderer_context: Any = None) -> bytes:
        """Return `data`, which is no stream, as JSON, and name that type in the head."""
        response: Any = (renderer_context or {}).get("response")
        if getattr(response, "accepted_renderer", None) is self:  # the browsable API asks for what it shows in its page
            response["Content-Type"] = JSONRenderer.media_type
        rendered: bytes = super().render(data, JSONRenderer.media_type, renderer_context)
        return rendered


class EventStreamRenderer(StreamRenderer):
    """For `Accept: text/event-stream` and `?format=sse`."""

    media_type = "text/event-stream"
    format = "sse"
    response: ClassVar[Any] = django.EventStreamResponse


class NDJSONRenderer(StreamRenderer):
    """For `Accept: application/x-ndjson` and `?format=ndjson`."""

    media_type = "application/x-ndjson"
    format = "ndjson"
    response: ClassVar[Any] = django.NDJSONResponse


class JSONSeqRenderer(StreamRenderer):
    """For `Accept: application/json-seq` and `?format=jsonseq`."""

    media_type = "application/json-seq"
    format = "jsonseq"
    response: ClassVar[Any] = django.JSONSeqResponse


def complete_schema(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Finish the description that drf-spectacular has made: one of its `POSTPROCESSING_HOOKS`; see `complete`."""
    return complete(result)
