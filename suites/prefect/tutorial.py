"""The parts of Prefect's tutorial that are Python: notification blocks, saved to wherever `PREFECT_API_URL` points.

`tutorial.py save SLACK_URL HOOK_URL` saves two blocks and prints their ids; `tutorial.py load` loads one again and
prints what it holds.
"""

from __future__ import annotations

import sys

from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook


def save(slack_url: str, hook_url: str) -> None:
    slack = SlackWebhook(url=slack_url)
    slack.save("alerts")
    hook = CustomWebhookNotificationBlock(
        name="Pager", url=hook_url, method="POST", json_data={"title": "{{subject}}", "text": "{{body}}"}
    )
    hook.save("pager")
    print(slack._block_document_id, hook._block_document_id)


def load() -> None:
    print(SlackWebhook.load("alerts").url.get_secret_value())


if __name__ == "__main__":
    if sys.argv[1] == "save":
        save(sys.argv[2], sys.argv[3])
    else:
        load()
