"""Code that a user names: found, imported, and told apart when it changes."""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from modulefinder import ModuleFinder
from pathlib import Path
from typing import Any

from distill.errors import ConfigError


def find(path: str) -> Callable[..., Any]:
    """The function or class that a path names.

    Args:
        path: `module:name`; the module may lie in the current folder.

    Raises:
        ConfigError: There is no such module or function, or importing it fails.
    """
    module, _, name = path.partition(":")
    _require(path)
    try:
        found = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # Whatever a user's module may raise.
        raise ConfigError(f"path={path} cannot be imported: {said(error)}.") from error
    if not callable(found):
        raise ConfigError(f"path={path} is not allowed: the module {module} has no function {name}.")
    return found


def digest(path: str) -> str:
    """The SHA-256 of the code behind a path, in hexadecimal.

    That is the module's file and all that it imports from beside it; of an installed package the file alone.

    Args:
        path: `module:name`.

    Raises:
        ConfigError: There is no such module.
    """
    module = path.partition(":")[0]
    spec = _require(path)
    file = Path(spec.origin or "")
    above = file.parents[module.count(".") + (file.name == "__init__.py")]
    files = {file} if _installed(file) else {file, *_imported(module, above)}
    found = hashlib.sha256()
    for each in sorted(files):
        found.update(each.relative_to(above).as_posix().encode() + b"\0" + each.read_bytes() + b"\0")
    return found.hexdigest()


def said(error: BaseException) -> str:
    """An error's type and first line, and the line of the user's code that raised it."""
    line = (str(error).splitlines() or [""])[0].rstrip(".")
    theirs = [frame for frame in traceback.extract_tb(error.__traceback__) if not _ours(frame.filename)]
    # A syntax error names its line itself.
    place = f" ({os.path.basename(theirs[-1].filename)}, line {theirs[-1].lineno})" if theirs else ""
    return f"{type(error).__name__}: {line}{place}"


def _require(path: str) -> ModuleSpec:
    module, here = path.partition(":")[0], os.getcwd()
    if here not in sys.path:
        sys.path.insert(0, here)  # as python itself does for a script
    importlib.invalidate_caches()
    try:
        spec = find_spec(module)
    except Exception as error:  # A package around it is imported, which may raise anything.
        if not isinstance(error, ModuleNotFoundError):
            raise ConfigError(f"path={path} cannot be imported: {said(error)}.") from error
        spec = None
    if spec is None or spec.origin is None or not Path(spec.origin).is_file():
        raise ConfigError(
            f"path={path} is not allowed: there is no module {module} in {here} or among the installed ones."
        )
    return spec


def _imported(module: str, folder: Path) -> set[Path]:
    """Files under a folder that a module imports, directly or not; nothing is run."""
    finder = ModuleFinder([str(folder)], excludes=["distill"])
    try:
        finder.import_hook(module)
    except (ImportError, SyntaxError):  # Importing it in earnest says so.
        return set()
    files = (getattr(found, "__file__", None) for found in finder.modules.values())
    return {Path(file) for file in files if file is not None}


def _ours(file: str) -> bool:
    return file.startswith("<frozen") or Path(file).is_relative_to(Path(__file__).parents[1]) or _stdlib(file)


def _stdlib(file: str) -> bool:
    return Path(file).parent == Path(importlib.__file__).parent


def _installed(file: Path) -> bool:
    return any(file.is_relative_to(sysconfig.get_path(kind)) for kind in ("purelib", "platlib", "stdlib"))
