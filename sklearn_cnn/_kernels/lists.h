/* Lists of the numbers that are not zero, a vector of them at a time: AVX-512 packs them with one instruction, AVX2 with a table.
 *
 * Other levels, and float64, make the same lists number by number, see sparse.pxi. What the functions write beyond the end of a
 * list is less than a vector.
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

#if !REAL_IS_DOUBLE && defined(__AVX512F__) && VECTOR_BYTES == 64

#define LISTS_IN_VECTORS 1
#define LIST_LANES 16
typedef __m512 list_numbers;
typedef __m512i list_places; /* and whole numbers of other kinds */
typedef __mmask16 list_mask;
typedef __mmask16 list_lanes; /* the first ones of a vector; 0 is none */

static inline list_lanes first_lanes(ptrdiff_t n) { return n < 16 ? (list_lanes)((1u << n) - 1) : (list_lanes)0xffff; }
static inline list_places same_place(int32_t place) { return _mm512_set1_epi32(place); }
static inline list_places lane_places(int32_t step)
{
    return _mm512_mullo_epi32(same_place(step), _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
}
static inline list_places add_places(list_places a, list_places b) { return _mm512_add_epi32(a, b); }
/* The first of them, and zeros. */
static inline list_numbers first_numbers(list_lanes lanes, const real *numbers) { return _mm512_maskz_loadu_ps(lanes, numbers); }
static inline list_places first_places(list_lanes lanes, const int32_t *places) { return _mm512_maskz_loadu_epi32(lanes, places); }
static inline list_places first_bytes(list_lanes lanes, const uint8_t *bytes)
{
    return _mm512_cvtepu8_epi32(_mm_maskz_loadu_epi8(lanes, bytes));
}
static inline list_mask are_not_zero(list_numbers numbers)
{
    return _mm512_cmp_ps_mask(numbers, _mm512_setzero_ps(), _CMP_NEQ_UQ);
}
static inline list_mask are_place(list_places places, int32_t place) { return _mm512_cmpeq_epi32_mask(places, same_place(place)); }
static inline list_mask are_below(list_places places, int32_t place) { return _mm512_cmplt_epi32_mask(places, same_place(place)); }
static inline list_places look_up(list_places table, list_places at) { return _mm512_permutexvar_epi32(at, table); }
static inline list_numbers as_numbers(list_places places) { return _mm512_castsi512_ps(places); }
static inline list_places as_places(list_numbers numbers) { return _mm512_castps_si512(numbers); }

static inline ptrdiff_t pack(real *values, int32_t *offsets, list_mask wanted, list_numbers numbers, list_places places)
{
    /* Packed in a register, then stored whole: packing into memory takes many times as long on some processors. */
    _mm512_storeu_ps(values, _mm512_maskz_compress_ps(wanted, numbers));
    _mm512_storeu_si512(offsets, _mm512_maskz_compress_epi32(wanted, places));
    return __builtin_popcount(wanted);
}

/* rows[j][i] <- rows[i][j]. Interleaving the upper half of the rows with the lower turns row and column, written side by side
 * as one binary number, by one digit; four times exchange them. */
static inline void transpose_lanes(list_numbers *rows)
{
    const list_places low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    const list_places high = add_places(low, same_place(8));
    for (int round = 0; round < 4; round++) {
        list_numbers turned[16];
        for (int i = 0; i < 8; i++) {
            turned[2 * i] = _mm512_permutex2var_ps(rows[i], low, rows[i + 8]);
            turned[2 * i + 1] = _mm512_permutex2var_ps(rows[i], high, rows[i + 8]);
        }
        for (int i = 0; i < 16; i++)
            rows[i] = turned[i];
    }
}
/* The lower halves of both. */
static inline list_numbers halves_of(list_numbers a, list_numbers b) { return _mm512_shuffle_f32x4(a, b, 0x44); }

#elif !REAL_IS_DOUBLE && defined(__AVX2__) && VECTOR_BYTES == 32

#define LISTS_IN_VECTORS 1
#define LIST_LANES 8
typedef __m256 list_numbers;
typedef __m256i list_places;
typedef unsigned list_mask;
typedef ptrdiff_t list_lanes; /* how many of the first ones */

static inline list_lanes first_lanes(ptrdiff_t n) { return n < 8 ? n : 8; }
static inline list_places same_place(int32_t place) { return _mm256_set1_epi32(place); }
static inline list_places lane_places(int32_t step)
{
    return _mm256_mullo_epi32(same_place(step), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
static inline list_places add_places(list_places a, list_places b) { return _mm256_add_epi32(a, b); }
/* The first of them, and zeros. */
static inline list_places of_lanes(list_lanes lanes) { return _mm256_cmpgt_epi32(same_place((int32_t)lanes), lane_places(1)); }
static inline list_numbers first_numbers(list_lanes lanes, const real *numbers)
{
    return lanes == 8 ? _mm256_loadu_ps(numbers) : _mm256_maskload_ps(numbers, of_lanes(lanes));
}
static inline list_places first_places(list_lanes lanes, const int32_t *places) { return _mm256_maskload_epi32(places, of_lanes(lanes)); }
static inline list_places first_bytes(list_lanes lanes, const uint8_t *bytes)
{
    uint64_t packed = 0;
    if (lanes == 8)
        memcpy(&packed, bytes, 8);
    else
        for (ptrdiff_t i = 0; i < lanes; i++)
            packed |= (uint64_t)bytes[i] << (8 * i);
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)&packed));
}
static inline list_mask are_not_zero(list_numbers numbers)
{
    return (list_mask)_mm256_movemask_ps(_mm256_cmp_ps(numbers, _mm256_setzero_ps(), _CMP_NEQ_UQ));
}
static inline list_mask are_place(list_places places, int32_t place)
{
    return (list_mask)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(places, same_place(place))));
}
static inline list_mask are_below(list_places places, int32_t place)
{
    return (list_mask)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(same_place(place), places)));
}
static inline list_places look_up(list_places table, list_places at) { return _mm256_permutevar8x32_epi32(table, at); }
static inline list_numbers as_numbers(list_places places) { return _mm256_castsi256_ps(places); }
static inline list_places as_places(list_numbers numbers) { return _mm256_castps_si256(numbers); }

/* For every mask, byte by byte which lanes it wants: lane b stands behind those wanted below it. */
#define WANTED(mask, b) ((uint64_t)((mask) >> (b) & 1))
#define WANTED_BELOW_4(mask) (WANTED(mask, 0) + WANTED(mask, 1) + WANTED(mask, 2) + WANTED(mask, 3))
#define PLACED(mask, b, below) (WANTED(mask, b) * (b) << 8 * (below))
#define PLACED_LOW(mask)                                                                                               \
    (PLACED(mask, 1, WANTED(mask, 0)) | PLACED(mask, 2, WANTED(mask, 0) + WANTED(mask, 1)) |                           \
     PLACED(mask, 3, WANTED(mask, 0) + WANTED(mask, 1) + WANTED(mask, 2)))
#define PLACED_HIGH(mask)                                                                                              \
    (PLACED(mask, 4, WANTED_BELOW_4(mask)) | PLACED(mask, 5, WANTED_BELOW_4(mask) + WANTED(mask, 4)) |                 \
     PLACED(mask, 6, WANTED_BELOW_4(mask) + WANTED(mask, 4) + WANTED(mask, 5)) |                                       \
     PLACED(mask, 7, WANTED_BELOW_4(mask) + WANTED(mask, 4) + WANTED(mask, 5) + WANTED(mask, 6)))
#define ORDER(mask) (PLACED_LOW(mask) | PLACED_HIGH(mask))
#define FOUR_ORDERS(mask) ORDER(mask), ORDER((mask) + 1), ORDER((mask) + 2), ORDER((mask) + 3)
#define SIXTEEN_ORDERS(mask) FOUR_ORDERS(mask), FOUR_ORDERS((mask) + 4), FOUR_ORDERS((mask) + 8), FOUR_ORDERS((mask) + 12)
#define SIXTY_FOUR_ORDERS(mask)                                                                                        \
    SIXTEEN_ORDERS(mask), SIXTEEN_ORDERS((mask) + 16), SIXTEEN_ORDERS((mask) + 32), SIXTEEN_ORDERS((mask) + 48)
static const uint64_t PACKED_ORDERS[256] = {SIXTY_FOUR_ORDERS(0), SIXTY_FOUR_ORDERS(64), SIXTY_FOUR_ORDERS(128),
                                            SIXTY_FOUR_ORDERS(192)};

static inline ptrdiff_t pack(real *values, int32_t *offsets, list_mask wanted, list_numbers numbers, list_places places)
{
    list_places order = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)&PACKED_ORDERS[wanted]));
    _mm256_storeu_ps(values, _mm256_permutevar8x32_ps(numbers, order));
    _mm256_storeu_si256((__m256i *)offsets, _mm256_permutevar8x32_epi32(places, order));
    return __builtin_popcount(wanted);
}

/* rows[j][i] <- rows[i][j]: pairs, then fours within the halves of a vector, then the halves. */
static inline void transpose_lanes(list_numbers *rows)
{
    list_numbers pairs[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(rows[i], rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(rows[i], rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
        fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xee);
        fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
        fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xee);
    }
    for (int i = 0; i < 4; i++) {
        rows[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
        rows[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
}
static inline list_numbers halves_of(list_numbers a, list_numbers b) { return _mm256_permute2f128_ps(a, b, 0x20); }

#else
#define LISTS_IN_VECTORS 0
#define LIST_LANES 0
#define MOST_POSITIONS_OF_PIXELS 0
#define list_positions(...) ((void)0)
#define list_rows(...) ((void)0)
#define list_filters(...) ((void)0)
#endif

#if LISTS_IN_VECTORS
/* Positions of a window for which as many passes over a pixel's filters pay. Those of a list by filter fit a table of one vector. */
#define MOST_POSITIONS_OF_PIXELS 8

/* Append to the list of each position the numbers of one pixel that stand there, and where their filters' weights begin. */
static inline void list_positions(real *values, int32_t *offsets, int32_t *ends, const Maxima *maxima, ptrdiff_t pixel,
                                  int32_t filter_size)
{
    const real *gradient = maxima->gradient + pixel * maxima->n_filters;
    const uint8_t *positions = maxima->positions + pixel * maxima->n_filters;
    const ptrdiff_t n_filters = maxima->n_filters, n_positions = maxima->n_positions;
    const list_places steps = lane_places(filter_size);
    for (ptrdiff_t f = 0; f < n_filters; f += LIST_LANES) {
        list_lanes lanes = first_lanes(n_filters - f);
        list_numbers numbers = first_numbers(lanes, gradient + f);
        list_mask listed = are_not_zero(numbers);
        list_places at = first_bytes(lanes, positions + f);
        list_places places = add_places(steps, same_place((int32_t)f * filter_size));
        for (ptrdiff_t q = 0; q < n_positions; q++)
            ends[q] += (int32_t)pack(values + ends[q], offsets + ends[q], (list_mask)(listed & are_place(at, (int32_t)q)), numbers,
                                     places);
    }
}

/* Append to the lists of both rows of one pixel's window of 2 x 2 the numbers that stand there, and where their filters' weights
 * begin, seen from the window's first column. */
static inline void list_rows(real *values, int32_t *offsets, int32_t *ends, const Maxima *maxima, ptrdiff_t pixel,
                             int32_t filter_size)
{
    const real *gradient = maxima->gradient + pixel * maxima->n_filters;
    const uint8_t *positions = maxima->positions + pixel * maxima->n_filters;
    const ptrdiff_t n_filters = maxima->n_filters;
    const list_places steps = lane_places(filter_size), table = first_places(first_lanes(4), maxima->in_window);
    int32_t upper = ends[0], lower = ends[1]; /* stores might change what stands in memory, as far as compilers know */
    for (ptrdiff_t f = 0; f < n_filters; f += LIST_LANES) {
        list_lanes lanes = first_lanes(n_filters - f);
        list_numbers numbers = first_numbers(lanes, gradient + f);
        list_places at = first_bytes(lanes, positions + f);
        list_mask listed = are_not_zero(numbers), above = (list_mask)(listed & are_below(at, 2));
        list_places places = add_places(add_places(steps, same_place((int32_t)f * filter_size)), look_up(table, at));
        upper += (int32_t)pack(values + upper, offsets + upper, above, numbers, places);
        lower += (int32_t)pack(values + lower, offsets + lower, (list_mask)(listed ^ above), numbers, places);
    }
    ends[0] = upper;
    ends[1] = lower;
}

/* For each of n filters, a vector of them at most, its numbers of all pixels, and where their patches begin. A few filters leave
 * half of a vector of numbers empty; there the places turn with them (`are_few`, a constant at every call). */
static inline void list_filters_of(const int are_few, real *values, int32_t *offsets, const int32_t *begins, int32_t *ends,
                                   const Maxima *maxima, ptrdiff_t first_filter, ptrdiff_t n_filters)
{
    const real *gradient = maxima->gradient + first_filter;
    const uint8_t *positions = maxima->positions + first_filter;
    const int32_t *windows = maxima->windows;
    const ptrdiff_t row = maxima->n_filters, n_pixels = maxima->n_pixels;
    const list_lanes lanes = first_lanes(n_filters);
    const list_places table = first_places(first_lanes(maxima->n_positions), maxima->in_window);
    for (ptrdiff_t f = 0; f < n_filters; f++)
        ends[f] = begins[f];
    for (ptrdiff_t first = 0; first < n_pixels; first += LIST_LANES) {
        list_numbers numbers[LIST_LANES], places[LIST_LANES];
        for (ptrdiff_t i = 0; i < LIST_LANES; i++) {
            ptrdiff_t pixel = first + i < n_pixels ? first + i : n_pixels - 1;
            list_lanes read = first + i < n_pixels ? lanes : 0;
            list_places at = first_bytes(read, positions + pixel * row);
            numbers[i] = first_numbers(read, gradient + pixel * row);
            places[i] = as_numbers(add_places(same_place(windows[pixel]), look_up(table, at)));
            if (are_few)
                numbers[i] = halves_of(numbers[i], places[i]);
        }
        transpose_lanes(numbers);
        if (!are_few)
            transpose_lanes(places);
        for (ptrdiff_t f = 0; f < (are_few ? LIST_LANES / 2 : LIST_LANES); f++) {
            if (f < n_filters)
                ends[f] += (int32_t)pack(values + ends[f], offsets + ends[f], are_not_zero(numbers[f]), numbers[f],
                                         as_places(are_few ? numbers[LIST_LANES / 2 + f] : places[f]));
        }
    }
}
static inline void list_filters(real *values, int32_t *offsets, const int32_t *begins, int32_t *ends, const Maxima *maxima,
                                ptrdiff_t first_filter, ptrdiff_t n_filters)
{
    if (n_filters <= LIST_LANES / 2)
        list_filters_of(1, values, offsets, begins, ends, maxima, first_filter, n_filters);
    else
        list_filters_of(0, values, offsets, begins, ends, maxima, first_filter, n_filters);
}
#endif

#endif
