"""Words of the command line to text and numbers, without pydantic.

typer 0.29 builds a pydantic adapter for every option that is no flag: half a second on a busy machine, which a
reading command must not cost. Plain text and numbers are converted here instead; every other type is left to typer.
It touches one private attribute of typer (`_runtime_param`); a test sees to it that reading stays free of pydantic.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import typer
from typer._coercion import RuntimeParam, build_runtime_param


@dataclass(frozen=True)
class PlainParam(RuntimeParam):
    """One word to `str`, `int` or `float`, within the option's limits; a flag that was not given needs no conversion."""

    def _coerce_value(self, value: Any, param: Any, ctx: Any) -> Any:
        if self.annotation is bool:  # A flag's word, from an environment variable: rare enough for typer's own way.
            return build_runtime_param(param.type_descriptor).coerce(value, param, ctx)
        convert: Any = self.annotation
        try:
            result = convert(value)
        except ValueError:
            wanted = "a whole number" if convert is int else "a number"
            raise typer.BadParameter(f"{value!r} is not {wanted}", ctx=ctx, param=param) from None
        low, high = self.parameter_info.min, self.parameter_info.max
        # Written so that NaN is refused too.
        if (low is not None and not result >= low) or (high is not None and not result <= high):
            limits = " and ".join(
                [f"at least {low:g}"] * (low is not None) + [f"at most {high:g}"] * (high is not None)
            )
            raise typer.BadParameter(f"{value} must be {limits}", ctx=ctx, param=param)
        return result


def lighten(parameters: Iterable[Any]) -> None:
    """Let plain parameters be converted here."""
    for parameter in parameters:
        descriptor = parameter.type_descriptor
        if (
            descriptor.annotation in (bool, str, int, float)
            and parameter.nargs == 1
            and not getattr(parameter, "multiple", False)
        ):
            parameter._runtime_param = PlainParam(
                parameter_info=descriptor.parameter_info, annotation=descriptor.annotation
            )
