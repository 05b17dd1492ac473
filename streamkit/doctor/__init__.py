"""Find out what stands between a stream and its reader: `streamkit doctor URL`, `streamkit tail URL`.

    contract, probe_app     the apps to mount on a server, and what they and the doctor agree on; standard library only
    observation, shape      what one request saw, and the shape of its arrivals. Pure.
    diagnosis, single       from shapes to findings, with a probe and without. Pure: no clock, no socket.
    cures                   who may have done it, and the lines of configuration that help. Pure.
    fetch, battery          the requests
    report, terminal, page  what is shown: JSON, terminal, HTML
    cli, tail               the commands; they need `pip install "streamkit-http[cli]"`

This module imports none of them, so that a server that mounts the probe loads nothing else.
"""
