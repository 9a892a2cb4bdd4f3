"""Knowledge distillation experiments: teacher, baseline student and distilled student from one command."""

__version__ = "0.1.0"
