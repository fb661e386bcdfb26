"""What training tells while it runs: a line for every epoch, or a progress bar."""

import sys

from sklearn_cnn._training.listeners import Listener

BAR_WIDTH = 16


class Report(Listener):
    """A line for every epoch, and one that says why training stopped."""

    def __init__(self):
        self._seconds = []

    def see(self, epoch):
        """Print what an epoch was."""
        parts = [f"Epoch {numbered(epoch)}", f"loss {epoch.loss:.6f}"]
        if epoch.evaluation is not None:
            score, loss, _ = epoch.evaluation
            parts += [f"validation score {score:.4f}", f"validation loss {loss:.6f}"]
        if epoch.learning_rate is not None:
            parts.append(f"learning rate {epoch.learning_rate:.3g}")
        print(", ".join([*parts, duration(epoch.seconds), f"{self.time_left(epoch)} left"]))

    def end(self, trainer, reason):
        """Print why training stopped before its last epoch."""
        if reason is not None:
            print(f"Stopping: {reason}.")

    def time_left(self, epoch):
        """Say how long all epochs that may come will take, each as long as those of this call on average."""
        self._seconds.append(epoch.seconds)
        return duration((epoch.n_epochs - epoch.number) * sum(self._seconds) / len(self._seconds))


class ProgressBar(Report):
    """A bar that grows with every epoch, beside it what the last one was, in few words: both fit on a line of 80 characters.

    Parameters
    ----------
    open_bar : callable
        A row of `BARS`.
    """

    def __init__(self, open_bar):
        super().__init__()
        self._open_bar, self._bar = open_bar, None

    def see(self, epoch):
        """Move the bar on; it is opened by the first epoch."""
        if self._bar is None:
            self._bar = self._open_bar(epoch.n_epochs, epoch.number - 1)
        score = "" if epoch.evaluation is None else f", score {epoch.evaluation.score:.4g}"
        rate = "" if epoch.learning_rate is None else f", rate {epoch.learning_rate:.2g}"
        words = f"{numbered(epoch)}, loss {epoch.loss:.4g}{score}{rate}"
        self._bar.move(f"{words}, {self.time_left(epoch)} left")

    def end(self, trainer, reason):
        """Close the bar before anything is printed below it."""
        self.close()
        super().end(trainer, reason)

    def close(self):
        """Give the terminal back, also where training has failed."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class RichBar:
    """A bar drawn by ``rich``."""

    def __init__(self, n_epochs, n_done):
        from rich.progress import BarColumn, Progress, TextColumn

        self._progress = Progress(BarColumn(BAR_WIDTH), TextColumn("{task.description}"))
        self._task = self._progress.add_task("", total=n_epochs, completed=n_done)
        self._progress.start()

    def move(self, line):
        """Advance by one epoch."""
        self._progress.update(self._task, advance=1, description=line)

    def close(self):
        """Leave the bar as it is."""
        self._progress.stop()


class TqdmBar:
    """A bar drawn by ``tqdm``."""

    def __init__(self, n_epochs, n_done):
        from tqdm import tqdm

        self._bar = tqdm(total=n_epochs, initial=n_done, file=sys.stdout, bar_format=f"|{{bar:{BAR_WIDTH}}}| {{desc}}")

    def move(self, line):
        """Advance by one epoch."""
        self._bar.set_description_str(line, refresh=False)
        self._bar.update()

    def close(self):
        """Leave the bar as it is."""
        self._bar.close()


#: Package that draws progress bars -> its bar; the first that is installed is taken.
BARS = {"rich": RichBar, "tqdm": TqdmBar}


def report(verbose):
    """Return the listeners that tell what training does.

    Parameters
    ----------
    verbose : bool or int
        Nothing is told at 0, a line per epoch at 1; from 2 on there is a progress bar where a package for that is installed.

    Returns
    -------
    listeners : list of Listener
        None or one.

    Examples
    --------
    >>> report(False), [type(listener).__name__ for listener in report(1)]
    ([], ['Report'])
    """
    if not verbose:
        return []
    for package, open_bar in BARS.items():
        if verbose >= 2 and is_installed(package):
            return [ProgressBar(open_bar)]
    return [Report()]


def is_installed(package):
    """Say whether a package can be imported."""
    try:
        __import__(package)
    except ImportError:
        return False
    return True


def numbered(epoch):
    """Write the number of an epoch and how many there may be.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> numbered(SimpleNamespace(number=7, n_epochs=100))
    '  7/100'
    """
    return f"{epoch.number:{len(str(epoch.n_epochs))}d}/{epoch.n_epochs}"


def duration(seconds):
    """Write a length of time.

    Examples
    --------
    >>> duration(0.254), duration(59.999), duration(7384)
    ('0.25 s', '1 min 0 s', '2 h 3 min')
    """
    if round(seconds, 2) < 60:
        return f"{seconds:.2f} s"
    minutes, seconds = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    return f"{minutes // 60} h {minutes % 60} min"
