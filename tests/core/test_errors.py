"""What the errors say and carry."""

import errno
import inspect
import pickle
import re

import pytest

from streamkit import errors


@pytest.mark.parametrize(
    ("error", "builtin", "text"),
    [
        (errors.InvalidEventError("id", "a\nb", "is bad"), ValueError, "id is bad; got 'a\\nb'"),
        (errors.EncodeError("bytes", "decode it", 3), ValueError, "item 3: cannot encode bytes: decode it"),
        (errors.EncodeError("bytes", "decode it"), ValueError, "cannot encode bytes: decode it"),
        (errors.DecodeError("line", 2, "not JSON"), ValueError, "line 2: not JSON"),
        (errors.EventTooLargeError("event", 1, 9), ValueError, "event 1: larger than max_event_size, 9 bytes"),
        (
            errors.NotAcceptableError("a/b", ("c/d", "e/f")),
            ValueError,
            "Accept is 'a/b', but this resource is offered as c/d, e/f",
        ),
        (errors.PipeClosedError("gone"), BrokenPipeError, "gone"),
        (errors.StreamCutError("max_age"), ConnectionResetError, "the stream was cut: max_age"),
        (errors.TooManyStreamsError(5), RuntimeError, "the limit of 5 open streams is reached"),
    ],
)
def test_error_says_what_happened_and_survives_pickling(
    error: errors.StreamkitError, builtin: type[Exception], text: str
) -> None:
    """Each is a StreamkitError, a built-in, readable, and the same in another process."""
    again = pickle.loads(pickle.dumps(error))
    for one in (error, again):
        assert isinstance(one, errors.StreamkitError)
        assert isinstance(one, builtin)
        assert str(one) == text
    assert again.__dict__ == error.__dict__


def test_index_that_the_stream_fills_in_is_shown() -> None:
    """A format does not know how many items came before; the stream does."""
    error = errors.EncodeError("bytes", "decode it")
    error.index = 0
    assert str(error) == "item 0: cannot encode bytes: decode it"


def test_cut_stream_looks_like_a_client_that_has_left() -> None:
    """Servers swallow a reset connection; the reason is there for who looks."""
    error = errors.StreamCutError("drained")
    assert isinstance(error, ConnectionResetError)
    again: errors.StreamCutError = pickle.loads(pickle.dumps(error))
    for one in error, again:
        assert (one.errno, one.reason) == (errno.ECONNRESET, "drained")


def test_tree_in_the_docstring_is_the_tree() -> None:
    """Each class under its parent, and beside the built-in that it also is."""
    drawn = re.findall(r"^ *(?:[│ ]*[├└]── )?(\w+Error)\b(?: +also a (\w+))?", errors.__doc__ or "", re.MULTILINE)
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__]
    assert {kind.__name__ for kind in classes} == {name for name, _ in drawn}
    builtins = {kind.__name__: [base.__name__ for base in kind.__bases__[1:]] for kind in classes}
    assert builtins == {name: [also] if also else [] for name, also in drawn}
