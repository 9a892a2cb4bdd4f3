"""What made a run: code, versions, machine."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from pathlib import Path
from typing import Any

import torch

import distill
from distill.training.device import describe

_PACKAGES = ("torch", "torchvision", "hydra-core", "omegaconf", "numpy", "safetensors")


def versions() -> dict[str, str]:
    """Of Python, distill and the packages that numbers depend on."""
    found = {"python": platform.python_version(), "distill": distill.__version__}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {**found, "torch": str(torch.__version__)}  # with its build, such as +cu130


def git() -> dict[str, Any] | None:
    """Commit of the working folder and whether it has uncommitted changes; `None` outside a repository."""
    commit = _git("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "dirty": bool(_git("status", "--porcelain"))}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def machine(device: torch.device) -> dict[str, Any]:
    """The device and the machine around it."""
    return {
        "name": describe(device),
        "type": device.type,
        "platform": platform.platform(),
        "processor": _processor(),
        "threads": torch.get_num_threads(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor())
