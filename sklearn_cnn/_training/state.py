"""What training needs to go on from somewhere: copied out of a trainer, and put back."""

from sklearn_cnn._network.network import aligned_copy


def solver_state(trainer):
    """Copy everything an update depends on, so that training can go on from here bitwise as if it had not stopped."""
    return {
        "parameters": aligned_copy(trainer.parameters),
        "first_moment": trainer.first_moment.copy(),
        "second_moment": trainer.second_moment.copy(),
        "statistics": trainer.statistics.copy(),
        "t": int(trainer.t),
    }


def restore_solver(trainer, state):
    """Put a trainer back into a state that `solver_state` has copied."""
    for name in ("parameters", "first_moment", "second_moment", "statistics"):
        getattr(trainer, name)[...] = state[name]
    trainer.t = state["t"]
