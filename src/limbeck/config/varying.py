"""The baseline with other values: runs that people ask for."""

from limbeck.config.reading import StudyConfig
from limbeck.errors import ConfigError, ParameterError
from limbeck.space import Parameter, Parameters, Value


def vary(config: StudyConfig, baseline: Parameters, given: Parameters) -> dict[str, Value]:
    """Return the baseline's parameters with others in the place of some.

    A parameter that becomes active by it, and is not given, is as the study file has it; one that
    becomes inactive is left out. Parameters that are not searched stay as they are given.

    Args:
        config: The study file, resolved.
        baseline: Value of every searched parameter that is active there.
        given: Values that `StudyConfig.check` accepts.

    Raises:
        ConfigError: If one is outside of its range, inactive or no single value; a parameter that
            becomes active has no value; or a constraint is broken.
    """
    for name, value in given.items():
        if not isinstance(value, bool | int | float | str):
            raise ConfigError(
                f"{name} must be one number, text, true or false in a run of a study, but got "
                f"{value!r}; try it with limbeck distill"
            )

    def value_of(parameter: Parameter) -> Value:
        for source in (given, baseline):
            if parameter.name in source:
                return parameter.validate(source[parameter.name])
        default = config.default(parameter.name)
        if default is None:
            raise ConfigError(
                f"{parameter.name} must be given too, since the baseline has none; add "
                f"--set {parameter.name}=VALUE"
            )
        return parameter.validate(default)

    space = config.space
    searched = {name: value for name, value in given.items() if name in space.names}
    try:
        point = space.validate({**space.complete(value_of), **searched})
    except ParameterError as error:
        raise ConfigError(
            f"a run of study {config.file.name!r} must lie in its search space: {error}; change "
            "it, or try it with limbeck distill"
        ) from error
    broken = space.violated(point)
    if broken is not None:
        raise ConfigError(
            f"a run of study {config.file.name!r} must keep its constraints, but {point} breaks "
            f"{broken!r}; --set other values"
        )
    return point | {name: value for name, value in given.items() if name not in searched}
