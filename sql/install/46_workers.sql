-- ------------------------------------------------------------------ worker
CREATE FUNCTION kin_tr._worker_data(w kin_tr.workers) RETURNS jsonb
    LANGUAGE sql STABLE SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT jsonb_build_object('worker_name', w.friendly_name, 'worker_activity_sid', w.activity_sid::text,
        'worker_activity_name', (SELECT a.friendly_name FROM kin_tr.activities a WHERE a.sid = w.activity_sid),
        'worker_version', w.version::text)
$$;

CREATE FUNCTION kin_tr._create_worker(friendly_name text, attributes jsonb, activity text, workspace kin_tr.sid)
    RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.workers;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_attributes(attributes);
    new.name_key := kin_tr._name_key(friendly_name);
    IF EXISTS (SELECT FROM kin_tr.workers w WHERE w.workspace_sid = workspace AND w.name_key = new.name_key) THEN
        PERFORM kin_tr._refuse_taken('worker', friendly_name);
    END IF;
    PERFORM kin_tr._hold_workspace(workspace);
    PERFORM kin_tr._lock_pairs(workspace, alone => false);
    new.sid := kin_tr._new_sid('WK');
    new.workspace_sid := workspace;
    new.friendly_name := friendly_name;
    new.attributes := coalesce(attributes, '{}');
    new.activity_sid := kin_tr._hold_activity(
        coalesce(activity, (SELECT w.default_activity_sid::text FROM kin_tr.workspaces w WHERE w.sid = workspace)), workspace);
    new.date_created := kin_tr.now();
    new.date_updated := new.date_created;
    new.date_status_changed := new.date_created;
    new.version := 0;
    new.document := kin_tr._event('worker.created', workspace, new.sid,
        kin_tr._worker_data(new) || jsonb_build_object('worker_attributes', new.attributes), worker => new.sid);
    INSERT INTO kin_tr.workers SELECT new.*;
    PERFORM kin_tr._insert_worker_channels(ARRAY[new.sid], kin_tr._all_of('TC', workspace), workspace);
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._update_worker(worker text, attributes jsonb, friendly_name text, activity text,
                                      reject_pending_reservations boolean, workspace kin_tr.sid,
                                      if_version bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    this kin_tr.workers;
    wk kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
BEGIN
    -- First, for it locks tasks and reservations, which come before the worker.
    IF activity IS NOT NULL THEN
        PERFORM kin_tr.update_worker_activity(wk, activity, reject_pending_reservations, workspace, if_version);
        if_version := NULL;
    ELSIF reject_pending_reservations THEN
        RAISE EXCEPTION 'pending reservations can only be rejected by moving to an unavailable activity'
            USING ERRCODE = 'invalid_parameter_value', HINT = 'Give the activity, too.';
    END IF;
    SELECT * INTO STRICT this FROM kin_tr.workers w WHERE w.sid = wk FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('worker', wk, this.version, if_version);
    IF attributes IS NULL AND friendly_name IS NULL THEN
        RETURN this.version;
    END IF;
    PERFORM kin_tr._check_attributes(attributes);
    IF friendly_name <> this.friendly_name THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
        this.name_key := kin_tr._name_key(friendly_name);
        IF EXISTS (SELECT FROM kin_tr.workers w
                    WHERE w.workspace_sid = workspace AND w.name_key = this.name_key AND w.sid <> wk) THEN
            PERFORM kin_tr._refuse_taken('worker', friendly_name);
        END IF;
    END IF;
    this.attributes := coalesce(attributes, this.attributes);
    this.friendly_name := coalesce(friendly_name, this.friendly_name);
    this.version := this.version + 1;
    this.document := kin_tr._event('worker.attributes.update', workspace, wk,
        kin_tr._worker_data(this) || jsonb_build_object('worker_attributes', this.attributes), worker => wk);
    UPDATE kin_tr.workers w SET attributes = this.attributes, friendly_name = this.friendly_name, name_key = this.name_key,
           version = this.version, document = this.document, date_updated = kin_tr.now()
     WHERE w.sid = wk;
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_worker(worker text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_worker kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
    this kin_tr.workers;
BEGIN
    -- The router shares this lock while it makes a reservation.
    SELECT * INTO STRICT this FROM kin_tr.workers w
     WHERE w.sid = named_worker FOR UPDATE;
    PERFORM kin_tr._check_version('worker', this.sid, this.version, if_version);
    PERFORM kin_tr._lock_for_delete(this.sid);
    IF EXISTS (SELECT FROM kin_tr.reservations r WHERE r.worker_sid = this.sid AND r.is_open) THEN
        PERFORM kin_tr._refuse_in_use('worker', this.friendly_name, 'an open reservation',
                                      'Let its reservations end first; in an unavailable activity it gets no more.');
    END IF;
    PERFORM kin_tr._lock_pairs(workspace, alone => false);
    DELETE FROM kin_tr.worker_channels c WHERE c.worker_sid = this.sid;
    DELETE FROM kin_tr.workers w WHERE w.sid = this.sid;
    PERFORM kin_tr._event('worker.deleted', workspace, this.sid, kin_tr._worker_data(this),
                          worker => this.sid, worker_document => this.document);
END $$;

CREATE FUNCTION kin_tr._update_worker_channel(worker text, task_channel text, capacity integer,
                                              available boolean, workspace kin_tr.sid) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_worker kin_tr.sid := kin_tr._resolve('WK', worker, workspace);
    named_channel kin_tr.sid := kin_tr._resolve('TC', task_channel, workspace);
    wk kin_tr.workers;
    channel kin_tr.task_channels;
    old kin_tr.worker_channels;
    data jsonb;
BEGIN
    PERFORM kin_tr._check_range('capacity', capacity, 0, 32767);
    -- The worker's row stands for its channels: the router looks at its version.
    SELECT * INTO STRICT wk FROM kin_tr.workers w
     WHERE w.sid = named_worker FOR NO KEY UPDATE;
    SELECT * INTO STRICT channel FROM kin_tr.task_channels c
     WHERE c.sid = named_channel;
    SELECT * INTO STRICT old FROM kin_tr.worker_channels c
     WHERE c.worker_sid = wk.sid AND c.task_channel_sid = channel.sid FOR NO KEY UPDATE;
    capacity := coalesce(capacity, old.configured_capacity);
    available := coalesce(available, old.available);
    IF capacity = old.configured_capacity AND available = old.available THEN
        RETURN wk.version;
    END IF;
    UPDATE kin_tr.worker_channels c SET configured_capacity = capacity, available = available,
           date_updated = kin_tr.now() WHERE c.sid = old.sid;
    UPDATE kin_tr.workers w SET version = w.version + 1, date_updated = kin_tr.now()
     WHERE w.sid = wk.sid RETURNING * INTO wk;
    data := kin_tr._worker_data(wk) || jsonb_build_object('worker_channel_available', available::text,
        'worker_channel_available_capacity', capacity::text,
        'worker_channel_previous_capacity', old.configured_capacity::text,
        'worker_channel_task_count', (SELECT count(*)::text FROM kin_tr.reservations r
            WHERE r.worker_sid = wk.sid AND r.is_open AND r.task_channel_sid = channel.sid),
        'task_channel_unique_name', channel.unique_name);
    IF capacity <> old.configured_capacity THEN
        PERFORM kin_tr._event('worker.capacity.update', workspace, wk.sid, data, worker => wk.sid,
                              task_channel => channel.sid, worker_document => wk.document);
    END IF;
    IF available <> old.available THEN
        PERFORM kin_tr._event('worker.channel.availability.update', workspace, wk.sid, data,
                              worker => wk.sid, task_channel => channel.sid, worker_document => wk.document);
    END IF;
    RETURN wk.version;
END $$;
