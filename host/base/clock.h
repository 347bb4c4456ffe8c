/* Monotonic time in seconds, and the current UTC time as text. */
#ifndef HOST_BASE_CLOCK_H
#define HOST_BASE_CLOCK_H

double mien_seconds(void);
/* "2026-01-31T12:00:00Z" */
void mien_timestamp(char out[32]);

#endif
