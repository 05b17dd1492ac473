"""gevent: greenlets for threads, and a native thread for the event loop; each test in a process of its own."""

from tests.engine.interpreter import GEVENT, PRELUDE, python


def test_sources_stream_under_gevent_and_the_hub_stays_responsive() -> None:
    """Greenlets share a thread, so a waiting stream of either kind must never block it."""
    out, err = python(
        """
        ticks = 0
        def ticker():
            global ticks
            while True:
                gevent.sleep(0.001)
                ticks += 1

        def slow():
            for letter in "ab":
                time.sleep(0.05)
                yield letter

        async def async_slow():
            for letter in "ab":
                await asyncio.sleep(0.05)
                yield letter

        gevent.spawn(ticker)
        jobs = [gevent.spawn(read, source()) for source in [slow, async_slow] * 10]
        gevent.joinall(jobs, timeout=10)
        assert [job.value for job in jobs] == [WHOLE] * 20, jobs
        assert ticks > 10, ticks
        pipe = Pipe(maxsize=1)
        def produce():
            for number in range(20):
                pipe.put(number)
            pipe.close()
        producer = gevent.spawn(produce)
        assert read(pipe).count(b"data: ") == 20
        producer.join(5)
        print("streamed")
        """,
        prelude=GEVENT + PRELUDE,
    )
    assert out == "streamed\n"
    assert err == ""


def test_sources_are_closed_under_gevent_when_the_client_leaves() -> None:
    """Keepalive, disconnect and the finally of both kinds, with greenlets for threads."""
    out, err = python(
        """
        from streamkit._engine.limit import CAP
        closed = []

        def silent():
            try:
                yield "a"
                time.sleep(1)
                yield "b"
            finally:
                closed.append("sync")

        async def async_silent():
            try:
                yield "a"
                await asyncio.sleep(60)
            finally:
                closed.append("async")

        for source in silent, async_silent:
            body = opened(source(), policy=StreamPolicy(keepalive=0.01))
            assert next(body) == b""
            while (chunk := next(body)) == b":\\n":
                pass  # the machine is slow
            assert [chunk, next(body)] == [b"data: a\\n\\n", b":\\n"]
            body.close()
        with gevent.Timeout(5):
            while len(closed) < 2 or CAP.open:
                gevent.sleep(0.001)
        print(sorted(closed))
        """,
        prelude=GEVENT + PRELUDE,
    )
    assert out == "['async', 'sync']\n"
    assert err == ""


def test_gevent_server_streams_both_kinds() -> None:
    """Over a socket of gevent's own server, which says that it has no threads: no warning, no worker held."""
    out, err = python(
        """
        import http.client
        from gevent.pywsgi import WSGIServer

        def app(environ, start_response):
            source = sync_items if environ["PATH_INFO"] == "/sync" else async_items
            return EventStreamResponse(source())(environ, start_response)

        server = WSGIServer(("127.0.0.1", 0), app, log=None)
        server.start()
        for path in "/sync", "/async":
            connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
            connection.request("GET", path)
            with connection.getresponse() as response:
                assert response.read() == WHOLE
            connection.close()
        server.stop()
        print("served")
        """,
        prelude=GEVENT + PRELUDE,
    )
    assert out == "served\n"
    assert err == ""
