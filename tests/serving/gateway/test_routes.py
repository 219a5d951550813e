"""How the gateway follows the ledger."""

from threading import current_thread

from tests.serving.gateway.conftest import wait_for

ONE = {"entity": {"customer_id": 1}}


def test_no_request_asks_the_ledger(stage):
    """Only the thread that follows it does: a slow ledger, or one far away, costs no request anything."""
    asking: list[str] = []

    def noted(method):
        def ask():
            asking.append(current_thread().name)
            return method()

        return ask

    for name in ("snapshot_id", "route_snapshot", "api_keys"):
        setattr(stage.ledger, name, noted(getattr(stage.ledger, name)))
    assert {200} == {stage.predict(ONE).status_code for _ in range(50)}
    wait_for(lambda: bool(asking))
    assert {"routes"} == set(asking)
