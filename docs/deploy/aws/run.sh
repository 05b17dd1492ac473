#!/bin/sh
# In the zip file beside app.py; the adapter starts it. It must be executable there.
export PYTHONPATH="$LAMBDA_TASK_ROOT"
exec python -m uvicorn app:app --port "$AWS_LWA_PORT"
