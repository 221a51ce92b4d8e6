/*
 * digits.c - the tables behind digits.h, and its long numbers.
 */
#include "common/base/digits.h"

const char digits_pairs[201] = "00010203040506070809101112131415161718192021222324"
                               "25262728293031323334353637383940414243444546474849"
                               "50515253545556575859606162636465666768697071727374"
                               "75767778798081828384858687888990919293949596979899";

const uint64_t digits_powers[DIGITS_MAX] = {
    1,
    10,
    100,
    1000,
    10000,
    100000,
    1000000,
    10000000,
    100000000,
    1000000000,
    10000000000,
    100000000000,
    1000000000000,
    10000000000000,
    100000000000000,
    1000000000000000,
    10000000000000000,
    100000000000000000,
    1000000000000000000,
    10000000000000000000u,
};

char *digits_write_many(char *at, uint64_t number)
{
    unsigned last = (unsigned)(number % 100000000);

    at = digits_write_all(at, number / 100000000);
    at = digits_write_four(at, last / 10000);
    return digits_write_four(at, last % 10000);
}
