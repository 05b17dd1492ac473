# /etc/varnish/default.vcl: for an app with streams.
vcl 4.1;

backend app {
    .host = "127.0.0.1";
    .port = "8000";
}

sub vcl_recv {
    # In a pipe the app learns at once that a client has left; in no other way of Varnish.
    if (req.http.Accept ~ "text/event-stream" || req.http.Accept ~ "application/x-ndjson") {
        return (pipe);
    }
}

sub vcl_pipe {
    # Without it the next request of this client would go to the app past all rules.
    set bereq.http.Connection = "close";
}

sub vcl_backend_response {
    # Streams that were asked for without saying so in Accept.
    if (beresp.http.Content-Type !~ "event-stream|ndjson") {
        set beresp.do_gzip = true;
    }
}
