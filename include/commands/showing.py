"""What `make run` and `make demo` show: passwords once, a prediction with its trace, where things are."""

import json
from datetime import date

from include.commands.platform import Platform
from include.commands.secrets import PASSWORDS, passwords
from include.commands.trace import trace
from include.commands.traffic import Traffic


def show_passwords(platform: Platform) -> None:
    """Print the users' passwords the first time; afterwards only where they lie."""
    folder = platform.settings.secrets_folder
    shown = folder / "shown"
    if shown.exists():
        platform.progress.say(f"users and passwords: {folder / PASSWORDS}")
        return
    for user, password in passwords(platform.settings).items():
        platform.progress.say(f"Airflow user {user:9} password {password}")
    platform.progress.say("shown this once; they are kept in the secrets folder, readable by you alone")
    shown.touch(mode=0o600)


def show_prediction(platform: Platform, traffic: Traffic) -> None:
    """Print the last answer and everything behind it."""
    print("\none prediction, and how it came to be\n")
    print(json.dumps(traffic.last_prediction, indent=2))
    print(trace(platform.settings, str(traffic.last_prediction["prediction_id"])))


def show_urls(platform: Platform, day: date, traffic: Traffic) -> None:
    """Print where everything is, and how to ask for a prediction."""
    settings, contract = platform.settings, platform.contract
    entity = json.dumps({"entity": traffic.last_entity})
    print(
        f"""
  Airflow    {settings.airflow_url}   runs, approvals, schedules
  MLflow     {settings.mlflow_url}   training runs, versions
  gateway    {settings.gateway_url}   predictions; /docs describes the API, /metrics is for Prometheus
  state      {settings.home}

  curl -s {settings.gateway_url}/v1/predict/{contract.name} \\
    -H "Authorization: Bearer $(cat {platform.key_path})" \\
    -H 'X-Event-Time: {day}T12:00:00Z' -H 'Content-Type: application/json' -d '{entity}'

  make trace ID={traffic.last_prediction["prediction_id"]}
  Ctrl-C or `make stop` ends it.
""",
        flush=True,
    )
