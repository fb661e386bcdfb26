"""How accurate networks become, and how long that takes: data, settings, and the runs over several seeds."""
