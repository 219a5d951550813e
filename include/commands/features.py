"""`make features`: every feature there is, who answers for it, who uses it, how fresh it is."""

import argparse

from include.adapters.files import write_atomically
from include.commands.terminal import run_command
from include.config.settings import REPOSITORY_ROOT, Settings, settings
from include.contracts.moments import format_duration
from include.features.catalogue import catalogue, freshness, page

PAGE = REPOSITORY_ROOT / "docs" / "features.md"


def main() -> None:
    """Print the catalogue, or write its page."""
    parser = argparse.ArgumentParser(prog="make features", description=__doc__)
    parser.add_argument("--page", action="store_true", help=f"write {PAGE.relative_to(REPOSITORY_ROOT)}")
    arguments = parser.parse_args()
    run_command(lambda: write_page() if arguments.page else print(listing(settings())))


def write_page() -> None:
    """Write the page of the shared views and the models of this repository."""
    write_atomically(PAGE, page(catalogue(Settings())).encode())
    print(f"wrote {PAGE}")


def listing(current: Settings) -> str:
    """Return the catalogue for the terminal, with each view's freshness on this machine."""
    found = catalogue(current)
    lines = []
    for view in found.views:
        definition, fresh = view.definition, freshness(current, view)
        lines += [
            f"{view.name}: {definition.description}",
            f"  owner {definition.owner}, entity {definition.entity.name}, "
            f"TTL {format_duration(definition.ttl)}",
            f"  newest offline {fresh.offline or 'none'}, newest online {fresh.online or 'unknown'}",
        ]
        width = max(len(field.name) for field in definition.fields)
        lines += [
            f"    {field.name:<{width}}  {field.dtype:<9}  "
            f"{', '.join(found.used.get((view.name, field.name), ())) or '(no model)'}"
            for field in definition.fields
        ]
    if found.at_request:
        lines += ["at the moment of the request"]
        lines += [f"    {name}  {', '.join(models)}" for name, models in sorted(found.at_request.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
