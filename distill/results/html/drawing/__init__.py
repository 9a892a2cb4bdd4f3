"""Plots as SVG that takes its colours from the page: scales, axes, marks, and the plot they make."""
