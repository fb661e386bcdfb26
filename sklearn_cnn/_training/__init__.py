"""From data to parameters: epochs, and everything that watches them. Knows networks, and no estimator."""
