/*
 * inspect.h - looks into the stores of a stopped aggregator: `aggregator digest` and `verify`.
 *
 * One line a partition on stdout: "p3 offset 1200 digest 0f… ok". Both return the exit status: 0,
 * 66 when there is nothing, 82 when a partition is damaged.
 */
#pragma once

int inspect_digest(const char *data, const char *bucket);
int inspect_verify(const char *data, const char *bucket);
