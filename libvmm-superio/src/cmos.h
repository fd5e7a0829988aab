/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
#ifndef SIO_CMOS_H
#define SIO_CMOS_H

#include "rtc.h"

#define REG_SECONDS 0x00u
#define REG_SECONDS_ALARM 0x01u
#define REG_MINUTES 0x02u
#define REG_MINUTES_ALARM 0x03u
#define REG_HOURS 0x04u
#define REG_HOURS_ALARM 0x05u
#define REG_WEEKDAY 0x06u
#define REG_DAY 0x07u
#define REG_MONTH 0x08u
#define REG_YEAR 0x09u
#define REG_A 0x0au
#define REG_B 0x0bu
#define REG_C 0x0cu
#define REG_D 0x0du
#define REG_CENTURY VMM_SIO_CMOS_CENTURY

#define A_UIP 0x80u
#define A_DIVIDER 0x70u
#define A_RATE 0x0fu
#define B_SET 0x80u
#define B_PIE 0x40u
#define B_AIE 0x20u
#define B_UIE 0x10u
#define B_BINARY 0x04u
#define B_24H 0x02u
#define C_IRQF 0x80u
#define C_PF 0x40u
#define C_AF 0x20u
#define C_UF 0x10u
#define C_FLAGS 0x70u

#define CMOS_DAY 86400

struct vmm_sio_cmos {
	struct rtc rtc;
	/* While the clock runs, it was @seconds at @base; what memory[] has for the time
	 * is 0 then. While it stands, the time is in memory[], and @seconds is what it
	 * was. */
	uint64_t base;
	int64_t seconds;
	/* Seconds and periods that flags were set for already. */
	int64_t seen_second;
	uint64_t seen_period;
	uint8_t index;
	uint8_t weekday_shift;
	uint8_t memory[VMM_SIO_CMOS_LEN];
};

static inline bool cmos_is_time(uint8_t index)
{
	return index == REG_SECONDS || index == REG_MINUTES || index == REG_HOURS ||
	       (index >= REG_WEEKDAY && index <= REG_YEAR) || index == REG_CENTURY;
}

/* Keep @seconds within the years 0 to 9999. */
int64_t cmos_limit(int64_t seconds);

/* The byte of time register @index at @seconds, in the format that register B @b asks
 * for. */
uint8_t cmos_encode(int64_t seconds, uint8_t weekday_shift, uint8_t b, uint8_t index);

/* What the time registers in @memory say; what is no time is limited to one. */
int64_t cmos_decode(const uint8_t *memory, uint8_t *weekday_shift);

/* The first second after @after for which the alarm in @memory goes off; INT64_MAX: none.
 */
int64_t cmos_next_alarm(const uint8_t *memory, int64_t after);

#endif
