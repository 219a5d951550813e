"""A server that stands in for Slack and PagerDuty: it speaks their protocols and can be told to misbehave."""

import ipaddress
import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOOPBACK = "127.0.0.1"


@dataclass(frozen=True)
class Request:
    """What a vendor was sent."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]


@dataclass
class Vendors:
    """Both vendors at one address."""

    url: str = ""
    requests: list[Request] = field(default_factory=list)
    refusals: list[tuple[int, str]] = field(default_factory=list)
    """Answers to the next requests, in their order, in the place of the right ones."""

    def answer(self, request: Request) -> tuple[int, str]:
        """Return status and body, as the vendor would give them."""
        self.requests.append(request)
        if self.refusals:
            return self.refusals.pop(0)
        if request.path == "/api/chat.postMessage":
            stamp = f"1.{len(self.requests)}"
            return 200, json.dumps({"ok": True, "channel": "C42", "ts": stamp, "message": {}})
        if request.path == "/v2/enqueue":
            return 202, json.dumps({"status": "success", "dedup_key": request.body["dedup_key"]})
        return 200, "ok"


def certificate(path: Path) -> Path:
    """Write a certificate of loopback and its key to one file: PagerDuty's client speaks only TLS."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, LOOPBACK)])
    now = datetime.now(UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


@contextmanager
def vendors(identity: Path) -> Iterator[Vendors]:
    """Run the server on loopback, with a `certificate`."""
    standing_in = Vendors()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            body = json.loads(self.rfile.read(length))
            status, text = standing_in.answer(Request(self.path, dict(self.headers), body))
            self.send_response(status)
            self.send_header("Content-Type", "application/json" if text.startswith("{") else "text/plain")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(identity)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    standing_in.url = f"https://{LOOPBACK}:{server.server_port}"
    try:
        yield standing_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
