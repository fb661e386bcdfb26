"""What training needs to go on from somewhere: copied out of a trainer, and put back."""

from sklearn_cnn._network.network import aligned_copy

#: The arrays of a trainer that an update depends on, and the numbers of updates, and of mini-batches in the running statistics.
ARRAYS = ("parameters", "first_moment", "second_moment", "statistics")
COUNTS = ("t", "n_batches_tracked")


def solver_state(trainer):
    """Copy everything an update depends on, so that training can go on from here bitwise as if it had not stopped."""
    arrays = {name: aligned_copy(getattr(trainer, name)) for name in ARRAYS}
    return arrays | {name: int(getattr(trainer, name)) for name in COUNTS}


def restore_solver(trainer, state):
    """Put a trainer back into a state that `solver_state` has copied."""
    for name in ARRAYS:
        getattr(trainer, name)[...] = state[name]
    for name in COUNTS:
        setattr(trainer, name, state[name])
