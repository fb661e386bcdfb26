/* The most multiply-adds one core can do: independent chains in registers, no memory at all. Compiled when the benchmark runs,
 * with the flags of the level in question; VECTOR_BYTES and CHAINS are given on the command line. */

typedef float vector __attribute__((vector_size(VECTOR_BYTES)));

float multiply_add(long repetitions, float factor, float summand) {
    vector chains[CHAINS];
    vector sum = {0};
    vector factors = sum + factor;
    vector summands = sum + summand;
    for (int chain = 0; chain < CHAINS; chain++)
        chains[chain] = sum + (float) chain;
    for (long repetition = 0; repetition < repetitions; repetition++)
#pragma GCC unroll 32
        for (int chain = 0; chain < CHAINS; chain++)
            chains[chain] = chains[chain] * factors + summands;
    for (int chain = 0; chain < CHAINS; chain++)
        sum += chains[chain];
    return sum[0];
}

/* The most bytes one core moves: read a block, write another. Vectors are stored one by one, as the kernels store them. */
void copy(const vector *source, vector *target, long n_vectors) {
    for (long i = 0; i < n_vectors; i++)
        target[i] = source[i] + 1.0f;
}
