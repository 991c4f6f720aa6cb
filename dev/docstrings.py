"""What docstrings and signatures say, in Markdown: of a class, a function, a parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from typing import Any

from airflow_provider_stripe_lite import errors


def markdown(text: str) -> str:
    """Turn a docstring's marks into Markdown's."""
    # Behind a tilde, the last name of a path is shown alone.
    text = re.sub(r":\w+:`~[\w.]*?(\w+)`", r"`\1`", " ".join(text.split()))
    text = re.sub(r":\w+:`\.?([\w.]+)`", r"`\1`", text)
    return text.replace("``", "`")


def promise(thing: Any) -> str:
    """Return the first sentence of a docstring."""
    return markdown((inspect.getdoc(thing) or "").split("\n\n")[0])


def marked(thing: Any) -> Iterator[tuple[str, str, str]]:
    """Yield what a docstring says of each parameter, result and error: mark, name and meaning."""
    pattern = r"^:(\w+)(?: (\w+))?: (.*?)(?=^:|\n\n|\Z)"
    text = inspect.getdoc(thing) or ""
    for mark, name, meaning in re.findall(pattern, text, re.MULTILINE | re.DOTALL):
        yield mark, name, markdown(meaning)


def described(thing: Any, wanted: str = "param") -> dict[str, str]:
    """Return what a docstring says of each parameter, or of each ``:ivar``."""
    return {name: meaning for mark, name, meaning in marked(thing) if mark == wanted}


def defaults(call: Callable[..., Any]) -> dict[str, str]:
    """Return the default of each parameter, as one would write it; empty where it is required."""
    parameters = inspect.signature(call).parameters.values()
    named = (p for p in parameters if p.name != "self" and p.kind is not p.VAR_KEYWORD)
    return {p.name: "" if p.default is p.empty else _shown(p.name, p.default) for p in named}


def _shown(name: str, value: Any) -> str:
    if name == "deferrable":
        return "from `[operators] default_deferrable`"
    if name == "retry_policy":
        return "`StripeRetryPolicy()`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value!r}`"


def parameters(cls: type) -> dict[str, tuple[str, str]]:
    """Return default and meaning of each parameter, a class's own before the inherited ones."""
    found: dict[str, tuple[str, str]] = {}
    for owner in _owners(cls):
        if "__init__" in vars(owner):
            for name, default in defaults(vars(owner)["__init__"]).items():
                found.setdefault(name, (default, _meaning(cls, name)))
    return found


def _owners(cls: type) -> Iterator[type]:
    """Yield the class and its bases, as far as they are of this package."""
    return (owner for owner in cls.__mro__ if owner.__module__.startswith(errors.__package__))


def _meaning(cls: type, name: str) -> str:
    known = (described(owner).get(name) for owner in _owners(cls))
    return next((text for text in known if text), "")


def entry(thing: Any, parameters_of: str) -> str:
    """Return what a docstring says of a class or function, around the table of its parameters."""
    text = inspect.getdoc(thing) or ""
    ends = [
        f"- {'Returns' if mark == 'return' else f'Raises `{name}`:'} {meaning}\n"
        for mark, name, meaning in marked(thing)
        if mark in ("return", "raises")
    ]
    # Code that shows how to use it stands on the pages.
    parts = [part for part in text.split("\n\n:")[0].split("\n\n") if not part.startswith(" ")]
    about = "\n\n".join(markdown(part).removesuffix(" ::") for part in parts)
    return f"{about}\n\n{parameters_of}\n{''.join(ends)}"
