/*
 * guc.h
 *		Every setting of kin_tr.
 */
#ifndef KIN_TR_BASE_GUC_H
#define KIN_TR_BASE_GUC_H

#include "postgres.h"

extern char *kt_workspace_setting;	/* kin_tr.workspace */
extern int	kt_max_attributes_size;	/* kin_tr.max_attributes_size, kB */
extern int	kt_event_retention;	/* kin_tr.event_retention, days */
extern int	kt_history_retention;	/* kin_tr.history_retention, days */
extern bool kt_bell_lists_events;	/* kin_tr.bell_lists_events */
extern int	kt_launcher_interval;	/* kin_tr.launcher_interval, s */
extern int	kt_sweep_interval;	/* kin_tr.sweep_interval, s */
extern bool kt_background_workers;	/* kin_tr.background_workers */
extern char *kt_instance;		/* kin_tr.instance; empty: not set */
extern int	kt_debug_far_behind;	/* kin_tr.debug_far_behind, events */

extern int	kt_debug_fits;		/* kin_tr.debug_fits */

extern void kt_guc_define(void);

#endif							/* KIN_TR_BASE_GUC_H */
