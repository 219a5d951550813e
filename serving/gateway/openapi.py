"""The OpenAPI 3.1 document, built from the endpoints and their types, and a page that shows it."""

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from serving.gateway.endpoints import Endpoint
from serving.gateway.messages import JSON, Request, Response, answered
from serving.gateway.problems import PROBLEM_KINDS, ProblemDocument

VERSION = "1"
_REFERENCE = "#/components/schemas/{name}"
_HTML = b"text/html; charset=utf-8"
_TOO_MANY_REQUESTS = {
    "description": "The key's limit is reached, or too many requests have no valid key: a problem document",
    "headers": {
        "Retry-After": {
            "description": "Seconds after which the request would pass",
            "schema": {"type": "integer", "minimum": 1},
        }
    },
}


def documentation(endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Return the endpoints /openapi.json and /docs, which describe themselves too."""

    async def document(_: Request, __: dict[str, str]) -> Response:
        return answered(openapi)

    async def page(_: Request, __: dict[str, str]) -> Response:
        return Response(200, content, _HTML)

    own = (
        Endpoint("GET", "/openapi.json", document, "This document", is_open=True),
        Endpoint("GET", "/docs", page, "This page", is_open=True, media_types=(_HTML,)),
    )
    openapi = openapi_document((*endpoints, *own))
    content = documentation_page((*endpoints, *own), openapi).encode()
    return own


def openapi_document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the endpoints."""
    listed = tuple(endpoints)
    types = list(dict.fromkeys(kind for endpoint in listed for kind in _types(endpoint)))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REFERENCE)
    by_type = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in listed:
        operation = _operation(endpoint, by_type)
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Ninety gateway", "version": VERSION},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def documentation_page(endpoints: Iterable[Endpoint], openapi: dict[str, Any]) -> str:
    """Return a page of the endpoints, their schemas and every problem; it loads nothing from elsewhere."""
    rows = "".join(
        f"<tr><td><code>{item.method} {html.escape(item.path)}</code><td>{html.escape(item.summary)}"
        f"<td>{'no' if item.is_open else 'yes'}"
        for item in endpoints
    )
    problems = "".join(
        f'<tr id="{kind.slug}"><td>{kind.status}<td><code>{kind.slug}</code><td>{html.escape(kind.title)}'
        for kind in PROBLEM_KINDS
    )
    schemas = "".join(
        f'<details id="{name}"><summary><code>{name}</code></summary>'
        f"<pre>{html.escape(msgspec.json.format(msgspec.json.encode(schema)).decode())}</pre></details>"
        for name, schema in openapi["components"]["schemas"].items()
    )
    return _PAGE.format(rows=rows, problems=problems, schemas=schemas)


def _types(endpoint: Endpoint) -> list[Any]:
    takes = [] if endpoint.takes is None else [endpoint.takes]
    return [*takes, *endpoint.gives, ProblemDocument]


def _operation(endpoint: Endpoint, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "summary": endpoint.summary,
        "parameters": [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
            for name in re.findall(r"\{(\w+)\}", endpoint.path)
        ],
        "responses": {
            "200": {"description": "Answered", "content": _answers(endpoint, schemas)},
            "default": {
                "description": "A problem document (RFC 9457)",
                "content": {"application/problem+json": {"schema": schemas[ProblemDocument]}},
            },
        },
        "security": [] if endpoint.is_open else [{"key": []}],
    }
    if not endpoint.is_open:
        operation["responses"]["429"] = {**operation["responses"]["default"], **_TOO_MANY_REQUESTS}
    if endpoint.tells_readiness:
        content = operation["responses"]["200"]["content"] | operation["responses"]["default"]["content"]
        operation["responses"]["503"] = {
            "description": "Not ready, or a problem document",
            "content": content,
        }
    if endpoint.takes is not None:
        content = {"application/json": {"schema": schemas[endpoint.takes]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _answers(endpoint: Endpoint, schemas: dict[Any, dict[str, Any]]) -> dict[str, Any]:
    """Return what an answer is, by media type."""
    given: dict[str, Any] = {name.decode(): {} for name in endpoint.media_types}
    if endpoint.gives:
        given[JSON.decode()] = {"schema": {"oneOf": [schemas[kind] for kind in endpoint.gives]}}
    return given


_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Ninety gateway</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }}
td, th {{ border-bottom: 1px solid #ddd; padding: .3rem .6rem; text-align: left; vertical-align: top; }}
pre {{ overflow-x: auto; background: #f6f6f6; padding: 1rem; }}
tr:target {{ background: #fff3c4; }}
</style>
<h1>Ninety gateway</h1>
<p>Send <code>Authorization: Bearer &lt;key&gt;</code> where a key is needed.
The whole description is at <a href="/openapi.json">/openapi.json</a>.</p>
<h2>Endpoints</h2>
<table><tr><th>Endpoint<th>What it does<th>Key{rows}</table>
<h2>Problems</h2>
<p>Errors are <code>application/problem+json</code>; their <code>type</code> leads here.</p>
<table><tr><th>Status<th>Type<th>Meaning{problems}</table>
<h2>Schemas</h2>
{schemas}
</html>
"""
