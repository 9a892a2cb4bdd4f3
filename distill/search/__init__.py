"""Which student: candidates of a space under a budget, trained under distillation, and the best of each size."""
