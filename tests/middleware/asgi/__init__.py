"""The `StreamingMiddleware` of ASGI, Starlette and FastAPI, around apps that know nothing of streamkit."""
