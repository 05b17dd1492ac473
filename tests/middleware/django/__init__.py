"""The `StreamingMiddleware` of Django, around views that know nothing of streamkit."""
