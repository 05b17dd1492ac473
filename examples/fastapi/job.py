"""A long job that reports its progress through a Pipe, for code that calls back instead of yielding."""

import threading
from collections.abc import Callable
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from streamkit import Event, Pipe, PipeClosedError
from streamkit.fastapi import EventStreamResponse

LIMIT = 500_000
STEPS = 100
PAGE = Path(__file__).parent / "static" / "job.html"

router = APIRouter()


@router.get("/job", include_in_schema=False)
async def page() -> FileResponse:
    """Serve the page that starts the job."""
    return FileResponse(PAGE)


@router.post("/job", response_class=EventStreamResponse)
async def start() -> EventStreamResponse:
    """Start the job and stream its progress; it stops when its client leaves."""
    pipe = Pipe()
    threading.Thread(target=run, args=(pipe,), daemon=True).start()
    return EventStreamResponse(pipe)


def run(pipe: Pipe) -> None:
    """Do the job in a thread of its own and tell how it goes."""
    try:
        primes = count_primes(lambda done: pipe.put({"done": done, "total": STEPS}))
        pipe.put(Event({"primes": primes}, event="done"))
        pipe.close()
    except PipeClosedError:
        pass  # the client has left: nobody waits for the result
    except Exception as error:
        pipe.close(error)  # aborts the stream, so that nobody takes it for complete


def count_primes(report: Callable[[int], None]) -> int:
    """Count the primes below LIMIT, calling `report` after each of STEPS steps."""
    divisors = [n for n in range(2, int(LIMIT**0.5) + 1) if all(n % d for d in range(2, int(n**0.5) + 1))]
    size, primes = LIMIT // STEPS, len(divisors)
    for step in range(STEPS):
        for n in range(max(step * size, divisors[-1] + 1), (step + 1) * size):
            primes += is_prime(n, divisors)
        report(step + 1)
    return primes


def is_prime(n: int, divisors: list[int]) -> bool:
    """Say whether `n` is prime, given the primes up to its square root."""
    for divisor in divisors:
        if divisor * divisor > n:
            return True
        if n % divisor == 0:
            return False
    return True
