"""The client to Redis: what a URL may and may not change."""

from tracequeue.wire import SOCKET_SECONDS, connect


def test_options_of_the_url_do_not_undo_what_the_emitter_relies_on() -> None:
    with connect("redis://127.0.0.1/3?socket_timeout=600&decode_responses=true&health_check_interval=7") as client:
        options = client.connection_pool.connection_kwargs
    assert (options["socket_timeout"], options["decode_responses"]) == (SOCKET_SECONDS, False)
    assert (options["db"], options["health_check_interval"]) == (3, 7)
