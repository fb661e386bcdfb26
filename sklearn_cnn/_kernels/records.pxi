# The records that describe a network to the kernels. Python derives its dtypes from these structs (`layer_format`,
# `arena_format`), fills them in `_network/records.py`, and nothing else describes a layer. All fields are 64-bit integers.
#
# Legend: sizes count numbers (not bytes) of one sample; an image is rows x columns x channels, channels fastest;
# `*_at` is an offset into a flat block or into an area of it, and -1 for what the layer does not have. In an area kept for a
# mini-batch, sample i of something at offset `at` of size `n` stands at `at * capacity + i * n`.

ctypedef struct Size:
    int64_t rows
    int64_t columns

ctypedef struct Crop:
    int64_t row
    int64_t column
    int64_t rows
    int64_t columns

ctypedef struct Pool:
    int64_t rows
    int64_t columns
    int64_t stride_rows
    int64_t stride_columns

# Where pixels fill the vectors instead of filters, see planar.pxi.
ctypedef struct Planes:
    int64_t size                # numbers from one plane to the next; 0 where filters fill the vectors
    int64_t rows                # taken up at once
    int64_t first               # the first filter of which it is true

# Of a locally connected layer, kept for a mini-batch.
ctypedef struct Kept:
    int64_t padded_at
    int64_t gradient_at         # of the map; this and the next in the area of kept gradients
    int64_t padded_gradient_at

ctypedef struct Layer:
    int64_t kind                # CONVOLUTION, LOCAL, POOLING, DENSE, NORMALISATION or DROPOUT
    int64_t activation
    int64_t pooling
    # input image
    int64_t rows
    int64_t columns
    int64_t channels
    # the padded image, and the part of it whose gradient is wanted (all of it where padding copies pixels)
    Size padded
    Crop crop
    int64_t first_run           # its padding runs in the table of runs
    int64_t n_runs
    int64_t input_is_padded     # in a network's first layer: the rows of X go straight into the padded image
    # kernel, and the map it computes
    Size kernel
    Size stride
    Size map
    int64_t filters
    # pooling, and the map it leaves; windows of one pixel where there is none
    Pool pool
    Size out
    # in the flat parameter vector
    int64_t weights_at
    int64_t n_weights
    int64_t bias_at             # of a normalisation: beta; before one: zeros, where it would take the bias away again
    int64_t n_bias              # numbers that are learnt, so 0 before a normalisation
    int64_t gamma_at
    # of a normalisation: its running means and, after whole cache lines, variances in the vector of statistics; its `Factors`
    int64_t statistics_at
    int64_t factors_at
    # of a dropout: 2**32 times the probability, and whether the units are whole maps
    int64_t threshold
    int64_t drops_maps
    # zeros in front of the map's gradient, so that every phase of the input gradient reads inside it, and the size of the whole
    Size lead
    Size gradient
    # kept for a mini-batch: values and their gradients (same offsets), and positions of maxima
    int64_t input_at
    int64_t output_at
    int64_t input_in_scratch    # values of samples that go together: normalised in front of the next layer, again on the way back
    int64_t output_in_scratch
    int64_t map_at              # where backward needs the map
    int64_t positions_at
    Kept kept
    # weights repacked for the input gradient, once per step
    int64_t flipped_at
    # Winograd's algorithm, where it computes the map: pixels of a tile's side (else 0), products of its row, and the transformed
    # weights
    int64_t tile_side
    int64_t tile_places
    int64_t transformed_at
    int64_t remembered_at       # the weights that these were made of
    int64_t has_small_map       # of 4 x 4 pixels, like its image, see small_maps.pxi
    Planes planes
    Planes gradient_planes      # of the input gradient, where pixels replace channels
    # one thread's scratch: `Areas` says what stands there
    int64_t padded_at           # among the padded images of all layers
    int64_t n_padded
    int64_t n_band              # numbers of Winograd's algorithm or of planes at the beginning of the band; maps follow
    int64_t frame_at            # among the frames of all layers
    int64_t n_frame
    int64_t n_entries           # of all lists made at once, with the room they leave
    int64_t chunk_at            # weights, then biases, in a chunk's gradient
    int64_t n_chunk_weights
    int64_t filters_are_rows    # in the product of the weight gradient
    # Winograd's algorithm in a WHOLE_MAP backward pass: whether a chunk's weight gradient is its sums, and pixels of a tile's
    # side in the input gradient (else 0), whose transformed weights follow the flipped ones, and products of its row
    int64_t sums_places
    int64_t gradient_side
    int64_t gradient_places
    int64_t gradient_group      # samples that share products in a backward pass: each has a frame of its own
    int64_t input_gradient_wanted
    int64_t group               # samples that Winograd's algorithm and a LISTED backward pass take up together
    int64_t backward            # WHOLE_MAP; LISTED where most of the map's gradient is zero; SHALLOW, see there


ctypedef struct Arena:
    int64_t capacity            # samples there is room for
    int64_t n_threads           # threads there is scratch for
    int64_t n_chunks            # gradient chunks
    int64_t n_together          # samples of a chunk that go through the layers together
    int64_t n_layers
    int64_t n_shared            # numbers of one chunk's gradient (convolutions only)
    int64_t n_parameters
    int64_t n_statistics
    int64_t n_values            # numbers per sample in `values`
    int64_t n_kept              # numbers per sample in `kept`, and in training in `kept_gradients`
    int64_t n_positions         # positions per sample
    int64_t n_scratch           # numbers of scratch per thread
    # in the scratch, whose beginning are the padded images of all layers: their borders stay zero
    int64_t band_at             # forward
    int64_t frames_at           # backward, in the same place: frames of all layers, whose borders stay zero, too
    int64_t d_padded_at
    int64_t entries_at
    int64_t in_scratch_at       # values of the samples that go together
    int64_t last_call_at        # 64 bits: the number of the call that has cleared the borders of padded images
    int64_t n_flipped
    int64_t n_sums              # double-precision numbers of one chunk's sums over a layer to be normalised
    int64_t n_inputs
    int64_t n_outputs
    int64_t work                # multiply-adds of one sample's forward pass
    # offsets into the block of numbers
    int64_t values_at
    int64_t gradients_at        # -1 in an arena that only predicts
    int64_t kept_at
    int64_t kept_gradients_at
    int64_t scratch_at
    int64_t flipped_at
    int64_t transformed_at
    int64_t remembered_at       # -1 in an arena that trains
    int64_t chunk_gradients_at
    int64_t factors_at
    int64_t sums_at
    int64_t n_numbers


# One padding run: `length` numbers of the padded image at `target` copy those of the image at `source`.
ctypedef struct Run:
    int64_t target
    int64_t source
    int64_t length

cpdef enum:
    SMALL_SIDE = 4              # of a small map and its image, see small_maps.pxi
    WINOGRAD_TILES = 16         # tiles of a group in Winograd's algorithm, where a row of tiles has fewer
    SUMMED_TILES = 32           # the same in the gradient of weights

cpdef enum:
    MOST_LISTS = 256            # made at once in a LISTED backward pass
    LIST_MULTIPLE = 16          # each has room for a multiple of these

cpdef enum:
    CONVOLUTION = 0
    LOCAL = 1
    POOLING = 2
    DENSE = 3
    NORMALISATION = 4
    DROPOUT = 5

cpdef enum:
    NO_POOLING = 0
    MAXIMUM = 1
    AVERAGE = 2

cpdef enum:
    WHOLE_MAP = 0
    LISTED = 1
    SHALLOW = 2
