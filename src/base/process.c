/*
 * process.c
 *		What lower rooms may ask of the processes.
 */
#include "postgres.h"

#include "base/process.h"

bool		(*kt_router_expected_hook) (void) = NULL;
bool		(*kt_relay_expected_hook) (void) = NULL;

bool
kt_router_is_expected(void)
{
	return kt_router_expected_hook != NULL && kt_router_expected_hook();
}

bool
kt_relay_is_expected(void)
{
	return kt_relay_expected_hook != NULL && kt_relay_expected_hook();
}
