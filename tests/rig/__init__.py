"""Drive applications as a client sees them: on real servers, and in process.

What lives here knows nothing of streamkit's inside. `http` is a raw client, `servers` starts real servers,
`asgi` and `wsgi` drive an application without one, `recorder` and `sidedoor` tell what a served generator lived
through, `resources` counts what a process holds, `scenarios` and `apps` are what is served.

Every wait has a bound, and an error says what had arrived. Every process started here is ended by its group's id.
"""
