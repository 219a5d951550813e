"""`make shadow MODEL=… VERSION=… SHARE=…`: mirror requests to a candidate; `SHARE=0` ends it."""

import sys
from contextlib import closing

from include.adapters.ledger.ledger import Ledger
from include.adapters.triton_control import every_triton
from include.commands.terminal import run_command, user_name
from include.config.settings import Settings, settings
from include.contracts.errors import PlatformError
from include.rollout.shadow import start_shadow, stop_shadow

USAGE = "usage: make shadow MODEL=<model> VERSION=<version> SHARE=<above 0, up to 1>; SHARE=0 ends it"


def main() -> None:
    """Do as the command line says."""
    run_command(lambda: print(shadow(settings(), *[*sys.argv[1:], "", "", ""][:3])))


def shadow(settings: Settings, model: str, version: str, share: str) -> str:
    """Start or end a model's shadow and return what was done.

    Args:
        settings: names ledger and Triton.
        model: the model's name.
        version: a semantic version; not needed to end.
        share: share of the units, 0 to end.

    Raises:
        PlatformError: something is missing, or the share is no number.
    """
    if not model or not share:
        raise PlatformError(USAGE)
    try:
        wanted = float(share)
    except ValueError:
        raise PlatformError(f"SHARE={share} is no number; {USAGE}") from None
    with closing(Ledger(settings.ledger_uri)) as ledger:
        if wanted == 0:
            stop_shadow(ledger, model, actor=user_name())
            return f"nothing shadows {model}; gateways follow within a second, Triton unloads within a minute"
        if not version:
            raise PlatformError(USAGE)
        tritons = every_triton(settings)
        start_shadow(settings, ledger, tritons, model, version=version, share=wanted, actor=user_name())
    return (
        f"{version} shadows {wanted:.1%} of the units of {model}; gateways follow within a second.\n"
        f"Compare: make shadow-report MODEL={model}"
    )


if __name__ == "__main__":
    main()
