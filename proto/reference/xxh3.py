"""XXH3 with 64 bits in plain Python: slow, and independent of the C library that it checks."""
import struct

M64 = 2**64 - 1
P32_1, P32_2, P32_3 = 0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D
P64_1, P64_2, P64_3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
P64_4, P64_5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
SECRET = bytes.fromhex(
    "b8fe6c3923a44bbe7c01812cf721ad1cded46de9839097db7240a4a4b7b3671fcb79e64eccc0e578825ad07dccff7221"
    "b8084674f743248ee03590e6813a264c3c2852bb91c300cb88d0658b1b532ea371644897a20df94e3819ef46a9deacd8"
    "a8fa763fe39c343ff9dcbbc7c70b4f1d8a51e04bcdb45931c89f7ec9d9787364eac5ac8334d3ebc3c581a0fffa1363eb"
    "170ddd51b7f0da49d316552629d4689e2b16be587d47a1fc8ff8b8d17ad031ce45cb3a8f95160428afd7fbcabb4b407e")


def r32(bytes_, at=0):
    return struct.unpack_from("<I", bytes_, at)[0]


def r64(bytes_, at=0):
    return struct.unpack_from("<Q", bytes_, at)[0]


def swap64(value):
    return int.from_bytes(value.to_bytes(8, "little"), "big")


def rotate(value, by):
    return (value << by | value >> (64 - by)) & M64


def fold(a, b):
    product = a * b
    return (product & M64) ^ (product >> 64)


def avalanche(h):
    h ^= h >> 37
    h = h * 0x165667919E3779F9 & M64
    return h ^ h >> 32


def avalanche_64(h):
    h ^= h >> 33
    h = h * P64_2 & M64
    h ^= h >> 29
    h = h * P64_3 & M64
    return h ^ h >> 32


def mix(data, at, secret_at, seed):
    return fold(r64(data, at) ^ (r64(SECRET, secret_at) + seed & M64),
                r64(data, at + 8) ^ (r64(SECRET, secret_at + 8) - seed & M64))


def short(data, seed):
    n = len(data)
    if n > 8:
        low = r64(data) ^ ((r64(SECRET, 24) ^ r64(SECRET, 32)) + seed & M64)
        high = r64(data, n - 8) ^ ((r64(SECRET, 40) ^ r64(SECRET, 48)) - seed & M64)
        return avalanche(n + swap64(low) + high + fold(low, high) & M64)
    if n >= 4:
        seed ^= int.from_bytes((seed & 0xFFFFFFFF).to_bytes(4, "little"), "big") << 32
        flip = (r64(SECRET, 8) ^ r64(SECRET, 16)) - seed & M64
        h = (r32(data, n - 4) + (r32(data) << 32)) ^ flip
        h ^= rotate(h, 49) ^ rotate(h, 24)
        h = h * 0x9FB21C651E98DF25 & M64
        h ^= (h >> 35) + n
        h = h * 0x9FB21C651E98DF25 & M64
        return h ^ h >> 28
    if n:
        combined = data[0] << 16 | data[n >> 1] << 24 | data[n - 1] | n << 8
        return avalanche_64(combined ^ ((r32(SECRET) ^ r32(SECRET, 4)) + seed & M64))
    return avalanche_64(seed ^ r64(SECRET, 56) ^ r64(SECRET, 64))


def middle(data, seed):
    n = len(data)
    acc = n * P64_1
    if n <= 128:
        for i in range((n - 1) // 32, -1, -1):
            acc += mix(data, 16 * i, 32 * i, seed) + mix(data, n - 16 * (i + 1), 32 * i + 16, seed)
        return avalanche(acc & M64)
    for i in range(8):
        acc += mix(data, 16 * i, 16 * i, seed)
    acc = avalanche(acc & M64)
    for i in range(8, n // 16):
        acc += mix(data, 16 * i, 16 * (i - 8) + 3, seed)
    return avalanche(acc + mix(data, n - 16, 136 - 17, seed) & M64)


def stripe(acc, data, at, secret, secret_at):
    for i, word in enumerate(struct.unpack_from("<8Q", data, at)):
        key = word ^ r64(secret, secret_at + 8 * i)
        acc[i ^ 1] = acc[i ^ 1] + word & M64
        acc[i] = acc[i] + (key & 0xFFFFFFFF) * (key >> 32) & M64


def scramble(acc, secret):
    for i in range(8):
        acc[i] = ((acc[i] ^ acc[i] >> 47) ^ r64(secret, 128 + 8 * i)) * P32_1 & M64


def long(data, seed):
    n = len(data)
    secret = b"".join(struct.pack("<QQ", r64(SECRET, 16 * i) + seed & M64,
                                  r64(SECRET, 16 * i + 8) - seed & M64) for i in range(12))
    acc = [P32_3, P64_1, P64_2, P64_3, P64_4, P32_2, P64_5, P32_1]
    blocks = (n - 1) // 1024
    for block in range(blocks):
        for i in range(16):
            stripe(acc, data, 1024 * block + 64 * i, secret, 8 * i)
        scramble(acc, secret)
    for i in range((n - 1 - 1024 * blocks) // 64):
        stripe(acc, data, 1024 * blocks + 64 * i, secret, 8 * i)
    stripe(acc, data, n - 64, secret, 192 - 64 - 7)
    result = n * P64_1
    for i in range(4):
        result += fold(acc[2 * i] ^ r64(secret, 11 + 16 * i), acc[2 * i + 1] ^ r64(secret, 19 + 16 * i))
    return avalanche(result & M64)


def xxh3_64(data, seed=0):
    if len(data) <= 16:
        return short(data, seed)
    return middle(data, seed) if len(data) <= 240 else long(data, seed)
