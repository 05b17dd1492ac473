"""The `StreamingMiddleware` of WSGI, Flask and Django, around apps that know nothing of streamkit."""
