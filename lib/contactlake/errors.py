"""What can go wrong, said once: each error carries its remedy and the exit code of its kind."""

from typing import ClassVar


class ContactlakeError(Exception):
    """The base of every error that a user can act on.

    `str()` is one line: what is wrong, then what to do about it.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(f"{problem}; {remedy}")
        self.problem = problem
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["ContactlakeError"], tuple[str, str]]:
        return type(self), (self.problem, self.remedy)


class ConfigurationError(ContactlakeError):
    """The command line or the configuration is wrong: nothing was touched."""

    exit_code = 2
    others: "tuple[ConfigurationError, ...]" = ()
    """What else is wrong with the same configuration."""


class GateFailed(ContactlakeError):
    """A critical expectation failed: silver and ops are written, gold is as it was."""

    exit_code = 3

    def __init__(self, failed: tuple[str, ...]) -> None:
        super().__init__(
            f"the quality gate failed: {', '.join(failed)}",
            "look the figures up in ops/quality_result, mend the cause and run again, or publish with --accept NAME",
        )
        self.failed = failed

    def __reduce__(self) -> tuple[type["GateFailed"], tuple[tuple[str, ...]]]:  # type: ignore[override]
        return type(self), (self.failed,)


class StorageError(ContactlakeError):
    """The archive or the lake cannot be reached, refuses access, or is not what it should be."""

    exit_code = 4


class LakeHeld(ContactlakeError):
    """Another run holds the lake."""

    exit_code = 5
