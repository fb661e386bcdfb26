# Sums over the pixels of each channel, in double precision: what the scaling of the input is learnt from. A row is read where it
# is, in its own number type. Some sums go side by side for each channel, so that they are vectors; their order follows from the
# numbers of channels and pixels alone.

ctypedef fused number:
    uint8_t
    float
    double


cdef inline void add_row(const number* row, Py_ssize_t n, Py_ssize_t n_lanes, const double* mean, double* lanes) noexcept nogil:
    # lanes[k] += every n_lanes-th number of the row from the k-th on, or its squared distance from mean[k]
    cdef Py_ssize_t at = 0, k
    cdef double value
    while n - at >= n_lanes:
        for k in range(n_lanes):
            if mean == NULL:
                lanes[k] += <double> row[at + k]
            else:
                value = <double> row[at + k] - mean[k]
                lanes[k] += value * value
        at += n_lanes
    for k in range(n - at):
        value = <double> row[at + k]
        if mean != NULL:
            value = (value - mean[k]) * (value - mean[k])
        lanes[k] += value


cdef inline void add_row_of_lanes(const number* row, Py_ssize_t n, Py_ssize_t n_lanes, const double* mean,
                                  double* lanes) noexcept nogil:
    if n_lanes == 16 and mean == NULL:      # as constants: of 1, 2, 4, 8 or 16 channels, and of 3, 6 or 12
        add_row[number](row, n, 16, NULL, lanes)
    elif n_lanes == 16:
        add_row[number](row, n, 16, mean, lanes)
    elif n_lanes == 12 and mean == NULL:
        add_row[number](row, n, 12, NULL, lanes)
    elif n_lanes == 12:
        add_row[number](row, n, 12, mean, lanes)
    else:
        add_row[number](row, n, n_lanes, mean, lanes)


def channel_lanes(Py_ssize_t n_channels):
    """How many sums go side by side: a multiple of the channels."""
    return 16 if 16 % n_channels == 0 else 12 if 12 % n_channels == 0 else n_channels


def sum_channels(Rows X not None, const int64_t[::1] rows not None, const double[::1] weight, const double[::1] mean,
                 double[::1] lanes not None, double[::1] sums not None):
    """sums <- those of the numbers in these rows of X, by channel, or of their squared distances from `mean`.

    weight: that of each of the rows, or None. mean and lanes: as many numbers as `channel_lanes` says, mean repeated; mean may be
    None. lanes are overwritten."""
    cdef Py_ssize_t n_channels = sums.shape[0], n_lanes = lanes.shape[0]
    cdef Py_ssize_t n = X.row_bytes // X.buffer.itemsize if X.is_held else 0
    cdef Py_ssize_t i, k, width
    cdef const double* first_mean = NULL
    cdef const char* row
    cdef uint64_t mode
    check_rows(rows, X.n_rows)
    if n_channels < 1 or n % n_channels != 0 or n_lanes != channel_lanes(n_channels):
        raise ValueError(f"rows of {n} numbers have no {n_channels} channels, or {n_lanes} lanes are not theirs")
    if weight is not None and weight.shape[0] != rows.shape[0] or mean is not None and mean.shape[0] != n_lanes:
        raise ValueError("a weight for each row and a mean for each lane are needed")
    if mean is not None:
        first_mean = &mean[0]
    with nogil:
        mode = enter_float_mode()
        memset(&sums[0], 0, <size_t> n_channels * sizeof(double))
        for i in range(rows.shape[0]):
            memset(&lanes[0], 0, <size_t> n_lanes * sizeof(double))
            row = <const char*> X.buffer.buf + rows[i] * X.row_bytes
            if X.number_type == BYTES:
                add_row_of_lanes[uint8_t](<const uint8_t*> row, n, n_lanes, first_mean, &lanes[0])
            elif X.number_type == FLOATS:
                add_row_of_lanes[float](<const float*> row, n, n_lanes, first_mean, &lanes[0])
            else:
                add_row_of_lanes[double](<const double*> row, n, n_lanes, first_mean, &lanes[0])
            width = n_lanes
            while width > n_channels:       # that many times the channels, which is a power of two
                width = width // 2
                for k in range(width):
                    lanes[k] += lanes[width + k]
            for k in range(n_channels):
                sums[k] += lanes[k] * (weight[i] if weight is not None else 1.0)
        leave_float_mode(mode)
