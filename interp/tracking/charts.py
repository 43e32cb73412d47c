"""MLflow's page with the charts of a sweep's jobs side by side.

MLflow has no public way to say which charts its page shows. It keeps a view of the page as a tag of
the experiment, and an address names the tag; this module writes that tag in the terms of MLflow's
own user interface. All that depends on them is here. `tests/unit/tracking/test_charts.py` looks
each term up in the user interface of the installed MLflow, and fails where one is gone.
"""

import colorsys
import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode

from interp.tracking import series_tags
from interp.tracking.store import Store, experiment_id_of

_TAG = "mlflow.sharedViewState."

# MLflow lists the views of an experiment in a menu, of 40 at most; half are left to the user.
_LISTED = 20

# As in the figures: Okabe and Ito (2008), with a darker yellow that can be seen as a line on white.
_COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7"),
    *("#E69F00", "#56B4E9", "#000000", "#B8A900"),
)

# The most charts of curves and of single numbers, and columns of the table of runs.
_MOST_CURVES, _MOST_NUMBERS, _MOST_COLUMNS = 4, 8, 6


def job_colour(number: int) -> str:
    """Return the colour of a job by its number; the first eight are those of the figures."""
    if number < len(_COLOURS):
        return _COLOURS[number]
    # Steps by the golden ratio keep the hues of successive jobs far apart.
    parts = colorsys.hls_to_rgb(number * 0.618034 % 1, (0.3, 0.42, 0.54)[number % 3], 0.6)
    return "#" + "".join(f"{round(255 * part):02X}" for part in parts)


def save_view(store: Store, parent: str) -> str:
    """Save the view of a sweep's jobs as they are now, and return its address.

    A view that a user has changed and saved in the browser is kept.

    Args:
        store: the store of the sweep.
        parent: the sweep's run.
    """
    client, experiment = store.client, experiment_id_of(store, parent)
    tags: dict[str, str] = client.get_experiment(experiment).tags
    own = _TAG + parent
    if own not in tags or _is_ours(tags[own]):
        name = str(client.get_run(parent).info.run_name)
        state = json.dumps(_state(store, experiment, parent), ensure_ascii=False)
        now = int(time.time() * 1000)
        view = {"name": name, "createdAt": now, "updatedAt": now, "state": state, "interp": True}
        client.set_experiment_tag(experiment, own, json.dumps(view, ensure_ascii=False))
        listed = {
            json.loads(value)["createdAt"]: (key, json.loads(value)["state"])
            for key, value in tags.items()
            if key.startswith(_TAG) and key != own and _is_ours(value)
        }
        for created in sorted(listed)[: -_LISTED + 1]:
            # Without a name it is in no menu; its address still opens it.
            client.set_experiment_tag(experiment, *listed[created])
    return f"{store.address()}/#/experiments/{experiment}/runs?" + urlencode(
        {
            "viewStateShareKey": parent,
            "compareRunsMode": "CHART",
            # Otherwise MLflow may open its page for traces of language models.
            "workflowType": "machine_learning",
        }
    )


def charts_url(store: Store, experiments: Sequence[str], search: str) -> str:
    """Return the address of the MLflow page that charts runs side by side.

    Args:
        store: the store of the runs.
        experiments: the ids of their experiments.
        search: the MLflow search that finds these runs and no others.
    """
    query = {
        "workflowType": "machine_learning",
        "compareRunsMode": "CHART",
        "searchFilter": search,
        # Sorted by start time, MLflow collapses the jobs under their parent.
        "orderByKey": "tags.`mlflow.runName`",
        "orderByAsc": "true",
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": "W10=",
    }
    page = f"experiments/{experiments[0]}/runs"
    if len(experiments) > 1:
        page = "compare-experiments/s"
        query = {"experiments": json.dumps(list(experiments)), **query}
    return f"{store.address()}/#/{page}?{urlencode(query, quote_via=quote)}"


def _is_ours(value: str) -> bool:
    """Whether a view was saved here and has a name; MLflow itself writes no field `interp`."""
    return value.startswith("{") and json.loads(value).get("interp") is True


def _state(store: Store, experiment: str, parent: str) -> dict[str, object]:
    """Return the state of MLflow's page of runs, in MLflow's own terms."""
    jobs_alone = f"tags.mlflow.parentRunId = '{parent}'"
    # MLflow too shows a hundred at most.
    jobs: Sequence[Any] = store.client.search_runs(
        [experiment], jobs_alone, order_by=["tags.`mlflow.runName` ASC"], max_results=100
    )
    metrics = sorted({key for job in jobs for key in job.data.metrics})
    numbers = _numbers(jobs, metrics)
    grids = [_section(key, key.replace("_", " "), 1, _tall(jobs)) for key in _images(store, jobs)]
    curves = _curves(jobs, metrics)
    shown = {*curves, *numbers[:_MOST_NUMBERS]}
    over = list(dict.fromkeys(curve.partition("/")[0] for curve in curves))
    # MLflow puts the charts of other metrics into sections of these names, and always shows the
    # last one.
    groups = {key.rpartition("/")[0] for key in {*metrics} - shown} - {""}
    rest = [*sorted(groups), "Model metrics"]
    charts = [
        *(_line(curve) for curve in curves),
        *(_grid(str(grid["uuid"])) for grid in grids),
        *(_bar(number) for number in numbers[:_MOST_NUMBERS]),
    ]
    sections = [
        *(_section(f"over {unit}s", f"over {unit}s", 2, 400) for unit in over),
        *grids,
        *([_section("numbers", "numbers", 3, 260)] if numbers else []),
        *({**_section(name, name, 3, 360), "display": False} for name in rest),
    ]
    columns = [
        *(f"params.`{name}`" for name in _differing(jobs)),
        *(f"metrics.`{name}`" for name in numbers[:_MOST_COLUMNS]),
    ]
    return {
        "searchFilter": jobs_alone,
        # Sorted by start time, MLflow collapses the jobs under their parent.
        "orderByKey": "tags.`mlflow.runName`",
        "orderByAsc": True,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "datasetsFilter": [],
        "modelVersionFilter": "All Runs",
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "SHOW_ALL" if len(jobs) <= 50 else "FIRST_20_RUNS",
        "compareRunCharts": charts,
        "compareRunSections": sections,
        "isAccordionReordered": True,
    }


def _numbers(jobs: Sequence[Any], metrics: Sequence[str]) -> list[str]:
    """Return the single numbers, in the order of the results, then those without an order."""
    ordered = {
        name: None for job in jobs for name in json.loads(job.data.tags.get("scalars", "[]"))
    }
    known = [name for name in ordered if name in metrics]
    return known + [key for key in metrics if "/" not in key and key not in ordered]


def _curves(jobs: Sequence[Any], metrics: Sequence[str]) -> list[str]:
    """Return the scores and values of the series that the jobs are compared by."""
    keys = {
        key: None
        for job in jobs
        for one in series_tags.from_tags(job.data.tags)
        for key in (f"{one['axis']}/{one['name']}_score", f"{one['axis']}/{one['name']}")
    }
    return [key for key in keys if key in metrics][:_MOST_CURVES]


def _images(store: Store, jobs: Sequence[Any]) -> list[str]:
    """Return the keys of images with a slider over layers, from one run of each analysis."""
    kinds = {job.data.tags.get("analysis", ""): job for job in jobs if job.data.metrics}
    files = [
        file.path.rpartition("/")[2]
        for job in kinds.values()
        for file in store.client.list_artifacts(job.info.run_id, "images")
    ]
    return sorted({name.partition("+step+")[0] for name in files if "+step+" in name})


def _differing(jobs: Sequence[Any]) -> list[str]:
    """Return the parameters in which the jobs differ; those that all jobs have come first."""
    keys = {key for job in jobs for key in job.data.params}
    found = {key: [job.data.params.get(key) for job in jobs] for key in sorted(keys)}
    differing = [key for key, values in found.items() if len(set(values)) > 1]
    return sorted(differing, key=lambda key: None in found[key])[:_MOST_COLUMNS]


def _tall(jobs: Sequence[Any]) -> int:
    """Return the height in pixels of a card with one image per job: up to two rows of three."""
    return 430 if len(jobs) <= 3 else 720


def _section(uuid: str, name: str, columns: int, height: int) -> dict[str, object]:
    return {
        "uuid": uuid,
        "name": name,
        "columns": columns,
        "cardHeight": height,
        "display": True,
        "isReordered": True,
        "deleted": False,
        "isGenerated": False,
    }


def _chart(kind: str, uuid: str, section: str) -> dict[str, object]:
    return {
        "type": kind,
        "uuid": uuid,
        "metricSectionId": section,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": True,
    }


def _line(metric: str) -> dict[str, object]:
    return {
        **_chart("LINE", metric, f"over {metric.partition('/')[0]}s"),
        "metricKey": metric,
        "xAxisKey": "step",
        "selectedXAxisMetricKey": "",
        "xAxisScaleType": "linear",
        "yAxisKey": "metric",
        "yAxisExpressions": [],
        "scaleType": "linear",
        "range": {},
        "displayPoints": True,
        "lineSmoothness": 0,
        "ignoreOutliers": False,
        "useGlobalXaxisKey": True,
        "useGlobalLineSmoothing": True,
    }


def _bar(metric: str) -> dict[str, object]:
    return {**_chart("BAR", metric, "numbers"), "metricKey": metric}


def _grid(key: str) -> dict[str, object]:
    return {**_chart("IMAGE", key, key), "imageKeys": [key], "step": 0, "showRunParams": False}
