/*
 * heap.h - what malloc does with freed memory, in processes that run for months.
 *
 * What Kafka sends comes in blocks of megabytes. By itself malloc takes each from the system and
 * gives it back, and the system clears every page of the next one: a fifth of what reading costs.
 * Told to keep them, malloc never gives anything back, and a process that has read one backlog
 * stays as large as it was then. So blocks are kept, and what lies unused goes back every
 * HEAP_GIVE_BACK_SECONDS: to clear those pages anew so seldom costs nothing.
 *
 * Threads    heap_tend from the first thread, at its start. It begins one of its own, since giving
 *            back takes milliseconds. heap_give_back any.
 */
#pragma once

enum { HEAP_GIVE_BACK_SECONDS = 10 };

void heap_tend(void);
void heap_give_back(void); /* now */
