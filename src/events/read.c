/*
 * read.c
 *		The event log for users: events_since() and what goes with it.
 *
 * A batch that is cut at max cannot be described by a snapshot, so its cursor
 * is from/to/after/last/dropped: the snapshot it started from, the one it reads
 * up to, the last id given, the last to give, and what retention had dropped by
 * then.  The next call goes on in the order of ids between the two; when nothing
 * is left, the cursor is "to".  To cut by transaction instead
 * would break the order of an object's events.
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"
#include "utils/xid8.h"

#include "base/access.h"
#include "base/clock.h"
#include "base/errors.h"
#include "base/limits.h"
#include "base/spi.h"
#include "base/text.h"
#include "events/cursor.h"
#include "events/era.h"
#include "events/event.h"

PG_FUNCTION_INFO_V1(kin_tr_event);
PG_FUNCTION_INFO_V1(kin_tr_current_cursor);
PG_FUNCTION_INFO_V1(kin_tr_events_since);

static KtSid
sid_argument(FunctionCallInfo fcinfo, int argument)
{
	KtSid		null = {{0}};

	return PG_ARGISNULL(argument) ? null : *PG_GETARG_SID_P(argument);
}

/*
 * _event(event_type, workspace, resource, data, worker, task_queue, workflow,
 * task_channel, worker_document) -> id: for functions in PL/pgSQL.
 */
Datum
kin_tr_event(PG_FUNCTION_ARGS)
{
	KtEvent		event = {0};

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("event_type must not be null")));
	event.type = text_to_cstring(PG_GETARG_TEXT_PP(0));
	event.id = kt_event_id();
	event.date = kt_now();
	event.workspace = sid_argument(fcinfo, 1);
	event.resource = sid_argument(fcinfo, 2);
	event.data = PG_ARGISNULL(3) ? NULL : PG_GETARG_JSONB_P(3);
	event.worker = sid_argument(fcinfo, 4);
	event.task_queue = sid_argument(fcinfo, 5);
	event.workflow = sid_argument(fcinfo, 6);
	event.task_channel = sid_argument(fcinfo, 7);
	event.worker_document = PG_ARGISNULL(8) ? 0 : PG_GETARG_INT64(8);
	kt_event_add(&event);
	kt_events_flush();
	PG_RETURN_INT64(event.id);
}

/* current_cursor() -> text: one that has seen all that is visible now. */
Datum
kin_tr_current_cursor(PG_FUNCTION_ARGS)
{
	KtCursor	cursor = kt_cursor_current();

	PG_RETURN_TEXT_P(cstring_to_text(kt_cursor_print(&cursor)));
}

/* Where a batch goes on: between from and to, behind an id, up to another. */
typedef struct Batch
{
	KtCursor	from;
	KtCursor	to;
	int64		after;
	int64		last;
	int64		dropped;		/* the highest id among those dropped at its beginning */
	bool		known;			/* the eras of both cursors */
	bool		empty;
} Batch;

static void
refuse_cursor(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid cursor: \"%s\"", kt_text_excerpt(text)),
			 errhint("Use what events_since() or current_cursor() returned, or NULL for the oldest.")));
}

static bool
parse_id(const char *text, int64 *id)
{
	char	   *end;

	errno = 0;
	*id = strtoi64(text, &end, 10);
	return errno == 0 && *end == '\0' && end != text;
}

/* from/to/after/last/dropped; false where text is not of that form. */
static bool
parse_batch(char *text, Batch *batch)
{
	bool		from_known;
	char	   *parts[5];

	for (int i = 0; i < lengthof(parts); i++)
	{
		parts[i] = text;
		text = strchr(text, '/');
		if ((text == NULL) != (i == lengthof(parts) - 1))
			return false;
		if (text != NULL)
			*text++ = '\0';
	}
	if (!kt_cursor_parse(parts[0], &batch->from, &from_known) ||
		!kt_cursor_parse(parts[1], &batch->to, &batch->known))
		return false;
	batch->known = batch->known && from_known;
	return parse_id(parts[2], &batch->after) && parse_id(parts[3], &batch->last) &&
		parse_id(parts[4], &batch->dropped);
}

/* Error KT010 where events that the cursor has not seen have been dropped. */
static void
refuse_expired(const KtCursor *cursor, const KtDropped *dropped)
{
	if (kt_cursor_is_expired(cursor, dropped))
		ereport(ERROR,
				(errcode(KT_ERRCODE_CURSOR_EXPIRED),
				 errmsg("the cursor is older than the events that are kept"),
				 errdetail("Events that it has not seen were dropped by kin_tr.event_retention."),
				 errhint("Read the state from the tables, and go on from current_cursor().")));
}

/* A standby that has not replayed what its primary has given out already. */
static void
refuse_early(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("what the cursor leads on to is not yet here"),
			 errdetail("It comes from a server that this standby is behind of."),
			 errhint("Try again when the standby has caught up, or read from that server.")));
}

/*
 * Ids of transactions of an era that is not this database's mean nothing here;
 * nor do those that are yet to be given out.  A standby may have yet to hear of
 * an era.
 */
static void
refuse_foreign(const KtCursor *cursor, bool known)
{
	bool		over;
	bool		foreign;

	if (!known && RecoveryInProgress() && cursor->era.number > kt_era_last(&over, &foreign).number)
		refuse_early();
	if (!known)
		ereport(ERROR,
				(errcode(KT_ERRCODE_CURSOR_EXPIRED),
				 errmsg("the cursor is of an era of events that this database does not know"),
				 errdetail("It comes from another database, or from after the backup that this one was restored from."),
				 errhint("Read the state from the tables, and go on from current_cursor().")));
	if (kt_cursor_is_ahead(cursor))
		ereport(ERROR,
				(errcode(KT_ERRCODE_CURSOR_EXPIRED),
				 errmsg("the cursor is ahead of this database"),
				 errdetail("It has seen a transaction that has yet to come: this is a copy of the database that it is of, or a crash has undone what was not yet on the disk."),
				 errhint("Read the state from the tables, and go on from current_cursor(). In a copy its owner calls begin_era() first.")));
}

/* Where a batch goes on: its cursors are parsed. */
static void
continue_batch(Batch *batch, const KtDropped *dropped)
{
	refuse_foreign(&batch->to, batch->known);
	/* What had been given, or dropped before, is no loss. */
	if (dropped->id > Max(batch->after, batch->dropped))
		refuse_expired(&batch->from, dropped);
	batch->empty = batch->after >= batch->last;
	if (!batch->empty && !kt_cursor_is_here(&batch->from, &batch->to))
		refuse_early();
}

/* A fresh cursor, or one within a batch. */
static void
open_batch(char *text, Batch *batch)
{
	KtDropped	dropped = kt_cursor_dropped();
	KtCursor	now;

	memset(batch, 0, sizeof(Batch));
	if (text == NULL)
		batch->from = kt_cursor_oldest();
	else if (strchr(text, '/') != NULL)
	{
		if (!parse_batch(pstrdup(text), batch))
			refuse_cursor(text);
		continue_batch(batch, &dropped);
		return;
	}
	else if (!kt_cursor_parse(text, &batch->from, &batch->known))
		refuse_cursor(text);
	if (text != NULL)
	{
		refuse_foreign(&batch->from, batch->known);
		refuse_expired(&batch->from, &dropped);
	}
	batch->dropped = dropped.id;
	/* A standby may be behind the server that the cursor is from. */
	now = kt_cursor_at_snapshot();
	batch->to = kt_cursor_union(&batch->from, &now);
	if (kt_cursor_ids(&batch->from, &batch->to, &batch->after, &batch->last))
		batch->after--;
	else
		batch->empty = true;
}

static const char *
resource_type(const KtSid *sid)
{
	static const char *const types[][2] = {
		{KT_TASK, "task"}, {KT_RESERVATION, "reservation"}, {KT_WORKER, "worker"},
		{KT_TASK_QUEUE, "taskqueue"}, {KT_WORKFLOW, "workflow"}, {KT_ACTIVITY, "activity"},
		{KT_TASK_CHANNEL, "taskchannel"}, {KT_WORKSPACE, "workspace"}
	};

	for (int i = 0; i < lengthof(types); i++)
		if (kt_sid_is(sid, types[i][0]))
			return types[i][1];
	return "other";
}

/* A sentence for people: "task-queue.entered" becomes "Task queue entered". */
static char *
description(const char *type)
{
	char	   *text = pstrdup(type);

	text[0] = pg_toupper((unsigned char) text[0]);
	for (char *c = text; *c != '\0'; c++)
		if (*c == '.' || *c == '-')
			*c = ' ';
	return text;
}

/* The workspace that an event is told of with; its name is today's. */
typedef struct Workspace
{
	KtSid		sid;
	KtSid		account;
	char	   *name;			/* NULL: deleted since */
} Workspace;

/* Looks it up, unless it is the same as for the event before. */
static void
find_workspace(Workspace *workspace, const KtSid *sid)
{
	static KtPlan plan = {"SELECT account_sid, friendly_name FROM kin_tr.workspaces WHERE sid = $1", "s"};
	Datum		values[] = {SidPGetDatum(sid)};

	if (kt_sid_equal(&workspace->sid, sid))
		return;
	if (workspace->name != NULL)
		pfree(workspace->name);
	memset(workspace, 0, sizeof(Workspace));
	workspace->sid = *sid;
	if (kt_spi_read(&plan, values, NULL, 1) > 0)
	{
		workspace->account = kt_column_sid(0, 1);
		workspace->name = kt_column_cstring(0, 2);
	}
	SPI_freetuptable(SPI_tuptable);
}

/* The data of an event; NULL where it is gone. */
static Jsonb *
read_document(int64 id)
{
	static KtPlan plan = {"SELECT data FROM kin_tr.events WHERE id = $1", "I"};
	Datum		values[] = {Int64GetDatum(id)};
	Jsonb	   *document = NULL;
	bool		isnull;

	if (kt_spi_read(&plan, values, NULL, 1) > 0 && !kt_column_is_null(0, 1))
		document = DatumGetJsonbPCopy(kt_column(0, 1, &isnull));
	SPI_freetuptable(SPI_tuptable);
	return document;
}

/* One row of the log, as read_page() reads it. */
typedef struct Row
{
	int64		id;
	int32		era;
	uint64		xid;
	TimestampTz recorded_at;
	TimestampTz date;
	KtSid		workspace;
	char	   *type;
	KtSid		resource;
	KtSid		sids[6];
	int64		task_document;
	int64		worker_document;
	char	   *actor;
	Datum		data;			/* jsonb, large ones still out of line; 0: none */
} Row;

static const char *const sid_names[] = {
	"task_sid", "reservation_sid", "worker_sid", "workflow_sid", "task_queue_sid", "task_channel_sid"
};

#define TASK_QUEUE_SID 4

/* Bytes: the largest that kin_tr.max_attributes_size allows. */
#define MAX_PRINTED (64 * 1024 * 1024)

/* A batch ends behind the event with which it has become so long. */
#define MAX_BATCH_BYTES (16 * 1024 * 1024)

static bool
has_prefix(const JsonbValue *key, const char *prefix)
{
	return key->val.string.len >= strlen(prefix) &&
		memcmp(key->val.string.val, prefix, strlen(prefix)) == 0;
}

/*
 * A value that cannot be told, larger as text than any that is let in: it is null,
 * and a key beside it says so, for one such event must not be an error for all.
 */
static bool
is_too_large(const JsonbValue *value)
{
	return value->type == jbvString ? value->val.string.len > MAX_PRINTED :
		kt_limit_printed(value->val.binary.data, MAX_PRINTED) > MAX_PRINTED;
}

static void
add_omission(KtData *data, const char *key)
{
	kt_data_null(data, key);
	kt_data_string(data, psprintf("%s_omitted", key), psprintf("more than %d bytes", MAX_PRINTED));
}

/*
 * Copies the keys with a prefix, or without another; attributes, objects
 * inside, become strings of JSON.
 */
static void
add_keys(KtData *data, Jsonb *source, const char *with, const char *without)
{
	JsonbIterator *iterator = JsonbIteratorInit(&source->root);
	JsonbValue	value;
	JsonbIteratorToken token;
	char	   *key = NULL;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			key = has_prefix(&value, with) && (without == NULL || !has_prefix(&value, without)) ?
				pnstrdup(value.val.string.val, value.val.string.len) : NULL;
		else if (token != WJB_VALUE || key == NULL ||
				 (value.type != jbvString && value.type != jbvBinary))
			continue;
		else if (is_too_large(&value))
			add_omission(data, key);
		else if (value.type == jbvString)
			kt_data_string(data, key, pnstrdup(value.val.string.val, value.val.string.len));
		else
			kt_data_string(data, key, JsonbToCString(NULL, value.val.binary.data, value.val.binary.len));
	}
}

/*
 * What an event has from that of its task's attributes: these, and where it
 * has no data of its own, all of it but what tells of a queue that it is not in.
 */
static void
add_task_document(KtData *data, const Row *row)
{
	Jsonb	   *document = row->task_document == 0 ? NULL : read_document(row->task_document);

	if (document == NULL)
		return;
	if (row->data != (Datum) 0)
		add_keys(data, document, "task_attributes", NULL);
	else
		add_keys(data, document, "", kt_sid_is_null(&row->sids[TASK_QUEUE_SID]) ? "task_queue_" : NULL);
}

static void
add_worker_document(KtData *data, const Row *row)
{
	Jsonb	   *document = row->worker_document == 0 ? NULL : read_document(row->worker_document);

	if (document != NULL)
		add_keys(data, document, "worker_attributes", NULL);
}

/* Twilio's event_data: the row's own, its sids, and what it points to. */
static Jsonb *
event_data(const Row *row, const Workspace *workspace)
{
	KtData		data;

	kt_data_begin(&data);
	kt_data_sid(&data, "workspace_sid", &row->workspace);
	kt_data_string(&data, "workspace_name", workspace->name);
	for (int i = 0; i < lengthof(sid_names); i++)
		kt_data_sid(&data, sid_names[i], &row->sids[i]);
	if (row->data != (Datum) 0)
		add_keys(&data, DatumGetJsonbP(row->data), "", NULL);
	add_task_document(&data, row);
	add_worker_document(&data, row);
	return kt_data_end(&data);
}

/* What a reader asks for besides the cursor. */
typedef struct Filter
{
	Datum		values[3];		/* workspaces sid[], types text[], resource sid */
	char		nulls[3];
} Filter;

/* Rows that are read together, and what holds them. */
typedef struct Portion
{
	MemoryContext context;
	SPITupleTable *table;
	int			n;
	Row		   *rows;
} Portion;

static void
free_portion(Portion *portion)
{
	SPI_freetuptable(portion->table);
	MemoryContextDelete(portion->context);
}

/* The next rows behind an id that the filter lets through. */
static Portion *
read_portion(const Batch *batch, const Filter *filter, int size)
{
	static KtPlan plan = {
		"SELECT id, era, xid, recorded_at, event_date, workspace_sid, event_type, resource_sid,"
		" task_sid, reservation_sid, worker_sid, workflow_sid, task_queue_sid, task_channel_sid,"
		" task_document, worker_document, actor, data FROM kin_tr.events"
		" WHERE id > $1 AND id <= $2"
		"   AND ($4::kin_tr.sid[] IS NULL OR workspace_sid = ANY ($4))"
		"   AND ($5::text[] IS NULL OR event_type = ANY ($5))"
		"   AND ($6::kin_tr.sid IS NULL OR $6 IN (resource_sid, task_sid, reservation_sid, worker_sid,"
		"        workflow_sid, task_queue_sid, task_channel_sid))"
		" ORDER BY id LIMIT $3", "IIiSTs"
	};
	Datum		values[6] = {
		Int64GetDatum(batch->after), Int64GetDatum(batch->last), Int32GetDatum(size),
		filter->values[0], filter->values[1], filter->values[2]
	};
	char		nulls[6] = {' ', ' ', ' ', filter->nulls[0], filter->nulls[1], filter->nulls[2]};
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "kin_tr events", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(context);
	Portion    *portion = palloc(sizeof(Portion));
	bool		isnull;

	portion->context = context;
	portion->n = (int) kt_spi_read(&plan, values, nulls, 0);
	portion->table = SPI_tuptable;
	portion->rows = palloc0(sizeof(Row) * Max(portion->n, 1));
	for (int i = 0; i < portion->n; i++)
	{
		Row		   *row = &portion->rows[i];

		row->id = kt_column_int64(i, 1);
		row->era = kt_column_int32(i, 2);
		row->xid = U64FromFullTransactionId(DatumGetFullTransactionId(kt_column(i, 3, &isnull)));
		row->recorded_at = kt_column_int64(i, 4);
		row->date = kt_column_int64(i, 5);
		row->workspace = kt_column_sid(i, 6);
		row->type = kt_column_cstring(i, 7);
		row->resource = kt_column_sid(i, 8);
		for (int j = 0; j < lengthof(sid_names); j++)
			row->sids[j] = kt_column_sid(i, 9 + j);
		row->task_document = kt_column_int64(i, 15);
		row->worker_document = kt_column_int64(i, 16);
		row->actor = kt_column_cstring(i, 17);
		if (!kt_column_is_null(i, 18))
			row->data = kt_column(i, 18, &isnull);
	}
	MemoryContextSwitchTo(old);
	return portion;
}

/*
 * What it takes of memory, which attributes can make much, is given back.  Returns
 * the size of what can be large: its data, and the cursor, which may name thousands
 * of transactions.
 */
static Size
put_row(ReturnSetInfo *rsinfo, const Batch *batch, Row *row, Workspace *workspace, bool final)
{
	MemoryContext old = CurrentMemoryContext;
	MemoryContext context = AllocSetContextCreate(old, "kin_tr event", ALLOCSET_DEFAULT_SIZES);
	Datum		values[12];
	bool		nulls[12] = {false};
	Jsonb	   *data;
	Size		size;
	KtSid		sid = kt_sid_of_event(row->recorded_at, row->id);
	char	   *cursor;

	find_workspace(workspace, &row->workspace);
	MemoryContextSwitchTo(context);
	cursor = final ? kt_cursor_print(&batch->to) :
		psprintf("%s/%s/" INT64_FORMAT "/" INT64_FORMAT "/" INT64_FORMAT, kt_cursor_print(&batch->from),
				 kt_cursor_print(&batch->to), row->id, batch->last, batch->dropped);
	values[0] = kt_text_datum(cursor);
	values[1] = SidPGetDatum(&sid);
	values[2] = kt_text_datum(row->type);
	values[3] = kt_text_datum(description(row->type));
	values[4] = TimestampTzGetDatum(row->date);
	values[5] = SidPGetDatum(&workspace->account);
	nulls[5] = kt_sid_is_null(&workspace->account);
	values[6] = SidPGetDatum(&row->workspace);
	nulls[6] = kt_sid_is_null(&row->workspace);
	values[7] = kt_text_datum(resource_type(&row->resource));
	values[8] = SidPGetDatum(&row->resource);
	nulls[8] = kt_sid_is_null(&row->resource);
	values[9] = row->actor ? kt_text_datum(row->actor) : (Datum) 0;
	nulls[9] = row->actor == NULL;
	data = event_data(row, workspace);
	size = VARSIZE(data) + strlen(cursor);
	values[10] = JsonbPGetDatum(data);
	values[11] = Int64GetDatum(row->id);
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(context);
	return size;
}

/*
 * Puts up to max rows, fewer where they are large, one behind, for only the last
 * row of a batch that is complete carries the cursor "to".  There may be a million
 * between two that are put, so a portion is kept no longer than the row held back.
 */
static void
put_batch(ReturnSetInfo *rsinfo, Batch *batch, const Filter *filter, int max)
{
	Workspace	workspace = {0};
	Row		   *held = NULL;
	Portion    *portion_of_held = NULL;
	Size		size = 0;
	int			put = 0;

	while (!batch->empty)
	{
		int			most = Min(max + 1, 1000);
		Portion    *portion = read_portion(batch, filter, most);

		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < portion->n; i++)
		{
			Row		   *row = &portion->rows[i];

			batch->after = row->id;
			if (kt_cursor_saw(&batch->from, row->era, row->xid) || !kt_cursor_saw(&batch->to, row->era, row->xid))
				continue;
			if (held != NULL)
			{
				size += put_row(rsinfo, batch, held, &workspace, false);
				if (++put == max || size >= MAX_BATCH_BYTES)
					return;
			}
			if (portion_of_held != NULL && portion_of_held != portion)
				free_portion(portion_of_held);
			held = row;
			portion_of_held = portion;
		}
		batch->empty = portion->n < most;
		if (portion_of_held != portion)
			free_portion(portion);
	}
	if (held != NULL)
		(void) put_row(rsinfo, batch, held, &workspace, true);
}

/* A misspelt type would never come. */
static void
check_types(ArrayType *types)
{
	Datum	   *values;
	bool	   *nulls;
	int			n;

	deconstruct_array(types, TEXTOID, -1, false, TYPALIGN_INT, &values, &nulls, &n);
	for (int i = 0; i < n; i++)
	{
		char	   *type;

		if (!nulls[i])
			kt_limit_text(values[i], "types");
		type = nulls[i] ? "NULL" : TextDatumGetCString(values[i]);
		if (!kt_event_type_exists(type))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("there is no event of type \"%s\"", kt_text_excerpt(type)),
					 errhint("Types are Twilio's, such as task.created; docs/sql.md lists them.")));
	}
}

/* The workspaces that the caller may read and asks for; NULL: all there are. */
static void
fill_filter(FunctionCallInfo fcinfo, Filter *filter)
{
	memset(filter, 0, sizeof(Filter));
	memset(filter->nulls, 'n', sizeof(filter->nulls));
	if (!kt_access_readable(PG_ARGISNULL(4) ? NULL : PG_GETARG_TEXT_PP(4), &filter->values[0]))
		filter->nulls[0] = ' ';
	if (!PG_ARGISNULL(2))
	{
		check_types(PG_GETARG_ARRAYTYPE_P(2));
		filter->values[1] = PG_GETARG_DATUM(2);
		filter->nulls[1] = ' ';
	}
	if (!PG_ARGISNULL(3))
	{
		char	   *name = kt_limit_argument(fcinfo, 3, "resource");
		KtSid	   *sid = palloc(sizeof(KtSid));

		if (!kt_sid_parse(name, strlen(name), sid))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
					 errmsg("invalid sid of a resource: \"%s\"", kt_text_excerpt(name)),
					 errhint("A sid is two capital letters and 32 hexadecimal digits.")));
		filter->values[2] = SidPGetDatum(sid);
		filter->nulls[2] = ' ';
	}
}

/* events_since(cursor text, max integer, types text[], resource text, workspace text) */
Datum
kin_tr_events_since(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	int			max = PG_ARGISNULL(1) ? 1000 : PG_GETARG_INT32(1);
	char	   *cursor = kt_limit_argument(fcinfo, 0, "cursor");
	Filter		filter;
	Batch		batch;
	KtSpi		spi;

	InitMaterializedSRF(fcinfo, 0);
	if (max < 1 || max > 100000)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("max must be from 1 to 100000, not %d", max),
				 errhint("Leave it out for 1000; next_cursor leads on from any number.")));
	fill_filter(fcinfo, &filter);
	/* Dropping a partition heeds no snapshot: none may be dropped behind this one. */
	kt_log_lock();
	kt_spi_begin(&spi);
	PushActiveSnapshot(GetLatestSnapshot());
	open_batch(cursor, &batch);
	put_batch(rsinfo, &batch, &filter, max);
	PopActiveSnapshot();
	kt_spi_end(&spi);
	return (Datum) 0;
}
