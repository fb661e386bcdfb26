# From gradients to new parameters. Every number is updated on its own, so threads may take any piece.

cpdef enum:
    SGD = 0
    ADAM = 1


ctypedef struct Solver:
    int64_t kind
    double learning_rate
    double momentum             # beta_1 for Adam
    double beta_2
    double epsilon
    double weight_decay
    int64_t nesterov
    int64_t t                   # number of this update, from 1
    double rate                 # of this update: Adam's bias correction included
    double decay                # share that a weight loses in this update, whatever its gradient
    real* first_moment          # per parameter; of SGD the velocity
    real* second_moment


cdef void set_rates(Solver* solver) noexcept nogil:
    solver.rate = solver.learning_rate
    if solver.kind == ADAM:
        solver.rate = solver.learning_rate * sqrt(1.0 - pow(solver.beta_2, solver.t)) / (1.0 - pow(solver.momentum, solver.t))
    solver.decay = solver.learning_rate * solver.weight_decay


cdef double add_penalty(const real* weights, real* gradient, Py_ssize_t n, real strength) noexcept nogil:
    """gradient += strength * weights; returns the sum of squared weights."""
    # Sixteen sums whatever the level, in as many vectors as that takes. In vectors by name: of an array of sums the compiler
    # makes loads and stores for every number.
    cdef vector_wide[16] sums
    cdef real[16] squares
    cdef vector_wide w
    cdef vector_wide g
    cdef double total = 0.0
    cdef Py_ssize_t i, v, at = 0
    for v in range(16 // LANES_WIDE):
        sums[v] = (<const vector_wide*> ZEROS)[0]
    while at + 16 <= n:
        for v in range(16 // LANES_WIDE):
            w = (<const vector_wide*> (weights + at + v * LANES_WIDE))[0]
            g = (<const vector_wide*> (gradient + at + v * LANES_WIDE))[0]
            MULTIPLY_ADD(g, strength, w)
            (<vector_wide*> (gradient + at + v * LANES_WIDE))[0] = g
            ADD_SQUARE(sums[v], w)
        at += 16
    for v in range(16 // LANES_WIDE):
        (<vector_wide*> (squares + v * LANES_WIDE))[0] = sums[v]
    for i in range(at, n):
        gradient[i] += strength * weights[i]
        squares[i - at] += weights[i] * weights[i]
    for i in range(16):
        total += squares[i]
    return total


cdef void update_sgd(const Solver* solver, real* parameters, const real* gradient, real* velocity, Py_ssize_t n) noexcept nogil:
    """v <- momentum * v - rate * g;  p += v, or (Nesterov) p += momentum * v - rate * g"""
    cdef real rate = <real> solver.rate
    cdef real momentum = <real> solver.momentum
    cdef real change
    cdef Py_ssize_t i
    if solver.nesterov:
        for i in range(n):
            change = rate * gradient[i]
            velocity[i] = momentum * velocity[i] - change
            parameters[i] += momentum * velocity[i] - change
    else:
        for i in range(n):
            velocity[i] = momentum * velocity[i] - rate * gradient[i]
            parameters[i] += velocity[i]


cdef void update_adam(const Solver* solver, real* parameters, const real* gradient, real* first_moment, real* second_moment,
                      Py_ssize_t n) noexcept nogil:
    """Kingma and Ba (2014), algorithm 1, with the bias corrections folded into the learning rate."""
    cdef real rate = <real> solver.rate
    cdef real beta_1 = <real> solver.momentum
    cdef real beta_2 = <real> solver.beta_2
    cdef real rest_1 = <real> (1.0 - solver.momentum)
    cdef real rest_2 = <real> (1.0 - solver.beta_2)
    cdef real epsilon = <real> solver.epsilon
    cdef Py_ssize_t i
    for i in range(n):
        first_moment[i] = beta_1 * first_moment[i] + rest_1 * gradient[i]
        second_moment[i] = beta_2 * second_moment[i] + rest_2 * gradient[i] * gradient[i]
        parameters[i] -= rate * first_moment[i] / (square_root(second_moment[i]) + epsilon)


cdef void decay_weights(real* weights, Py_ssize_t n, double decay) noexcept nogil:
    """Decoupled weight decay (Loshchilov and Hutter, 2019): weights shrink by themselves, not through their gradient."""
    cdef real kept = <real> (1.0 - decay)
    cdef Py_ssize_t i
    for i in range(n):
        weights[i] *= kept


cdef void update_parameters(const Solver* solver, real* parameters, const real* gradient, Py_ssize_t at,
                            Py_ssize_t n) noexcept nogil:
    """n parameters from `at` on."""
    if solver.kind == ADAM:
        update_adam(solver, parameters + at, gradient + at, solver.first_moment + at, solver.second_moment + at, n)
    else:
        update_sgd(solver, parameters + at, gradient + at, solver.first_moment + at, n)
