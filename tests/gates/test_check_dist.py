"""What a distribution lacks or holds besides is named, file by file."""

import check_dist

TRACKED = {"README.md", "streamkit/py.typed", "streamkit/sse.py", "tests/test_sse.py"}
WHEEL = {"streamkit/py.typed", "streamkit/sse.py", "streamkit_http-1.dist-info/METADATA"}


def test_distributions_of_a_clean_tree_pass() -> None:
    """The source holds all that git tracks and its metadata, the wheel the package alone."""
    assert list(check_dist.sdist_faults(TRACKED | {"PKG-INFO"}, TRACKED)) == []
    assert list(check_dist.wheel_faults(WHEEL, TRACKED)) == []


def test_file_that_is_missing_is_named() -> None:
    """In either of them, the marker of the types above all."""
    assert list(check_dist.sdist_faults(TRACKED - {"README.md"}, TRACKED)) == ["sdist: README.md is missing"]
    assert list(check_dist.wheel_faults(WHEEL - {"streamkit/py.typed"}, TRACKED - {"streamkit/py.typed"})) == [
        "wheel: streamkit/py.typed is missing"
    ]


def test_file_too_many_is_named() -> None:
    """What lies about in a working tree, or a test in the wheel."""
    assert list(check_dist.sdist_faults(TRACKED | {"notes.txt"}, TRACKED)) == [
        "sdist: notes.txt is no file of the project"
    ]
    assert list(check_dist.wheel_faults(WHEEL | {"tests/test_sse.py"}, TRACKED)) == [
        "wheel: tests/test_sse.py is no part of the package"
    ]
