-- -------------------------------------------------------------- partitions
-- Weeks begin on Monday, UTC.
CREATE FUNCTION kin_tr._partition_name(parent text, week date) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT parent || to_char(week, '"_"IYYY"w"IW')
$$;

-- From a day to another, with what the default partition has in keys and indexes.
CREATE FUNCTION kin_tr._make_partition(parent text, name text, from_day date, to_day date) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    EXECUTE format('CREATE TABLE kin_tr.%I (LIKE kin_tr.%I INCLUDING STORAGE INCLUDING COMPRESSION)', name, parent);
    EXECUTE format('ALTER TABLE kin_tr.%I ENABLE ROW LEVEL SECURITY', name);
    CASE parent
        WHEN 'events' THEN
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (id)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (era, xid, id)', name);
        WHEN 'task_history' THEN
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (sid, workspace_sid)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (left(attributes ->> ''call_sid'', 64)) WHERE attributes ? ''call_sid''', name);
        ELSE
            EXECUTE format('ALTER TABLE kin_tr.%I ADD PRIMARY KEY (sid, workspace_sid)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (task_sid)', name);
            EXECUTE format('CREATE INDEX ON kin_tr.%I (worker_sid, date_created)', name);
    END CASE;
    EXECUTE format('ALTER TABLE kin_tr.%I ATTACH PARTITION kin_tr.%I FOR VALUES FROM (%L) TO (%L)',
                   parent, name, from_day::timestamp AT TIME ZONE 'UTC', to_day::timestamp AT TIME ZONE 'UTC');
END $$;

-- The partitions of the coming weeks that are not there, the nearest first, from the day after tomorrow on: one never has
-- a row before it is there.  checked: the default partition is large, so that its rows are not to be looked through while
-- it is locked; a CHECK says first that it has none of that time.  It holds for rows of the history; events are inserted
-- without being checked, and found in the default partition as well, whatever their time.  Three weeks ahead, so that
-- nobody has such rows before the partition is there.
CREATE FUNCTION kin_tr._partitions_wanted() RETURNS TABLE (parent text, name text, from_day date, to_day date, checked boolean)
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT p.parent, n.name, d.from_day, d.to_day, p.is_large
      FROM (SELECT parent, pg_relation_size(format('kin_tr.%I', parent || '_default')::regclass) > 8 * 1024 * 1024 AS is_large
              FROM unnest(ARRAY['events', 'task_history', 'reservation_history']) parent) p,
           (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date AS today) t,
           generate_series(0, 5) ahead,
           LATERAL (SELECT date_trunc('week', t.today)::date + 7 * ahead AS week) w,
           LATERAL (SELECT greatest(w.week, t.today + 2) AS from_day, w.week + 7 AS to_day) d,
           LATERAL (SELECT kin_tr._partition_name(p.parent, w.week) AS name) n
     WHERE d.from_day < d.to_day AND to_regclass(format('kin_tr.%I', n.name)) IS NULL
       AND (NOT p.is_large OR d.from_day >= t.today + 21)
     ORDER BY d.from_day, p.parent
$$;

-- The CHECK of a default partition that it has nothing of a partition's time.
CREATE FUNCTION kin_tr._check_name(partition text) RETURNS text
    LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$ SELECT partition || '_not_here' $$;

-- Makes one partition, or one piece of it where the default partition is large: 'partition', 'check', or NULL where
-- there is nothing to do.  Each piece is to be a transaction of its own, and waits 20 ms at most for a table, for whoever
-- wants it meanwhile waits, too.  ATTACH and not PARTITION OF, which takes an ACCESS EXCLUSIVE lock on the parent.
-- Partitions are no members of the extension, so pg_dump treats them as any table.
CREATE FUNCTION kin_tr._make_next_partition() RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET lock_timeout = '20ms' AS $$
DECLARE
    w record;
    validated boolean;
BEGIN
    -- A restored dump brings its own, which must not overlap.
    IF NOT EXISTS (SELECT FROM kin_tr.workspaces) OR NOT kin_tr._lock_role(3) THEN
        RETURN NULL;
    END IF;
    IF kin_tr._drop_old_check() THEN
        RETURN 'check';
    END IF;
    FOR w IN SELECT * FROM kin_tr._partitions_wanted() LOOP
        validated := (SELECT c.convalidated FROM pg_constraint c
                       WHERE c.conrelid = format('kin_tr.%I', w.parent || '_default')::regclass
                         AND c.conname = kin_tr._check_name(w.name));
        BEGIN
            IF w.checked AND validated IS NOT TRUE THEN
                PERFORM kin_tr._check_default(w.parent, w.name, w.from_day, w.to_day, validated IS NULL);
                RETURN 'check';
            END IF;
            PERFORM kin_tr._make_partition(w.parent, w.name, w.from_day, w.to_day);
            IF validated IS NOT NULL THEN
                EXECUTE format('ALTER TABLE kin_tr.%I DROP CONSTRAINT %I', w.parent || '_default', kin_tr._check_name(w.name));
            END IF;
            RETURN 'partition';
        EXCEPTION WHEN check_violation THEN
            RAISE WARNING 'kin_tr: partition % cannot be made: %_default has rows of its time', w.name, w.parent
                USING HINT = 'Has the system''s clock been ahead?';
        END;
    END LOOP;
    RETURN NULL;
END $$;

CREATE FUNCTION kin_tr._check_default(parent text, name text, from_day date, to_day date, is_new boolean) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET client_min_messages = warning AS $$
BEGIN
    IF is_new THEN
        EXECUTE format('ALTER TABLE kin_tr.%I ADD CONSTRAINT %I CHECK (recorded_at < %L OR recorded_at >= %L) NOT VALID',
                       parent || '_default', kin_tr._check_name(name),
                       from_day::timestamp AT TIME ZONE 'UTC', to_day::timestamp AT TIME ZONE 'UTC');
    ELSE
        EXECUTE format('ALTER TABLE kin_tr.%I VALIDATE CONSTRAINT %I', parent || '_default', kin_tr._check_name(name));
    END IF;
END $$;

-- A check whose partition did not come in time: it would refuse rows one day.
CREATE FUNCTION kin_tr._drop_old_check() RETURNS boolean
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    old record;
BEGIN
    SELECT c.conrelid::regclass AS partition, c.conname INTO old
      FROM pg_constraint c
     WHERE c.conrelid IN ('kin_tr.events_default'::regclass, 'kin_tr.task_history_default'::regclass,
                          'kin_tr.reservation_history_default'::regclass)
       AND c.contype = 'c' AND c.conname LIKE '%\_not\_here'
       AND c.conname NOT IN (SELECT kin_tr._check_name(w.name) FROM kin_tr._partitions_wanted() w)
     LIMIT 1;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', old.partition, old.conname);
    RETURN true;
END $$;

-- Drops one partition that is wholly older than retention says, by the real clock: 'partition', or NULL where there
-- is none.
CREATE FUNCTION kin_tr._drop_next_partition() RETURNS text
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET lock_timeout = '20ms' AS $$
DECLARE
    p record;
BEGIN
    IF NOT kin_tr._lock_role(3) THEN
        RETURN NULL;
    END IF;
    SELECT b.parent, b.partition INTO p
      FROM (SELECT i.inhparent::regclass AS parent, i.inhrelid::regclass AS partition,
                   (regexp_match(pg_get_expr(c.relpartbound, c.oid), 'TO \(''([^'']+)''\)'))[1]::timestamptz AS upper
              FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
             WHERE i.inhparent IN ('kin_tr.events'::regclass, 'kin_tr.task_history'::regclass,
                                   'kin_tr.reservation_history'::regclass)
               AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT') b
     WHERE b.upper <= clock_timestamp() - make_interval(days => current_setting(
               CASE b.parent WHEN 'kin_tr.events'::regclass THEN 'kin_tr.event_retention' ELSE 'kin_tr.history_retention' END)::integer)
     ORDER BY b.upper, b.partition LIMIT 1;
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF p.parent = 'kin_tr.events'::regclass THEN
        PERFORM kin_tr._note_dropped(p.partition);
    END IF;
    EXECUTE format('DROP TABLE %s', p.partition);
    RETURN 'partition';
END $$;

-- Makes or drops all that are due, for maintain(): how many.  A CHECK is validated in a transaction of its own, so that one
-- goes on at the next call.  What fails does so alone.
CREATE FUNCTION kin_tr._maintain_partitions(making boolean) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    n integer := 0;
BEGIN
    LOOP
        BEGIN
            EXIT WHEN CASE WHEN making THEN kin_tr._make_next_partition() ELSE kin_tr._drop_next_partition() END
                      IS DISTINCT FROM 'partition';
        EXCEPTION
            WHEN lock_not_available THEN
                EXIT;
            WHEN OTHERS THEN
                RAISE WARNING 'kin_tr: a partition could not be %: %', CASE WHEN making THEN 'made' ELSE 'dropped' END, SQLERRM
                    USING ERRCODE = SQLSTATE;
                EXIT;
        END;
        n := n + 1;
    END LOOP;
    RETURN n;
END $$;

-- What is in the default partitions goes row by row, of those with the lowest
-- keys, which rise with time, max of each; those of events strictly, so that
-- nothing is read where the first one stays.  How many went.
CREATE FUNCTION kin_tr._trim_defaults(max integer) RETURNS integer
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp SET enable_seqscan = off SET jit = off AS $$
DECLARE
    now constant timestamptz := clock_timestamp();
    event_limit constant timestamptz := now - make_interval(days => current_setting('kin_tr.event_retention')::integer);
    history_limit constant timestamptz := now - make_interval(days => current_setting('kin_tr.history_retention')::integer);
    last record;
    n integer;
    trimmed integer := 0;
BEGIN
    IF NOT kin_tr._lock_role(3) THEN
        RETURN 0;
    END IF;
    IF (SELECT e.recorded_at FROM kin_tr.events_default e ORDER BY e.id LIMIT 1) < event_limit THEN
        WITH dropped AS (
            DELETE FROM kin_tr.events_default
             WHERE id = ANY (ARRAY(SELECT e.id FROM kin_tr.events_default e ORDER BY e.id LIMIT max))
               AND recorded_at < event_limit
            RETURNING era, xid, id)
        SELECT d.era, d.xid, max(d.id) OVER () AS id, count(*) OVER () AS n INTO last
          FROM dropped d ORDER BY d.era DESC, d.xid DESC LIMIT 1;
        PERFORM kin_tr._raise_dropped(last.era, last.xid, last.id);
        trimmed := coalesce(last.n, 0);
    END IF;
    DELETE FROM kin_tr.task_history_default
     WHERE sid = ANY (ARRAY(SELECT h.sid FROM kin_tr.task_history_default h ORDER BY h.sid LIMIT max))
       AND recorded_at < history_limit;
    GET DIAGNOSTICS n = ROW_COUNT;
    trimmed := trimmed + n;
    DELETE FROM kin_tr.reservation_history_default
     WHERE sid = ANY (ARRAY(SELECT h.sid FROM kin_tr.reservation_history_default h ORDER BY h.sid LIMIT max))
       AND recorded_at < history_limit;
    GET DIAGNOSTICS n = ROW_COUNT;
    RETURN trimmed + n;
END $$;

CREATE FUNCTION kin_tr._raise_dropped(dropped_era integer, dropped_xid xid8, dropped_id bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
BEGIN
    IF dropped_id IS NULL THEN
        RETURN;
    END IF;
    UPDATE kin_tr.events_dropped d SET id = greatest(d.id, dropped_id);
    UPDATE kin_tr.events_dropped d SET era = dropped_era, xid = dropped_xid
     WHERE (d.era, d.xid) < (dropped_era, dropped_xid);
    IF NOT EXISTS (SELECT FROM kin_tr.events_dropped) THEN
        INSERT INTO kin_tr.events_dropped VALUES (dropped_era, dropped_xid, dropped_id);
    END IF;
END $$;

CREATE FUNCTION kin_tr._note_dropped(partition regclass) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
DECLARE
    last record;
    last_id bigint;
BEGIN
    EXECUTE format('SELECT era, xid FROM %s ORDER BY era DESC, xid DESC LIMIT 1', partition) INTO last;
    EXECUTE format('SELECT max(id) FROM %s', partition) INTO last_id;
    PERFORM kin_tr._raise_dropped(last.era, last.xid, last_id);
END $$;
