"""One file per library: `prepare(job)` builds its network and returns the function that one round calls.

For the task "train" that function trains one epoch and returns its mean loss; for "predict" and "latency" it takes the first
and the last row and returns scores or classes as a NumPy array; for "search" it runs the search and returns the best score.
"""
