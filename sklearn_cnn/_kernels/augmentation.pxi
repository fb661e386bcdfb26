# Augmentation: in training, every image that is gathered is a little different. Forward only: nobody wants the gradient of X.
#
#     row of X -> converted and scaled -> mirrored, moved, turned, enlarged -> contrast, brightness -> square erased -> padded
#
# What happens to an image is drawn as a function of the seed, the epoch and its row in X (`random.pxi`), and each kind of change
# has a draw of its own: neither threads nor the rest of the mini-batch, nor another kind of change, have a say in it.

cpdef enum:
    FLIP_HORIZONTAL = 1
    FLIP_VERTICAL = 2

# An image and its mirror image take turns, so that no epoch repeats the one before it (after Jordan, 2024, "94% on CIFAR-10 in
# 3.29 seconds on a single GPU"). Which of them begins is drawn anew from time to time: in a stream that comes in chunks, one to
# a call, a chunk may meet every other epoch only.
cdef enum:
    FLIP_EPOCHS = 8

# What lies outside an image.
cpdef enum:
    OUTSIDE_ZEROS = 0           # X's own zero, scaled like all of X
    OUTSIDE_REFLECT = 1         # the image mirrored at its last pixel
    OUTSIDE_EDGE = 2            # its last pixel

cdef struct Augmentation:
    uint64_t seed
    uint32_t epoch
    const int64_t* rows         # for each sample of the batch: its row in X, which the draws are for
    # the most that is drawn, 0 for nothing
    int64_t shift_rows
    int64_t shift_columns
    int64_t flip                # FLIP_HORIZONTAL + FLIP_VERTICAL
    int64_t erase               # side of the square
    int64_t outside
    double rotate               # radians
    double zoom
    double brightness
    double contrast


cdef double LARGEST_ZOOM = 0.9      # what is made smaller by more than ten times leaves nothing to see
cdef double LARGEST_ANGLE = 3.1415926535897936


# What has been drawn for one image.
ctypedef struct Change:
    int64_t shift_rows
    int64_t shift_columns
    bint flips_rows
    bint flips_columns
    bint resamples
    double cosine               # of the angle, divided by the zoom
    double sine
    double gain
    double brightness
    int64_t erase_row           # top left corner of the square; may lie outside
    int64_t erase_column


cdef void draw_change(const Augmentation* augmentation, const Layer* layer, Py_ssize_t sample, Change* change) noexcept nogil:
    cdef uint64_t seed = augmentation.seed
    cdef uint64_t row = <uint64_t> augmentation.rows[sample]
    cdef uint32_t epoch = augmentation.epoch
    cdef uint32_t[4] words
    cdef double angle = 0.0, zoom = 1.0
    memset(change, 0, sizeof(Change))
    change.gain = 1.0
    if augmentation.shift_rows > 0 or augmentation.shift_columns > 0:
        draw_words(seed, row, epoch, DRAW_SHIFT, words)
        change.shift_rows = integer_below(words[0], 2 * augmentation.shift_rows + 1) - augmentation.shift_rows
        change.shift_columns = integer_below(words[1], 2 * augmentation.shift_columns + 1) - augmentation.shift_columns
    if augmentation.flip > 0:
        draw_words(seed, row, epoch // FLIP_EPOCHS, DRAW_FLIP, words)
        change.flips_columns = augmentation.flip & FLIP_HORIZONTAL and words[0] >> 31 != epoch & 1
        change.flips_rows = augmentation.flip & FLIP_VERTICAL and words[1] >> 31 != epoch >> 1 & 1
    if augmentation.rotate > 0.0:
        draw_words(seed, row, epoch, DRAW_ROTATE, words)
        angle = around_zero(words[0], augmentation.rotate)
    if augmentation.zoom > 0.0:
        draw_words(seed, row, epoch, DRAW_ZOOM, words)
        zoom = 1.0 + around_zero(words[0], augmentation.zoom)
    change.resamples = augmentation.rotate > 0.0 or augmentation.zoom > 0.0
    change.cosine, change.sine = cos(angle) / zoom, sin(angle) / zoom
    if augmentation.contrast > 0.0:
        draw_words(seed, row, epoch, DRAW_CONTRAST, words)
        change.gain = 1.0 + around_zero(words[0], augmentation.contrast)
    if augmentation.brightness > 0.0:
        draw_words(seed, row, epoch, DRAW_BRIGHTNESS, words)
        change.brightness = around_zero(words[0], augmentation.brightness)
    if augmentation.erase > 0:
        draw_words(seed, row, epoch, DRAW_ERASE, words)
        change.erase_row = integer_below(words[0], layer.rows) - augmentation.erase // 2
        change.erase_column = integer_below(words[1], layer.columns) - augmentation.erase // 2


cdef inline Py_ssize_t pixel_at(Py_ssize_t i, Py_ssize_t n, int64_t outside) noexcept nogil:
    """The pixel at place i of an axis of n pixels that is continued beyond its ends; -1 for a zero."""
    cdef Py_ssize_t period
    if 0 <= i < n:
        return i
    if outside == OUTSIDE_ZEROS:
        return -1
    if outside == OUTSIDE_EDGE or n == 1:
        return 0 if i < 0 else n - 1
    period = 2 * (n - 1)
    i %= period
    i = i + period if i < 0 else i
    return i if i < n else period - i


cdef inline const real* neighbour(const Layer* layer, const real* image, const real* zeros, int64_t outside, Py_ssize_t row,
                                  Py_ssize_t column) noexcept nogil:
    row, column = pixel_at(row, layer.rows, outside), pixel_at(column, layer.columns, outside)
    if row < 0 or column < 0:
        return zeros
    return image + (row * layer.columns + column) * layer.channels


cdef inline void copy_pixel(const real* source, real* target, Py_ssize_t channels) noexcept nogil:
    cdef Py_ssize_t k
    for k in range(channels):
        target[k] = source[k]


cdef void move_image(const Layer* layer, const Change* change, int64_t outside, const real* image, const real* zeros,
                     real* target) noexcept nogil:
    """Mirrored, then moved: copies of pixels."""
    cdef Py_ssize_t channels = layer.channels, columns = layer.columns
    # the places whose pixel is inside the image
    cdef Py_ssize_t first = max(0, change.shift_columns), last = columns + min(0, change.shift_columns)
    cdef Py_ssize_t row_numbers = columns * channels
    cdef Py_ssize_t r, c, row, column
    cdef const real* source
    for r in range(layer.rows):
        row = r - change.shift_rows
        row = layer.rows - 1 - row if change.flips_rows else row
        row = pixel_at(row, layer.rows, outside)
        for c in range(columns):
            if first <= c < last and row >= 0:
                continue
            column = c - change.shift_columns
            column = columns - 1 - column if change.flips_columns else column
            copy_pixel(neighbour(layer, image, zeros, outside, row, column), target + c * channels, channels)
        if row >= 0 and not change.flips_columns:
            memcpy(target + first * channels, image + row * row_numbers + (first - change.shift_columns) * channels,
                   <size_t> ((last - first) * channels) * sizeof(real))
        elif row >= 0:
            source = image + row * row_numbers + (columns - 1 - first + change.shift_columns) * channels
            for c in range(first, last):
                copy_pixel(source, target + c * channels, channels)
                source -= channels
        target += row_numbers


cdef inline void blend(const real* top_left, const real* top_right, const real* bottom_left, const real* bottom_right,
                       real down, real right, Py_ssize_t channels, real* target) noexcept nogil:
    # In this form a plain area stays what it is in every bit.
    cdef real top, bottom, difference
    cdef Py_ssize_t k
    for k in range(channels):
        top, bottom = top_left[k], bottom_left[k]
        difference = top_right[k] - top
        MULTIPLY_ADD(top, right, difference)
        difference = bottom_right[k] - bottom
        MULTIPLY_ADD(bottom, right, difference)
        difference = bottom - top
        MULTIPLY_ADD(top, down, difference)
        target[k] = top


cdef void resample_image(const Layer* layer, const Change* change, int64_t outside, const real* image, const real* zeros,
                         real* target) noexcept nogil:
    """Turned and enlarged about the centre, mirrored, then moved: each pixel a blend of four."""
    cdef Py_ssize_t rows = layer.rows, columns = layer.columns, channels = layer.channels
    cdef double middle_row = 0.5 * (rows - 1), middle_column = 0.5 * (columns - 1)
    cdef double from_row, from_column, row, column
    cdef Py_ssize_t r, c, top, left
    cdef const real* pixel
    for r in range(rows):
        from_row = (r - change.shift_rows) - middle_row
        from_row = -from_row if change.flips_rows else from_row
        for c in range(columns):
            from_column = (c - change.shift_columns) - middle_column
            from_column = -from_column if change.flips_columns else from_column
            row = middle_row + (change.cosine * from_row + change.sine * from_column)
            column = middle_column + (change.cosine * from_column - change.sine * from_row)
            top, left = <Py_ssize_t> floor(row), <Py_ssize_t> floor(column)
            if 0 <= top < rows - 1 and 0 <= left < columns - 1:
                pixel = image + (top * columns + left) * channels
                blend(pixel, pixel + channels, pixel + columns * channels, pixel + (columns + 1) * channels,
                      <real> (row - top), <real> (column - left), channels, target)
            else:
                blend(neighbour(layer, image, zeros, outside, top, left),
                      neighbour(layer, image, zeros, outside, top, left + 1),
                      neighbour(layer, image, zeros, outside, top + 1, left),
                      neighbour(layer, image, zeros, outside, top + 1, left + 1),
                      <real> (row - top), <real> (column - left), channels, target)
            target += channels


cdef double mean_of(const real* image, Py_ssize_t n) noexcept nogil:
    # Four sums, because each has to wait for its last addition.
    cdef double a = 0.0, b = 0.0, c = 0.0, d = 0.0
    cdef Py_ssize_t i = 0
    while i + 4 <= n:
        a += image[i]
        b += image[i + 1]
        c += image[i + 2]
        d += image[i + 3]
        i += 4
    while i < n:
        a += image[i]
        i += 1
    return ((a + b) + (c + d)) / n


cdef void adjust_image(real* image, Py_ssize_t n, real gain, real offset) noexcept nogil:
    """image <- offset + gain * image"""
    cdef real[LARGEST_VECTOR] offsets
    cdef vector_wide wide
    cdef vector_one one
    cdef Py_ssize_t i
    for i in range(LANES_WIDE):
        offsets[i] = offset
    i = 0
    while i + LANES_WIDE <= n:
        wide = (<const vector_wide*> offsets)[0]
        MULTIPLY_ADD(wide, gain, (<const vector_wide*> (image + i))[0])
        (<vector_wide*> (image + i))[0] = wide
        i += LANES_WIDE
    while i < n:
        one = (<const vector_one*> offsets)[0]
        MULTIPLY_ADD(one, gain, (<const vector_one*> (image + i))[0])
        (<vector_one*> (image + i))[0] = one
        i += 1


cdef void erase_square(const Layer* layer, const Change* change, int64_t side, real* image) noexcept nogil:
    """DeVries and Taylor (2017): a square anywhere, cut at the border, becomes zero, which is the mean where X is scaled."""
    cdef Py_ssize_t first = max(0, change.erase_column), last = min(layer.columns, change.erase_column + side)
    cdef Py_ssize_t r
    for r in range(max(0, change.erase_row), min(layer.rows, change.erase_row + side)):
        memset(image + (r * layer.columns + first) * layer.channels, 0,
               <size_t> ((last - first) * layer.channels) * sizeof(real))


cdef void gather_augmented(const Batch* batch, const Layer* layer, const Run* runs, Py_ssize_t sample, real* image,
                           real* scratch) noexcept nogil:
    """`gather`, with the changes drawn for this row; the scratch has room for two images and a pixel."""
    cdef const Augmentation* augmentation = batch.augmentation
    cdef Py_ssize_t n = input_size(layer)
    cdef bint is_framed = layer.input_is_padded and is_padded(layer)
    cdef real* original = scratch
    cdef real* changed = scratch + n if is_framed else image
    cdef real* zeros = scratch + 2 * n
    cdef Py_ssize_t k
    cdef double offset
    cdef Change change
    draw_change(augmentation, layer, sample, &change)
    gather_row(batch, sample, n, original)
    for k in range(layer.channels):
        zeros[k] = (0 - batch.shift[k % batch.channels]) * batch.factor[k % batch.channels]
    if change.resamples:
        resample_image(layer, &change, augmentation.outside, original, zeros, changed)
    else:
        move_image(layer, &change, augmentation.outside, original, zeros, changed)
    if augmentation.contrast > 0.0 or augmentation.brightness > 0.0:
        offset = change.brightness
        if augmentation.contrast > 0.0:
            offset += (1.0 - change.gain) * mean_of(changed, n)
        adjust_image(changed, n, <real> change.gain, <real> offset)
    if augmentation.erase > 0:
        erase_square(layer, &change, augmentation.erase, changed)
    if is_framed:
        if not copies_pixels(layer):
            memset(image, 0, <size_t> padded_size(layer) * sizeof(real))
        pad(runs + layer.first_run, layer.n_runs, changed, image)


cdef int describe_augmentation(Augmentation* augmentation, const Layer* layer, Py_ssize_t n_samples, dict settings) except -1:
    """Check the settings against the first layer's images and the number of samples; they must outlive the record."""
    cdef const int64_t[::1] rows = settings["rows"]
    augmentation.seed = settings["seed"]
    augmentation.epoch = settings["epoch"]
    augmentation.shift_rows, augmentation.shift_columns = settings["shift_rows"], settings["shift_columns"]
    augmentation.flip = settings["flip"]
    augmentation.erase = settings["erase"]
    augmentation.outside = settings["outside"]
    augmentation.rotate, augmentation.zoom = settings["rotate"], settings["zoom"]
    augmentation.brightness, augmentation.contrast = settings["brightness"], settings["contrast"]
    if rows.shape[0] != n_samples:
        raise ValueError(f"{n_samples} samples are to be augmented, and the draws are for {rows.shape[0]} rows")
    if not (0 <= augmentation.shift_rows < layer.rows and 0 <= augmentation.shift_columns < layer.columns):
        raise ValueError(f"a shift must leave a pixel of {layer.rows} rows and {layer.columns} columns")
    if not (0 <= augmentation.flip <= 3 and 0 <= augmentation.outside <= OUTSIDE_EDGE
            and 0 <= augmentation.erase <= layer.rows + layer.columns
            and 0.0 <= augmentation.zoom <= LARGEST_ZOOM and 0.0 <= augmentation.rotate <= LARGEST_ANGLE):
        raise ValueError(f"no augmentation is described by {settings}")
    augmentation.rows = &rows[0] if rows.shape[0] > 0 else NULL
    return 0
