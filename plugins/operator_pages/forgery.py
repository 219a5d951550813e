"""Against forged requests: Airflow's cookie goes along wherever a browser is led to."""

from typing import Annotated
from urllib.parse import urlsplit

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import Header, HTTPException, Request, status


def refuse_foreign(
    request: Request,
    _: GetUserDep,
    authorization: Annotated[str | None, Header()] = None,
    sec_fetch_site: Annotated[str | None, Header()] = None,
    origin: Annotated[str | None, Header()] = None,
) -> None:
    """Let an action through only where this page's own form sent it, or a program with a token.

    A browser says where a request comes from, and no page can make it lie; a token in a header is sent by
    nobody who does not hold it.

    Raises:
        HTTPException: 403.
    """
    if authorization and authorization.lower().startswith("bearer "):
        return
    if sec_fetch_site is not None:
        if sec_fetch_site == "same-origin":
            return
    elif origin is not None and urlsplit(origin).netloc == request.headers.get("host"):
        return
    raise HTTPException(
        status.HTTP_403_FORBIDDEN,
        "this action was not sent by a page of this server; open it and retry",
    )
