"""Hydra's errors, said the way a user of distill would want to hear them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from distill.config import tree
from distill.config.words import did_you_mean

_OPTIONS = re.compile(
    r"Could not find '([\w@]+)/([^']*)'(?:\s+Available options in '[^']*':\n([\s\S]*?)Config search)?"
)


def explain(error: Exception, words: Sequence[str]) -> str:
    """One sentence: what was given, what is allowed.

    Args:
        error: What Hydra or OmegaConf raised while it composed the config.
        words: The command line after `distill train`.
    """
    message = str(error)
    if match := _OPTIONS.search(message):
        return _no_option(match[1], match[2], (match[3] or "").split(), words)
    if match := re.search(r"Could not load '([\w@]+)/([^']*)'", message):  # one of several
        return _no_option(match[1], match[2], [choice.name for choice in tree.choices(match[1])], words)
    if match := re.search(r"Could not override '([^']+)'", message):
        return _no_key(match[1], words)
    if match := re.search(r"Interpolation key '([^']+)' not found", message):
        hint = did_you_mean(match[1], tree.known_keys())
        return f"${{{match[1]}}} refers to nothing: there is no key {match[1]}{hint}."
    if match := re.search(r"Missing mandatory value: (\S+)", message):
        return f"{match[1]} has no value: give {match[1]}=..."
    if match := re.search(r"Ambiguous value for argument '([^=]+)=([^']*)'", message):
        return f"{match[1]}={match[2]} is several values: add -m for a run with each, or write [{match[2]}] for a list."
    if match := re.search(r"config group '([^']+)' does not exist", message):
        hint = did_you_mean(match[1], tree.groups())
        return f"There is no group {match[1]}{hint}: it must be one of {', '.join(tree.groups())}."
    if type(error).__name__ == "OverrideParseException":
        return _no_override(message, words)
    sentence = " ".join(line.strip() for line in message.splitlines() if line.strip()) or type(error).__name__
    return f"{sentence.rstrip('.')}."


def missing_plugin(error: BaseException, words: Sequence[str]) -> str | None:
    """One sentence for a launcher or sweeper of Hydra that is not installed; `None` for any other error.

    Args:
        error: What Hydra raised when it was to use it.
        words: The command line after `distill train`.
    """
    match = re.search(r"hydra_plugins\.hydra_([a-z]+)_(launcher|sweeper)\b", str(error))
    if match is None or not isinstance(error, RuntimeError | ImportError):
        return None
    extra, kind = match.groups()
    asked = (word for word in words if word.startswith((f"hydra/{kind}=", "experiment=")))
    asked = next(asked, f"hydra/{kind}={extra}")
    return f"{asked} needs an extra: pip install 'distill[{extra}]'."


def no_name(error: BaseException, words: Sequence[str]) -> str | None:
    """One sentence for an option of a group that is a number or null; `None` for any other error.

    Args:
        error: What Hydra raised.
        words: The command line after `distill train`.
    """
    listed = isinstance(error, TypeError) and "is not iterable" in str(error)
    if not listed and "Config group override must be a string" not in str(error):
        return None
    given = ((word, *word.lstrip("+").split("=", 1)) for word in words if "=" in word)
    groups = (*tree.groups(), *tree.MOUNTS)
    one = r"(null|true|false|[\d.e+-]+)"
    wrong = rf"\[(.*,)?\s*{one}\s*(,.*)?\]" if listed else one
    word = next((word for word, key, value in given if key in groups and re.fullmatch(wrong, value)), None)
    if word is None and listed:
        return None
    word = word or "An option of a group"
    return f"{word} is not allowed: it must be the name of one of those that `distill list` shows; or leave it out."


def no_params(error: BaseException, words: Sequence[str]) -> str | None:
    """One sentence for what a sweep varies, where Hydra takes it from files alone; `None` for any other error.

    Args:
        error: What Hydra raised.
        words: The command line after `distill train`.
    """
    given = next((word for word in words if word.lstrip("+").startswith("hydra.sweeper.params")), None)
    if given is None or not isinstance(error, AttributeError | AssertionError):
        return None
    return f"{given} is for a config file: on the command line, give each key its values, such as -m T=1,2."


def _no_option(group: str, option: str, options: Sequence[str], words: Sequence[str]) -> str:
    if group == "hydra":
        folder, _, option = option.partition("/")
        group = f"hydra/{folder}"
    key = next((word.partition("=")[0] for word in words if re.match(rf"\+?{group}(@\w+)?=", word)), group)
    if not options:
        return f"{key}={option} is not allowed: there is no {group} to choose from yet; leave it out."
    hint = did_you_mean(option, options)
    return f"{key}={option} is not allowed{hint}: it must be one of {', '.join(options)}."


def _no_key(key: str, words: Sequence[str]) -> str:
    for group in ("method", "dataset", "tracker"):
        owners = tree.owners(key, group)
        asked = next((word.partition("=")[2].split(",") for word in words if word.startswith(f"{group}=")), [])
        without = ",".join(name for name in asked if name not in owners)
        if owners:
            here = f" with {group}={without}" if without else " here"
            inside = "; within terms write {name: METHOD, KEY: VALUE}" if "compose" in asked else ""
            return f"There is no key {key}{here}: it belongs to {group}={'|'.join(owners)}{inside}."
    mounted = [f"{key}@{mount}=" for mount in tree.mounts(key) if mount != key]
    if mounted:
        return f"There is no key {key}: give it for each network, with {' or '.join(mounted)}."
    hint = did_you_mean(key, tree.known_keys())
    return f"There is no key {key}{hint}; `distill train --cfg job` shows those there are."


def _no_override(message: str, words: Sequence[str]) -> str:
    bare = next((word for word in words if "=" not in word and word[:1] not in "-~"), None)
    if bare is not None:
        return f"{bare!r} is not an override: write key=value, such as T=4."
    reason = message.splitlines()[0]
    return (
        f"The command line cannot be read: {reason}; values with spaces, commas, brackets or letters beyond a-z "
        "need quotes that the shell leaves alone: 'key=\"value\"'."
    )
