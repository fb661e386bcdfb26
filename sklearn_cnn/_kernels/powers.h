/* Powers of two, made of the bits of their exponents: plain arithmetic, so that loops over it become vectors. */
#ifndef SKLEARN_CNN_POWERS_H
#define SKLEARN_CNN_POWERS_H

#include <stdint.h>
#include <string.h>

/* 2 ** n for a whole number n of normal numbers, given as n + 3 * 2 ** 51: its last bits are those of n, and go to the exponent */
static inline double power_of_two_double(double shifted)
{
    uint64_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 52) + ((uint64_t)1023 << 52);
    memcpy(&shifted, &bits, sizeof shifted);
    return shifted;
}
/* 2 ** exponent as a float, for exponents of normal numbers */
static inline float power_of_two_float(int32_t exponent)
{
    int32_t bits = (exponent + 127) * (1 << 23);
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

#endif
