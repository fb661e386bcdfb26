/* The weight gradient behind maximum pooling over windows of 2 x 2 pixels, a vector of filters at a time: every lane has a
 * maximum of its own among the four places of a window, and a permutation brings it the pixels that its kernel saw there.
 *
 *     two rows of the image   a b c d ...   A maximum at place (i, j) of its window and kernel column t: its pixel is number
 *                             e f g h ...   t + j of row i. That is an entry of a table of two rows.
 *
 * AVX-512 looks up in two registers with one instruction, AVX2 in each of two, and chooses. Other levels, and float64, go through
 * all four places, see shallow.pxi: the same sums, to which they add zeros.
 */
#ifndef SKLEARN_CNN_MAXIMA_H
#define SKLEARN_CNN_MAXIMA_H

#include "vectors.h"

/* The windows of one image, and some taps of a vector of filters. */
typedef struct {
    ptrdiff_t rows; /* of windows */
    ptrdiff_t columns;
    const real *patches;      /* what the taps see at the first place of the first window */
    ptrdiff_t image_row;      /* numbers from one row of the image to the next, */
    ptrdiff_t column_step;    /* from the patch of one window to the next, */
    ptrdiff_t row_step;       /* and of one row of windows */
    ptrdiff_t channels;       /* of the image */
    ptrdiff_t filters;        /* from one pixel to the next in what follows, and from one tap */
    const real *gradient;     /* of the maxima, */
    const uint8_t *positions; /* and their places, row by row of a window */
    real *d_weights;
    ptrdiff_t kernel_row; /* numbers from one row of them to the next */
} PickedMaxima;

#if !REAL_IS_DOUBLE && defined(__AVX512F__) && defined(__AVX512VL__) && VECTOR_BYTES == 64

#define PICKS_IN_WIDE 1
#define PICKS_IN_HALF 1
typedef __m512i places_wide;
typedef __mmask16 seen_wide; /* numbers of a row of the image that a window's taps see */
typedef __m256i places_half;
typedef __mmask8 seen_half;

static inline seen_wide see_wide(ptrdiff_t n) { return (seen_wide)((1u << n) - 1); }
static inline vector_wide load_seen_wide(seen_wide seen, const real *row) { return (vector_wide)_mm512_maskz_loadu_ps(seen, row); }
/* Entries of the table for the first tap. */
static inline places_wide places_of_wide(const uint8_t *positions, int32_t channels)
{
    __m512i position = _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)positions));
    __m512i row = _mm512_slli_epi32(_mm512_and_si512(position, _mm512_set1_epi32(2)), 3);
    return _mm512_mask_add_epi32(row, _mm512_test_epi32_mask(position, _mm512_set1_epi32(1)), row, _mm512_set1_epi32(channels));
}
static inline vector_wide pick_wide(vector_wide row, vector_wide next_row, places_wide places, int32_t tap)
{
    return (vector_wide)_mm512_permutex2var_ps((__m512)row, _mm512_add_epi32(places, _mm512_set1_epi32(tap)), (__m512)next_row);
}

static inline seen_half see_half(ptrdiff_t n) { return (seen_half)((1u << n) - 1); }
static inline vector_half load_seen_half(seen_half seen, const real *row) { return (vector_half)_mm256_maskz_loadu_ps(seen, row); }
static inline places_half places_of_half(const uint8_t *positions, int32_t channels)
{
    __m256i position = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)positions));
    __m256i row = _mm256_slli_epi32(_mm256_and_si256(position, _mm256_set1_epi32(2)), 2);
    return _mm256_mask_add_epi32(row, _mm256_test_epi32_mask(position, _mm256_set1_epi32(1)), row, _mm256_set1_epi32(channels));
}
static inline vector_half pick_half(vector_half row, vector_half next_row, places_half places, int32_t tap)
{
    return (vector_half)_mm256_permutex2var_ps((__m256)row, _mm256_add_epi32(places, _mm256_set1_epi32(tap)), (__m256)next_row);
}

#elif !REAL_IS_DOUBLE && defined(__AVX2__) && defined(__FMA__) && VECTOR_BYTES == 32

#define PICKS_IN_WIDE 1
#define PICKS_IN_HALF 0
typedef struct {
    __m256i columns;
    __m256 are_in_next_row; /* by the sign */
} places_wide;
typedef __m256i seen_wide;

static inline seen_wide see_wide(ptrdiff_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int32_t)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline vector_wide load_seen_wide(seen_wide seen, const real *row) { return (vector_wide)_mm256_maskload_ps(row, seen); }
static inline places_wide places_of_wide(const uint8_t *positions, int32_t channels)
{
    __m256i position = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)positions));
    __m256i one = _mm256_set1_epi32(1);
    places_wide places;
    places.columns = _mm256_and_si256(_mm256_cmpeq_epi32(_mm256_and_si256(position, one), one), _mm256_set1_epi32(channels));
    places.are_in_next_row = _mm256_castsi256_ps(_mm256_slli_epi32(position, 30));
    return places;
}
static inline vector_wide pick_wide(vector_wide row, vector_wide next_row, places_wide places, int32_t tap)
{
    __m256i columns = _mm256_add_epi32(places.columns, _mm256_set1_epi32(tap));
    return (vector_wide)_mm256_blendv_ps(_mm256_permutevar8x32_ps((__m256)row, columns),
                                         _mm256_permutevar8x32_ps((__m256)next_row, columns), places.are_in_next_row);
}

#else

#define PICKS_IN_WIDE 0
#define PICKS_IN_HALF 0

#endif

/* d_weights += the sums of `rows` rows of a kernel and `taps` numbers of each, both constants at every call. */
#define DEFINE_PICKED_SUMS(kind)                                                                                       \
    static inline __attribute__((always_inline)) void picked_tile_##kind(int rows, int taps, const PickedMaxima *maxima) \
    {                                                                                                                  \
        vector_##kind sums[3][6], image[4];                                                                           \
        const seen_##kind seen = see_##kind(taps + maxima->channels);                                                  \
        const ptrdiff_t image_row = maxima->image_row, column_step = maxima->column_step, filters = maxima->filters;   \
        const real *gradient = maxima->gradient;                                                                       \
        const uint8_t *positions = maxima->positions;                                                                  \
        for (int r = 0; r < rows; r++)                                                                                 \
            for (int t = 0; t < taps; t++)                                                                             \
                sums[r][t] = *(const vector_##kind *)(maxima->d_weights + r * maxima->kernel_row + t * filters);       \
        for (ptrdiff_t row = 0; row < maxima->rows; row++) {                                                           \
            const real *patch = maxima->patches + row * maxima->row_step;                                              \
            for (ptrdiff_t column = 0; column < maxima->columns; column++) {                                           \
                const vector_##kind g = *(const vector_##kind *)gradient;                                              \
                const places_##kind places = places_of_##kind(positions, (int32_t)maxima->channels);                   \
                for (int r = 0; r <= rows; r++)                                                                        \
                    image[r] = load_seen_##kind(seen, patch + r * image_row);                                          \
                for (int t = 0; t < taps; t++)                                                                         \
                    for (int r = 0; r < rows; r++)                                                                     \
                        ADD(sums[r][t], pick_##kind(image[r], image[r + 1], places, t) * g);                           \
                patch += column_step;                                                                                  \
                gradient += filters;                                                                                   \
                positions += filters;                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < rows; r++)                                                                                 \
            for (int t = 0; t < taps; t++)                                                                             \
                *(vector_##kind *)(maxima->d_weights + r * maxima->kernel_row + t * filters) = sums[r][t];             \
    }                                                                                                                  \
    static void picked_sums_##kind(int rows, int taps, const PickedMaxima *maxima)                                     \
    {                                                                                                                  \
        switch (8 * rows + taps) {                                                                                     \
            PICKED_ROWS(kind, 1)                                                                                       \
            PICKED_ROWS(kind, 2)                                                                                       \
            PICKED_ROWS(kind, 3)                                                                                       \
        }                                                                                                              \
    }
#define PICKED_ROWS(kind, rows)                                                                                        \
    PICKED_TAPS(kind, rows, 1)                                                                                         \
    PICKED_TAPS(kind, rows, 2)                                                                                         \
    PICKED_TAPS(kind, rows, 3)                                                                                         \
    PICKED_TAPS(kind, rows, 4)                                                                                         \
    PICKED_TAPS(kind, rows, 5)                                                                                         \
    PICKED_TAPS(kind, rows, 6)
#define PICKED_TAPS(kind, rows, taps)                                                                                  \
    case 8 * rows + taps:                                                                                              \
        picked_tile_##kind(rows, taps, maxima);                                                                        \
        break;

#if PICKS_IN_WIDE
DEFINE_PICKED_SUMS(wide)
#else
static inline void picked_sums_wide(int rows, int taps, const PickedMaxima *maxima)
{
    (void)rows, (void)taps, (void)maxima;
}
#endif
#if PICKS_IN_HALF
DEFINE_PICKED_SUMS(half)
#else
static inline void picked_sums_half(int rows, int taps, const PickedMaxima *maxima)
{
    (void)rows, (void)taps, (void)maxima;
}
#endif

#endif
