"""The same completions in each framework, for OpenAI's own client; the `model` of a request says what happens."""
