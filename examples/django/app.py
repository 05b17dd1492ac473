"""A chat page that types an answer word by word, and goes on exactly where it stopped when the connection drops."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.management import execute_from_command_line
from django.http import HttpRequest
from django.urls import include, path
from django.views.generic import TemplateView

from answers import rest
from streamkit import Event, EventStream, StreamPolicy
from streamkit.django import EventStreamResponse, last_event_id

PACE = 0.05  # seconds a word, about as fast as a language model writes
FEATURES = ("prompt", "job", "export", "completions", "relay", "detached", "assistant", "notifications")
PAGES = Path(__file__).parent / "static"

settings.configure(  # a whole project in one file; in yours, copy the views and urlpatterns
    DEBUG=True,  # for development: runserver then serves the static files too
    SECRET_KEY="only for this example",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.staticfiles"],
    STATIC_URL="/static/",
    STATICFILES_DIRS=[PAGES],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [PAGES]}],
)


def answer(request: HttpRequest) -> EventStreamResponse:
    """Stream the answer to `?q=`, or what is left of it for a browser that was here before."""
    words = typed(request.GET.get("q", ""), last_event_id(request))
    # JSON, because a word may be a line break; `retry`, the milliseconds until a dropped connection is made again;
    # `end`, because a browser that is not told takes the end for a dropped connection.
    style, policy, end = EventStream(json=True), StreamPolicy(retry=1000), Event("", event="done")
    return EventStreamResponse(words, request=request, format=style, policy=policy, end=end)


def typed(question: str, last_id: str | None) -> Iterator[Event]:
    """Yield the words that the browser lacks, each with its position in the answer as its id."""
    for position, word in rest(question, last_id):
        yield Event(word, id=position)
        time.sleep(PACE)


urlpatterns = [
    path("", TemplateView.as_view(template_name="chat.html")),
    path("answer", answer),
    *(path("", include(feature)) for feature in FEATURES),
]
application = get_asgi_application()  # for uvicorn; runserver makes a WSGI application of its own

if __name__ == "__main__":
    url = f"127.0.0.1:{sys.argv[1] if len(sys.argv) > 1 else 8000}"
    print(f"Open  http://{url}/\nor    curl -N 'http://{url}/answer?q=What+is+a+keepalive'\n", flush=True)
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", url])
