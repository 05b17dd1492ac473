"""Find out what stands between a stream and its reader: `streamkit doctor URL`, `streamkit tail URL`.

What may be imported is `probe_app`, the apps to mount on a server; `command` is what the commands begin with. Inside:

    _contract                  what the probe and the doctor agree on; standard library only, as `probe_app`
    _observation, _shape       what one request saw, and the shape of its arrivals. Pure.
    _diagnosis, _single        from shapes to findings, with a probe and without. Pure: no clock, no socket.
    _cures                     who may have done it, and the lines of configuration that help. Pure.
    _fetch, _battery           the requests
    _report, _terminal, _page  what is shown: JSON, terminal, HTML
    _cli, _tail                the commands; they need `pip install "streamkit-http[cli]"`

This module imports none of them, so that a server that mounts the probe loads nothing else.
"""
