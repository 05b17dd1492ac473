"""A site that drf-spectacular describes; loaded in a process of its own, whose settings name it."""

from __future__ import annotations

from typing import Any

from django.urls import path
from drf_spectacular.utils import extend_schema
from pydantic import BaseModel
from rest_framework.views import APIView

from streamkit.django import EventStreamResponse
from streamkit.openapi import responses
from streamkit.rest_framework import EventStreamRenderer


class Progress(BaseModel):
    """How far a job is."""

    percent: int


OPERATION = {"operationId": "job", "responses": responses(EventStreamResponse, Progress)}


class Job(APIView):  # type: ignore[misc]
    """Streams how far a job is."""

    renderer_classes = (EventStreamRenderer,)

    @extend_schema(operation=OPERATION)
    def get(self, request: Any) -> EventStreamResponse:
        """Stream it."""
        return EventStreamResponse([Progress(percent=100)], request=request)


urlpatterns = [path("job", Job.as_view())]
