"""The data sets that `dataset=<name>` may ask for; a family of them shares a file."""

from distill.config.registry import Registry

datasets = Registry("data set", "distill.data.sources")
