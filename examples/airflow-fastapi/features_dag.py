"""Asks Trackside for work with Airflow's own HttpOperator and HttpSensor; the connection `trackside` has the token."""

from airflow.providers.http.operators.http import HttpOperator
from airflow.providers.http.sensors.http import HttpSensor
from airflow.sdk import DAG, Param, PokeReturnValue
from airflow.sdk.exceptions import AirflowException, AirflowFailException

# The key names the work, not the try: a later try of the task finds the run that an earlier one has started.
HEADERS = {
    "Content-Type": "application/json",
    "Idempotency-Key": "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}/{{ ti.map_index }}",
    "Trackside-Attempt": "{{ ti.try_number }}",
    "Trackside-Origin": "{{ dag.dag_id }}/{{ run_id }}/{{ task.task_id }}",
}
INPUT = '{"customer": {{ params.customer | tojson }}}'


def output(run):
    """The result of a run that has ended; else the task fails and says why."""
    if run["state"] == "succeeded":
        return run["output"]
    raise AirflowException(f"run {run['id']} {run['state']}: {run['error']['message']}")


def unless_done(response):
    """The next "page" is the same request once more: it attaches to the run and waits on."""
    return None if response.json()["done"] else {"endpoint": None}


def when_done(response):
    run = response.json()
    if not run["done"]:
        return False
    try:
        return PokeReturnValue(True, xcom_value=output(run))
    except AirflowException as error:
        raise AirflowFailException(str(error)) from error  # clear `start_training` to run it again


with DAG("features", schedule=None, params={"customer": Param("acme", type="string")}):
    # Minutes: one task, which waits for the end.
    refresh = HttpOperator(
        task_id="refresh",
        http_conn_id="trackside",
        endpoint="/jobs/refresh/runs?wait=25",
        data=INPUT,
        headers=HEADERS,
        pagination_function=unless_done,
        response_filter=lambda responses: output(responses[-1].json()),
        retries=2,
    )

    # Hours: one task starts it, another looks now and then, and holds no worker in between.
    start = HttpOperator(
        task_id="start_training",
        http_conn_id="trackside",
        endpoint="/jobs/train/runs",
        data=INPUT,
        headers=HEADERS,
        response_filter=lambda response: response.json()["id"],
        retries=2,
    )
    trained = HttpSensor(
        task_id="trained",
        http_conn_id="trackside",
        endpoint="/jobs/train/runs/{{ ti.xcom_pull('start_training') }}?wait=25",
        response_check=when_done,
        mode="reschedule",
        poke_interval=60,
        retries=2,
    )
    refresh >> start >> trained
