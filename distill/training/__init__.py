"""The one loop that every network of every role goes through, and how its outcome is measured."""
