# The rows of X become images: converted from their number type and scaled, (x - shift) * factor with a shift and a factor per
# channel, straight into the padded image of the first layer.

cdef enum:
    BYTES = 0
    FLOATS = 1
    DOUBLES = 2
    LARGEST_VECTOR = 16         # numbers
    FEW_CHANNELS = 64           # more of them fill vectors pixel by pixel
    CACHE_LINE = 64             # bytes
    FETCHED_BYTES = 4096

cdef struct Augmentation        # see augmentation.pxi

ctypedef struct Batch:
    const char* rows            # first byte of X
    const int64_t* order        # row of X for each sample of the batch; NULL: its own number
    Py_ssize_t n_ordered        # samples that `order` knows, those of mini-batches to come too
    int64_t row_bytes
    int64_t number_type         # BYTES, FLOATS or DOUBLES
    Py_ssize_t channels         # 1 where all are scaled alike
    const real* shift           # per channel
    const real* factor
    const Augmentation* augmentation    # NULL: rows are taken as they are
    # of a few channels: repeated, so that a vector may begin with any of them
    real[FEW_CHANNELS + LARGEST_VECTOR] shift_pattern
    real[FEW_CHANNELS + LARGEST_VECTOR] factor_pattern


cdef void set_scaling(Batch* batch, const real* shift, const real* factor, Py_ssize_t channels) noexcept nogil:
    """shift and factor per channel; the batch must not outlive them."""
    cdef Py_ssize_t i
    batch.channels, batch.shift, batch.factor = channels, shift, factor
    if channels <= FEW_CHANNELS:
        for i in range(channels + LARGEST_VECTOR):
            batch.shift_pattern[i] = shift[i] if i < channels else batch.shift_pattern[i - channels]
            batch.factor_pattern[i] = factor[i] if i < channels else batch.factor_pattern[i - channels]
        batch.shift, batch.factor = batch.shift_pattern, batch.factor_pattern


cdef inline const char* row_of(const Batch* batch, Py_ssize_t sample) noexcept nogil:
    return batch.rows + (sample if batch.order == NULL else batch.order[sample]) * batch.row_bytes


cdef inline void fetch_rows(const Batch* batch, Py_ssize_t first, Py_ssize_t last) noexcept nogil:
    """Ask for the beginnings of rows in any order, so that several are on their way at once; of what follows, and of rows side by
    side, processors think themselves."""
    cdef Py_ssize_t i, at
    cdef const char* row
    if batch.order == NULL:
        return
    for i in range(first, min(last, batch.n_ordered)):
        row, at = row_of(batch, i), 0
        while at < min(batch.row_bytes, <int64_t> FETCHED_BYTES):
            PREFETCH(row + at)
            at += CACHE_LINE


cdef inline void skip_samples(Batch* batch, Py_ssize_t n_samples) noexcept nogil:
    """What was sample n_samples is the first from here on."""
    if batch.order == NULL:
        batch.rows += n_samples * batch.row_bytes
    else:
        batch.order += n_samples
        batch.n_ordered -= n_samples


cdef inline void gather_vector(vector* kind, int64_t number_type, const char* numbers, const real* shift, const real* factor,
                               real* target) noexcept nogil:
    cdef vector value
    if number_type == BYTES:
        LOAD_POSITIONS(value, <const uint8_t*> numbers)
        SUBTRACT(value, value, (<const vector*> shift)[0])
    elif number_type == FLOATS:
        LOAD_FLOATS(value, numbers, shift)
    else:
        LOAD_DOUBLES(value, numbers, shift)
    MULTIPLY(value, (<const vector*> factor)[0])
    (<vector*> target)[0] = value


cdef inline Py_ssize_t channel_at(const Batch* batch, Py_ssize_t at) noexcept nogil:
    # A division takes as long as a short run of pixels.
    return at % batch.channels if batch.channels > 1 else 0


cdef inline void gather_vectors(vector* kind, Py_ssize_t lanes, int64_t number_type, const Batch* batch, const char* numbers,
                                Py_ssize_t n, real* target) noexcept nogil:
    # n >= lanes; the last vector overlaps the one before it.
    cdef Py_ssize_t size = 1 if number_type == BYTES else 4 if number_type == FLOATS else 8
    cdef Py_ssize_t step = channel_at(batch, lanes)
    cdef Py_ssize_t channel = 0, at = 0
    while at + lanes <= n:
        gather_vector[vector](kind, number_type, numbers + at * size, batch.shift + channel, batch.factor + channel, target + at)
        at += lanes
        if step > 0:
            channel += step
            channel = channel - batch.channels if channel >= batch.channels else channel
    if at < n:
        at = n - lanes
        channel = channel_at(batch, at)
        gather_vector[vector](kind, number_type, numbers + at * size, batch.shift + channel, batch.factor + channel, target + at)


cdef inline void gather_stretch(int64_t number_type, const Batch* batch, const char* numbers, Py_ssize_t n,
                                real* target) noexcept nogil:
    # It begins with the first channel.
    if n >= LANES_WIDE:
        gather_vectors[vector_wide](NULL, LANES_WIDE, number_type, batch, numbers, n, target)
    elif USES_HALF and n >= LANES_HALF:
        gather_vectors[vector_half](NULL, LANES_HALF, number_type, batch, numbers, n, target)
    elif USES_QUARTER and n >= LANES_QUARTER:
        gather_vectors[vector_quarter](NULL, LANES_QUARTER, number_type, batch, numbers, n, target)
    else:
        gather_vectors[vector_one](NULL, 1, number_type, batch, numbers, n, target)


cdef inline void gather_numbers(int64_t number_type, const Batch* batch, const char* numbers, Py_ssize_t n,
                                real* target) noexcept nogil:
    # Whole pixels.
    cdef Py_ssize_t size = 1 if number_type == BYTES else 4 if number_type == FLOATS else 8
    cdef Py_ssize_t pixel
    if batch.channels <= FEW_CHANNELS:
        gather_stretch(number_type, batch, numbers, n, target)
        return
    for pixel in range(n // batch.channels):
        gather_stretch(number_type, batch, numbers + pixel * batch.channels * size, batch.channels,
                       target + pixel * batch.channels)


cdef void gather_row(const Batch* batch, Py_ssize_t sample, Py_ssize_t n, real* target) noexcept nogil:
    """The n numbers of one row of X, without any padding."""
    cdef const char* row = row_of(batch, sample)
    if batch.number_type == BYTES:
        gather_numbers(BYTES, batch, row, n, target)
    elif batch.number_type == FLOATS:
        gather_numbers(FLOATS, batch, row, n, target)
    else:
        gather_numbers(DOUBLES, batch, row, n, target)


cdef inline void gather_image(int64_t number_type, const Batch* batch, const Layer* layer, const Run* runs, Py_ssize_t sample,
                              real* image) noexcept nogil:
    cdef const char* row = row_of(batch, sample)
    cdef Py_ssize_t size = 1 if number_type == BYTES else 4 if number_type == FLOATS else 8
    cdef Py_ssize_t i
    cdef const Run* run = runs + layer.first_run
    if not layer.input_is_padded or not is_padded(layer):
        gather_numbers(number_type, batch, row, input_size(layer), image)
        return
    if not copies_pixels(layer):
        memset(image, 0, <size_t> padded_size(layer) * sizeof(real))
    for i in range(layer.n_runs):
        gather_numbers(number_type, batch, row + run[i].source * size, run[i].length, image + run[i].target)


cdef void gather(const Batch* batch, const Layer* layer, const Run* runs, Py_ssize_t sample, real* image) noexcept nogil:
    """One row of X as the image of the first layer, padded if that layer takes it so."""
    if batch.number_type == BYTES:
        gather_image(BYTES, batch, layer, runs, sample, image)
    elif batch.number_type == FLOATS:
        gather_image(FLOATS, batch, layer, runs, sample, image)
    else:
        gather_image(DOUBLES, batch, layer, runs, sample, image)
