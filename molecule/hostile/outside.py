#!/usr/bin/python3
"""Whom the site tells: a mail server with TLS and a password, and a listener for HTTP. What reaches them is a line of JSON each.

Mail is taken on port 587, requests on port 8080; those for /away get status 503.
"""

import email
import email.policy
import http.server
import json
import ssl
import time

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult

RECEIVED = "/var/lib/outside/received.jsonl"


def note(way, **what):
    with open(RECEIVED, "a", encoding="utf-8") as file:
        file.write(json.dumps({"way": way, "at": time.time()} | what) + "\n")


class Mail:
    """The mailbox."""

    async def handle_DATA(self, server, session, envelope):
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        note("mail", to=envelope.rcpt_tos, sender=envelope.mail_from, title=str(message["Subject"]), text=message.get_content())
        return "250 OK"


def authenticate(server, session, envelope, mechanism, login):
    # A refusal is answered by the server itself.
    return AuthResult(success=(login.login, login.password) == (b"site", b"only-for-the-lab"), handled=False)


class Posts(http.server.BaseHTTPRequestHandler):
    """The webhooks."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        note("post", path=self.path, title=body.get("title", ""), text=body.get("text") or body.get("message", ""), body=body)
        self.answer()

    def do_GET(self):
        note("get", path=self.path)
        self.answer()

    def answer(self):
        self.send_response(503 if self.path.startswith("/away") else 200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *words):
        """Say nothing: what came is noted."""


if __name__ == "__main__":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("/var/lib/outside/cert.pem", "/var/lib/outside/key.pem")
    Controller(
        Mail(), hostname="0.0.0.0", port=587, tls_context=context, require_starttls=True, authenticator=authenticate, auth_required=True
    ).start()
    http.server.ThreadingHTTPServer(("", 8080), Posts).serve_forever()
