"""Model cards: what a network is, what it learned from, how good it is and how to use it, as it was recorded."""
