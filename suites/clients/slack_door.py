"""Slack's own client (`slack_sdk`) against `/services/...` and `/slack/api/`; what it posts reaches the token's team."""

from __future__ import annotations

from typing import TYPE_CHECKING

from slack_sdk import WebClient, WebhookClient
from slack_sdk.errors import SlackApiError
from slack_sdk.models.blocks import Block

from lib.trackside import TEAMS, slack_path

if TYPE_CHECKING:
    from run import World

SECONDS = 15
BLOCKS = [{"type": "section", "text": {"type": "mrkdwn", "text": "*load_orders* wrote 42 rows"}}]


def run(world: World) -> None:
    checks, ends, base = world.checks, world.ends, world.trackside.url
    hook = WebhookClient(f"{base}/services/T000/B000/{world.payments_token}", ssl=world.tls)
    answer = hook.send(text="webhook says: load_orders is late & <slow>")
    checks.equal("the webhook answers as Slack does", (answer.status_code, answer.body), (200, "ok"))
    _arrives(world, "webhook says")

    answer = hook.send(text="webhook with blocks", blocks=BLOCKS)
    checks.equal("a webhook with blocks is accepted", answer.status_code, 200)
    _arrives(world, "webhook with blocks")
    checks.eventually("the blocks are passed on", lambda: ends.slack(slack_path("payments"), "wrote 42 rows"), SECONDS)

    stranger = WebhookClient(f"{base}/services/T000/B000/{'0' * 24}", ssl=world.tls)
    answer = stranger.send(text="x")
    checks.check("an unknown webhook is refused in Slack's word", answer.body == "invalid_token", answer.body)
    checks.check("and by its status", 400 <= answer.status_code < 500, answer.status_code)

    client = WebClient(token=world.payments_token, base_url=f"{base}/slack/api/", ssl=world.tls)
    posted = client.chat_postMessage(channel="#data", text="postMessage says: done")
    checks.check("chat.postMessage answers ok with ts and channel", bool(posted["ts"] and posted["channel"]), posted.data)
    _arrives(world, "postMessage says")
    try:
        WebClient(token="xoxb-wrong", base_url=f"{base}/slack/api/", ssl=world.tls).chat_postMessage(channel="c", text="x")
        checks.check("a wrong token is refused as Slack does", False, "it was accepted")
    except SlackApiError as error:
        checks.equal("a wrong token is refused as Slack does", error.response["error"], "invalid_auth")


def check_blocks(world: World) -> None:
    """Everything Trackside has sent to Slack keeps Slack's own limits, as `slack_sdk` knows them."""
    sent = [message.json for team in TEAMS for message in world.ends.slack(slack_path(team))]
    with_blocks = [message for message in sent if message.get("blocks")]
    world.checks.check("messages of our own have blocks", bool(with_blocks))
    faults = []
    for message in with_blocks:
        try:
            parsed = Block.parse_all(message["blocks"])
            for block in parsed:
                block.validate_json()
        except Exception as error:  # noqa: BLE001 - the library's own error types are many
            faults.append(f"{error} in {message}")
    world.checks.equal("slack_sdk finds every block valid", faults, [])
    world.checks.check("every message has a text for notifications", all(message.get("text") for message in sent))


def _arrives(world: World, text: str) -> None:
    path = slack_path("payments")
    world.checks.eventually(f"'{text}' reaches the token's team", lambda: world.ends.slack(path, text), SECONDS)
    world.checks.equal(f"'{text}' is passed on once", len([m for m in world.ends.all() if text in m.text]), 1)
