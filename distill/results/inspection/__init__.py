"""What a network knows beyond its answers: softened distributions, classes it takes for each other, disagreements."""
