"""JSON Schema (draft 2020-12) of job files, made from the handlers' parameters, so that editors complete and check them.

``python -m daemon.schema > config/schema.json`` writes the one that the examples in config/jobs/ point to. What JSON
Schema cannot say (references, circles, a check of the handler) only ``drophammer check`` finds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic.json_schema import GenerateJsonSchema

from daemon.documents.fields import descriptions, keys
from daemon.documents.keys import DEFAULT_KEYS, MOST_STEPS, STEP_NAME, JobKeys, StepKeys
from handlers.contract import Handler, Params, load
from handlers.registry import SHIPPED, Registry, load_registry

DIALECT = "https://json-schema.org/draft/2020-12/schema"
Schema = dict[str, Any]

_BOUNDS = {"ge": "minimum", "gt": "exclusiveMinimum", "le": "maximum", "lt": "exclusiveMaximum"}


class Generator(GenerateJsonSchema):
    """Adds what the docstrings under the fields say, and leaves out the titles that only repeat a key."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    def model_schema(self, schema: Any) -> Schema:
        made = super().model_schema(schema)
        made.pop("title", None)
        for key, text in descriptions(schema["cls"]).items():
            if key in made.get("properties", {}):
                made["properties"][key]["description"] = " ".join(text.split())
        return made


def job_schema(registry: Mapping[str, Handler]) -> Schema:
    """The schema of a whole job file: one step, or named steps."""
    definitions: Schema = {}
    job = _properties(JobKeys, "job", definitions)
    step = _properties(StepKeys, "step", definitions)
    alone, named = [], []
    for handler in registry.values():
        own = _model(handler.params, handler.name, definitions)
        do = {"const": handler.name, "description": handler.summary}
        for kind, names, common in (("job", alone, {**job, **step}), ("step", named, step)):
            name = f"{kind}-{handler.name}"
            definitions[name] = {
                "type": "object",
                "description": handler.summary,
                "properties": {"do": do, **own["properties"], **common},
                "required": ["do", *own.get("required", [])],
                "additionalProperties": False,
            }
            names.append({"$ref": f"#/$defs/{name}"})
    definitions["steps"] = {
        "type": "object",
        "description": "Several steps that feed each other, each under a name of its own.",
        "properties": {
            "steps": {
                "type": "object",
                "description": "Steps by name. `beds` in another step means all its items, `beds/3` its third.",
                "propertyNames": {"pattern": f"^{STEP_NAME}$", "not": {"enum": ["each", "from"]}},
                "minProperties": 1,
                "maxProperties": MOST_STEPS,
                "additionalProperties": {"anyOf": named},
            },
            **job,
            **{
                key: {**step[key], "description": f"For every step: {step[key]['description']}"} for key in DEFAULT_KEYS
            },
        },
        "required": ["steps"],
        "additionalProperties": False,
    }
    return {
        "$schema": DIALECT,
        "title": "Drophammer job",
        "description": "A job file: drop it into the inbox.",
        "anyOf": [*alone, {"$ref": "#/$defs/steps"}],
        "$defs": definitions,
    }


def shipped() -> Registry:
    """The handlers that come with Drophammer, whatever else is installed here."""
    registry = load_registry()
    names = {load(target).name for target in SHIPPED}
    return Registry({name: handler for name, handler in registry.items() if name in names}, registry.problems)


def _properties(model: type[Params], prefix: str, definitions: Schema) -> Schema:
    return _model(model, prefix, definitions)["properties"]


def _model(model: type[Params], prefix: str, definitions: Schema) -> Schema:
    """One model's schema; the models inside it go to `definitions`, under names of their own."""
    made = model.model_json_schema(ref_template=f"#/$defs/{prefix}-{{model}}", schema_generator=Generator)
    for name, inner in made.pop("$defs", {}).items():
        definitions[f"{prefix}-{name}"] = standard(inner)
    made.setdefault("properties", {key: {} for key in keys(model)})
    return standard(made)


def standard(schema: Any) -> Any:
    """Give bounds on alternatives their standard names, where pydantic could not: ``ge`` beside ``anyOf``."""
    if isinstance(schema, list):
        return [standard(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: standard(value) for key, value in schema.items()}
    if isinstance(made.get("anyOf"), list):
        bounds = {
            standard: made.pop(name) for name, standard in _BOUNDS.items() if isinstance(made.get(name), int | float)
        }
        made["anyOf"] = [
            {**each, **bounds} if each.get("type") in ("number", "integer") else each for each in made["anyOf"]
        ]
    return made


def render(registry: Mapping[str, Handler]) -> str:
    """The schema as the file holds it."""
    return json.dumps(job_schema(registry), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(render(shipped()), end="")
