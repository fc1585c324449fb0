/*
 * spi.h
 *		How C code of kin_tr runs its SQL: prepared once, as the owner.
 */
#ifndef KIN_TR_BASE_SPI_H
#define KIN_TR_BASE_SPI_H

#include "postgres.h"

#include "executor/spi.h"

#include "base/sid.h"

/*
 * One statement, kept beside the function that uses it.  Each letter of types
 * is a parameter: s sid, S sid[], t text, T text[], j jsonb, b boolean,
 * B bytea, i integer, I bigint, z timestamptz, u uuid, x xid8, X xid8[], f double precision,
 * p tid.
 *
 *		static KtPlan lock_task = {"SELECT ... WHERE sid = $1 FOR UPDATE", "s"};
 */
typedef struct KtPlan
{
	const char *sql;
	const char *types;
	SPIPlanPtr	plan;
} KtPlan;

/*
 * Runs a statement inside kt_spi_begin() .. kt_spi_end() and returns the number
 * of rows; results are in SPI_tuptable.  nulls may be NULL where no value is.
 */
extern uint64 kt_spi(KtPlan *plan, Datum *values, const char *nulls);
extern uint64 kt_spi_read(KtPlan *plan, Datum *values, const char *nulls, uint64 limit);

/*
 * The same, but sees what has been committed by now, whatever the transaction's
 * isolation: for what is remembered beyond its end.
 */
extern uint64 kt_spi_latest(KtPlan *plan, Datum *values, const char *nulls);

/*
 * While it is set, all statements and rows go by what is committed now, as under READ
 * COMMITTED they do anyway: for a turn of routing, whatever the isolation of who calls it.
 */
extern void kt_see_latest(bool latest);
extern bool kt_sees_latest(void);

/*
 * kin_tr's own statements run as the extension's owner, so that no role needs
 * a right on a table: between these two, and nowhere else.  An error undoes
 * the switch with the transaction.  Calls nest.
 */
typedef struct KtSpi
{
	Oid			caller;
	int			security_context;
} KtSpi;

extern void kt_spi_begin(KtSpi *spi);
extern void kt_spi_end(KtSpi *spi);

/* Columns of a row of SPI_tuptable, from 1; pointers live as long as it. */
extern Datum kt_column(uint64 row, int column, bool *isnull);
extern bool kt_column_is_null(uint64 row, int column);
extern KtSid kt_column_sid(uint64 row, int column);	/* all zero where null */
extern int32 kt_column_int32(uint64 row, int column);	/* 0 where null */
extern int64 kt_column_int64(uint64 row, int column);
extern bool kt_column_bool(uint64 row, int column);
extern char *kt_column_cstring(uint64 row, int column);	/* text; copied; NULL where null */

/* The extension's schema and the type sid in this database. */
extern Oid	kt_schema_oid(void);
extern Oid	kt_schema_owner(void);
extern Oid	kt_sid_type_oid(void);

/* A kin_tr.sid[], in the current memory context. */
extern Datum kt_sid_array(const KtSid *sids, int n);
extern Oid	kt_type_oid(char letter);	/* of a parameter's letter */
extern Oid	kt_relation_oid(const char *name);	/* an error where it is missing */
extern bool kt_extension_exists(void);

extern Datum kt_text_datum(const char *string);	/* palloc'd text */

#endif							/* KIN_TR_BASE_SPI_H */
