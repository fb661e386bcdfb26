# Signals while a kernel runs. Python's handlers run in its main thread, and only when that asks for them: a step of seconds would
# let Ctrl-C wait for its end. So the thread that called looks up from its work every now and then. What a handler raises, a
# KeyboardInterrupt usually, ends the call early: every thread leaves what it has begun, and nothing that follows is done.

cdef extern from *:
    """
    typedef struct {
        double next_question;     /* when to ask again */
        uint64_t callers_mode;    /* of floating-point numbers: handlers belong to the caller */
        void *error;              /* what a handler has raised */
        volatile int has_come;
    } Interruption;
    """
    ctypedef struct Interruption:
        double next_question
        uint64_t callers_mode
        void* error
        bint has_come

cdef double SECONDS_BETWEEN_QUESTIONS = 0.1


cdef void begin_call(Interruption* interruption) noexcept nogil:
    """From here on the calling thread computes; `leave_float_mode` ends it."""
    interruption.next_question = seconds_roughly() + SECONDS_BETWEEN_QUESTIONS
    interruption.error = NULL
    interruption.has_come = False
    interruption.callers_mode = enter_float_mode()


cdef void run_handlers(Interruption* interruption) noexcept with gil:
    try:
        PyErr_CheckSignals()
    except BaseException as error:
        Py_INCREF(error)
        interruption.error = <void*> error
        interruption.has_come = True


cdef bint is_interrupted(Interruption* interruption) noexcept nogil:
    """Whether to stop. The calling thread, which is the first of every team, asks; the others see what it has been told."""
    if threadid() == 0 and not interruption.has_come and seconds_roughly() > interruption.next_question:
        leave_float_mode(interruption.callers_mode)
        run_handlers(interruption)
        enter_float_mode()
        interruption.next_question = seconds_roughly() + SECONDS_BETWEEN_QUESTIONS
    return interruption.has_come


cdef int end_call(Interruption* interruption) except -1:
    """Raise what a handler has raised."""
    cdef object error
    if interruption.has_come:
        error = <object> interruption.error
        Py_DECREF(error)
        raise error
    return 0
