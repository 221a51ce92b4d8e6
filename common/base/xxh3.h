/*
 * xxh3.h - XXH3 of long texts with the widest instructions that the machine has.
 *
 * On x86 the library chooses among them at run time where it was built to; the hashes are the same.
 *
 * Threads    Any: those that ask first at once all write the same choice, each pointer as a whole.
 */
#pragma once

#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#else
#include <xxhash.h>
#endif
