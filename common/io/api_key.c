#include "common/io/api_key.h"

#include "common/base/fault.h"
#include "common/base/secret.h"

#include <openssl/evp.h>
#include <openssl/rand.h>
#include <assert.h>
#include <pthread.h>
#include <string.h>
#include <zlib.h>

enum { PREFIX = 3, MODE = 4, SECRET_LENGTH = 27, CHECKSUM_LENGTH = 6 };
enum { ID_AT = PREFIX + MODE + 1, SECRET_AT = ID_AT + API_KEY_ID_LENGTH + 1 };
enum { CHECKSUM_AT = SECRET_AT + SECRET_LENGTH + 1 };

static const char letters[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

static void write_checksum(const char *key, char text[CHECKSUM_LENGTH])
{
    unsigned long checksum = crc32(0, (const unsigned char *)key, CHECKSUM_AT - 1);

    for (int i = CHECKSUM_LENGTH - 1; i >= 0; i--) {
        text[i] = letters[checksum % 62];
        checksum /= 62;
    }
}

/* Random letters; bytes that would make some likelier than others are left out. */
static int write_random(char *text, size_t length)
{
    size_t written = 0;

    while (written < length) {
        uint8_t byte;

        if (RAND_bytes(&byte, 1) != 1)
            return fault(FAULT_RETRY, "the system gives no random bytes");
        if (byte < 4 * 62)
            text[written++] = letters[byte % 62];
    }
    return 0;
}

int api_key_new(enum api_key_mode mode, char key[API_KEY_LENGTH + 1])
{
    char made[API_KEY_LENGTH + 1] = "mk_";
    int r;

    memcpy(made + PREFIX, mode == API_KEY_LIVE ? "live" : "test", MODE);
    made[ID_AT - 1] = made[SECRET_AT - 1] = made[CHECKSUM_AT - 1] = '_';
    r = write_random(made + ID_AT, API_KEY_ID_LENGTH);
    if (!r)
        r = write_random(made + SECRET_AT, SECRET_LENGTH);
    if (r)
        return fault_pass(r);
    write_checksum(made, made + CHECKSUM_AT);
    memcpy(key, made, sizeof(made));
    OPENSSL_cleanse(made, sizeof(made));
    return 0;
}

static bool is_letter(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool are_letters(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (!is_letter(text[i]))
            return false;
    return true;
}

bool api_key_split(struct text key, enum api_key_mode *mode, struct text *id)
{
    bool is_live;

    if (key.length != API_KEY_LENGTH || memcmp(key.at, "mk_", PREFIX) != 0)
        return false;
    is_live = memcmp(key.at + PREFIX, "live", MODE) == 0;
    if (!is_live && memcmp(key.at + PREFIX, "test", MODE) != 0)
        return false;
    if (key.at[ID_AT - 1] != '_' || key.at[SECRET_AT - 1] != '_' || key.at[CHECKSUM_AT - 1] != '_')
        return false;
    *mode = is_live ? API_KEY_LIVE : API_KEY_TEST;
    *id = text_from(key.at + ID_AT, API_KEY_ID_LENGTH);
    return true;
}

bool api_key_parse(struct text key, enum api_key_mode *mode, struct text *id)
{
    char checksum[CHECKSUM_LENGTH];
    enum api_key_mode found_mode;
    struct text found_id;

    if (!api_key_split(key, &found_mode, &found_id))
        return false;
    if (!are_letters(found_id.at, API_KEY_ID_LENGTH) ||
        !are_letters(key.at + SECRET_AT, SECRET_LENGTH))
        return false;
    write_checksum(key.at, checksum);
    if (memcmp(checksum, key.at + CHECKSUM_AT, CHECKSUM_LENGTH) != 0)
        return false;
    *mode = found_mode;
    *id = found_id;
    return true;
}

/* SHA256() looks the algorithm up by its name each time, which takes longer than hashing a key. */
static EVP_MD *sha256;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

void api_key_digest(struct text key, uint8_t digest[API_KEY_DIGEST_BYTES])
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    int rc = 0;

    pthread_once(&once, fetch_sha256);
    if (sha256)
        rc = EVP_Digest(key.at, key.length, digest, NULL, sha256, NULL);
    assert(rc == 1);
}

bool api_key_equal(const char *a, const char *b)
{
    return secret_equal(a, b, API_KEY_LENGTH);
}

bool api_key_digest_equal(const uint8_t a[API_KEY_DIGEST_BYTES],
                          const uint8_t b[API_KEY_DIGEST_BYTES])
{
    return secret_equal(a, b, API_KEY_DIGEST_BYTES);
}
