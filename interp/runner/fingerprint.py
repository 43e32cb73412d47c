"""What a run is, in tags: enough to tell it from all that would find something else."""

import dataclasses
import hashlib
import json
import platform
from typing import Any

from interp.core.configuration import Experiment
from interp.core.user_modules import code_of
from interp.core.versions import code_digest, git_commit, versions
from interp.runner.analysis import asks_for
from interp.runner.inputs import Provisions


def tags_of(
    experiment: Experiment, provisions: Provisions, settings: dict[str, Any]
) -> dict[str, object]:
    """Return the tags of a run, its fingerprint among them."""
    from interp.hooks import HOOKS

    tags = {
        "analysis": settings["analysis"]["name"],
        "model": experiment.source.title,
        "revision": experiment.source.revision,
        "dtype": experiment.source.dtype,
        "prompts_sha256": experiment.prompts.content_hash,
        "git_commit": git_commit(),
        "version.python": platform.python_version(),
        "code": code_digest("interp", "experiments"),
        **{f"version.{name}": version for name, version in versions().items()},
    }
    if own := _own_code(experiment):
        tags["own_code"] = own
    reads = asks_for(experiment.analysis, "activations", "samples", "plan", "reference")
    if reads:
        plan = provisions.plan
        tags["hook"] = HOOKS.name_of(experiment.hook)
        one_a_prompt = len(plan.samples) == len(experiment.prompts)
        tags |= {
            "n": str(len(plan.samples)),
            "units": "prompts" if one_a_prompt else "tokens",
            "attention_kernel": plan.attention_kernel,
        }
        if plan.unembedding:
            tags["unembedding"] = plan.unembedding
    if experiment.reference:
        tags["reference"] = experiment.reference.title
        tags["reference_revision"] = experiment.reference.revision
        tags["reference_dtype"] = experiment.reference.dtype
    idle = {name for name in ("metric", "clustering") if not asks_for(experiment.analysis, name)}
    idle |= set() if reads else {"hook", "position"}
    return {**tags, "fingerprint": _fingerprint(tags, settings, idle)}


def _own_code(experiment: Experiment) -> str:
    """Return a digest of the code of components that are not the project's; "" where all are."""
    components = filter(dataclasses.is_dataclass, vars(experiment).values())
    digests = sorted({code_of(component) for component in components} - {""})
    return hashlib.sha256(" ".join(digests).encode()).hexdigest() if digests else ""


def _fingerprint(tags: dict[str, str], settings: dict[str, Any], idle: set[str]) -> str:
    """Digest of all that decides the result: choices, weights, prompts, code and versions.

    Where weights and prompts come from does not count, what they are does; nor does a choice that
    the analysis has no use for, or anything that moves values by round-off alone.
    """
    # Of modules that were imported the code counts that is used, as the tag `own_code` has it.
    indifferent = {"outputs", "tracking", "activations", "rerun", "dry", "imports"} | idle
    indifferent |= {"model", "reference", "prompts"}
    if settings["reference"] is None:
        indifferent.add("reference_draws")
    decisive = {key: value for key, value in settings.items() if key not in indifferent}
    # The code says more than its commit, which knows nothing of changes and much of other files.
    telling = {key: value for key, value in tags.items() if key != "git_commit"}
    return hashlib.sha256(json.dumps([decisive, telling], sort_keys=True).encode()).hexdigest()
