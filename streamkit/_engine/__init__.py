"""Run a source and hand its bytes to a server: pump -> buffer -> drain.

A pump iterates and closes the source in one task or thread, and encodes each item into a frame. A drain belongs to the
server's side and takes what is ready. Everything in this package is private: the adapters are its only users.

    policy       the options of a stream, checked when built
    source       what may be streamed, and how it is closed
    stream       what one response promises: format, policy, end, errors
    response     the options and the short answers that all adapters share
    clock        time, so that tests can own it
    life         whose a stream is, what it has sent, why it ends
    alarm        the one call that a life has to come
    register     all that are open in this process
    limit        how many there may be, and how many threads of sync sources
    signals      hearing of a shutdown
    threads      locks and parking, safe under gevent
    handoff      the bounded buffer between two sides, each a thread or an event loop
    async_pump   async sources: one task
    outlet       what an async pump has encoded, and the one send in flight
    delivery     steps what sends, so that each send ends whatever cancels the task
    keepalive    notice that a stream is silent
    producer     what the pumps that fill a handoff have in common
    thread_pump  sync sources: one daemon thread
    loop_pump    async sources whose reader is elsewhere
    background   one event loop per process for async sources under WSGI
    bodies       drains that a host iterates: WSGI and Django
    inline       the one that runs a sync source in the server's thread
    ending       what these measure, and how a stream ends before its time
    wsgi_body    which of them a WSGI server gets, and what it is told when there is none
    twoway       the drain of a host that iterates by `for` or by `async for`, as its server demands
    transport    the connection under a server's callables, to end that of a client that does not read
    serve        the drain that speaks ASGI itself
    respond      the stream as the answer to one ASGI request, or what is said where there is none
    boundary     where a stream that others have encoded stands: between two frames, or inside one
    foreign      the middleware around an app that makes its streams without streamkit
    asgi_headers headers in bytes, as ASGI has them
    hold, prime  wait for the first item before the response is built
    _gevent, _flask, _django   what only that package makes necessary
"""
