/* Number type, vector types and the vector operations, which Cython cannot spell.
 *
 * The build defines REAL_IS_DOUBLE (0 or 1), VECTOR_BYTES (16, 32 or 64) and VECTOR_REGISTERS (16 or 32) for each instruction-set
 * level.
 * The types are GCC's and Clang's vector extension. Compilers without it get one lane: same source, same results, less
 * speed.
 */
#ifndef SKLEARN_CNN_VECTORS_H
#define SKLEARN_CNN_VECTORS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__AVX512F__) || defined(__AVX2__)
#include <immintrin.h>
#endif

#ifndef REAL_IS_DOUBLE
#define REAL_IS_DOUBLE 0
#endif
#ifndef VECTOR_BYTES
#define VECTOR_BYTES 16
#endif
#ifndef VECTOR_REGISTERS
#define VECTOR_REGISTERS 16
#endif

#if REAL_IS_DOUBLE
typedef double real;
typedef int64_t real_bits;
#define REAL_SIGN INT64_MIN
#define REAL_BYTES 8
#else
typedef float real;
typedef int32_t real_bits;
#define REAL_SIGN INT32_MIN
#define REAL_BYTES 4
#endif

#if (defined(__GNUC__) || defined(__clang__)) && !defined(SKLEARN_CNN_PLAIN)

#define VECTOR_OF(bytes) __attribute__((vector_size(bytes), aligned(REAL_BYTES), may_alias))
/* No vector of one lane: that is a plain number. */
#define AT_LEAST_TWO(bytes) ((bytes) > REAL_BYTES ? (bytes) : 2 * REAL_BYTES)
/* Double precision, which checks gradients, makes do with fewer widths and (below) smaller tiles, which take the compiler less
 * than half the time. Its bits do not depend on either. */
#if REAL_IS_DOUBLE
#define HALF_BYTES VECTOR_BYTES
#define QUARTER_BYTES (2 * REAL_BYTES)
#else
#define HALF_BYTES AT_LEAST_TWO(VECTOR_BYTES / 2)
#define QUARTER_BYTES AT_LEAST_TWO(VECTOR_BYTES / 4)
#endif
typedef real vector_wide VECTOR_OF(VECTOR_BYTES);
typedef real vector_half VECTOR_OF(HALF_BYTES);
typedef real vector_quarter VECTOR_OF(QUARTER_BYTES);
typedef real vector_one;
#define LANES_WIDE (VECTOR_BYTES / REAL_BYTES)
#define LANES_HALF (HALF_BYTES / REAL_BYTES)
#define LANES_QUARTER (QUARTER_BYTES / REAL_BYTES)

#else

typedef real vector_wide;
typedef real vector_half;
typedef real vector_quarter;
typedef real vector_one;
#define LANES_WIDE 1
#define LANES_HALF 1
#define LANES_QUARTER 1

#endif

/* Whether a width is one of its own; if not, the compiler need not see what is written for it. */
#define USES_HALF (LANES_HALF < LANES_WIDE)
#define USES_QUARTER (LANES_QUARTER < LANES_HALF)

/* Rows of one register tile: accumulators, the vectors of weights and one broadcast must fit the register file. Three vectors
 * take numbers that an instruction broadcasts as it reads them, which AVX-512 alone can. */
#define TILE_ROWS 14
#define TILE_ROWS_OF_THREE (VECTOR_BYTES == 64 ? 9 : 0)
#if REAL_IS_DOUBLE
#define TILE_ROWS_OF_TWO (VECTOR_REGISTERS == 32 ? 7 : 6)
#define TILE_ROWS_OF_ONE TILE_ROWS_OF_TWO
#define POOLED_WINDOWS 3
#define POOLED_WINDOWS_OF_TWO 1
#define SPARSE_VECTORS 12
#define SHALLOW_TAPS 9
#elif VECTOR_REGISTERS == 32
#define TILE_ROWS_OF_TWO 14
#define TILE_ROWS_OF_ONE 14
#define POOLED_WINDOWS 6
#define POOLED_WINDOWS_OF_TWO 3
#define SPARSE_VECTORS 24
#define SHALLOW_TAPS 18
#else
#define TILE_ROWS_OF_TWO 6
#define TILE_ROWS_OF_ONE 12
#define POOLED_WINDOWS 3
#define POOLED_WINDOWS_OF_TWO 1
#define SPARSE_VECTORS 12
#define SHALLOW_TAPS 9
#endif

/* best, position <- value, index where value is greater or NaN. A NaN stays (nothing is greater than it), the first of
 * equal values stays, and a window of nothing but minus infinity keeps position 0.
 *
 * A comparison of vectors is a vector of integers, 0 or -1, and choosing is bit arithmetic on it. */
#define CHOOSE(mask, yes, no)                                                                                          \
    ((__typeof__(yes))(((__typeof__(mask))(yes) & (mask)) | ((__typeof__(mask))(no) & ~(mask))))

/* A number in all lanes: subtracting zeros changes no bit, so the compiler leaves only the broadcast. */
#define BROADCAST(type, number) ((number) - (type){0})

#define DEFINE_SELECTIONS(type)                                                                                        \
    static inline void keep_maximum_##type(void *best_at, void *position_at, const void *value_at, real index)         \
    {                                                                                                                  \
        type best = *(type *)best_at, position = *(type *)position_at, value = *(const type *)value_at;                \
        __typeof__(value > best) greater = (value > best) | (value != value);                                          \
        *(type *)best_at = CHOOSE(greater, value, best);                                                               \
        *(type *)position_at = CHOOSE(greater, BROADCAST(type, index), position);                                      \
    }                                                                                                                  \
    static inline void where_position_##type(void *result_at, const void *position_at, real index, const void *value_at) \
    {                                                                                                                  \
        type value = *(const type *)value_at;                                                                          \
        __typeof__(value == value) here = *(const type *)position_at == BROADCAST(type, index);                        \
        *(type *)result_at = (type)((__typeof__(here))value & here);                                                   \
    }                                                                                                                  \
    static inline void rectify_##type(void *value_at)                                                                  \
    {                                                                                                                  \
        type value = *(type *)value_at;                                                                                \
        __typeof__(value < value) negative = value < (type){0};                                                        \
        *(type *)value_at = (type)((__typeof__(negative))value & ~negative);                                           \
    }                                                                                                                  \
    static inline void keep_where_positive_##type(void *value_at, const void *other_at)                                \
    {                                                                                                                  \
        type value = *(type *)value_at;                                                                                \
        __typeof__(value > value) positive = *(const type *)other_at > (type){0};                                      \
        *(type *)value_at = (type)((__typeof__(positive))value & positive);                                            \
    }

/* Positions: bytes in memory, numbers in a register. In one step compilers convert them lane by lane, in two steps as vectors. */
#define DEFINE_POSITIONS(type, bytes, shorts, lanes)                                                                   \
    static inline void load_positions_##type(void *position_at, const uint8_t *stored)                                 \
    {                                                                                                                  \
        bytes packed;                                                                                                  \
        memcpy(&packed, stored, lanes);                                                                                \
        *(type *)position_at = __builtin_convertvector(                                                                \
            __builtin_convertvector(__builtin_convertvector(packed, shorts), __typeof__((type){0} > (type){0})), type); \
    }                                                                                                                  \
    static inline void store_positions_##type(uint8_t *stored, const void *position_at)                                \
    {                                                                                                                  \
        bytes packed = __builtin_convertvector(                                                                        \
            __builtin_convertvector(                                                                                   \
                __builtin_convertvector(*(const type *)position_at, __typeof__((type){0} > (type){0})), shorts),       \
            bytes);                                                                                                    \
        memcpy(stored, &packed, lanes);                                                                                \
    }

/* Numbers of a row of X, less `shift`. What has more digits than the result loses them after the subtraction. */
#define DEFINE_ROWS(type, lanes)                                                                                       \
    static inline void load_floats_##type(void *value_at, const void *stored, const real *shift)                       \
    {                                                                                                                  \
        float __attribute__((vector_size(4 * lanes))) numbers;                                                         \
        memcpy(&numbers, stored, sizeof numbers);                                                                      \
        *(type *)value_at = __builtin_convertvector(numbers, type) - *(const type *)shift;                             \
    }                                                                                                                  \
    static inline void load_doubles_##type(void *value_at, const void *stored, const real *shift)                      \
    {                                                                                                                  \
        double __attribute__((vector_size(8 * lanes))) numbers;                                                        \
        memcpy(&numbers, stored, sizeof numbers);                                                                      \
        numbers -= __builtin_convertvector(*(const type *)shift, __typeof__(numbers));                                 \
        *(type *)value_at = __builtin_convertvector(numbers, type);                                                    \
    }

static inline void load_floats_one(void *value_at, const void *stored, const real *shift)
{
    *(real *)value_at = *(const float *)stored - *shift;
}
static inline void load_doubles_one(void *value_at, const void *stored, const real *shift)
{
    *(real *)value_at = (real)(*(const double *)stored - *shift);
}
/* One number alone, by bit arithmetic, too: compilers make a branch of a condition, and no processor can guess which way it goes. */
static inline real choose_one(int condition, real yes, real no)
{
    real_bits of_yes, of_no, mask = -(real_bits)condition;
    memcpy(&of_yes, &yes, sizeof yes);
    memcpy(&of_no, &no, sizeof no);
    of_yes = (of_yes & mask) | (of_no & ~mask);
    memcpy(&yes, &of_yes, sizeof yes);
    return yes;
}
static inline void keep_maximum_one(void *best_at, void *position_at, const void *value_at, real index)
{
    real best = *(real *)best_at, value = *(const real *)value_at;
    int greater = (value > best) | (value != value);
    *(real *)best_at = choose_one(greater, value, best);
    *(real *)position_at = choose_one(greater, index, *(real *)position_at);
}
static inline void where_position_one(void *result_at, const void *position_at, real index, const void *value_at)
{
    *(real *)result_at = choose_one(*(const real *)position_at == index, *(const real *)value_at, 0);
}
static inline void rectify_one(void *value_at)
{
    *(real *)value_at = choose_one(*(real *)value_at < 0, 0, *(real *)value_at);
}
static inline void keep_where_positive_one(void *value_at, const void *other_at)
{
    *(real *)value_at = choose_one(*(const real *)other_at > 0, *(real *)value_at, 0);
}
static inline void load_positions_one(void *position_at, const uint8_t *stored) { *(real *)position_at = *stored; }
static inline void store_positions_one(uint8_t *stored, const void *position_at)
{
    *stored = (uint8_t) * (const real *)position_at;
}

#if LANES_WIDE > 1
typedef uint8_t bytes_wide __attribute__((vector_size(LANES_WIDE)));
typedef uint8_t bytes_half __attribute__((vector_size(LANES_HALF)));
typedef uint8_t bytes_quarter __attribute__((vector_size(LANES_QUARTER)));
typedef uint16_t shorts_wide __attribute__((vector_size(2 * LANES_WIDE)));
typedef uint16_t shorts_half __attribute__((vector_size(2 * LANES_HALF)));
typedef uint16_t shorts_quarter __attribute__((vector_size(2 * LANES_QUARTER)));
DEFINE_SELECTIONS(vector_wide)
DEFINE_SELECTIONS(vector_half)
DEFINE_SELECTIONS(vector_quarter)
DEFINE_ROWS(vector_wide, LANES_WIDE)
DEFINE_ROWS(vector_half, LANES_HALF)
DEFINE_ROWS(vector_quarter, LANES_QUARTER)
DEFINE_POSITIONS(vector_half, bytes_half, shorts_half, LANES_HALF)
DEFINE_POSITIONS(vector_quarter, bytes_quarter, shorts_quarter, LANES_QUARTER)
#if defined(__AVX512F__) && VECTOR_BYTES == 64 && !REAL_IS_DOUBLE
/* Here one instruction does it. */
static inline void load_positions_vector_wide(void *position_at, const uint8_t *stored)
{
    *(vector_wide *)position_at = (vector_wide)_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)stored)));
}
static inline void store_positions_vector_wide(uint8_t *stored, const void *position_at)
{
    _mm_storeu_si128((__m128i *)stored, _mm512_cvtepi32_epi8(_mm512_cvttps_epi32((__m512) * (const vector_wide *)position_at)));
}
#else
DEFINE_POSITIONS(vector_wide, bytes_wide, shorts_wide, LANES_WIDE)
#endif
/* The function for the type of `value`, chosen by its size when compiling. */
#define OF_TYPE(name, value, arguments)                                                                                \
    (sizeof(value) == REAL_BYTES            ? name##_one arguments                                                     \
     : sizeof(value) == sizeof(vector_wide) ? name##_vector_wide arguments                                             \
     : sizeof(value) == sizeof(vector_half) ? name##_vector_half arguments                                             \
                                            : name##_vector_quarter arguments)
#else
#define OF_TYPE(name, value, arguments) name##_one arguments
#endif

#define KEEP_MAXIMUM(best, position, value, index)                                                                     \
    OF_TYPE(keep_maximum, value, (&(best), &(position), &(value), index))
/* result <- value where position is index, else 0 */
#define WHERE_POSITION(result, position, index, value)                                                                 \
    OF_TYPE(where_position, value, (&(result), &(position), index, &(value)))
/* value <- 0 where it is below zero; NaN stays */
#define RECTIFY(value) OF_TYPE(rectify, value, (&(value)))
/* value <- value where other is greater than zero, else 0 */
#define KEEP_WHERE_POSITIVE(value, other) OF_TYPE(keep_where_positive, value, (&(value), &(other)))
/* bytes <-> numbers */
#define LOAD_POSITIONS(position, stored) OF_TYPE(load_positions, position, (&(position), stored))
#define STORE_POSITIONS(stored, position) OF_TYPE(store_positions, position, (stored, &(position)))
/* value <- stored - shift */
#define LOAD_FLOATS(value, stored, shift) OF_TYPE(load_floats, value, (&(value), stored, shift))
#define LOAD_DOUBLES(value, stored, shift) OF_TYPE(load_doubles, value, (&(value), stored, shift))

/* sum <- sum + number * vector; the number is broadcast. Where the level has FMA instructions this is one rounding in every
 * lane and every tail: vector expressions are contracted as they are written, but plain numbers the compiler may first pack
 * in pairs, multiply, and add apart, so for them it is spelled out. */
static inline void multiply_add_one(void *sum, real number, const void *factor)
{
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
#if REAL_IS_DOUBLE
    *(real *)sum = __builtin_fma(number, *(const real *)factor, *(real *)sum);
#else
    *(real *)sum = __builtin_fmaf(number, *(const real *)factor, *(real *)sum);
#endif
#else
    *(real *)sum = *(real *)sum + number * *(const real *)factor;
#endif
}
#define MULTIPLY_ADD(sum, number, vector)                                                                              \
    (sizeof(sum) == REAL_BYTES ? multiply_add_one(&(sum), number, &(vector))                                           \
                               : (void)((sum) = (sum) + (number) * (vector)))
#define ADD(sum, vector) ((sum) = (sum) + (vector))
#define ADD_SQUARE(sum, vector) ((sum) = (sum) + (vector) * (vector))
#define SUM(result, first, second) ((result) = (first) + (second))
#define SUBTRACT(result, first, second) ((result) = (first) - (second))
#define MULTIPLY(value, factors) ((value) = (value) * (factors))
#define SCALE(value, factor) ((value) = (value) * (real)(factor))
#define DIVIDE(value, divisor) ((value) = (value) / (real)(divisor))

/* The compiler takes the address as it is and forgets how it came about. Otherwise it reckons every address of a tile beforehand,
 * each from a distance of its own, and there are more of them than registers. (OPAQUE is a number to Windows's headers.) */
#if defined(__GNUC__) || defined(__clang__)
#define FORGET_ORIGIN(pointer) __asm__("" : "+r"(pointer))
#else
#define FORGET_ORIGIN(pointer) ((void)(pointer))
#endif

/* A hint; the address need not be valid. */
#if defined(__GNUC__) || defined(__clang__)
#define PREFETCH(address) __builtin_prefetch(address)
#else
#define PREFETCH(address) ((void)(address))
#endif

/* target[j][i] <- source[i][j] for a square of SQUARE_SIDE numbers a side; `..._row` is the distance of two rows. */
#if defined(__has_builtin) && LANES_WIDE > 1 && !REAL_IS_DOUBLE
#if __has_builtin(__builtin_shufflevector)
#define SQUARE_SIDE 4
#endif
#endif
#ifdef SQUARE_SIDE
static inline void transpose_square(const real *source, ptrdiff_t source_row, real *target, ptrdiff_t target_row)
{
    typedef real four VECTOR_OF(4 * REAL_BYTES);
    four a = *(const four *)source, b = *(const four *)(source + source_row);
    four c = *(const four *)(source + 2 * source_row), d = *(const four *)(source + 3 * source_row);
    four ab_low = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab_high = __builtin_shufflevector(a, b, 2, 6, 3, 7);
    four cd_low = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd_high = __builtin_shufflevector(c, d, 2, 6, 3, 7);
    *(four *)target = __builtin_shufflevector(ab_low, cd_low, 0, 1, 4, 5);
    *(four *)(target + target_row) = __builtin_shufflevector(ab_low, cd_low, 2, 3, 6, 7);
    *(four *)(target + 2 * target_row) = __builtin_shufflevector(ab_high, cd_high, 0, 1, 4, 5);
    *(four *)(target + 3 * target_row) = __builtin_shufflevector(ab_high, cd_high, 2, 3, 6, 7);
}
#else
#define SQUARE_SIDE 1
static inline void transpose_square(const real *source, ptrdiff_t source_row, real *target, ptrdiff_t target_row)
{
    (void)source_row;
    (void)target_row;
    *target = *source;
}
#endif

/* even[i] <- source[2 i], odd[i] <- source[2 i + 1], for the widest vectors. */
#if defined(SQUARE_SIDE) && SQUARE_SIDE > 1
#if LANES_WIDE == 16
#define EVEN_NUMBERS 0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30
#define ODD_NUMBERS 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31
#elif LANES_WIDE == 8
#define EVEN_NUMBERS 0, 2, 4, 6, 8, 10, 12, 14
#define ODD_NUMBERS 1, 3, 5, 7, 9, 11, 13, 15
#else
#define EVEN_NUMBERS 0, 2, 4, 6
#define ODD_NUMBERS 1, 3, 5, 7
#endif
static inline void even_and_odd(vector_wide *even, vector_wide *odd, const real *source)
{
    vector_wide first = *(const vector_wide *)source, second = *(const vector_wide *)(source + LANES_WIDE);
    *even = __builtin_shufflevector(first, second, EVEN_NUMBERS);
    *odd = __builtin_shufflevector(first, second, ODD_NUMBERS);
}
#else
static inline void even_and_odd(vector_wide *even, vector_wide *odd, const real *source)
{
    for (int i = 0; i < LANES_WIDE; i++) {
        ((real *)even)[i] = source[2 * i];
        ((real *)odd)[i] = source[2 * i + 1];
    }
}
#endif

#include <math.h>
#if REAL_IS_DOUBLE
#define square_root sqrt
#else
#define square_root sqrtf
#endif

/* A test on the bits: an integer comparison leaves its answer in a register at once, without a branch. A NaN is not zero. */
static inline int is_not_zero(real value)
{
    real_bits bits;
    memcpy(&bits, &value, sizeof bits);
    return (bits & ~REAL_SIGN) != 0;
}

#endif
