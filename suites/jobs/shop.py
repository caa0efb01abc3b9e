"""Actions on an Azure App Service, with a token that is fetched for them."""

from __future__ import annotations

from world import World, new_key

PACKAGE = "https://packages.example.net/shop-{}.zip"


def run(world: World) -> None:
    """All of it."""
    restarts(world)
    swaps(world)
    deploys(world)


def restarts(world: World) -> None:
    """A restart has no key and cannot be asked after."""
    checks, azure = world.checks, world.azure
    run = world.done(world.start_with("restart", {}, key=new_key()))
    checks.equal("a restart succeeds", (run["state"], azure.done), ("succeeded", ["restart"]))
    azure.cut_next = True
    lost = world.done(world.start_with("restart", {}, key=new_key()))
    checks.equal("one whose answer was lost is unknown", (lost["state"], lost["error"]["class"]), ("unknown", "unknown"))
    checks.equal("and is not repeated", azure.done, ["restart", "restart"])


def swaps(world: World) -> None:
    """A swap is asked after where Azure says, and after a lost answer at the site."""
    checks, azure = world.checks, world.azure
    azure.done.clear()
    run = world.done(world.start_with("swap", {}, key=new_key()))
    checks.equal("a slot swap is followed to its end", (run["state"], azure.done), ("succeeded", ["swap"]))
    azure.cut_next = True
    found = world.done(world.start_with("swap", {}, key=new_key()))
    checks.equal("one whose answer was lost is found at the site", (found["state"], azure.done), ("succeeded", ["swap", "swap"]))


def deploys(world: World) -> None:
    """A deployment is found in Kudu's list by the run's key."""
    checks, azure = world.checks, world.azure
    azure.done.clear()
    refused = world.ask("POST", "/jobs/deploy/runs", {})
    checks.equal("a deployment without package is refused at the door", refused.status, 422)
    run = world.done(world.start_with("deploy", {"package_url": PACKAGE.format(1)}, key=new_key()))
    checks.equal("a zip deployment succeeds", (run["state"], azure.done), ("succeeded", [f"deploy {PACKAGE.format(1)}"]))
    shown = {name: azure.deployments[0][name] for name in ("deployer", "message")}
    checks.equal("Kudu shows the run's key", shown, {"deployer": f"trackside-{run['id']}-1", "message": f"{run['id']}-1"})
    azure.cut_next = True
    found = world.done(world.start_with("deploy", {"package_url": PACKAGE.format(2)}, key=new_key()))
    checks.equal("one whose answer was lost is found", (found["state"], len(azure.done)), ("succeeded", 2))
    broken = world.done(world.start_with("deploy", {"package_url": "https://packages.example.net/broken.zip"}, key=new_key()))
    said = (broken["state"], broken["error"]["class"], "not a zip" in broken["error"]["message"])
    checks.equal("one that Kudu fails has failed, with what it says", said, ("failed", "failed", True))
