-- ------------------------------------------------------------ task channel
CREATE FUNCTION kin_tr._task_channel_event(event_type text, c kin_tr.task_channels) RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    SELECT kin_tr._event(event_type, c.workspace_sid, c.sid,
        jsonb_build_object('task_channel_name', c.friendly_name, 'task_channel_unique_name', c.unique_name,
                           'task_channel_optimized_routing', c.channel_optimized_routing::text),
        task_channel => c.sid)
$$;

CREATE FUNCTION kin_tr._create_task_channel(friendly_name text, unique_name text,
                                            channel_optimized_routing boolean, workspace kin_tr.sid)
    RETURNS kin_tr.sid
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    new kin_tr.task_channels;
BEGIN
    PERFORM kin_tr._check_name('friendly_name', friendly_name);
    PERFORM kin_tr._check_name('unique_name', unique_name);
    IF unique_name !~ '^[A-Za-z_$][A-Za-z0-9_$]*$' THEN
        RAISE EXCEPTION 'invalid unique_name: "%"', unique_name
            USING ERRCODE = 'invalid_parameter_value',
                  HINT = 'It stands in expressions, so it is made of letters, digits, _ and $, and begins with no digit.';
    ELSIF EXISTS (SELECT FROM kin_tr.task_channels c WHERE c.workspace_sid = workspace AND c.unique_name = unique_name) THEN
        PERFORM kin_tr._refuse_taken('task channel', unique_name);
    END IF;
    PERFORM kin_tr._hold_workspace(workspace);
    PERFORM kin_tr._lock_pairs(workspace, alone => true);
    INSERT INTO kin_tr.task_channels (sid, workspace_sid, friendly_name, unique_name,
                                      channel_optimized_routing, date_created, date_updated)
    VALUES (kin_tr._new_sid('TC'), workspace, friendly_name, unique_name,
            coalesce(channel_optimized_routing, false), kin_tr.now(), kin_tr.now())
    RETURNING * INTO new;
    PERFORM kin_tr._insert_worker_channels(kin_tr._all_of('WK', workspace), ARRAY[new.sid], workspace);
    PERFORM kin_tr._task_channel_event('task-channel.created', new);
    RETURN new.sid;
END $$;

CREATE FUNCTION kin_tr._insert_worker_channels(workers kin_tr.sid[], task_channels kin_tr.sid[], workspace kin_tr.sid)
    RETURNS void
    LANGUAGE sql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
    INSERT INTO kin_tr.worker_channels (sid, workspace_sid, worker_sid, task_channel_sid, date_created, date_updated)
    SELECT kin_tr._new_sid('WC'), workspace, w, c, kin_tr.now(), kin_tr.now() FROM unnest(workers) w, unnest(task_channels) c
$$;

CREATE FUNCTION kin_tr._update_task_channel(task_channel text, friendly_name text,
                                            channel_optimized_routing boolean, workspace kin_tr.sid,
                                            if_version bigint) RETURNS bigint
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_channel kin_tr.sid := kin_tr._resolve('TC', task_channel, workspace);
    this kin_tr.task_channels;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.task_channels c
     WHERE c.sid = named_channel FOR NO KEY UPDATE;
    PERFORM kin_tr._check_version('task channel', this.sid, this.version, if_version);
    IF friendly_name IS NOT NULL THEN
        PERFORM kin_tr._check_name('friendly_name', friendly_name);
    END IF;
    friendly_name := coalesce(friendly_name, this.friendly_name);
    channel_optimized_routing := coalesce(channel_optimized_routing, this.channel_optimized_routing);
    IF (friendly_name, channel_optimized_routing) = (this.friendly_name, this.channel_optimized_routing) THEN
        RETURN this.version;
    END IF;
    UPDATE kin_tr.task_channels c SET friendly_name = friendly_name,
           channel_optimized_routing = channel_optimized_routing,
           date_updated = kin_tr.now(), version = c.version + 1
     WHERE c.sid = this.sid RETURNING * INTO this;
    PERFORM kin_tr._task_channel_event('task-channel.updated', this);
    RETURN this.version;
END $$;

CREATE FUNCTION kin_tr._delete_task_channel(task_channel text, workspace kin_tr.sid, if_version bigint) RETURNS void
    LANGUAGE plpgsql SET search_path = pg_catalog, kin_tr, pg_temp AS $$
#variable_conflict use_variable
DECLARE
    named_channel kin_tr.sid := kin_tr._resolve('TC', task_channel, workspace);
    this kin_tr.task_channels;
BEGIN
    SELECT * INTO STRICT this FROM kin_tr.task_channels c
     WHERE c.sid = named_channel FOR UPDATE;
    PERFORM kin_tr._check_version('task channel', this.sid, this.version, if_version);
    IF this.unique_name IN ('default', 'voice', 'sms', 'chat', 'video') THEN
        PERFORM kin_tr._refuse_in_use('task channel', this.unique_name, 'the workspace, which was made with it',
                                      'It stays as long as the workspace. A worker with capacity 0 in it gets none of its tasks.');
    END IF;
    PERFORM kin_tr._lock_for_delete(this.sid);
    IF EXISTS (SELECT FROM kin_tr.tasks t WHERE t.task_channel_sid = this.sid AND t.finished_at IS NULL) THEN
        PERFORM kin_tr._refuse_in_use('task channel', this.unique_name, 'an open task',
                                      'Let its tasks end first, or cancel them.');
    END IF;
    PERFORM kin_tr._move_to_history(NULL, NULL, this.sid);
    PERFORM kin_tr._lock_pairs(workspace, alone => true);
    DELETE FROM kin_tr.worker_channels c USING kin_tr.workers w
     WHERE w.workspace_sid = workspace AND c.worker_sid = w.sid AND c.task_channel_sid = this.sid;
    DELETE FROM kin_tr.task_channels c WHERE c.sid = this.sid;
    PERFORM kin_tr._task_channel_event('task-channel.deleted', this);
END $$;
