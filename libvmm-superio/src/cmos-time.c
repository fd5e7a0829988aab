/* SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause */
/* Between seconds since 1970 and the registers of the CMOS clock. Pure functions. */
#include "cmos.h"

#define HOUR_PM 0x80u

/* Alarm fields: any value, or none that a clock ever has. */
#define ANY (-1)
#define NEVER (-2)

static uint8_t to_reg(uint32_t value, uint8_t b)
{
	return b & B_BINARY ? (uint8_t)value : (uint8_t)(value / 10 << 4 | value % 10);
}

static uint32_t from_reg(uint8_t reg, uint8_t b)
{
	return b & B_BINARY ? reg : (uint32_t)(reg >> 4) * 10 + (reg & 0x0fu);
}

static uint8_t hour_to_reg(uint32_t hour, uint8_t b)
{
	uint32_t twelve = hour % 12 ? hour % 12 : 12;

	if (b & B_24H)
		return to_reg(hour, b);
	return to_reg(twelve, b) | (hour >= 12 ? HOUR_PM : 0);
}

static uint32_t hour_from_reg(uint8_t reg, uint8_t b)
{
	uint32_t hour;

	if (b & B_24H)
		return from_reg(reg, b);
	hour = from_reg(reg & 0x7f, b);
	if (hour > 12)
		return 24; /* no hour */
	return hour % 12 + (reg & HOUR_PM ? 12 : 0);
}

static uint32_t limit(uint32_t value, uint32_t min, uint32_t max)
{
	return value < min ? min : value > max ? max : value;
}

static int64_t floor_day(int64_t seconds)
{
	int64_t day = seconds / CMOS_DAY;

	return seconds % CMOS_DAY < 0 ? day - 1 : day;
}

int64_t cmos_limit(int64_t seconds)
{
	int64_t first = rtc_days(0, 1, 1) * CMOS_DAY;
	int64_t last = (rtc_days(9999, 12, 31) + 1) * CMOS_DAY - 1;

	return seconds < first ? first : seconds > last ? last : seconds;
}

/* 0 is Sunday; 1970-01-01 was a Thursday. */
static uint32_t weekday(int64_t days)
{
	return (uint32_t)(((days + 4) % 7 + 7) % 7);
}

uint8_t cmos_encode(int64_t seconds, uint8_t weekday_shift, uint8_t b, uint8_t index)
{
	int64_t days;
	uint32_t of_day, month, day;
	int32_t year;

	seconds = cmos_limit(seconds);
	days = floor_day(seconds);
	of_day = (uint32_t)(seconds - days * CMOS_DAY);
	switch (index) {
	case REG_SECONDS:
		return to_reg(of_day % 60, b);
	case REG_MINUTES:
		return to_reg(of_day / 60 % 60, b);
	case REG_HOURS:
		return hour_to_reg(of_day / 3600, b);
	case REG_WEEKDAY:
		return to_reg((weekday(days) + weekday_shift) % 7 + 1, b);
	default:
		break;
	}

	rtc_date(days, &year, &month, &day);
	switch (index) {
	case REG_DAY:
		return to_reg(day, b);
	case REG_MONTH:
		return to_reg(month, b);
	case REG_YEAR:
		return to_reg((uint32_t)year % 100, b);
	default:
		return to_reg((uint32_t)year / 100, b);
	}
}

int64_t cmos_decode(const uint8_t *memory, uint8_t *weekday_shift)
{
	uint8_t b = memory[REG_B];
	uint32_t month = limit(from_reg(memory[REG_MONTH], b), 1, 12);
	int32_t year = (int32_t)(limit(from_reg(memory[REG_CENTURY], b), 0, 99) * 100 +
				 limit(from_reg(memory[REG_YEAR], b), 0, 99));
	uint32_t day = limit(from_reg(memory[REG_DAY], b), 1, rtc_month_len(year, month));
	uint32_t wday = limit(from_reg(memory[REG_WEEKDAY], b), 1, 7) - 1;
	int64_t days = rtc_days(year, month, day);

	*weekday_shift = (uint8_t)((wday + 7 - weekday(days)) % 7);
	return days * CMOS_DAY +
	       limit(hour_from_reg(memory[REG_HOURS], b), 0, 23) * 3600 +
	       limit(from_reg(memory[REG_MINUTES], b), 0, 59) * 60 +
	       limit(from_reg(memory[REG_SECONDS], b), 0, 59);
}

static int32_t alarm_field(uint8_t reg, uint32_t value, uint32_t max)
{
	if ((reg & 0xc0) == 0xc0)
		return ANY;
	return value > max ? NEVER : (int32_t)value;
}

/* The first time of day from @from on that has the given fields, or -1. */
static int32_t next_match(const int32_t field[3], int32_t from)
{
	int32_t h = from / 3600, m = from / 60 % 60, s = from % 60;

	for (; h < 24; h++, m = 0, s = 0) {
		if (field[0] != ANY && field[0] != h)
			continue;
		for (; m < 60; m++, s = 0) {
			if (field[1] != ANY && field[1] != m)
				continue;
			if (field[2] == ANY)
				return h * 3600 + m * 60 + s;
			if (field[2] >= s)
				return h * 3600 + m * 60 + field[2];
		}
	}
	return -1;
}

int64_t cmos_next_alarm(const uint8_t *memory, int64_t after)
{
	uint8_t b = memory[REG_B], hour = memory[REG_HOURS_ALARM];
	int32_t field[3] = {
		alarm_field(hour, hour_from_reg(hour, b), 23),
		alarm_field(memory[REG_MINUTES_ALARM],
			    from_reg(memory[REG_MINUTES_ALARM], b), 59),
		alarm_field(memory[REG_SECONDS_ALARM],
			    from_reg(memory[REG_SECONDS_ALARM], b), 59),
	};
	int64_t day = floor_day(after + 1);
	int32_t at;

	if (field[0] == NEVER || field[1] == NEVER || field[2] == NEVER)
		return INT64_MAX;

	at = next_match(field, (int32_t)(after + 1 - day * CMOS_DAY));
	if (at < 0) {
		day++;
		at = next_match(field, 0);
	}
	return day * CMOS_DAY + at;
}
