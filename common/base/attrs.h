/*
 * attrs.h - the compiler attributes that this code uses, by the names of what they promise.
 */
#pragma once

#include <stddef.h>

/* The caller must look at the result. */
#define MUST_USE __attribute__((warn_unused_result))

/* The argument at `pattern` is a printf format for those from `first` on. */
#define PRINTF_LIKE(pattern, first) __attribute__((format(printf, pattern, first)))

/* Calls ending(&variable) when the variable's scope ends. */
#define CLEANUP(ending) __attribute__((cleanup(ending)))

/* In place wherever it is called, for what is asked so often that a call would be felt. */
#define ALWAYS_INLINE __attribute__((always_inline))

/* What it calls is in place, by which the compiler knows what it is called with. */
#define FLATTEN __attribute__((flatten, noinline))

/* Seldom called: out of line, so that the way around it stays a predicted branch. */
#define COLD __attribute__((cold, noinline))

#define ARRAY_LEN(array) (sizeof(array) / sizeof((array)[0]))

/* 128-bit integers are what quantities are made of; -Wpedantic wants the extension named. */
__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;
