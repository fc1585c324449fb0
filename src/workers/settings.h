/*
 * settings.h
 *		What a process goes by, whatever the cluster, its database or its role
 *		have set.
 */
#ifndef KIN_TR_WORKERS_SETTINGS_H
#define KIN_TR_WORKERS_SETTINGS_H

#include "postgres.h"

/* Before it connects to its database, whose settings and its role's come then. */
extern void kt_settings_remember(void);

/* After that. */
extern void kt_settings_pin(const char *application_name, bool asynchronous);

#endif							/* KIN_TR_WORKERS_SETTINGS_H */
