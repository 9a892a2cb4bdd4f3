"""The figures of the page, each with the sentence it is there for: one file per figure, `None` where data lack."""
