"""What Trackside sends, judged by others: signatures by `standardwebhooks`, mail by a real SMTP server, blocks by Slack's SDK.

Uses the incidents that the doors before it have opened for the team `platform`.
"""

from __future__ import annotations

import base64
import email
import email.policy
import secrets
from email.message import EmailMessage
from types import TracebackType
from typing import TYPE_CHECKING, Self

from aiosmtpd.controller import Controller
from standardwebhooks import Webhook, WebhookVerificationError

import slack_door
from lib.processes import free_port

if TYPE_CHECKING:
    from aiosmtpd.smtp import SMTP, Envelope, Session
    from run import World

HOOK_SECRET = f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"
HOOK_PATH = "/services/hook"
ABOUT = "report-job"
SECONDS = 15


class Mailbox:
    """A real SMTP server that keeps what it gets. Use as a context manager."""

    def __init__(self) -> None:
        self.port = free_port()
        self.mails: list[EmailMessage] = []
        self._controller = Controller(self, hostname="127.0.0.1", port=self.port)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Called by the server for each mail."""
        del server, session
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 kept"

    def about(self, text: str) -> list[EmailMessage]:
        """Mails whose subject or body has a text."""
        return [mail for mail in self.mails if text in str(mail["subject"]) or text in body_of(mail)]

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()


def connections(far_end: str, smtp_port: int) -> str:
    """The connections that `run` judges."""
    return (
        f'  hook: {{kind: webhook, url: "{far_end}{HOOK_PATH}", secret: {{env: HOOK_SECRET}}}}\n'
        f'  mail: {{kind: email, smtp: "smtp://127.0.0.1:{smtp_port}", from: "trackside@example.net",'
        f' to: ["oncall@example.net"]}}'
    )


def run(world: World, mailbox: Mailbox) -> None:
    slack_door.check_blocks(world)
    webhooks(world)
    mails(world, mailbox)


def webhooks(world: World) -> None:
    """Standard Webhooks: `webhook-id`, `webhook-timestamp`, `webhook-signature` over the raw body."""
    checks = world.checks
    checks.eventually("the webhook is called", lambda: _hooks(world), SECONDS)
    faults = []
    for message in _hooks(world):
        try:
            Webhook(HOOK_SECRET).verify(message.body, message.headers)
        except WebhookVerificationError as error:
            faults.append(str(error))
    checks.equal("standardwebhooks verifies every signature", faults, [])
    ids = [message.headers.get("webhook-id") for message in _hooks(world)]
    checks.equal("every webhook-id is unique", len(set(ids)), len(ids))


def mails(world: World, mailbox: Mailbox) -> None:
    """One thread per incident: the resolve refers to the trigger."""
    checks = world.checks
    checks.eventually("trigger and resolve come by mail", lambda: len(mailbox.about(ABOUT)) >= 2, SECONDS)
    thread = mailbox.about(ABOUT)
    if len(thread) < 2:
        return
    checks.equal("the mail is addressed", [str(mail["to"]) for mail in thread], ["oncall@example.net"] * len(thread))
    checks.check("every mail has its own id", len({mail["message-id"] for mail in thread}) == len(thread))
    roots = {str(mail.get("references", "")).split(" ")[0] for mail in thread[1:]}
    checks.check("later mails refer to one root", len(roots) == 1 and "" not in roots, roots)
    checks.check("no secret by mail", all("abc-48151623" not in body_of(mail) for mail in thread))


def _hooks(world: World) -> list:
    return [message for message in world.ends.all() if message.path == HOOK_PATH]


def body_of(mail: EmailMessage) -> str:
    """The text of a mail."""
    part = mail.get_body(("plain", "html"))
    return part.get_content() if part else ""
