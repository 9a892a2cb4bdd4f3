"""Which networks a run needs, in what order, taught by whom, and how none is trained twice."""
