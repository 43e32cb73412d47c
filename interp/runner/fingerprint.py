"""The tags that identify a run: two runs of one fingerprint have the same result."""

import hashlib
import json
import platform
from typing import Any

from interp.core.groups import GROUPS, group_named
from interp.core.source_code import Definition, code_hash
from interp.core.versions import git_commit, versions
from interp.runner.analysis import asks_for
from interp.runner.build import Experiment
from interp.runner.inputs import Inputs, derived_inputs, used_groups


def tags_of(experiment: Experiment, inputs: Inputs, settings: dict[str, Any]) -> dict[str, object]:
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
        "code": code_of(experiment),
        **{f"version.{name}": version for name, version in versions().items()},
    }
    reads = asks_for(experiment.analysis, "activations", "samples", "plan", "reference")
    if reads:
        plan = inputs.plan
        tags["hook"] = HOOKS.name_of(experiment.hook)
        one_per_prompt = len(plan.samples) == len(experiment.prompts)
        tags |= {
            "n": str(len(plan.samples)),
            "units": "prompts" if one_per_prompt else "tokens",
            "attention_kernel": plan.attention_kernel,
        }
        if plan.unembedding:
            tags["unembedding"] = plan.unembedding
    if experiment.reference:
        tags["reference"] = experiment.reference.title
        tags["reference_revision"] = experiment.reference.revision
        tags["reference_dtype"] = experiment.reference.dtype
    return {**tags, "fingerprint": _fingerprint(tags, _decisive(experiment, settings))}


def code_of(experiment: Experiment) -> str:
    """Return a hash of the code that decides an experiment's result.

    That is the code of the components that the analysis uses, of the inputs that it asks for, and
    of the analysis itself.
    """
    used = used_groups(experiment.analysis) | {group_named("analysis")}
    components = [experiment.components[group.name] for group in used]
    asked = derived_inputs(experiment.analysis)
    inputs = [Definition("interp.runner.inputs", f"Inputs.{name}") for name in asked]
    computing = Definition("interp.runner.run", "_computed")
    return code_hash([computing, *inputs, *filter(None, components)])


# Settings that do not change the result.
_INDIFFERENT = {"outputs", "tracking", "activations", "rerun", "dry", "imports"}


def _decisive(experiment: Experiment, settings: dict[str, Any]) -> dict[str, Any]:
    """Return the settings that decide the result.

    Where weights and prompts come from does not count: the tags identify what they are. Nor does a
    choice that the analysis does not use.
    """
    used = used_groups(experiment.analysis) | {group_named("analysis")}
    left_out = {g.name for g in GROUPS if g.known_by_content or g not in used}
    if experiment.reference is None:
        left_out.add("reference_draws")
    return {key: value for key, value in settings.items() if key not in _INDIFFERENT | left_out}


def _fingerprint(tags: dict[str, object], decisive: dict[str, Any]) -> str:
    """Hash all that decides the result: choices, weights, prompts, code and versions."""
    # The commit says less than the code: nothing of uncommitted changes, and much of other files.
    identifying = {key: value for key, value in tags.items() if key != "git_commit"}
    return hashlib.sha256(json.dumps([decisive, identifying], sort_keys=True).encode()).hexdigest()
