"""Pipelines that fail in every way that matters. Each has one owner, found in a different way.

Nothing in here knows of Trackside: a real user's DAGs do not either.
"""

from __future__ import annotations

import os
import signal
from datetime import timedelta

from airflow.exceptions import AirflowFailException
from airflow.sdk import dag, get_current_context, task

SHORT = timedelta(seconds=1)


def options(owner: str, **more: object) -> dict[str, object]:
    return {"owner": owner, **more}


@dag(schedule=None, default_args=options("payments"), tags=["suite"])
def fails_at_once():
    """Final on the first try. The error text carries secrets, as real ones do."""

    @task
    def load():
        raise RuntimeError("could not reach postgresql://loader:pg-pass-81723@db/orders with token=abc-48151623")

    load()


@dag(schedule=None, default_args=options("airflow", retries=2, retry_delay=SHORT), tags=["team:ml"])
def retries_then_fails():
    """Three failed tries are one problem. The team comes from the tag."""

    @task
    def train():
        raise ValueError("loss is NaN")

    train()


@dag(schedule=None, default_args=options("airflow", retries=2, retry_delay=SHORT), tags=["team:ml"])
def retries_then_succeeds():
    """A retry that helps is nobody's problem."""

    @task
    def flaky():
        if get_current_context()["ti"].try_number == 1:
            raise ConnectionError("first try always fails")

    flaky()


@dag(schedule=None, default_args=options("payments"))
def simply_succeeds():
    """Nothing to tell."""

    @task
    def work():
        return 42

    work()


@dag(schedule=None, default_args=options("payments"))
def task_is_killed():
    """The process dies as under the out-of-memory killer: Airflow sends no event for the task at all."""

    @task
    def eat_memory():
        os.kill(os.getpid(), signal.SIGKILL)

    eat_memory()


@dag(schedule=None, default_args=options("airflow"))
def mapped_one_fails():
    """One of four mapped tasks fails. Owner by pattern in the configuration."""

    @task
    def part(number: int):
        if number == 2:
            raise RuntimeError(f"partition {number} is broken")

    part.expand(number=[0, 1, 2, 3])


@dag(schedule=None, default_args=options("payments", retries=5, retry_delay=timedelta(minutes=5)))
def gives_up_early():
    """`AirflowFailException` is final although five retries are left."""

    @task
    def refuse():
        raise AirflowFailException("the contract says no")

    refuse()


@dag(schedule=None, default_args=options("airflow"))
def breaks_then_recovers():
    """Fails when the run's conf says so. Owned by nobody, so by the default team."""

    @task
    def sometimes():
        if get_current_context()["dag_run"].conf.get("broken"):
            raise RuntimeError("upstream is down")

    sometimes()


@dag(schedule=None, default_args=options("payments"))
def two_tasks_fail():
    """Two failing tasks and one that never runs are one problem of one pipeline."""

    @task
    def left():
        raise RuntimeError("left is broken")

    @task
    def right():
        raise RuntimeError("right is broken")

    @task
    def join():
        return None

    [left(), right()] >> join()


fails_at_once()
retries_then_fails()
retries_then_succeeds()
simply_succeeds()
task_is_killed()
mapped_one_fails()
gives_up_early()
breaks_then_recovers()
two_tasks_fail()
