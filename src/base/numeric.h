/*
 * numeric.h
 *		What a numeric looks like in a row, as utils/adt/numeric.c writes it.
 *
 * The format on disk has not changed since PostgreSQL 9.1, and jsonb holds it.
 */
#ifndef KIN_TR_BASE_NUMERIC_H
#define KIN_TR_BASE_NUMERIC_H

#include "postgres.h"

#include "utils/numeric.h"

#include "base/compat.h"

/* Of its short form. */
#define NUMERIC_SHORT_FLAG			0x8000
#define NUMERIC_SPECIAL_FLAGS		0xC000
#define NUMERIC_SHORT_SIGN			0x2000
#define NUMERIC_SHORT_SCALE			0x1F80
#define NUMERIC_SHORT_SCALE_SHIFT	7
#define NUMERIC_SHORT_WEIGHT_SIGN	0x0040
#define NUMERIC_SHORT_WEIGHT		0x003F

/* Of its long form, whose weight follows. */
#define NUMERIC_LONG_SCALE			0x3FFF

/*
 * How far it reaches to both sides of the point: the power of 10,000 of its first
 * digit, and the decimal places that are printed.
 */
static inline void
kt_numeric_extent(Numeric numeric, int *weight, int *scale)
{
	char	   *data = VARDATA_ANY(numeric);
	uint16		header;
	int16		long_weight;

	memcpy(&header, data, sizeof(uint16));
	if ((header & NUMERIC_SPECIAL_FLAGS) == NUMERIC_SPECIAL_FLAGS)
		*weight = *scale = 0;	/* NaN and infinity, which jsonb has not */
	else if ((header & NUMERIC_SPECIAL_FLAGS) == NUMERIC_SHORT_FLAG)
	{
		*scale = (header & NUMERIC_SHORT_SCALE) >> NUMERIC_SHORT_SCALE_SHIFT;
		*weight = header & NUMERIC_SHORT_WEIGHT;
		if (header & NUMERIC_SHORT_WEIGHT_SIGN)
			*weight -= NUMERIC_SHORT_WEIGHT + 1;
	}
	else
	{
		memcpy(&long_weight, data + sizeof(uint16), sizeof(int16));
		*scale = header & NUMERIC_LONG_SCALE;
		*weight = long_weight;
	}
}

#endif							/* KIN_TR_BASE_NUMERIC_H */
