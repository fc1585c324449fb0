-- ------------------------------------------------------------------- events
CREATE TABLE kin_tr.event_eras (
    number            integer PRIMARY KEY,
    system_identifier bigint NOT NULL,
    timeline          integer NOT NULL,
    begun_at          timestamptz NOT NULL,
    origin            integer NOT NULL,
    first_xid         xid8 NOT NULL
);
COMMENT ON TABLE kin_tr.event_eras IS
    'Spans in which transaction ids mean the same; a restore or failover begins a new one';
COMMENT ON COLUMN kin_tr.event_eras.number IS 'rises; the seconds since 2000 when it began, so that copies of a database begin different ones';
COMMENT ON COLUMN kin_tr.event_eras.system_identifier IS 'of the cluster, as in pg_control_system()';
COMMENT ON COLUMN kin_tr.event_eras.timeline IS 'of the WAL';
COMMENT ON COLUMN kin_tr.event_eras.begun_at IS 'when, by the real clock';
COMMENT ON COLUMN kin_tr.event_eras.origin IS 'number of the first era before it whose transaction ids go on in it; its own after a restore into another cluster';
COMMENT ON COLUMN kin_tr.event_eras.first_xid IS 'of the transaction that began it: ids below had been given out before';

-- Ids are drawn in sixteens, all for one call: see src/events/event.c.
CREATE SEQUENCE kin_tr.events_id_seq INCREMENT BY 16;

-- The parent has columns and policies only, each partition its own key and
-- indexes.
CREATE TABLE kin_tr.events (
    id               bigint NOT NULL,
    xid              xid8 NOT NULL,
    era              integer NOT NULL,
    recorded_at      timestamptz NOT NULL,
    event_date       timestamptz NOT NULL,
    workspace_sid    kin_tr.sid,
    event_type       text NOT NULL,
    resource_sid     kin_tr.sid,
    task_sid         kin_tr.sid,
    reservation_sid  kin_tr.sid,
    worker_sid       kin_tr.sid,
    workflow_sid     kin_tr.sid,
    task_queue_sid   kin_tr.sid,
    task_channel_sid kin_tr.sid,
    task_document    bigint,
    worker_document  bigint,
    actor            text,
    data             jsonb
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE kin_tr.events IS
    'What happened, in Twilio''s event types; read it with events_since(), which also fills in attributes';
COMMENT ON COLUMN kin_tr.events.id IS 'rises with the order of an object''s events';
COMMENT ON COLUMN kin_tr.events.xid IS 'transaction that wrote it';
COMMENT ON COLUMN kin_tr.events.era IS 'event_eras.number: what xid is relative to';
COMMENT ON COLUMN kin_tr.events.recorded_at IS 'when it was written, by the real clock; the partition''s key';
COMMENT ON COLUMN kin_tr.events.event_date IS 'when it happened, by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.events.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.events.event_type IS 'Twilio''s name: task.created, reservation.accepted ...';
COMMENT ON COLUMN kin_tr.events.resource_sid IS 'what it happened to';
COMMENT ON COLUMN kin_tr.events.task_sid IS 'the task, where one is concerned';
COMMENT ON COLUMN kin_tr.events.reservation_sid IS 'the reservation, where one is concerned';
COMMENT ON COLUMN kin_tr.events.worker_sid IS 'the worker, where one is concerned';
COMMENT ON COLUMN kin_tr.events.workflow_sid IS 'the task''s workflow';
COMMENT ON COLUMN kin_tr.events.task_queue_sid IS 'the task''s queue at that moment';
COMMENT ON COLUMN kin_tr.events.task_channel_sid IS 'the task''s channel';
COMMENT ON COLUMN kin_tr.events.task_document IS 'id of the event whose data has the task''s attributes of that moment';
COMMENT ON COLUMN kin_tr.events.worker_document IS 'id of the event whose data has the worker''s attributes of that moment';
COMMENT ON COLUMN kin_tr.events.actor IS 'role that caused it; NULL: a background worker';
COMMENT ON COLUMN kin_tr.events.data IS 'the rest, under the names of Twilio''s event_data, values as strings; NULL: as that of task_document';

CREATE TABLE kin_tr.events_default PARTITION OF kin_tr.events DEFAULT;
ALTER TABLE kin_tr.events_default ADD CONSTRAINT events_default_pkey PRIMARY KEY (id);
CREATE INDEX events_default_era_xid ON kin_tr.events_default (era, xid, id);
COMMENT ON TABLE kin_tr.events_default IS 'events of the first days, before dated partitions begin';

-- Up to which event the log has been cut by retention, so that a cursor from
-- before is an error and not a gap.
CREATE TABLE kin_tr.events_dropped (
    era integer NOT NULL,
    xid xid8 NOT NULL,
    id  bigint NOT NULL,
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE kin_tr.events_dropped IS 'how far retention has dropped events; at most one row';
COMMENT ON COLUMN kin_tr.events_dropped.era IS 'of their last transaction, its era';
COMMENT ON COLUMN kin_tr.events_dropped.xid IS 'and its id';
COMMENT ON COLUMN kin_tr.events_dropped.id IS 'the highest events.id among them';
COMMENT ON COLUMN kin_tr.events_dropped.only_row IS 'true: there is one row at most';

-- The relay's place in the log, and the router's count of missed edges: one row.
CREATE TABLE kin_tr.relay_state (
    cursor   text NOT NULL,
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row)
) WITH (fillfactor = 20);
COMMENT ON TABLE kin_tr.relay_state IS 'up to where the bell has been rung; one row';
COMMENT ON COLUMN kin_tr.relay_state.cursor IS 'a cursor as events_since() takes it';
COMMENT ON COLUMN kin_tr.relay_state.only_row IS 'true: there is one row at most';

CREATE FUNCTION kin_tr._begin_era() RETURNS integer
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_begin_era'
    SET search_path = pg_catalog, kin_tr, pg_temp SET lock_timeout = '1s';

CREATE FUNCTION kin_tr._event(event_type text, workspace kin_tr.sid, resource kin_tr.sid,
                              data jsonb, worker kin_tr.sid DEFAULT NULL,
                              task_queue kin_tr.sid DEFAULT NULL,
                              workflow kin_tr.sid DEFAULT NULL,
                              task_channel kin_tr.sid DEFAULT NULL,
                              worker_document bigint DEFAULT NULL) RETURNS bigint
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_event'
    SET search_path = pg_catalog, kin_tr, pg_temp;

CREATE FUNCTION kin_tr.events_since(cursor text DEFAULT NULL, max integer DEFAULT 1000,
                                    types text[] DEFAULT NULL, resource text DEFAULT NULL,
                                    workspace text DEFAULT NULL)
    RETURNS TABLE (next_cursor text, sid kin_tr.sid, event_type text, description text,
                   event_date timestamptz, account_sid kin_tr.sid, workspace_sid kin_tr.sid,
                   resource_type text, resource_sid kin_tr.sid, actor text, event_data jsonb, id bigint)
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_events_since'
    SET search_path = pg_catalog, kin_tr, pg_temp;
CREATE FUNCTION kin_tr.current_cursor() RETURNS text
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_current_cursor'
    SET search_path = pg_catalog, kin_tr, pg_temp;
COMMENT ON FUNCTION kin_tr.events_since IS
'Events that a cursor has not seen, in the order of their ids, at most max (1 to 100000), and fewer where they are
longer than 16 MB; when none comes there is no more. cursor: NULL for the
oldest kept, or the next_cursor of the last event that was dealt with; where there was none, the same cursor again.
types, resource (a SID, of any role in the event) and workspace narrow them down. No event is skipped and none comes
twice, whatever commits in which order; the caller''s own uncommitted ones are not among them. Errors: KT010 where
retention has dropped some that the cursor has not seen, or it is of another database or ahead of this one; on a
standby 55000 where the rest of its batch is not yet there; 22023, 22P02, 42704, 54000. Locks nothing. Needs access of kind reader.';
COMMENT ON FUNCTION kin_tr.current_cursor() IS
'A cursor that has seen all that is visible now: events_since() goes on from here. Needs access of kind reader
somewhere.';

-- Wakes the workers at commit, for what is no event.
CREATE FUNCTION kin_tr._wake() RETURNS void
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_wake'
    SET search_path = pg_catalog, kin_tr, pg_temp;
