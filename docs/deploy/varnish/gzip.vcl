# /etc/varnish/default.vcl: DO NOT COPY. Varnish compresses, and holds a stream back until it has ended.
vcl 4.1;

backend app {
    .host = "127.0.0.1";
    .port = "8000";
}

sub vcl_backend_response {
    set beresp.do_gzip = true;
}
