"""What may be streamed, and how it is closed.

A source is any iterable or async iterable of items. What looks like one and is surely a mistake (text, a dict, a
function that was not called, a coroutine that was not awaited) is refused in the view, with what to write instead.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, cast

Source: TypeAlias = AsyncIterable[object] | Iterable[object]


def is_async(source: object) -> bool:
    """Tell whether `source` can be iterated with `async for`."""
    return hasattr(source, "__aiter__")


def is_sync(source: object) -> bool:
    """Tell whether `source` can be iterated with `for`."""
    return hasattr(source, "__iter__")


def check_source(content: object) -> Source:
    """Return `content` when it can be streamed.

    Raises:
        TypeError: It cannot; the text says what to write instead.
    """
    name = getattr(content, "__name__", type(content).__name__)
    if inspect.iscoroutine(content):
        content.close()
        raise TypeError(f"content is the coroutine {name}(): did you forget await?")
    if inspect.isawaitable(content) and not is_async(content):  # a Task can be iterated too, for `yield from`
        raise TypeError(f"content is {content!r:.200}: did you forget await?")
    if isinstance(content, str | bytes | bytearray | memoryview):
        raise TypeError(
            f"content is {type(content).__name__}: a stream takes an iterable of items, and this would be sent letter"
            " by letter; pass [content] to send one item, or return an ordinary response"
        )
    if isinstance(content, Mapping):
        raise TypeError(
            f"content is a {type(content).__name__}: a stream takes an iterable of items, and iterating this would send"
            " its keys; pass [content] to send it as one item, or content.items()"
        )
    if inspect.isfunction(content) or inspect.ismethod(content):
        raise TypeError(f"content is the function {name}: call it, as in {name}()")
    if isinstance(content, type) or not (is_async(content) or is_sync(content)):
        raise TypeError(f"content must be an iterable or an async iterable of items, not {content!r:.200}")
    return content  # type: ignore[return-value]


class Resumed:
    """Lets a loop go on with an iterator, which need not be iterable itself: no loop asks that of what it starts."""

    def __init__(self, items: Any) -> None:
        self._items = items

    def __iter__(self) -> Iterator[object]:
        return cast("Iterator[object]", self._items)

    def __aiter__(self) -> AsyncIterator[object]:
        return cast("AsyncIterator[object]", self._items)


def close_sync(items: object, source: object) -> None:
    """Close the iterator, and the iterable behind it where that is another object with a `close` of its own."""
    try:
        close = getattr(items, "close", None)
        if callable(close):
            close()
    finally:
        if items is not source:
            close_sync(source, source)


async def close_async(items: object, source: object) -> None:
    """Close the async iterator, and the iterable behind it where that is another object that can be closed."""
    try:
        close = getattr(items, "aclose", None) or getattr(items, "close", None)
        if callable(close):
            result = close()
            if inspect.isawaitable(result):
                await result
    finally:
        if items is not source:
            await close_async(source, source)


def as_error(error: BaseException) -> Exception:
    """Return `error`; a cancellation that nobody asked for must not pass for one of ours."""
    if isinstance(error, Exception):
        return error
    unasked = RuntimeError("the source was cancelled from inside")
    unasked.__cause__ = error
    return unasked


async def throw_async(items: object, error: BaseException) -> object:
    """Raise `error` where the source waits at its `yield`; return the item it answers with."""
    throw = getattr(items, "athrow", None)
    if throw is None:
        raise error
    return await throw(error)
