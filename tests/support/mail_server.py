"""A mail server on a loopback port that keeps what it is sent: as much of SMTP as ``smtplib`` speaks."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage


class _Session(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self._say("220 loopback")
        for line in self.rfile:
            verb = line[:4].upper().strip()
            if verb == b"DATA":
                self._say("354 go ahead")
                lines = iter(self.rfile.readline, b".\r\n")
                message = b"".join(each[1:] if each.startswith(b"..") else each for each in lines)
                self.server.messages.append(message_from_bytes(message, policy=policy.default))  # type: ignore[attr-defined]
            self._say("221 bye" if verb == b"QUIT" else "250 ok")
            if verb == b"QUIT":
                return

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def running_mail_server() -> Iterator[tuple[int, list[EmailMessage]]]:
    """The server's port, and the messages that it has taken so far."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Session) as server:
        server.daemon_threads = True
        messages: list[EmailMessage] = []
        server.messages = messages  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1], messages
        finally:
            server.shutdown()
            thread.join()
