/*
 * errors.h
 *		The SQLSTATEs of class KT.  Where PostgreSQL has a fitting standard code
 *		(undefined_object, insufficient_privilege ...), that one is used instead.
 *		docs/sql.md lists them for users; test/sql/errors.sql raises each one.
 */
#ifndef KIN_TR_BASE_ERRORS_H
#define KIN_TR_BASE_ERRORS_H

#include "postgres.h"

/* a state machine has no such edge */
#define KT_ERRCODE_ILLEGAL_TRANSITION	MAKE_SQLSTATE('K','T','0','0','1')
/* if_version is not the row's version */
#define KT_ERRCODE_VERSION_MISMATCH		MAKE_SQLSTATE('K','T','0','0','2')
/* an idempotency key was used before, for another request */
#define KT_ERRCODE_KEY_REUSED			MAKE_SQLSTATE('K','T','0','0','3')
/* the workflow has no filter for the task, and no default filter */
#define KT_ERRCODE_NO_FILTER			MAKE_SQLSTATE('K','T','0','0','4')
/* an expression, an order_by or a reference does not parse */
#define KT_ERRCODE_INVALID_EXPRESSION	MAKE_SQLSTATE('K','T','0','0','5')
/* a workflow's configuration is not valid */
#define KT_ERRCODE_INVALID_WORKFLOW		MAKE_SQLSTATE('K','T','0','0','6')
/* the reservation has ended: timed out, rejected, canceled, rescinded */
#define KT_ERRCODE_RESERVATION_GONE		MAKE_SQLSTATE('K','T','0','0','7')
/* a background worker does this in this database, so the caller may not */
#define KT_ERRCODE_WORKER_ACTIVE		MAKE_SQLSTATE('K','T','0','0','8')
/* this database is a copy: see resume_after_restore() */
#define KT_ERRCODE_NOT_AT_HOME			MAKE_SQLSTATE('K','T','0','0','9')
/* events that the cursor has not seen are no longer kept, or it is another database's */
#define KT_ERRCODE_CURSOR_EXPIRED		MAKE_SQLSTATE('K','T','0','1','0')
/* the clock may not be set so */
#define KT_ERRCODE_CLOCK_REFUSED		MAKE_SQLSTATE('K','T','0','1','1')
/* which workspace is meant cannot be told */
#define KT_ERRCODE_WHICH_WORKSPACE		MAKE_SQLSTATE('K','T','0','1','2')

#endif							/* KIN_TR_BASE_ERRORS_H */
