/* Lists of the numbers that are not zero, sixteen at a time: with AVX-512 one instruction packs them.
 *
 * Other levels, and float64, make the same lists number by number, see sparse.pxi. What both functions write beyond the end
 * of a list is less than a vector.
 */
#ifndef SKLEARN_CNN_LISTS_H
#define SKLEARN_CNN_LISTS_H

#include "vectors.h"

/* The gradients of pooled pixels, and where the patches of their maxima begin. */
typedef struct {
    ptrdiff_t n_pixels;
    ptrdiff_t n_filters;
    const real *gradient;     /* [pixels, filters] */
    const uint8_t *positions; /* likewise: of each maximum in its window */
    const int32_t *windows;   /* where each pixel's window begins */
    const int32_t *in_window; /* and each position in it */
    ptrdiff_t n_positions;
} Maxima;

#if defined(__AVX512F__) && VECTOR_BYTES == 64 && !REAL_IS_DOUBLE
#define LISTS_IN_VECTORS 1
/* Positions of a window that fit a table of one vector, and those for which as many passes over a pixel's filters pay. */
#define MOST_POSITIONS_OF_FILTERS 16
#define MOST_POSITIONS_OF_PIXELS 8

static inline ptrdiff_t pack(real *values, int32_t *offsets, __mmask16 wanted, __m512 numbers, __m512i places)
{
    /* Packed in a register, then stored whole: packing into memory takes many times as long on some processors. */
    _mm512_storeu_ps(values, _mm512_maskz_compress_ps(wanted, numbers));
    _mm512_storeu_si512(offsets, _mm512_maskz_compress_epi32(wanted, places));
    return __builtin_popcount(wanted);
}

static inline __mmask16 first_lanes(ptrdiff_t n) { return n < 16 ? (__mmask16)((1u << n) - 1) : (__mmask16)0xffff; }

/* Append to the list of each position the numbers of one pixel that stand there, and where their filters' weights begin. */
static inline void list_positions(real *values, int32_t *offsets, int32_t *ends, const Maxima *maxima, ptrdiff_t pixel,
                                  int32_t filter_size)
{
    const real *gradient = maxima->gradient + pixel * maxima->n_filters;
    const uint8_t *positions = maxima->positions + pixel * maxima->n_filters;
    const ptrdiff_t n_filters = maxima->n_filters, n_positions = maxima->n_positions;
    const __m512i steps = _mm512_mullo_epi32(_mm512_set1_epi32(filter_size),
                                             _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    for (ptrdiff_t f = 0; f < n_filters; f += 16) {
        __mmask16 lanes = first_lanes(n_filters - f);
        __m512 numbers = _mm512_maskz_loadu_ps(lanes, gradient + f);
        __mmask16 listed = _mm512_cmp_ps_mask(numbers, _mm512_setzero_ps(), _CMP_NEQ_UQ);
        __m512i at = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, positions + f));
        __m512i places = _mm512_add_epi32(steps, _mm512_set1_epi32((int32_t)f * filter_size));
        for (ptrdiff_t q = 0; q < n_positions; q++)
            ends[q] += (int32_t)pack(values + ends[q], offsets + ends[q],
                                     _mm512_mask_cmpeq_epi32_mask(listed, at, _mm512_set1_epi32((int)q)), numbers, places);
    }
}

/* rows[j][i] <- rows[i][j]. Interleaving the upper half of the rows with the lower turns row and column, written side by side
 * as one binary number, by one digit; four times exchange them. */
static inline void transpose_lanes(__m512 *rows)
{
    const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const __m512i high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
    for (int round = 0; round < 4; round++) {
        __m512 turned[16];
        for (int i = 0; i < 8; i++) {
            turned[2 * i] = _mm512_permutex2var_ps(rows[i], low, rows[i + 8]);
            turned[2 * i + 1] = _mm512_permutex2var_ps(rows[i], high, rows[i + 8]);
        }
        for (int i = 0; i < 16; i++)
            rows[i] = turned[i];
    }
}

/* For each of n filters, 16 at most, its numbers of all pixels, and where their patches begin. Up to 8 filters leave half of a
 * vector of numbers empty; there the places turn with them (`are_few`, a constant at every call). */
static inline void list_filters_of(const int are_few, real *values, int32_t *offsets, const int32_t *begins, int32_t *ends,
                                   const Maxima *maxima, ptrdiff_t first_filter, ptrdiff_t n_filters)
{
    const real *gradient = maxima->gradient + first_filter;
    const uint8_t *positions = maxima->positions + first_filter;
    const int32_t *windows = maxima->windows;
    const ptrdiff_t row = maxima->n_filters, n_pixels = maxima->n_pixels;
    const __mmask16 lanes = first_lanes(n_filters);
    const __m512i table = _mm512_maskz_loadu_epi32(first_lanes(maxima->n_positions), maxima->in_window);
    for (ptrdiff_t f = 0; f < n_filters; f++)
        ends[f] = begins[f];
    for (ptrdiff_t first = 0; first < n_pixels; first += 16) {
        __m512 numbers[16], places[16];
        for (ptrdiff_t i = 0; i < 16; i++) {
            ptrdiff_t pixel = first + i < n_pixels ? first + i : n_pixels - 1;
            __mmask16 read = first + i < n_pixels ? lanes : 0;
            __m512i at = _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(read, positions + pixel * row));
            numbers[i] = _mm512_maskz_loadu_ps(read, gradient + pixel * row);
            places[i] = _mm512_castsi512_ps(
                _mm512_add_epi32(_mm512_set1_epi32(windows[pixel]), _mm512_permutexvar_epi32(at, table)));
            if (are_few)
                numbers[i] = _mm512_shuffle_f32x4(numbers[i], places[i], 0x44);
        }
        transpose_lanes(numbers);
        if (!are_few)
            transpose_lanes(places);
        for (ptrdiff_t f = 0; f < (are_few ? 8 : 16); f++) {
            if (f < n_filters)
                ends[f] += (int32_t)pack(values + ends[f], offsets + ends[f],
                                         _mm512_cmp_ps_mask(numbers[f], _mm512_setzero_ps(), _CMP_NEQ_UQ), numbers[f],
                                         _mm512_castps_si512(are_few ? numbers[8 + f] : places[f]));
        }
    }
}
static inline void list_filters(real *values, int32_t *offsets, const int32_t *begins, int32_t *ends, const Maxima *maxima,
                                ptrdiff_t first_filter, ptrdiff_t n_filters)
{
    if (n_filters <= 8)
        list_filters_of(1, values, offsets, begins, ends, maxima, first_filter, n_filters);
    else
        list_filters_of(0, values, offsets, begins, ends, maxima, first_filter, n_filters);
}

#else
#define LISTS_IN_VECTORS 0
#define MOST_POSITIONS_OF_FILTERS 0
#define MOST_POSITIONS_OF_PIXELS 0
#define list_positions(...) ((void)0)
#define list_filters(...) ((void)0)
#endif

#endif
