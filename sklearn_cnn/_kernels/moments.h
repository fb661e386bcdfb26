/* What batch normalisation does with the values of n pixels of n_filters each, in the order in which they stand. Sums run in
 * double precision, a number per filter, in the order of the pixels. They take half vectors: half a vector of single precision
 * is a whole one of double precision.
 */
#ifndef SKLEARN_CNN_MOMENTS_H
#define SKLEARN_CNN_MOMENTS_H

#include "vectors.h"

/* Added to a variance before its square root is taken: what a constant channel is divided by. */
#define NORMALISATION_EPSILON 1e-5

/* sum + a * b. Vector expressions are contracted to fused multiply-adds as they are written; see `multiply_add_one`. */
#define PLUS_PRODUCT(sum, a, b) ((sum) + (a) * (b))
static inline real plus_product_one(real sum, real a, real b)
{
    multiply_add_one(&sum, a, &b);
    return sum;
}

#define NUMBER_TO_DOUBLE(value, doubles) ((doubles)(value))
#define VECTOR_TO_DOUBLES(value, doubles) __builtin_convertvector(value, doubles)
#if defined(__AVX512F__) && VECTOR_BYTES == 64 && !REAL_IS_DOUBLE
#define HALF_TO_DOUBLES(value, doubles) ((doubles)_mm512_cvtps_pd((__m256)(value))) /* some compilers take two steps */
#else
#define HALF_TO_DOUBLES VECTOR_TO_DOUBLES
#endif

#define DEFINE_SUMS(width, type, doubles, TO_DOUBLES)                                                                      \
    static inline void add_moments_##width(const real *values, double weight, const real *shift, double *sums, double *squares)\
    {                                                                                                                      \
        doubles distance = TO_DOUBLES(*(const type *)values - *(const type *)shift, doubles);                              \
        doubles share = distance * weight;                                                                                 \
        *(doubles *)sums += share;                                                                                         \
        *(doubles *)squares += share * distance;                                                                           \
    }                                                                                                                      \
    static inline void add_gradients_##width(const real *values, const real *gradients, const real *mean,                  \
                                             double *sums, double *products)                                               \
    {                                                                                                                      \
        doubles gradient = TO_DOUBLES(*(const type *)gradients, doubles);                                                  \
        *(doubles *)sums += gradient;                                                                                      \
        *(doubles *)products += gradient * TO_DOUBLES(*(const type *)values - *(const type *)mean, doubles);               \
    }

#define DEFINE_NORMALISATION(width, type, PLUS)                                                                            \
    static inline void normalise_##width(const real *values, real *results, const real *mean, const real *scale,           \
                                         const real *beta)                                                                 \
    {                                                                                                                      \
        *(type *)results = PLUS(*(const type *)beta, *(const type *)values - *(const type *)mean, *(const type *)scale);   \
    }                                                                                                                      \
    static inline void normalise_backward_##width(const real *values, const real *gradients, real *d_values,               \
                                                  real weight, const real *mean, const real *scale,                        \
                                                  const real *of_mean, const real *of_variance)                            \
    {                                                                                                                      \
        type rest = PLUS(*(const type *)of_mean, *(const type *)values - *(const type *)mean, *(const type *)of_variance); \
        rest = rest * weight;                                                                                              \
        *(type *)d_values = (*(const type *)gradients - rest) * *(const type *)scale;                                      \
    }

typedef double double_one;
DEFINE_SUMS(one, vector_one, double_one, NUMBER_TO_DOUBLE)
DEFINE_NORMALISATION(one, vector_one, plus_product_one)
#if LANES_WIDE > 1
typedef double doubles_half __attribute__((vector_size(8 * LANES_HALF), aligned(8), may_alias));
typedef double doubles_quarter __attribute__((vector_size(8 * LANES_QUARTER), aligned(8), may_alias));
DEFINE_SUMS(half, vector_half, doubles_half, HALF_TO_DOUBLES)
DEFINE_SUMS(quarter, vector_quarter, doubles_quarter, VECTOR_TO_DOUBLES)
DEFINE_NORMALISATION(wide, vector_wide, PLUS_PRODUCT)
DEFINE_NORMALISATION(quarter, vector_quarter, PLUS_PRODUCT)
/* All filters of a pixel, f of them done, in the widest vectors that are left. */
#define IN_VECTORS(f, n_filters, name, widest, lanes, arguments)                                                           \
    for (; (n_filters) - f >= (lanes); f += (lanes)) name##_##widest arguments;                                            \
    for (; (n_filters) - f >= LANES_QUARTER; f += LANES_QUARTER) name##_quarter arguments;                                 \
    for (; f < (n_filters); f++) name##_one arguments;
#else
#define IN_VECTORS(f, n_filters, name, widest, lanes, arguments)                                                           \
    for (; f < (n_filters); f++) name##_one arguments;
#endif
/* Values of a mini-batch come from the last cache or from memory: those of the next pixels are fetched ahead. */
#define FETCHED_BYTES 4096
#define FOR_EVERY_PIXEL(n, n_filters, name, widest, lanes, arguments)                                                      \
    for (ptrdiff_t p = 0; p < (n); p++) {                                                                                  \
        const ptrdiff_t at = p * (n_filters);                                                                              \
        for (ptrdiff_t line = 0; line < (n_filters); line += 64 / REAL_BYTES)                                              \
            PREFETCH((const char *)(values + at + line) + FETCHED_BYTES);                                                  \
        ptrdiff_t f = 0;                                                                                                   \
        IN_VECTORS(f, n_filters, name, widest, lanes, arguments)                                                           \
    }

/* sums += weight * (value - shift), squares += weight * (value - shift)**2 */
static inline void add_moments(const real *values, ptrdiff_t n, ptrdiff_t n_filters, double weight, const real *shift,
                               double *sums, double *squares)
{
    FOR_EVERY_PIXEL(n, n_filters, add_moments, half, LANES_HALF,
                    (values + at + f, weight, shift + f, sums + f, squares + f))
}
/* sums += gradient, products += gradient * (value - mean) */
static inline void add_gradients(const real *values, const real *gradients, ptrdiff_t n, ptrdiff_t n_filters,
                                 const real *mean, double *sums, double *products)
{
    FOR_EVERY_PIXEL(n, n_filters, add_gradients, half, LANES_HALF,
                    (values + at + f, gradients + at + f, mean + f, sums + f, products + f))
}
/* results <- (value - mean) * scale + beta */
static inline void normalise_pixels(const real *values, real *results, ptrdiff_t n, ptrdiff_t n_filters, const real *mean,
                                    const real *scale, const real *beta)
{
    FOR_EVERY_PIXEL(n, n_filters, normalise, wide, LANES_WIDE,
                    (values + at + f, results + at + f, mean + f, scale + f, beta + f))
}
/* d_values <- (gradient - weight * (of_mean + (value - mean) * of_variance)) * scale */
static inline void normalise_pixels_backward(const real *values, const real *gradients, real *d_values, ptrdiff_t n,
                                             ptrdiff_t n_filters, real weight, const real *mean, const real *scale,
                                             const real *of_mean, const real *of_variance)
{
    FOR_EVERY_PIXEL(n, n_filters, normalise_backward, wide, LANES_WIDE,
                    (values + at + f, gradients + at + f, d_values + at + f, weight, mean + f, scale + f, of_mean + f,
                     of_variance + f))
}

#endif
