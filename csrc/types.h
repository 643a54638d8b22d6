/* Loads and stores of 16-bit floats, without a hardware requirement.
 * Conversion by bits: exact on load, round to nearest even on store. */
#ifndef SC_TYPES_H
#define SC_TYPES_H

#include <complex.h>
#include <stdint.h>
#include <string.h>

typedef float complex sc_c64;
typedef double complex sc_c128;
typedef struct { uint16_t bits; } sc_f16;
typedef struct { uint16_t bits; } sc_bf16;

static inline float sc_bits_float(uint32_t u) { float f; memcpy(&f, &u, sizeof f); return f; }
static inline uint32_t sc_float_bits(float f) { uint32_t u; memcpy(&u, &f, sizeof u); return u; }

static inline float sc_bf16_load(sc_bf16 h) { return sc_bits_float((uint32_t)h.bits << 16); }

static inline sc_bf16 sc_bf16_store(float f)
{
    uint32_t u = sc_float_bits(f);
    if ((u & 0x7fffffffu) > 0x7f800000u)           /* NaN stays NaN */
        return (sc_bf16){(uint16_t)((u >> 16) | 0x40u)};
    return (sc_bf16){(uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16)};
}

static inline float sc_f16_load(sc_f16 h)
{
    uint32_t sign = (uint32_t)(h.bits & 0x8000u) << 16, rest = h.bits & 0x7fffu;
    if (rest >= 0x7c00u)                           /* Inf, NaN */
        return sc_bits_float(sign | 0x7f800000u | ((rest & 0x3ffu) << 13));
    /* 2^112 restores the exponent bias and makes denormals come out right */
    return sc_bits_float(sign | sc_float_bits(sc_bits_float(rest << 13) * 0x1p112f));
}

static inline sc_f16 sc_f16_store(float f)
{
    uint32_t u = sc_float_bits(f), sign = (u >> 16) & 0x8000u, a = u & 0x7fffffffu;
    if (a > 0x7f800000u) return (sc_f16){(uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu))};
    if (a >= 0x477ff000u) return (sc_f16){(uint16_t)(sign | 0x7c00u)};   /* rounds past 65504 */
    if (a < 0x38800000u) {                         /* denormal: the addition rounds for us */
        float r = sc_bits_float(a) + 0.5f;
        return (sc_f16){(uint16_t)(sign | (sc_float_bits(r) - 0x3f000000u))};
    }
    a += 0xc8000fffu + ((a >> 13) & 1u);           /* rebias by -112, round to nearest even */
    return (sc_f16){(uint16_t)(sign | (a >> 13))};
}

#endif
