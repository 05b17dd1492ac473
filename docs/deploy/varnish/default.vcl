# /etc/varnish/default.vcl: Varnish as it comes.
vcl 4.1;

backend app {
    .host = "127.0.0.1";
    .port = "8000";
}
