/*
 * fuzz_file.c - any bytes as a catalog file: it is refused with issues, or what it means is stable:
 * applied a second time, every record is the same.
 */
#include "invoicer/rules/catalog_diff.h"
#include "invoicer/rules/catalog_file.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>

static bool apply(struct catalog_state *state, struct text file, struct catalog_changes *changes)
{
    struct issues issues = {0};
    json_t *strict = catalog_file_read(file, state, &issues);
    bool is_fine = strict && issues.errors == 0;

    assert(strict || issues.errors > 0);
    if (is_fine)
        catalog_changes_of(strict, state, changes);
    issues_deinit(&issues);
    json_decref(strict);
    return is_fine;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
    struct text file = text_from(bytes, length);
    struct catalog_changes first = {0}, second = {0};
    struct catalog_state state;

    catalog_state_init(&state);
    if (apply(&state, file, &first)) {
        for (size_t i = 0; i < first.count; i++) {
            json_t *record = json_loads(first.at[i].record, 0, NULL);

            assert(record);
            catalog_state_put(&state, first.at[i].key, record);
        }
        assert(apply(&state, file, &second));
        assert(second.added == 0 && second.changed == 0 && second.same == first.count);
    }
    catalog_changes_deinit(&first);
    catalog_changes_deinit(&second);
    catalog_state_deinit(&state);
    return 0;
}
