# How many threads a step of training takes: all that it may have, or one alone. It depends on more than the work: how far the
# cores are from each other, and who else wants them. A thread that has no core, because other programs have them all, holds every
# region up until it gets one; a small step then takes many times as long as one thread alone would. So steps are timed. Every now
# and then some are tried the other way, and what was faster is kept. Numbers never depend on it.

cpdef enum:
    LEAST_WORK_TO_TRY = 500000          # multiply-adds of a step that more threads could be worth
    MOST_WORK_TO_TRY = 1 << 30          # above that, waits for each other are little, and a trial would be long
    TRIED_STEPS = 6                     # of a trial, behind a first one that does not count: threads have to wake or go to sleep

cdef double SECONDS_ALONE = 0.002       # after which all threads are tried for the first time
cdef double SECONDS_TOGETHER = 0.1      # likewise one alone, of which there is less to hope for
cdef double SECONDS_TO_WAKE = 0.001     # which the first step of a trial may take longer
cdef double SECONDS_TO_RETURN = 2.0     # after which the other way is tried again at the latest
cdef double HOPELESS = 1.1              # times as long as on the way that is kept: if every step of a trial takes that, it ends
cdef double SHARE_OF_TRIALS = 0.01      # of the time, which trials may lose


@cython.final
cdef class Pace:
    """Which way the steps of a session go, and of those that come after it.

    work: multiply-adds of a whole mini-batch, the rule of thumb for as long as nothing is known."""
    cdef bint is_together               # all threads, which are the faster way as far as is known
    cdef bint is_trial                  # of the other way
    cdef Py_ssize_t n_steps             # that went as they go now, the first included
    cdef double of_sample               # seconds; of late, on the way that is kept
    cdef double tried                   # seconds of a sample, summed over the steps of a trial that count
    cdef double longest                 # of them, which is left out: something may have come between
    cdef double shortest
    cdef double lost                    # seconds, by this trial
    cdef double until_trial             # seconds of training

    def __cinit__(self, Py_ssize_t work):
        self.is_together = work >= SERIAL_WORK
        self.until_trial = SECONDS_TOGETHER if self.is_together else SECONDS_ALONE

    cpdef bint takes_all(self, Py_ssize_t work) noexcept:
        """Whether the next step, of so many multiply-adds, takes all threads or one."""
        return work >= LEAST_WORK_TO_TRY and self.is_together != self.is_trial

    cpdef void see(self, Py_ssize_t n_samples, Py_ssize_t work, double seconds) noexcept:
        """What a step has taken that could have had more threads than one."""
        if not LEAST_WORK_TO_TRY <= work <= MOST_WORK_TO_TRY:
            return
        self.n_steps += 1
        if self.is_trial:
            self.see_trial(n_samples, seconds)
            return
        self.until_trial -= seconds
        if self.n_steps > 1 and self.of_sample == 0.0:
            self.of_sample = seconds / n_samples
        elif self.n_steps > 1:      # a single step that takes long is no reason to change anything, some of them are
            self.of_sample += 0.125 * (min(seconds / n_samples, 2.0 * self.of_sample) - self.of_sample)
        if self.until_trial <= 0.0 and self.n_steps > TRIED_STEPS:
            self.begin_trial()

    cdef void begin_trial(self) noexcept:
        self.is_trial, self.n_steps = True, 0
        self.tried = self.longest = self.lost = 0.0

    cdef void see_trial(self, Py_ssize_t n_samples, double seconds) noexcept:
        cdef double of_sample = seconds / n_samples
        self.lost += seconds - n_samples * self.of_sample
        if self.n_steps > 1:
            self.shortest = of_sample if self.n_steps == 2 else min(self.shortest, of_sample)
            self.longest = max(self.longest, of_sample)
            self.tried += of_sample
        if self.n_steps > TRIED_STEPS:
            self.end_trial(n_samples, (self.tried - self.longest) / (TRIED_STEPS - 1))
        # A trial without hope ends before. It has taken as long as all of its steps together may, or every step takes too long.
        elif self.lost > TRIED_STEPS * n_samples * self.of_sample + SECONDS_TO_WAKE:
            self.end_trial(n_samples, self.of_sample)
        elif self.n_steps > 2 and self.shortest > HOPELESS * self.of_sample:
            self.end_trial(n_samples, self.of_sample)

    cdef void end_trial(self, Py_ssize_t n_samples, double tried) noexcept:
        """Keep the faster way. The more a trial costs, the longer it is until the next."""
        cdef double lost = self.lost
        if tried < self.of_sample:
            lost = TRIED_STEPS * n_samples * (self.of_sample - tried)       # if the way that is left is tried again
            self.is_together, self.of_sample = not self.is_together, tried
        self.is_trial, self.n_steps = False, 0
        self.until_trial = min(SECONDS_TO_RETURN, max(SECONDS_TOGETHER, lost / SHARE_OF_TRIALS))


cdef bint choose_threads(Network* network, Pace pace, int n_threads) noexcept:
    """Give a step the threads that it takes; returns whether it could have more than one."""
    cdef int most = <int> min(min(n_threads, network.arena.n_threads), most_pieces(network))
    if is_forked_child():
        most = 1
    network.n_threads = team_of(most if pace.takes_all(step_work(network)) else 1)
    return most > 1
