-- --------------------------------------------------- routing: configuration
-- An empty table whose relcache invalidation tells every backend to forget
-- the configuration that it keeps; see src/routing/config.c.
CREATE TABLE kin_tr.config_signal (only_row boolean PRIMARY KEY);
COMMENT ON TABLE kin_tr.config_signal IS 'empty; tells backends that configuration has changed';
COMMENT ON COLUMN kin_tr.config_signal.only_row IS 'there is none';

CREATE FUNCTION kin_tr._config_changed() RETURNS trigger
    LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'kin_tr_config_changed'
    SET search_path = pg_catalog, kin_tr, pg_temp;

-- No table has a foreign key: pg_restore -j fills the tables of an extension in any
-- order.  What one would see to, the functions do under locks (40_configuration.sql
-- says which), and check() proves it.
CREATE TABLE kin_tr.home (
    system_identifier bigint NOT NULL,
    database_oid      oid NOT NULL,
    instance          text,
    since             timestamptz NOT NULL DEFAULT clock_timestamp(),
    only_row          boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE kin_tr.home IS
    'The database that may act: a copy of it routes, rings and sends nothing until resume_after_restore()';
COMMENT ON COLUMN kin_tr.home.system_identifier IS 'of the cluster';
COMMENT ON COLUMN kin_tr.home.database_oid IS 'of the database';
COMMENT ON COLUMN kin_tr.home.instance IS
    'what kin_tr.instance was set to when it became home; where the setting is another the database is a copy; NULL: it was not set';
COMMENT ON COLUMN kin_tr.home.since IS 'when it became home, by the real clock';
COMMENT ON COLUMN kin_tr.home.only_row IS 'true: there is one row at most';

CREATE TABLE kin_tr.router_state (
    missed_edges bigint NOT NULL DEFAULT 0,
    last_sweep   timestamptz,
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row)
);
COMMENT ON TABLE kin_tr.router_state IS 'what the router tells health(); one row';
COMMENT ON COLUMN kin_tr.router_state.missed_edges IS 'assignments that only the sweep found; 0, or the router has a fault';
COMMENT ON COLUMN kin_tr.router_state.last_sweep IS 'when the sweep last ran, by the real clock';
COMMENT ON COLUMN kin_tr.router_state.only_row IS 'true: there is one row at most';
INSERT INTO kin_tr.router_state DEFAULT VALUES;

-- "scope" is in the key, as no null can be; not generated, for publications leave out what is.
CREATE TABLE kin_tr.access (
    role          name NOT NULL,
    role_oid      oid NOT NULL,
    kind          text NOT NULL CHECK (kind IN ('reader', 'app', 'supervisor', 'admin')),
    workspace_sid kin_tr.sid,
    scope         text NOT NULL CHECK (scope = coalesce(workspace_sid::text, 'all')),
    PRIMARY KEY (role, role_oid, kind, scope)
);
COMMENT ON TABLE kin_tr.access IS 'Who may do what; written by grant_access() and revoke_access()';
COMMENT ON COLUMN kin_tr.access.role IS 'the role that it was given to; it counts only while the role of this OID has this name';
COMMENT ON COLUMN kin_tr.access.role_oid IS 'its OID';
COMMENT ON COLUMN kin_tr.access.kind IS 'reader, app, supervisor or admin; each may do what those before it may';
COMMENT ON COLUMN kin_tr.access.workspace_sid IS 'NULL: every workspace';
COMMENT ON COLUMN kin_tr.access.scope IS 'the workspace, or all';

-- What grant_access() has given by PostgreSQL's GRANT, so that revoke_access() takes
-- back nothing that somebody else has given.
CREATE TABLE kin_tr.access_grants (
    role      name NOT NULL,
    role_oid  oid NOT NULL,
    privilege text NOT NULL,
    PRIMARY KEY (role, role_oid, privilege)
);
COMMENT ON TABLE kin_tr.access_grants IS 'Which of PostgreSQL''s privileges roles have by grant_access(); written by it and revoke_access()';
COMMENT ON COLUMN kin_tr.access_grants.role IS 'the role';
COMMENT ON COLUMN kin_tr.access_grants.role_oid IS 'its OID';
COMMENT ON COLUMN kin_tr.access_grants.privilege IS 'as in GRANT: EXECUTE ON FUNCTION ...';

CREATE TABLE kin_tr.workspaces (
    sid                    kin_tr.sid PRIMARY KEY,
    account_sid            kin_tr.sid NOT NULL,
    friendly_name          text NOT NULL UNIQUE,
    default_activity_sid   kin_tr.sid,
    timeout_activity_sid   kin_tr.sid,
    event_callback_url     text,
    events_filter          text,
    multi_task_enabled     boolean NOT NULL DEFAULT true,
    prioritize_queue_order text NOT NULL DEFAULT 'FIFO' CHECK (prioritize_queue_order IN ('FIFO', 'LIFO')),
    date_created           timestamptz NOT NULL,
    date_updated           timestamptz NOT NULL,
    version                bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE kin_tr.workspaces IS 'A contact centre: the frame of everything else';
COMMENT ON COLUMN kin_tr.workspaces.sid IS 'WS...';
COMMENT ON COLUMN kin_tr.workspaces.account_sid IS 'AC...; kin_tr''s own until the workspace is linked to a Twilio account';
COMMENT ON COLUMN kin_tr.workspaces.friendly_name IS 'its name, at most 64 characters';
COMMENT ON COLUMN kin_tr.workspaces.default_activity_sid IS 'activity of a new worker';
COMMENT ON COLUMN kin_tr.workspaces.timeout_activity_sid IS 'activity of a worker that let a reservation time out';
COMMENT ON COLUMN kin_tr.workspaces.event_callback_url IS 'kept for Twilio''s clients; nothing is sent in local mode yet';
COMMENT ON COLUMN kin_tr.workspaces.events_filter IS 'comma list of event types for the callback';
COMMENT ON COLUMN kin_tr.workspaces.multi_task_enabled IS 'always true: single-tasking is refused';
COMMENT ON COLUMN kin_tr.workspaces.prioritize_queue_order IS 'which kind of queue a worker who fits both takes from first';
COMMENT ON COLUMN kin_tr.workspaces.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.workspaces.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.workspaces.version IS 'from 0, up by one at each change';

CREATE TABLE kin_tr.activities (
    sid           kin_tr.sid,
    workspace_sid kin_tr.sid NOT NULL,
    friendly_name text NOT NULL,
    available     boolean NOT NULL,
    date_created  timestamptz NOT NULL,
    date_updated  timestamptz NOT NULL,
    version       bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sid, workspace_sid),
    UNIQUE (workspace_sid, friendly_name)
);
COMMENT ON TABLE kin_tr.activities IS 'What a worker can be doing';
COMMENT ON COLUMN kin_tr.activities.sid IS 'WA...';
COMMENT ON COLUMN kin_tr.activities.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.activities.friendly_name IS 'its name, at most 64 characters';
COMMENT ON COLUMN kin_tr.activities.available IS 'whether workers in it get tasks; never changes';
COMMENT ON COLUMN kin_tr.activities.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.activities.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.activities.version IS 'from 0, up by one at each change';

CREATE TABLE kin_tr.task_channels (
    sid                       kin_tr.sid,
    workspace_sid             kin_tr.sid NOT NULL,
    friendly_name             text NOT NULL,
    unique_name               text NOT NULL CHECK (unique_name ~ '^[A-Za-z_$][A-Za-z0-9_$]*$'),
    channel_optimized_routing boolean NOT NULL DEFAULT false,
    date_created              timestamptz NOT NULL,
    date_updated              timestamptz NOT NULL,
    version                   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sid, workspace_sid),
    UNIQUE (workspace_sid, unique_name)
);
COMMENT ON TABLE kin_tr.task_channels IS 'Kinds of work that a worker has a capacity of its own for: voice, chat ...';
COMMENT ON COLUMN kin_tr.task_channels.sid IS 'TC...';
COMMENT ON COLUMN kin_tr.task_channels.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.task_channels.friendly_name IS 'its name, at most 64 characters';
COMMENT ON COLUMN kin_tr.task_channels.unique_name IS 'its name in expressions, and so of letters, digits, _ and $';
COMMENT ON COLUMN kin_tr.task_channels.channel_optimized_routing IS 'longest-idle counts per channel instead of per worker';
COMMENT ON COLUMN kin_tr.task_channels.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.task_channels.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.task_channels.version IS 'from 0, up by one at each change';

CREATE TABLE kin_tr.task_queues (
    sid                      kin_tr.sid,
    workspace_sid            kin_tr.sid NOT NULL,
    friendly_name            text NOT NULL,
    target_workers           text NOT NULL DEFAULT '1==1',
    max_reserved_workers     integer NOT NULL DEFAULT 1 CHECK (max_reserved_workers BETWEEN 1 AND 50),
    task_order               text NOT NULL DEFAULT 'FIFO' CHECK (task_order IN ('FIFO', 'LIFO')),
    reservation_activity_sid kin_tr.sid,
    assignment_activity_sid  kin_tr.sid,
    date_created             timestamptz NOT NULL,
    date_updated             timestamptz NOT NULL,
    version                  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sid, workspace_sid),
    UNIQUE (workspace_sid, friendly_name)
);
COMMENT ON TABLE kin_tr.task_queues IS 'Where tasks wait, and which workers serve them';
COMMENT ON COLUMN kin_tr.task_queues.sid IS 'WQ...';
COMMENT ON COLUMN kin_tr.task_queues.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.task_queues.friendly_name IS 'its name, at most 64 characters';
COMMENT ON COLUMN kin_tr.task_queues.target_workers IS 'expression over a worker''s attributes; empty: nobody, tasks just wait';
COMMENT ON COLUMN kin_tr.task_queues.max_reserved_workers IS 'to how many workers a task is offered at once, 1 to 50';
COMMENT ON COLUMN kin_tr.task_queues.task_order IS 'FIFO: by priority, then age; LIFO: newest first';
COMMENT ON COLUMN kin_tr.task_queues.reservation_activity_sid IS 'of single-tasking workspaces; kept, not used';
COMMENT ON COLUMN kin_tr.task_queues.assignment_activity_sid IS 'of single-tasking workspaces; kept, not used';
COMMENT ON COLUMN kin_tr.task_queues.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.task_queues.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.task_queues.version IS 'from 0, up by one at each change';

CREATE TABLE kin_tr.workflows (
    sid                              kin_tr.sid,
    workspace_sid                    kin_tr.sid NOT NULL,
    friendly_name                    text NOT NULL,
    configuration                    jsonb NOT NULL,
    current_version                  integer NOT NULL DEFAULT 1,
    evaluated_version                integer NOT NULL DEFAULT 1,
    assignment_callback_url          text,
    fallback_assignment_callback_url text,
    task_reservation_timeout         integer NOT NULL DEFAULT 120 CHECK (task_reservation_timeout BETWEEN 1 AND 86400),
    default_priority                 integer NOT NULL DEFAULT 0 CHECK (default_priority >= 0),
    date_created                     timestamptz NOT NULL,
    date_updated                     timestamptz NOT NULL,
    version                          bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (sid, workspace_sid),
    UNIQUE (workspace_sid, friendly_name)
);
COMMENT ON TABLE kin_tr.workflows IS 'Rules that put a task into a queue, and on to the next one';
COMMENT ON COLUMN kin_tr.workflows.sid IS 'WW...';
COMMENT ON COLUMN kin_tr.workflows.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.workflows.friendly_name IS 'its name, at most 64 characters';
COMMENT ON COLUMN kin_tr.workflows.configuration IS 'Twilio''s JSON, with queues by SID';
COMMENT ON COLUMN kin_tr.workflows.current_version IS 'workflow_versions.number that new tasks get';
COMMENT ON COLUMN kin_tr.workflows.evaluated_version IS
    'current_version when it was last updated with re_evaluate_tasks: a task of an earlier one that was reserved then is placed anew when it comes back';
COMMENT ON COLUMN kin_tr.workflows.assignment_callback_url IS 'kept for Twilio''s clients; nothing is sent in local mode yet';
COMMENT ON COLUMN kin_tr.workflows.fallback_assignment_callback_url IS 'kept for Twilio''s clients; nothing is sent in local mode yet';
COMMENT ON COLUMN kin_tr.workflows.task_reservation_timeout IS 'seconds that a worker has to answer, 1 to 86400';
COMMENT ON COLUMN kin_tr.workflows.default_priority IS 'kin_tr''s own: priority of tasks created without one';
COMMENT ON COLUMN kin_tr.workflows.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.workflows.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.workflows.version IS 'from 0, up by one at each change';

CREATE TABLE kin_tr.workflow_versions (
    workflow_sid  kin_tr.sid NOT NULL,
    workspace_sid kin_tr.sid NOT NULL,
    number        integer NOT NULL,
    configuration jsonb NOT NULL,
    date_created  timestamptz NOT NULL,
    PRIMARY KEY (workflow_sid, number)
);
COMMENT ON TABLE kin_tr.workflow_versions IS 'A task keeps the version of the workflow that it entered';
COMMENT ON COLUMN kin_tr.workflow_versions.workflow_sid IS 'the workflow';
COMMENT ON COLUMN kin_tr.workflow_versions.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.workflow_versions.number IS 'from 1';
COMMENT ON COLUMN kin_tr.workflow_versions.configuration IS 'as it was';
COMMENT ON COLUMN kin_tr.workflow_versions.date_created IS 'by kin_tr''s clock';

CREATE TABLE kin_tr.workers (
    sid                 kin_tr.sid,
    workspace_sid       kin_tr.sid NOT NULL,
    friendly_name       text NOT NULL,
    attributes          jsonb NOT NULL DEFAULT '{}',
    activity_sid        kin_tr.sid NOT NULL,
    date_created        timestamptz NOT NULL,
    date_updated        timestamptz NOT NULL,
    date_status_changed timestamptz NOT NULL,
    version             bigint NOT NULL DEFAULT 0,
    document            bigint NOT NULL,
    name_key            bytea NOT NULL,
    PRIMARY KEY (sid, workspace_sid),
    UNIQUE (workspace_sid, name_key)
) WITH (fillfactor = 70);
CREATE INDEX workers_activity ON kin_tr.workers (activity_sid);
COMMENT ON TABLE kin_tr.workers IS 'Who does the tasks: an agent, human or not';
COMMENT ON COLUMN kin_tr.workers.sid IS 'WK...';
COMMENT ON COLUMN kin_tr.workers.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.workers.friendly_name IS 'unique in the workspace whatever its case, at most 64 characters';
COMMENT ON COLUMN kin_tr.workers.attributes IS 'what expressions read of the worker';
COMMENT ON COLUMN kin_tr.workers.activity_sid IS 'what the worker is doing';
COMMENT ON COLUMN kin_tr.workers.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.workers.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.workers.date_status_changed IS 'when the activity last changed';
COMMENT ON COLUMN kin_tr.workers.version IS 'from 0, up by one at each change, of its channels too';
COMMENT ON COLUMN kin_tr.workers.document IS 'events.id of the event that has its attributes';
COMMENT ON COLUMN kin_tr.workers.name_key IS
    'friendly_name, case-folded by Unicode''s rules in UTF-8, whatever the database''s collation and encoding';

CREATE TABLE kin_tr.worker_channels (
    sid                 kin_tr.sid,
    workspace_sid       kin_tr.sid NOT NULL,
    worker_sid          kin_tr.sid NOT NULL,
    task_channel_sid    kin_tr.sid NOT NULL,
    configured_capacity integer NOT NULL DEFAULT 1 CHECK (configured_capacity BETWEEN 0 AND 32767),
    available           boolean NOT NULL DEFAULT true,
    last_reserved_at    timestamptz,
    date_created        timestamptz NOT NULL,
    date_updated        timestamptz NOT NULL,
    PRIMARY KEY (sid, workspace_sid),
    UNIQUE (worker_sid, task_channel_sid)
) WITH (fillfactor = 70);
COMMENT ON TABLE kin_tr.worker_channels IS 'How many tasks of a channel a worker takes at a time';
COMMENT ON COLUMN kin_tr.worker_channels.sid IS 'WC...';
COMMENT ON COLUMN kin_tr.worker_channels.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.worker_channels.worker_sid IS 'the worker';
COMMENT ON COLUMN kin_tr.worker_channels.task_channel_sid IS 'the channel';
COMMENT ON COLUMN kin_tr.worker_channels.configured_capacity IS 'open reservations at most; 0: none';
COMMENT ON COLUMN kin_tr.worker_channels.available IS 'whether the worker takes tasks of this channel at all';
COMMENT ON COLUMN kin_tr.worker_channels.last_reserved_at IS
    'the latest reservation among those that have moved to history; live ones are not in it';
COMMENT ON COLUMN kin_tr.worker_channels.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.worker_channels.date_updated IS 'by kin_tr''s clock';

DO $$
DECLARE
    t text;
BEGIN
    FOREACH t IN ARRAY ARRAY['access', 'workspaces', 'activities', 'task_channels', 'task_queues',
                             'workflows', 'workflow_versions'] LOOP
        EXECUTE format('CREATE TRIGGER _config_changed AFTER INSERT OR UPDATE OR DELETE OR TRUNCATE'
                       ' ON kin_tr.%I FOR EACH STATEMENT EXECUTE FUNCTION kin_tr._config_changed()', t);
    END LOOP;
END $$;

-- ----------------------------------------- routing: tasks and reservations
-- Creating a task locks no row of its parents, which costs a quarter of the whole:
-- deleting one checks instead, under a lock (src/routing/config.h).  Nor are there
-- CHECKs on the statuses: the executor would parse them anew at each statement,
-- and only the transition functions write these columns.
CREATE TABLE kin_tr.tasks (
    sid                     kin_tr.sid,
    workspace_sid           kin_tr.sid NOT NULL,
    version                 bigint NOT NULL,
    assignment_status       text NOT NULL,
    priority                integer NOT NULL,
    timeout                 integer NOT NULL,
    reason                  text,
    workflow_sid            kin_tr.sid,
    workflow_version        integer,
    workflow_filter         integer NOT NULL,
    workflow_target         integer NOT NULL,
    task_queue_sid          kin_tr.sid,
    task_channel_sid        kin_tr.sid NOT NULL,
    routing_target          kin_tr.sid,
    ignore_capacity         boolean NOT NULL,
    date_created            timestamptz NOT NULL,
    date_updated            timestamptz NOT NULL,
    task_queue_entered_date timestamptz,
    virtual_start_time      timestamptz NOT NULL,
    not_before              timestamptz,
    deadline_base           timestamptz NOT NULL,
    step_deadline           timestamptz,
    expires_at              timestamptz,
    wake_at                 timestamptz,
    step_tried              boolean NOT NULL,
    assignments             integer NOT NULL,
    open_reservations       integer NOT NULL,
    group_key               uuid,
    order_key1              bigint,
    order_key2              bigint,
    document                bigint NOT NULL,
    attributes              jsonb NOT NULL,
    finished_at             timestamptz,
    PRIMARY KEY (sid, workspace_sid)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX tasks_waiting ON kin_tr.tasks (group_key, order_key1, order_key2, sid)
    WHERE group_key IS NOT NULL;
CREATE INDEX tasks_untried ON kin_tr.tasks (sid) WHERE NOT step_tried AND group_key IS NOT NULL;
CREATE INDEX tasks_wake ON kin_tr.tasks (workspace_sid, wake_at, sid) WHERE wake_at IS NOT NULL;
CREATE INDEX tasks_finished ON kin_tr.tasks (finished_at, sid) WHERE finished_at IS NOT NULL;
-- Of a call's sid so much as an index row has room for, whatever somebody calls a sid.
CREATE INDEX tasks_call ON kin_tr.tasks (left(attributes ->> 'call_sid', 64)) WHERE attributes ? 'call_sid';
COMMENT ON TABLE kin_tr.tasks IS 'Tasks that are alive, and those that finished within the last five minutes';
COMMENT ON COLUMN kin_tr.tasks.sid IS 'WT...';
COMMENT ON COLUMN kin_tr.tasks.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.tasks.version IS 'from 0, up by one at each visible change';
COMMENT ON COLUMN kin_tr.tasks.assignment_status IS 'the state; see the diagram in docs/architecture.md';
COMMENT ON COLUMN kin_tr.tasks.priority IS '0 to 2^31-1, higher first; a workflow''s target may set it';
COMMENT ON COLUMN kin_tr.tasks.timeout IS 'seconds until an unassigned task is canceled';
COMMENT ON COLUMN kin_tr.tasks.reason IS 'why it was canceled or completed';
COMMENT ON COLUMN kin_tr.tasks.workflow_sid IS 'NULL where it is routed to a worker or queue directly';
COMMENT ON COLUMN kin_tr.tasks.workflow_version IS 'workflow_versions.number';
COMMENT ON COLUMN kin_tr.tasks.workflow_filter IS 'number of the filter that it stands in, from 0; one past the last is default_filter; -1: no workflow';
COMMENT ON COLUMN kin_tr.tasks.workflow_target IS 'number of the target in the filter, from 0';
COMMENT ON COLUMN kin_tr.tasks.task_queue_sid IS 'the queue that it is in';
COMMENT ON COLUMN kin_tr.tasks.task_channel_sid IS 'the channel whose capacity it takes';
COMMENT ON COLUMN kin_tr.tasks.routing_target IS 'worker, queue or workflow that it was routed to directly';
COMMENT ON COLUMN kin_tr.tasks.ignore_capacity IS 'routed to a worker whatever its capacity and availability';
COMMENT ON COLUMN kin_tr.tasks.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.tasks.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.tasks.task_queue_entered_date IS 'when it entered its queue';
COMMENT ON COLUMN kin_tr.tasks.virtual_start_time IS 'from when its age counts in the queue''s order';
COMMENT ON COLUMN kin_tr.tasks.not_before IS 'a callback is not offered before';
COMMENT ON COLUMN kin_tr.tasks.deadline_base IS 'entry into the workflow plus the time-outs of its steps so far';
COMMENT ON COLUMN kin_tr.tasks.step_deadline IS 'when it leaves the step that it is in';
COMMENT ON COLUMN kin_tr.tasks.expires_at IS 'when its TTL ends; of an assigned task, when the system deletes it';
COMMENT ON COLUMN kin_tr.tasks.wake_at IS 'when the router looks at it, at the latest';
COMMENT ON COLUMN kin_tr.tasks.finished_at IS 'when it was completed or canceled';
COMMENT ON COLUMN kin_tr.tasks.step_tried IS 'the router has looked at this step''s skip_if';
COMMENT ON COLUMN kin_tr.tasks.assignments IS 'how often it went from pending to reserved; canceled at 1000';
COMMENT ON COLUMN kin_tr.tasks.open_reservations IS 'of its reservations those that are pending, accepted or wrapping';
COMMENT ON COLUMN kin_tr.tasks.group_key IS 'hash of all that routing looks at; NULL where it does not wait';
COMMENT ON COLUMN kin_tr.tasks.order_key1 IS 'first key of the order in its group';
COMMENT ON COLUMN kin_tr.tasks.order_key2 IS 'second key of the order in its group';
COMMENT ON COLUMN kin_tr.tasks.document IS 'events.id of the event that has its attributes';
COMMENT ON COLUMN kin_tr.tasks.attributes IS 'what expressions read of the task';

CREATE TABLE kin_tr.reservations (
    sid                kin_tr.sid,
    workspace_sid      kin_tr.sid NOT NULL,
    version            bigint NOT NULL DEFAULT 0,
    reservation_status text NOT NULL,
    is_open            boolean NOT NULL DEFAULT true,
    task_sid           kin_tr.sid NOT NULL,
    worker_sid         kin_tr.sid NOT NULL,
    worker_name        text NOT NULL,
    task_channel_sid   kin_tr.sid NOT NULL,
    task_queue_sid     kin_tr.sid,
    workflow_sid       kin_tr.sid,
    date_created       timestamptz NOT NULL,
    date_updated       timestamptz NOT NULL,
    times_out_at       timestamptz,
    reason             text,
    PRIMARY KEY (sid, workspace_sid)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000);
CREATE INDEX reservations_task ON kin_tr.reservations (task_sid);
CREATE INDEX reservations_worker ON kin_tr.reservations (worker_sid, sid) WHERE is_open;
CREATE INDEX reservations_wake ON kin_tr.reservations (workspace_sid, times_out_at, sid) WHERE times_out_at IS NOT NULL;
-- Without it the planner takes "pending" for as rare among the open ones as it is
-- among all, and for a worker's next offer reads every dead row of the last minute.
CREATE STATISTICS kin_tr.reservations_open (mcv) ON is_open, reservation_status FROM kin_tr.reservations;
COMMENT ON TABLE kin_tr.reservations IS 'Offers of tasks to workers; they move to history with their task';
COMMENT ON COLUMN kin_tr.reservations.sid IS 'WR...';
COMMENT ON COLUMN kin_tr.reservations.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.reservations.version IS 'from 0, up by one at each change';
COMMENT ON COLUMN kin_tr.reservations.reservation_status IS 'the state; see the diagram in docs/architecture.md';
COMMENT ON COLUMN kin_tr.reservations.is_open IS 'pending, accepted or wrapping: it takes a slot of the worker''s channel';
COMMENT ON COLUMN kin_tr.reservations.task_sid IS 'the task';
COMMENT ON COLUMN kin_tr.reservations.worker_sid IS 'the worker';
COMMENT ON COLUMN kin_tr.reservations.worker_name IS 'its friendly name at that time';
COMMENT ON COLUMN kin_tr.reservations.task_channel_sid IS 'the channel whose capacity it takes';
COMMENT ON COLUMN kin_tr.reservations.task_queue_sid IS 'the queue that the task was in';
COMMENT ON COLUMN kin_tr.reservations.workflow_sid IS 'the task''s workflow';
COMMENT ON COLUMN kin_tr.reservations.date_created IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.reservations.date_updated IS 'by kin_tr''s clock';
COMMENT ON COLUMN kin_tr.reservations.times_out_at IS 'until when it can be accepted; means nothing once it has been';
COMMENT ON COLUMN kin_tr.reservations.reason IS 'why it was rejected';

CREATE TABLE kin_tr.idempotency_keys (
    workspace_sid kin_tr.sid NOT NULL,
    key           text NOT NULL,
    task_sid      kin_tr.sid NOT NULL,
    request_hash  bigint NOT NULL,
    recorded_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (workspace_sid, key)
);
CREATE INDEX idempotency_keys_recorded_at ON kin_tr.idempotency_keys (recorded_at);
COMMENT ON TABLE kin_tr.idempotency_keys IS 'Which request made which task; kept for seven days';
COMMENT ON COLUMN kin_tr.idempotency_keys.workspace_sid IS 'the workspace';
COMMENT ON COLUMN kin_tr.idempotency_keys.key IS 'the caller''s; a voice task''s is its call SID';
COMMENT ON COLUMN kin_tr.idempotency_keys.task_sid IS 'what the request made';
COMMENT ON COLUMN kin_tr.idempotency_keys.request_hash IS 'of all arguments, to tell another request under the same key';
COMMENT ON COLUMN kin_tr.idempotency_keys.recorded_at IS 'when, by the real clock';

-- ---------------------------------------------------------- routing: history
-- As the live tables, but with the names that a deleted object leaves behind.
CREATE TABLE kin_tr.task_history (
    recorded_at              timestamptz NOT NULL,
    sid                      kin_tr.sid NOT NULL,
    workspace_sid            kin_tr.sid NOT NULL,
    version                  bigint NOT NULL,
    assignment_status        text NOT NULL,
    priority                 integer NOT NULL,
    timeout                  integer NOT NULL,
    reason                   text,
    workflow_sid             kin_tr.sid,
    workflow_version         integer,
    workflow_friendly_name   text,
    task_queue_sid           kin_tr.sid,
    task_queue_friendly_name text,
    task_channel_sid         kin_tr.sid NOT NULL,
    task_channel_unique_name text,
    routing_target           kin_tr.sid,
    ignore_capacity          boolean NOT NULL,
    date_created             timestamptz NOT NULL,
    date_updated             timestamptz NOT NULL,
    task_queue_entered_date  timestamptz,
    virtual_start_time       timestamptz NOT NULL,
    not_before               timestamptz,
    finished_at              timestamptz,
    assignments              integer NOT NULL,
    attributes               jsonb NOT NULL
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE kin_tr.task_history IS 'Finished tasks, moved here five minutes after their end';
COMMENT ON COLUMN kin_tr.task_history.recorded_at IS 'when it was moved, by the real clock; the partition''s key';
COMMENT ON COLUMN kin_tr.task_history.workflow_friendly_name IS 'the workflow''s name when it was moved';
COMMENT ON COLUMN kin_tr.task_history.task_queue_friendly_name IS 'the queue''s name when it was moved';
COMMENT ON COLUMN kin_tr.task_history.task_channel_unique_name IS 'the channel''s name when it was moved';

CREATE TABLE kin_tr.task_history_default PARTITION OF kin_tr.task_history DEFAULT;
ALTER TABLE kin_tr.task_history_default ADD CONSTRAINT task_history_default_pkey PRIMARY KEY (sid, workspace_sid);
CREATE INDEX task_history_default_call ON kin_tr.task_history_default (left(attributes ->> 'call_sid', 64))
    WHERE attributes ? 'call_sid';
COMMENT ON TABLE kin_tr.task_history_default IS 'task_history of the first days, before dated partitions begin';

CREATE TABLE kin_tr.reservation_history (
    recorded_at        timestamptz NOT NULL,
    sid                kin_tr.sid NOT NULL,
    workspace_sid      kin_tr.sid NOT NULL,
    version            bigint NOT NULL,
    reservation_status text NOT NULL,
    task_sid           kin_tr.sid NOT NULL,
    worker_sid         kin_tr.sid NOT NULL,
    worker_name        text NOT NULL,
    task_channel_sid   kin_tr.sid NOT NULL,
    task_queue_sid     kin_tr.sid,
    workflow_sid       kin_tr.sid,
    date_created       timestamptz NOT NULL,
    date_updated       timestamptz NOT NULL,
    reason             text
) PARTITION BY RANGE (recorded_at);
COMMENT ON TABLE kin_tr.reservation_history IS 'Reservations of the tasks in task_history';
COMMENT ON COLUMN kin_tr.reservation_history.recorded_at IS 'when it was moved, by the real clock; the partition''s key';

CREATE TABLE kin_tr.reservation_history_default PARTITION OF kin_tr.reservation_history DEFAULT;
ALTER TABLE kin_tr.reservation_history_default ADD CONSTRAINT reservation_history_default_pkey PRIMARY KEY (sid, workspace_sid);
CREATE INDEX reservation_history_default_task ON kin_tr.reservation_history_default (task_sid);
CREATE INDEX reservation_history_default_worker ON kin_tr.reservation_history_default (worker_sid, date_created);
COMMENT ON TABLE kin_tr.reservation_history_default IS 'reservation_history of the first days, before dated partitions begin';

-- A column of history means what its namesake in the live table means.
DO $$
DECLARE
    c record;
BEGIN
    FOR c IN
        SELECT h.attrelid::regclass AS history, h.attname, col_description(l.attrelid, l.attnum) AS meaning
          FROM pg_attribute h
          JOIN pg_attribute l ON l.attname = h.attname AND l.attnum > 0
               AND l.attrelid = CASE h.attrelid WHEN 'kin_tr.task_history'::regclass
                                THEN 'kin_tr.tasks'::regclass ELSE 'kin_tr.reservations'::regclass END
         WHERE h.attrelid IN ('kin_tr.task_history'::regclass, 'kin_tr.reservation_history'::regclass)
           AND h.attnum > 0 LOOP
        EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', c.history, c.attname, c.meaning);
    END LOOP;
END $$;
