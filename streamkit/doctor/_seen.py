"""The observations of one battery by name, and the questions that several rules ask of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from streamkit.doctor._observation import Observation
from streamkit.doctor._shape import Shape, shape


class Seen:
    """Observations and their shapes, by the names of their variants."""

    def __init__(self, observations: Iterable[Observation]) -> None:
        self.observations: dict[str, Observation] = {seen.variant.name: seen for seen in observations}
        self.shapes: dict[str, Shape] = {name: shape(observation) for name, observation in self.observations.items()}

    def observation(self, name: str) -> Observation | None:
        """Return what the variant saw, None where it was not asked or has no answer."""
        observation = self.observations.get(name)
        return observation if observation is not None and observation.status == 200 else None

    def shape(self, name: str) -> Shape | None:
        """Return the shape of a variant that can be judged."""
        if self.observation(name) is None or self.shapes[name].kind == "few":
            return None
        return self.shapes[name]

    def streams(self, name: str) -> bool:
        """Whether the variant was judged, and nothing held it."""
        shape = self.shape(name)
        return shape is not None and shape.kind == "streamed"

    def streams_at_once(self, name: str) -> bool:
        """Whether it streams from its first byte on: neither the head nor the first events have waited."""
        return self.streams(name) and not self.shapes[name].start and not self.head_is_late(name)

    def held(self, name: str) -> bool:
        """Whether the variant was judged, and something held it."""
        shape = self.shape(name)
        return shape is not None and shape.held

    def first_that_streams(self, *names: str) -> str:
        """Return the first of the variants that streams, "" where none does."""
        return next((name for name in names if self.streams(name)), "")

    def same_answer(self, one: str, other: str) -> bool:
        """Whether two requests were given one and the same answer of the origin."""
        first, second = self.observation(one), self.observation(other)
        return first is not None and second is not None and bool(first.nonce) and first.nonce == second.nonce

    def head_is_late(self, name: str) -> bool:
        """Whether the head, sent well before the first frame, came together with it."""
        seen = self.observation(name)
        if seen is None or seen.head_sent is None or not seen.frames or seen.frames[0].sent is None:
            return False
        earlier = seen.frames[0].sent - seen.head_sent
        return earlier >= 0.6 * seen.variant.first > 0 and seen.frames[0].at - seen.head_at < 0.4 * earlier

    @property
    def versions(self) -> str:
        """The HTTP versions over which an answer came, as in "HTTP/1.1 and HTTP/2"."""
        found = {seen.http_version for seen in self.observations.values() if seen.http_version}
        return " and ".join(sorted(found))
