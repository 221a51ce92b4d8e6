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
 *            back takes milliseconds. The others any; who fills holes while another thread
 *            opens some may be given one.
 */
#pragma once

enum { HEAP_GIVE_BACK_SECONDS = 10 };

void heap_tend(void);
void heap_give_back(void); /* now */

/*
 * Between the two, blocks of a MiB and more come untouched from the system, whoever asks: for a
 * library that makes large tables and uses little of them. malloc would put them where something
 * was freed and clear them, and all their pages stay. So such places are taken away meanwhile.
 */
struct heap_hole;
struct heap_hole *heap_fill_holes(void);
void heap_open_holes(struct heap_hole *holes);
