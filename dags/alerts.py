"""### Alerts: told to people, until they are over

1. `watch_monitors`: a monitor that did not look for two of its periods gets an alert, and so does one that
   looks and cannot judge; both hold releases of the model back. One that looked again has its alert resolved.
2. `deliver`: drains the ledger's outbox. Every configured route is told of what changed since it was last
   told, one message for each kind of trouble of a model: raised, worse, acknowledged, resolved.

Routes are connections in Airflow: `alerts_slack` (type Slack API, or Slack Incoming Webhook) and
`alerts_pagerduty` (type Pagerduty Events). Without them alerts stay in the ledger and on the operator's
page. A route that fails is tried again a minute later at first, then up to an hour, holds up no other and
fails no monitor; after three times there is an alert about the route.

If Airflow itself is dead nothing here can say so: `docker/prometheus/ninety.rules.yml` does, from outside.

Runbook: [alert_route_failing](/ninety/runbooks/alert_route_failing).
"""

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from model_dags import schedule
from page_links import PLATFORM, platform_owner
from stage_task import stage_task

with DAG(
    "alerts_deliver",
    schedule=schedule("*/2 * * * *"),
    catchup=False,
    max_active_runs=1,
    default_args={"retries": 1, "retry_delay": timedelta(seconds=10), "owner": PLATFORM},
    tags=["stage:monitoring"],
    owner_links=platform_owner(),
    doc_md=__doc__,
) as alerts_deliver:

    @stage_task
    def watch_monitors() -> list[str]:
        """Alert on monitors that are silent or broken; returns what is wrong with them."""
        from include.config.settings import settings
        from include.monitoring.watch_monitors import watch_monitors

        return watch_monitors(settings(), datetime.now(UTC))  # silence is a matter of the wall's clock

    @stage_task
    def deliver() -> dict[str, object]:
        """Tell every route what is new; returns how many messages got through and how many did not."""
        from contextlib import closing
        from dataclasses import asdict

        from alert_routes import configured_routes
        from include.adapters.ledger.ledger import Ledger
        from include.config.settings import settings
        from include.contracts.bulletins import Sites
        from include.monitoring.alert_targets import contract_targets
        from include.monitoring.deliver_alerts import deliver_alerts

        configuration = settings()
        sites = Sites(configuration.operator_url or configuration.airflow_url)
        with closing(Ledger(configuration.ledger_uri)) as ledger:
            routes = configured_routes(sites)
            done = deliver_alerts(ledger, routes, contract_targets(configuration), datetime.now(UTC))
        return asdict(done)

    watch_monitors() >> deliver.override(trigger_rule="all_done")()
