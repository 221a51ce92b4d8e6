/*
 * partition.c - the vectors of Kafka's own UtilsTest.testMurmur2.
 */
#include "common/base/partition.h"

#include <criterion/criterion.h>

Test(partition, hashes_as_kafkas_java_client_does)
{
    static const struct {
        const char *key;
        int32_t murmur2;
    } vectors[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
    };

    /* modulo 2^31-1 nothing of the positive hash is lost */
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++)
        cr_assert_eq(partition_of(text_of(vectors[i].key), INT32_MAX),
                     vectors[i].murmur2 & 0x7fffffff, "%s", vectors[i].key);
    cr_assert_eq(partition_of(text_of("abc"), 7), 479470107 % 7);
    cr_assert_eq(partition_of(text_of(""), 1), 0);
}
