"""One app for each framework, all with the same routes, each written as the framework's own documentation has it.

/sse/NAME?n=COUNT     an event stream of a source of `sources`, by the framework's own means
/lines/NAME?n=COUNT   the same as JSON lines, where the framework has any
/ok                   an ordinary response of an async view
/plain                an ordinary response of a sync view
/publish?n=NUMBER     gives an event to every stream of `/sse/fan_out`
"""
