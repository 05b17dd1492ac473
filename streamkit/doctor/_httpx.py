"""The one place that imports httpx, and says what to install where it is missing."""

try:
    import httpx
except ImportError as exc:  # pragma: no cover - run by a test in another process
    raise ImportError('the doctor needs httpx: pip install "streamkit-http[cli]"') from exc

__all__ = ["httpx"]
