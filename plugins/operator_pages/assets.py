"""Style, scripts and Plotly's own script: all from this machine, each for those who are logged in."""

from functools import cache, lru_cache
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.responses import FileResponse

router = APIRouter()

_OWN = Path(__file__).parent / "static"
_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}


@lru_cache(maxsize=1)
def files() -> dict[str, Path]:
    """Return every file there is, by name."""
    own = {path.name: path for path in _OWN.iterdir() if path.suffix in _TYPES}
    return own | {"plotly.min.js": _plotly()}


@cache
def named(name: str) -> str:
    """Return a file's name with a tag of its content, so that browsers may keep it for good."""
    return f"{name}?v={sha256(files()[name].read_bytes()).hexdigest()[:12]}"


@router.get("/assets/{name}", response_class=FileResponse)
def asset(name: str, _: Annotated[None, Depends(requires_access_view(AccessView.PLUGINS))]) -> FileResponse:
    """Serve one of the files."""
    if name not in files():
        raise HTTPException(status.HTTP_404_NOT_FOUND, f"there is no asset {name!r}")
    path = files()[name]
    kept = {"Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(path, media_type=_TYPES[path.suffix], headers=kept)


def _plotly() -> Path:
    """Return Plotly's script, which its wheel brings; importing the package would take a second."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("plotly")
    return Path(spec.submodule_search_locations[0]) / "package_data" / "plotly.min.js"
