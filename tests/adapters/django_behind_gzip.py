"""The rig's Django application behind the middleware that compresses, for real servers."""

from __future__ import annotations

import django
from django.conf import settings

settings.configure(
    ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.gzip.GZipMiddleware", "django.middleware.http.ConditionalGetMiddleware"],
    ROOT_URLCONF="tests.rig.apps.django",
    SECRET_KEY="tests",
)
django.setup()

from tests.rig.apps.django import asgi_app, wsgi_app  # noqa: E402 - it takes the settings that it finds

__all__ = ["asgi_app", "wsgi_app"]
