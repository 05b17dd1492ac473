"""The `StreamingMiddleware` of WSGI and Flask, around apps that know nothing of streamkit."""
