"""Every exception that Limbeck raises on purpose.

::

    LimbeckError
    ├── InputError              what the user gave cannot be used; the way out is in the text
    │   ├── ConfigError         study file or command-line argument
    │   ├── ParameterError      a value outside its parameter's range, or an unknown parameter
    │   ├── DataError           data set, predictions or features
    │   ├── ModelError          teacher or student folder, hub id
    │   └── NotFoundError       no such study or run in the store
    ├── StoreError              the database cannot be used, or not by this process
    │   ├── UnavailableError    it cannot just now: locked, its disk full, its server away
    │   └── NotOwnerError       a run in it is not for this process to write
    ├── ExhaustedError          the search space has nothing left to try
    ├── StoppedError            a run is to end before its time, on purpose
    └── InfeasibleError         this run cannot exist; teaches the optimizer (``reason``)
        ├── ArchitectureError   no student of this shape can be cut from the teacher
        ├── DivergedError       the loss or a metric is not finite
        └── OutOfMemoryError    the device has too little memory
"""

from typing import ClassVar


class LimbeckError(Exception):
    """Base of all of them. Its text is one line: the rule, the value, the way out."""


class InputError(LimbeckError):
    """What the user gave cannot be used. The command line exits with code 2."""


class ConfigError(InputError):
    """The study file or an argument breaks a rule."""


class ParameterError(InputError):
    """A parameter value lies outside its range, or no such parameter exists."""


class DataError(InputError):
    """A data set, predictions file or feature cache is broken."""


class ModelError(InputError):
    """A teacher or student cannot be loaded."""


class NotFoundError(InputError):
    """The store holds no such study or run."""


class StoreError(LimbeckError):
    """The database cannot be used, or a run in it is not for this process to write."""


class UnavailableError(StoreError):
    """The database cannot be reached or written just now; it may be later."""


class NotOwnerError(StoreError):
    """A run does not run, or another process has it: what this one made of it is void."""


class ExhaustedError(LimbeckError):
    """Every allowed point of the search space has been tried."""


class StoppedError(LimbeckError):
    """A run is to end before its time, on purpose."""


class InfeasibleError(LimbeckError):
    """A run that cannot exist; recorded as *infeasible*, so that the optimizer learns from it."""

    reason: ClassVar[str] = "infeasible"


class ArchitectureError(InfeasibleError):
    """No student of this shape can be cut from the teacher."""

    reason: ClassVar[str] = "architecture"


class DivergedError(InfeasibleError):
    """The loss or a metric is not a finite number."""

    reason: ClassVar[str] = "diverged"


class OutOfMemoryError(InfeasibleError):
    """The device has too little memory for this run."""

    reason: ClassVar[str] = "out-of-memory"


class LimbeckWarning(UserWarning):
    """What works but is probably not meant; its text says what to do."""
